"""Next + submit over HTTP, at pools of 10,000 and 1,000,000 items, by 8 and by 32 annotators at once.

Throughput is measured while another process refills the queue of the large pool. Figures that are compared with each
other are measured in turns, so that whatever else the machine does falls on both.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.contrib.auth.models import User
from django.utils import timezone

from labeling.models import Annotation, AnnotationTask, Project
from labeling.services import annotation_queue, projects
from sampling.models import RefillRun
from sampling.services import policies, refill
from tests.bench import bulk_pool, crowd, server
from tests.bench.crowd import Person, Reply, Request, Script
from tests.bench.result import Result

SMALL, LARGE = 10_000, 1_000_000
FEW, MANY = 8, 32
OPEN_TASKS = 5_000
LEASED_AHEAD = 1_000
WARM_UP_SECONDS = 2.0
SECONDS = 10.0
TURNS = 4
TURN_SECONDS = 2.0
_NEXT = Request("next", b'{"limit":1}', "next")
_ANSWER = b'{"answer":{"choice":"class-3"},"duration_ms":900}'
_ANSWER_AND_NEXT = b'{"answer":{"choice":"class-3"},"duration_ms":900,"next":1}'
ROOT = Path(__file__).resolve().parents[2]
_FILLER = """
import sys, time, django
django.setup()
from sampling.tasks import check_watermark
while True:
    check_watermark(int(sys.argv[1]))
    time.sleep(0.2)
