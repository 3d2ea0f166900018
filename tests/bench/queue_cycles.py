"""Next + submit by 8 annotators at once over HTTP, while the queue is refilled from a pool of 100,000 items."""

import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.utils import timezone

from labeling.models import Annotation, AnnotationTask, Membership, Project
from labeling.services import annotation_queue, projects
from sampling.models import RefillRun
from sampling.services import policies, refill
from tests.bench import bulk_pool, server
from tests.bench.result import Result

POOL = 100_000
ANNOTATORS = 8
WARM_UP_SECONDS = 2.0
SECONDS = 10.0
OPEN_TASKS = 1_000
LEASED_AHEAD = 1_000
ALONE_ROUNDS = 300
_CSRF = "b" * 32
ROOT = Path(__file__).resolve().parents[2]
_FILLER = """
import sys, time, django
django.setup()
from sampling.tasks import check_watermark
while True:
    check_watermark(int(sys.argv[1]))
    time.sleep(0.2)
"""


@dataclass
class Annotator:
    """A person with a browser: a session, a connection that stays open, and a stopwatch."""

    host: str
    port: int
    slug: str
    cookie: str
    next_ms: list[float] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.host, self.port, timeout=60)

    def post(self, path: str, body: dict[str, object], times: list[float] | None = None) -> dict[str, object]:
        headers = {"Content-Type": "application/json", "Cookie": self.cookie, "X-CSRFToken": _CSRF}
        start = time.perf_counter()
        self._connection.request("POST", f"/api/v1/projects/{self.slug}/tasks/{path}", json.dumps(body), headers)
        response = self._connection.getresponse()
        content = response.read()
        if times is not None:
            times.append((time.perf_counter() - start) * 1000)
        if response.status >= 300:
            raise RuntimeError(f"{path}: {response.status} {content[:300]!r}")
        answer: dict[str, object] = json.loads(content) if content else {}
        return answer

    def cycle(self) -> None:
        """Ask, then answer: two requests."""
        task_id = _only_task(self.post("next", {"limit": 1}, self.next_ms))
        self.post(f"{task_id}/submit", {"answer": {"choice": "class-3"}, "duration_ms": 900}, self.submit_ms)
        self.answered.append(task_id)

    def chain(self, stops: Callable[[], bool]) -> None:
        """Answer and ask in one request, as the page does."""
        task_id = _only_task(self.post("next", {"limit": 1}))
        while not stops():
            body = {"answer": {"choice": "class-3"}, "duration_ms": 900, "next": 1}
            served = self.post(f"{task_id}/submit", body, self.submit_ms)["next"]
            self.answered.append(task_id)
            task_id = _only_task(served)


def _only_task(served: object) -> int:
    if not isinstance(served, dict) or len(served["tasks"]) != 1:
        raise RuntimeError(f"no task: {served}")
    return int(served["tasks"][0]["id"])


def _log_in(user: User) -> str:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}; {settings.CSRF_COOKIE_NAME}={_CSRF}"


def _annotators(project: Project, url: str) -> list[Annotator]:
    address = urllib.parse.urlsplit(url)
    people = []
    for number in range(ANNOTATORS):
        user = User.objects.create_user(f"annotator-{number}")
        Membership.objects.create(project=project, user=user, role=Membership.Role.ANNOTATOR)
        people.append(Annotator(address.hostname or "", address.port or 0, project.slug, _log_in(user)))
    return people


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


def _for_seconds(
    seconds: float, people: list[Annotator], work: Callable[[Annotator, Callable[[], bool]], None]
) -> float:
    """Let all work at once; returns how long it really took."""
    start = time.perf_counter()
    end = start + seconds
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(lambda person: work(person, lambda: time.perf_counter() >= end), people))
    return time.perf_counter() - start


def _cycles(person: Annotator, stops: Callable[[], bool]) -> None:
    while not stops():
        person.cycle()


def _chains(person: Annotator, stops: Callable[[], bool]) -> None:
    person.chain(stops)


def _forget(people: list[Annotator]) -> None:
    for person in people:
        person.next_ms.clear()
        person.submit_ms.clear()
        person.answered.clear()


def _check(people: list[Annotator]) -> int:
    answered = [task_id for person in people for task_id in person.answered]
    if len(set(answered)) != len(answered):
        raise RuntimeError("a task was served twice")
    stored = Annotation.objects.filter(task__in=answered).count()
    if stored != len(answered):
        raise RuntimeError(f"{len(answered)} answers were confirmed, {stored} are stored")
    return len(answered)


def _p95(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def _next_alone(person: Annotator) -> float:
    """Median of `next` by one annotator, in milliseconds; the task is given back each time."""
    times: list[float] = []
    for _ in range(ALONE_ROUNDS):
        task_id = _only_task(person.post("next", {"limit": 1}, times))
        person.post(f"{task_id}/release", {})
    return float(np.median(times))


def _leased_ahead_ratio(project: Project, person: Annotator) -> float:
    """How much slower `next` is when it has to pass 1,000 tasks that another annotator holds."""
    policies.new_version(project, by=None, batch_size=2 * LEASED_AHEAD + OPEN_TASKS)
    refill.execute(refill.request(project, trigger=RefillRun.Trigger.MANUAL).pk, now=timezone.now())
    free = _next_alone(person)
    held = annotation_queue.claim(
        project, annotator=User.objects.create_user("holder"), now=timezone.now(), limit=LEASED_AHEAD
    )
    first_free = AnnotationTask.objects.filter(state="open", leased_to=None).order_by("id")[0]
    if len(held) != LEASED_AHEAD or first_free.pk < max(task.pk for task in held):
        raise RuntimeError("the held tasks are not ahead")
    return _next_alone(person) / free


def run() -> list[Result]:
    with server.engines(), server.web() as web:
        definition = {"classes": [{"key": key} for key in bulk_pool.CLASSES]}
        project = projects.create(slug="queue", name="Queue", definition=definition, by=None)
        bulk_pool.fill(project, POOL)
        policies.new_version(project, by=None, batch_size=OPEN_TASKS, low_watermark=OPEN_TASKS // 2)
        refill.execute(refill.request(project, trigger=RefillRun.Trigger.MANUAL).pk, now=timezone.now())
        people = _annotators(project, web.url)
        with _kept_filled(project):
            _for_seconds(WARM_UP_SECONDS, people, _cycles)
            _forget(people)
            cycles_per_second = 1 / _for_seconds(SECONDS, people, _cycles)
            cycles_per_second *= _check(people)
            next_p95 = _p95([value for person in people for value in person.next_ms])
            submit_p95 = _p95([value for person in people for value in person.submit_ms])
            _forget(people)
            chains_per_second = 1 / _for_seconds(SECONDS / 2, people, _chains)
            chains_per_second *= _check(people)
        ahead = _leased_ahead_ratio(project, people[0])
    return [
        Result("submit and next in one request, 8 annotators, 100k pool", chains_per_second, "cycles/s", 200),
        Result("next, then submit, in two requests", cycles_per_second, "cycles/s", 200),
        Result("next, p95", next_p95, "ms", 25, "at_most"),
        Result("submit, p95", submit_p95, "ms", 25, "at_most"),
        Result("next behind 1,000 leased tasks / without", ahead, "", None, "at_most"),
    ]
