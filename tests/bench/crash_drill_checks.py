"""What the crash drill does inside the database: people at the start, counting at the end."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, QuerySet
from django.utils import timezone

from datasets.models import AcceptedLabel
from feedbackproject import demo
from labeling.models import Annotation, AnnotationTask, Membership, PoolEntry, Project
from labeling.services import projects
from sampling.models import RefillRun
from sampling.services import refill
from sampling.tasks import run_refill
from training.models import TrainingRun
from training.services import runs
from training.tasks import send_run

SETTLE_SECONDS = 120


@dataclass(frozen=True)
class Person:
    cookie: str
    csrf: str


def prepare(url: str, count: int) -> tuple[demo.DemoProject, list[Person]]:
    """Load the digits over HTTP and log `count` annotators in."""
    digits = demo.digits()
    owner = User.objects.create_superuser("drill-owner")
    annotators = [User.objects.create_user(f"drill-{number}") for number in range(count)]
    demo.load(digits, url=url, owner=owner, annotator=annotators[0])
    project = Project.objects.get(slug=digits.slug)
    for annotator in annotators[1:]:
        projects.set_member(project, username=annotator.username, role=Membership.Role.ANNOTATOR, by=owner)
    return digits, [_log_in(annotator) for annotator in annotators]


def _log_in(user: User) -> Person:
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return Person(session.session_key, secrets.token_hex(16))


def start_refill(slug: str) -> None:
    connection.close()  # the database was restarted meanwhile
    refill_run = refill.request(Project.objects.get(slug=slug), trigger=RefillRun.Trigger.MANUAL)
    run_refill.delay(refill_run.pk)


def catch_running_training(slug: str) -> bool:
    """Request trainings until one is seen running; return whether that was within a minute."""
    connection.close()
    project = Project.objects.get(slug=slug)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        active = TrainingRun.objects.filter(project=project, state__in=["pending", "running"]).first()
        if active is None:
            run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=timezone.now())
            send_run(run.pk)
        elif active.state == TrainingRun.State.RUNNING:
            return True
        time.sleep(0.005)
    return False


def _is_settled(project: Project) -> bool:
    """No run waits, and every answer that stands is an accepted label."""
    answers = Annotation.objects.filter(task__project=project, withdrawn_at__isnull=True).count()
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True).count()
    return (
        answers == labels
        and not RefillRun.objects.filter(project=project, state="pending").exists()
        and not TrainingRun.objects.filter(project=project, state__in=["pending", "running"]).exists()
    )


def count(slug: str, confirmed: Sequence[int], say: Callable[[str], None]) -> list[str]:
    """Wait until the service has caught up, then look for anything lost, double or stuck."""
    connection.close()
    project = Project.objects.get(slug=slug)
    deadline = time.monotonic() + SETTLE_SECONDS
    while not _is_settled(project) and time.monotonic() < deadline:
        time.sleep(0.5)
    problems = [] if _is_settled(project) else ["not settled: a run is pending or an answer is not accepted"]
    valid = Annotation.objects.filter(task__project=project, withdrawn_at__isnull=True)
    stored = set(valid.values_list("task_id", flat=True))
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True)
    trainings = TrainingRun.objects.filter(project=project)
    say(f"{len(confirmed)} answers confirmed, {len(stored)} stored, {labels.count()} labels accepted")
    say(f"refills {_states(RefillRun.objects.filter(project=project))}, trainings {_states(trainings)}")
    problems += [f"confirmed answer of task {task} is lost" for task in set(confirmed) - stored]
    problems += [f"{len(confirmed) - len(set(confirmed))} answers were confirmed twice"] * (
        len(confirmed) > len(set(confirmed))
    )
    doubles = valid.values("item").annotate(n=Count("id")).filter(n__gt=1).count()
    problems += [f"{doubles} items were answered more than once"] * (doubles > 0)
    open_items = AnnotationTask.objects.filter(project=project, state="open").values("item")
    stuck = PoolEntry.objects.filter(project=project, state=PoolEntry.State.QUEUED).exclude(item__in=open_items).count()
    problems += [f"{stuck} items are marked queued without an open task"] * (stuck > 0)
    wrong = AnnotationTask.objects.filter(project=project, state="answered").exclude(id__in=stored).count()
    problems += [f"{wrong} tasks are answered without an answer"] * (wrong > 0)
    failed = trainings.filter(state="failed").values_list("message", flat=True)
    problems += [f"a training failed: {message}" for message in failed]
    return problems


def _states(rows: "QuerySet[RefillRun] | QuerySet[TrainingRun]") -> dict[str, int]:
    return dict(rows.order_by().values_list("state").annotate(Count("id")))