"""


def _only(tasks: Sequence[int]) -> int:
    if len(tasks) != 1:
        raise RuntimeError(f"{len(tasks)} tasks instead of one")
    return tasks[0]


def _stored(reply: Reply) -> Reply:
    if reply.status != 201:
        raise RuntimeError(f"not stored: {reply}")
    return reply


def _cycles(seconds: float) -> Callable[[Person], Script]:
    """Ask, then answer: two requests."""
    end = time.perf_counter() + seconds

    def script(person: Person) -> Script:
        while time.perf_counter() < end:
            task = _only(crowd.served((yield _NEXT)))
            _stored((yield Request(f"{task}/submit", _ANSWER, "submit")))
            person.answered.append(task)

    return script


def _chains(seconds: float) -> Callable[[Person], Script]:
    """Answer and ask in one request, as the page does."""
    end = time.perf_counter() + seconds

    def script(person: Person) -> Script:
        task = _only(crowd.served((yield _NEXT)))
        while time.perf_counter() < end:
            reply = _stored((yield Request(f"{task}/submit", _ANSWER_AND_NEXT, "chain")))
            person.answered.append(task)
            task = _only(crowd.answered(reply)[1])

    return script


def _looks(seconds: float) -> Callable[[Person], Script]:
    """Ask and give back."""
    end = time.perf_counter() + seconds

    def script(person: Person) -> Script:
        while time.perf_counter() < end:
            task = _only(crowd.served((yield _NEXT)))
            yield Request(f"{task}/release", b"{}", "release")

    return script


def _project(slug: str, size: int) -> Project:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in bulk_pool.CLASSES]}
    project = projects.create(slug=slug, name=slug, definition=definition, by=None)
    bulk_pool.fill(project, size)
    policies.new_version(project, by=None, batch_size=OPEN_TASKS, low_watermark=OPEN_TASKS * 4 // 5)
    _refill(project)
    return project


def _refill(project: Project) -> None:
    refill.execute(refill.request(project, trigger=RefillRun.Trigger.MANUAL).pk, now=timezone.now())


@contextmanager
def _kept_filled(project: Project) -> Iterator[None]:
    """Refill the queue whenever it is low, in another process, as the Celery worker does."""
    filler = subprocess.Popen([sys.executable, "-c", _FILLER, str(project.pk)], cwd=ROOT)
    try:
        yield
        if filler.poll() is not None:
            raise RuntimeError("the refills ended early")
    finally:
        filler.terminate()
        filler.wait(timeout=30)


def _milliseconds(people: Sequence[Person], kind: str) -> list[float]:
    return [value for person in people for value in person.milliseconds.pop(kind, [])]


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def _rate(url: str, people: Sequence[Person], script: Callable[[float], Callable[[Person], Script]]) -> float:
    """Cycles per second. Checks that each answer is stored and none was asked for twice."""
    crowd.play(url, people, script(WARM_UP_SECONDS))
    for person in people:
        person.forget()
    seconds = crowd.play(url, people, script(SECONDS))
    answered = [task for person in people for task in person.answered]
    if len(set(answered)) != len(answered):
        raise RuntimeError("a task was served twice")
    if (stored := Annotation.objects.filter(task__in=answered).count()) != len(answered):
        raise RuntimeError(f"{len(answered)} answers were confirmed, {stored} are stored")
    return len(answered) / seconds


def _sizes(url: str, small: Project, large: Project) -> tuple[float, float]:
    """p95 of `next` by 8 annotators, at 10,000 and at 1,000,000 items."""
    people = {project.pk: crowd.people(project, FEW) for project in (small, large)}
    times: dict[int, list[float]] = {small.pk: [], large.pk: []}
    for turn in range(TURNS + 1):
        for project in (small, large):
            crowd.play(url, people[project.pk], _cycles(TURN_SECONDS))
            found = _milliseconds(people[project.pk], "next")
            if turn:  # the first turn warms up
                times[project.pk] += found
    return _p95(times[small.pk]), _p95(times[large.pk])


def _leased_ahead(url: str, project: Project, people: Sequence[Person]) -> tuple[float, float]:
    """p95 of `next` by 8 annotators without and with 1,000 tasks ahead that somebody else holds."""
    _refill(project)
    holder = User.objects.create_user("holder")
    free: list[float] = []
    behind: list[float] = []
    for _ in range(TURNS):
        crowd.play(url, people, _looks(TURN_SECONDS))
        free += _milliseconds(people, "next")
        held = annotation_queue.claim(project, annotator=holder, now=timezone.now(), limit=LEASED_AHEAD)
        first_free = AnnotationTask.objects.filter(project=project, state="open", leased_to=None).order_by("id")[0]
        if len(held) != LEASED_AHEAD or first_free.pk < max(task.pk for task in held):
            raise RuntimeError("the held tasks are not ahead")
        crowd.play(url, people, _looks(TURN_SECONDS))
        behind += _milliseconds(people, "next")
        AnnotationTask.objects.filter(leased_to=holder).update(leased_to=None, lease_expires_at=None)
    return _p95(free), _p95(behind)


def run() -> list[Result]:
    with server.engines():
        small, large = _project("small", SMALL), _project("large", LARGE)
        with server.web() as web:
            at_small, at_large = _sizes(web.url, small, large)
            free, behind = _leased_ahead(web.url, small, crowd.people(small, FEW))
            people = crowd.people(large, MANY)
            _refill(large)
            with _kept_filled(large):
                two_requests = _rate(web.url, people, _cycles)
                chains = _rate(web.url, people, _chains)
                chain_p95 = _p95(_milliseconds(people, "chain"))
                few_chains = _rate(web.url, people[:FEW], _chains)
    return [
        Result("next, then submit, 32 annotators, 1M pool", two_requests, "cycles/s", None),
        Result("submit and next in one request, 32 annotators", chains, "cycles/s", 400),
        Result("the same, p95 of the request", chain_p95, "ms", None, "at_most"),
        Result("the same, 8 annotators", few_chains, "cycles/s", None),
        Result("next, p95, 8 annotators, 1M pool", at_large, "ms", 25, "at_most"),
        Result("next, p95: 1M pool / 10k pool", at_large / at_small, "", 1.2, "at_most"),
        Result("next, p95: behind 1,000 leased tasks / without", behind / free, "", 1.2, "at_most"),
    ]
