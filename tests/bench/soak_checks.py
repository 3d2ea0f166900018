"""What the soak does inside the database: people and pools at the start, counting at the end."""

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, F
from django.utils import timezone

from datasets.models import AcceptedLabel, PendingEvidence
from labeling.models import Annotation, AnnotationTask, AnnotatorDay, PoolEntry, Project
from labeling.services import annotation_queue, projects
from labeling.services.annotation_queue import NewTask
from sampling.services import policies
from tests.bench import bulk_pool, crowd

if TYPE_CHECKING:
    from tests.bench.soak import Memory

SLUGS = ("soak", "soak-twice")
SETTLE_SECONDS = 120
_MANY = 100_000


def prepare(annotators: int, with_overlap: int, minutes: float) -> list[crowd.Person]:
    """Two projects, one whose queue is kept filled, one with all its tasks there and each to be answered twice."""
    once, twice = (_project(slug) for slug in SLUGS)
    bulk_pool.fill(once, 5_000 + round(20_000 * minutes))
    policies.new_version(once, by=None, batch_size=1_000, low_watermark=500)
    bulk_pool.fill(twice, 2_000 + round(3_000 * minutes))
    items = list(PoolEntry.objects.filter(project=twice).order_by("item_id").values_list("item_id", flat=True))
    tasks = [
        NewTask(item_id, AnnotationTask.Reason.MANUAL, None, None, False, rank, None)
        for rank, item_id in enumerate(items)
    ]
    now = timezone.now()
    annotation_queue.enqueue(twice, tasks, batch=uuid.uuid4(), pool_size=len(tasks), now=now, answers_wanted=2)
    people = [*crowd.people(once, annotators - with_overlap), *crowd.people(twice, with_overlap)]
    connection.close()  # the database is going to be restarted
    return people


def _project(slug: str) -> Project:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in bulk_pool.CLASSES]}
    return projects.create(slug=slug, name=slug, definition=definition, by=None)


