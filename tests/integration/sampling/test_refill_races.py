"""Refills with several workers, with a worker that is killed, and with others at the pool."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from labeling.models import AnnotationTask, PoolEntry, Project
from labeling.services import annotation_queue
from sampling import tasks
from sampling.models import RefillRun
from sampling.services import refill
from tests.factories import sampling as make
from tests.integration.datasets.concurrency import at_once, in_another_session

pytestmark = pytest.mark.django_db(transaction=True)

NOW = make.NOW
ROOT = Path(__file__).resolve().parents[3]
State = RefillRun.State

_EXECUTE = """
import sys, django
django.setup()
from django.utils import timezone
from sampling.services import refill
refill.execute(int(sys.argv[1]), now=timezone.now())
"""


def pending(project: Project, *, replaces_open_tasks: bool = False) -> RefillRun:
    return refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=1, replaces_open_tasks=replaces_open_tasks)


def execute(run: RefillRun) -> RefillRun:
    return refill.execute(run.pk, now=NOW)


def assert_filled_once(run: RefillRun, count: int) -> None:
    run.refresh_from_db()
    assert (run.state, run.selected_count) == (State.SUCCEEDED, count)
    assert AnnotationTask.objects.filter(batch=run.batch).count() == count
    items = list(AnnotationTask.objects.filter(state="open").values_list("item", flat=True))
    assert len(items) == len(set(items)) == PoolEntry.objects.filter(state=PoolEntry.State.QUEUED).count()


def worker(run: RefillRun) -> "subprocess.Popen[bytes]":
    """Another process that executes the run in the database of this test."""
    database = connection.settings_dict
    url = f"postgresql://{database['USER']}@{quote(str(database['HOST']), safe='')}/{database['NAME']}"
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.test"}
    return subprocess.Popen([sys.executable, "-c", _EXECUTE, str(run.pk)], cwd=ROOT, env=environment)


def wait_for(condition: str, parameter: int) -> int:
    """Ask PostgreSQL until the statement finds a row, and let it do the waiting in between; returns its first column."""
    for _ in range(3000):
        with connection.cursor() as cursor:
            cursor.execute(condition, [parameter])
            if (row := cursor.fetchone()) is not None:
                return int(row[0])
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("it never came about")


def own_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("replaces_open_tasks", [False, True])
def test_a_worker_killed_in_the_middle_leaves_a_run_that_the_sweep_executes(
    project: Project, replaces_open_tasks: bool
) -> None:
    """It has read, scored and drawn and comes to write; or it has withdrawn tasks and comes to free their items."""
    items = make.scored_pool(project, 200)
    waiting = make.queue(project, 10)
    run = pending(project, replaces_open_tasks=replaces_open_tasks)
    held = [task.item for task in waiting] if replaces_open_tasks else items

    with transaction.atomic():
        list(PoolEntry.objects.filter(item__in=held).select_for_update())
        process = worker(run)
        try:
            pid = wait_for("SELECT pid FROM pg_locks WHERE NOT granted AND %s = ANY(pg_blocking_pids(pid))", own_pid())
        finally:
            process.kill()
            process.wait(timeout=30)

    wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", pid)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.PENDING, 1)
    assert list(AnnotationTask.objects.order_by("pk")) == waiting
    assert {task.state for task in AnnotationTask.objects.all()} == {"open"}

    tasks.sweep_refills()

    assert_filled_once(run, 100 if replaces_open_tasks else 90)
    assert run.attempts == 2


def test_workers_at_once_execute_a_run_once(project: Project) -> None:
    make.scored_pool(project, 200)
    run = pending(project)
    at_once([partial(execute, run)] * 4)
    assert_filled_once(run, 100)


def test_requests_at_once_agree_on_one_run(project: Project) -> None:
    assert len({run.pk for run in at_once([partial(pending, project)] * 6)}) == 1


def test_a_run_at_work_is_left_to_its_worker(project: Project) -> None:
    make.scored_pool(project, 50)
    run = pending(project)
    with transaction.atomic():
        RefillRun.objects.select_for_update().get(pk=run.pk)
        assert in_another_session(partial(execute, run)).state == State.PENDING
        in_another_session(tasks.sweep_refills)
        assert not AnnotationTask.objects.exists()
    execute(run)
    assert_filled_once(run, 50)


def test_a_replacing_run_rather_tries_again_than_waits_for_a_locked_item(project: Project) -> None:
    """It holds locks on what it withdrew; whoever holds the item may be waiting for those."""
    make.queue(project, 10)
    (item,) = make.pool(project, 1, prefix="locked")
    run = pending(project, replaces_open_tasks=True)
    with transaction.atomic():
        PoolEntry.objects.select_for_update().get(item=item)
        with pytest.raises(OperationalError):
            in_another_session(partial(execute, run))
    run.refresh_from_db()
    assert (run.state, run.attempts, AnnotationTask.objects.filter(state="open").count()) == (State.PENDING, 0, 10)
    tasks.sweep_refills()
    assert_filled_once(run, 11)


def test_a_refill_and_rescoring_at_once_both_come_through(project: Project) -> None:
    """Both lock many pool rows; in one order, so neither waits for the other in a circle."""
    items = make.scored_pool(project, 400)
    newer = make.champion(project, "newer")
    run = pending(project)
    probabilities = np.random.default_rng(3).dirichlet(np.ones(3), 400)
    works: list[Callable[[], object]] = [
        partial(make.scores, newer, items[::-1], probabilities),
        partial(execute, run),
    ]
    at_once(works)
    assert_filled_once(run, 100)
    assert PoolEntry.objects.filter(model_version=newer).count() == 400


def test_annotators_at_work_during_refills_answer_every_item_once(
    project: Project, annotator: User, reviewer: User
) -> None:
    items = make.scored_pool(project, 150)

    def annotate(person: User) -> None:
        for number in range(60):
            now = NOW + dt.timedelta(seconds=number)
            for task in annotation_queue.claim(project, annotator=person, now=now, limit=2):
                annotation_queue.submit(task.pk, annotator=person, answer={"choice": "cat"}, now=now)

    def refill_again_and_again() -> None:
        for number in range(6):
            run = refill.request(
                project, trigger=RefillRun.Trigger.MANUAL, seed=number, replaces_open_tasks=number % 2 == 1
            )
            try:
                refill.execute(run.pk, now=NOW)
            except OperationalError:
                continue  # it met a locked item; the next round takes the pending run up

    execute(pending(project))
    works: list[Callable[[], object]] = [
        partial(annotate, annotator),
        partial(annotate, reviewer),
        refill_again_and_again,
    ]
    at_once(works)

    answered = list(AnnotationTask.objects.filter(state="answered").values_list("item", flat=True))
    opened = list(AnnotationTask.objects.filter(state="open").values_list("item", flat=True))
    assert len(answered) == len(set(answered)) > 0
    assert not set(answered) & set(opened)
    states = dict(PoolEntry.objects.values_list("item", "state"))
    expected = {item.pk: PoolEntry.State.AVAILABLE.value for item in items}
    expected |= dict.fromkeys(opened, PoolEntry.State.QUEUED.value)
    expected |= dict.fromkeys(answered, PoolEntry.State.ANSWERED.value)
    assert states == expected