def count(memories: "Mapping[int, Memory]") -> tuple[dict[str, int], list[str]]:
    """Wait until the service has caught up; then what there is, and whatever is lost, double, stuck or counted wrong."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while PendingEvidence.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    problems = ["answers wait for acceptance"] * PendingEvidence.objects.exists()
    standing = Annotation.objects.filter(withdrawn_at__isnull=True)
    counted = {
        "answers the service confirmed": sum(len(memory.confirmed) for memory in memories.values()),
        "answers that were undone": sum(len(memory.undone) for memory in memories.values()),
        "answers stored that stand": standing.count(),
        "answers whose confirmation broke off": sum(len(memory.unclear_tasks) for memory in memories.values()),
        "tasks answered": AnnotationTask.objects.filter(state="answered").count(),
        "tasks still open": AnnotationTask.objects.filter(state="open").count(),
        "labels accepted": AcceptedLabel.objects.filter(superseded_at__isnull=True).count(),
    }
    return counted, [
        *problems,
        *_answers(memories),
        *_overlaps(),
        *_counters(),
        *_states(),
        *_stuck(),
    ]


def _answers(memories: "Mapping[int, Memory]") -> list[str]:
    problems = []
    for annotator_id, memory in memories.items():
        own = Annotation.objects.filter(annotator=annotator_id)
        stored = dict(own.values_list("pk", "task_id"))
        stands = set(own.filter(withdrawn_at__isnull=True).values_list("pk", flat=True))
        unclear = {pk for pk, task in stored.items() if task in memory.unclear_tasks}
        lost = {pk for pk, task in memory.confirmed.items() if stored.get(pk) != task}
        expected = set(memory.confirmed) - memory.undone - unclear
        problems += [f"confirmed answer {pk} of annotator {annotator_id} is lost" for pk in lost]
        problems += [f"answer {pk} was confirmed and does not stand" for pk in expected - stands - lost]
        problems += [f"answer {pk} stands and was undone" for pk in (stands & memory.undone) - unclear]
        problems += [f"answer {pk} is stored and nobody gave it" for pk in stands - expected - unclear]
    return problems


def _overlaps() -> list[str]:
    standing = Annotation.objects.filter(withdrawn_at__isnull=True).order_by()
    twice = standing.values("item", "annotator").annotate(n=Count("id")).filter(n__gt=1).count()
    often = (
        standing.values("task", "task__answers_wanted").annotate(n=Count("id")).filter(n__gt=F("task__answers_wanted"))
    )
    tasks = AnnotationTask.objects.filter(state="answered").order_by()
    again = tasks.values("item").annotate(n=Count("id")).filter(n__gt=1).count()
    return [
        *[f"{twice} times somebody answered an item twice"] * (twice > 0),
        *[f"{often.count()} tasks have more answers than were wanted"] * often.exists(),
        *[f"{again} items were asked again after they were answered"] * (again > 0),
    ]


def _counters() -> list[str]:
    standing = Annotation.objects.filter(withdrawn_at__isnull=True).order_by()
    by_task = dict(standing.values_list("task").annotate(n=Count("id")))
    kept = dict(AnnotationTask.objects.order_by().values_list("pk", "answers_count"))
    wrong = sum(kept[task] != by_task.get(task, 0) for task in kept)
    by_day = Counter(
        (project, annotator, timezone.localdate(at))
        for project, annotator, at in standing.values_list("task__project", "annotator", "created_at")
    )
    days = {(day.project_id, day.annotator_id, day.day): day.answered for day in AnnotatorDay.objects.all()}
    wrong_days = sum(days.get(key, 0) != by_day.get(key, 0) for key in days.keys() | by_day.keys())
    return [
        *[f"{wrong} tasks count their answers wrong"] * (wrong > 0),
        *[f"{wrong_days} days of annotators are counted wrong"] * (wrong_days > 0),
    ]


def _states() -> list[str]:
    """Pool, tasks and labels tell the same story."""
    items: dict[str, set[int]] = {}
    for state, item in AnnotationTask.objects.order_by().values_list("state", "item"):
        items.setdefault(state, set()).add(item)
    pool: dict[int, set[int]] = {}
    for pool_state, item in PoolEntry.objects.order_by().values_list("state", "item"):
        pool.setdefault(pool_state, set()).add(item)
    labelled = set(AcceptedLabel.objects.filter(superseded_at__isnull=True).values_list("item", flat=True))
    answered = items.get("answered", set())
    short = AnnotationTask.objects.filter(state="answered", answers_count__lt=F("answers_wanted")).count()
    differences = {
        "queued items and open tasks": pool.get(PoolEntry.State.QUEUED, set()) ^ items.get("open", set()),
        "answered items and answered tasks": pool.get(PoolEntry.State.ANSWERED, set()) ^ answered,
        "unusable items and unusable tasks": pool.get(PoolEntry.State.UNUSABLE, set()) ^ items.get("unusable", set()),
        "accepted labels and answered tasks": labelled ^ answered,
    }
    return [
        *[f"{short} tasks are answered with too few answers"] * (short > 0),
        *(f"{len(found)} items differ between {what}" for what, found in differences.items() if found),
    ]


def _stuck() -> list[str]:
    """All leases have ended: somebody new can claim everything that is open."""
    problems = []
    for slug in SLUGS:
        project = Project.objects.get(slug=slug)
        newcomer = User.objects.create_user(f"{slug}-newcomer")
        with transaction.atomic():
            open_count = AnnotationTask.objects.filter(project=project, state="open").count()
            claimed = annotation_queue.claim(project, annotator=newcomer, now=timezone.now(), limit=_MANY)
            transaction.set_rollback(True)
        problems += [f"{open_count - len(claimed)} open tasks cannot be claimed"] * (len(claimed) != open_count)
    return problems


def report(
    minutes: float, said: Sequence[str], counted: Mapping[str, int], did: Mapping[str, int], problems: Sequence[str]
) -> str:
    told = sorted(did.items(), key=lambda entry: (-entry[1], entry[0]))
    return "\n".join(
        [
            "# Soak",
            "",
            f"`python -m tests.bench.soak --minutes {minutes:g}` of {timezone.now():%Y-%m-%d}: the whole product under 32 annotators "
            "who answer, skip, undo,",
            "give back, leave and come too late, with leases of seconds; 8 of them where every item is asked twice. Written by the run.",
            "",
            "| after | what |",
            "|---|---|",
            *(f"| {line.partition(' s  ')[0].strip()} s | {line.partition(' s  ')[2]} |" for line in said),
            "",
            "| counted at the end | |",
            "|---|---|",
            *(f"| {what} | {number:,} |" for what, number in counted.items()),
            "",
            "| what annotators asked for, and what they were told if it was not yes | times |",
            "|---|---|",
            *(f"| {what} | {times:,} |" for what, times in told),
            "",
            "Every confirmed answer is stored once and stands unless it was undone; nobody answered an item twice, and no item was",
            "answered more often than asked; every open task can be claimed; pool, labels and all counters equal a recount."
            if not problems
            else "\n".join(f"- PROBLEM: {problem}" for problem in problems[:50]),
            "",
        ]
    )
