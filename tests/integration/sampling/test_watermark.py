"""When a queue is filled by itself: the need, the tasks that meet it, and what keeps them from trying in vain."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.models import AnnotationTask, PoolEntry, Project
from labeling.probability import pack
from labeling.services import annotation_queue, projects
from sampling import selectors, tasks
from sampling.models import RefillRun
from sampling.selectors import RefillNeed
from sampling.services import policies, refill
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
State = RefillRun.State
Trigger = RefillRun.Trigger


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    """The Celery broker, emptied of what these tests enqueue."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete("score")
    yield client
    client.delete("score", *client.scan_iter("wakeup:sampling.*"))
    client.close()


def needs() -> list[RefillNeed]:
    return selectors.refill_needs(now=NOW)


def fill(project: Project) -> RefillRun:
    run = refill.request(project, trigger=Trigger.MANUAL, seed=1)
    return refill.execute(run.pk, now=NOW)


def answer(project: Project, by: User, count: int) -> None:
    for task in annotation_queue.claim(project, annotator=by, now=NOW, limit=count):
        annotation_queue.submit(task.pk, annotator=by, answer={"choice": "cat"}, now=NOW)


# -- the need ----------------------------------------------------------------------------------------------------


def test_a_queue_needs_a_refill_below_its_watermark_only(project: Project, owner: User, annotator: User) -> None:
    policies.new_version(project, by=owner, batch_size=10, low_watermark=4)
    make.scored_pool(project, 50)
    assert needs() == [RefillNeed(project.pk, Trigger.QUEUE_LOW)]
    fill(project)
    answer(project, annotator, 6)
    assert needs() == []
    answer(project, annotator, 1)
    assert needs() == [RefillNeed(project.pk, Trigger.QUEUE_LOW)]


def test_skipped_tasks_do_not_hide_the_need(project: Project, owner: User, annotator: User) -> None:
    policies.new_version(project, by=owner, batch_size=5, low_watermark=5)
    make.scored_pool(project, 50)
    fill(project)
    (task,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    annotation_queue.skip(task.pk, annotator=annotator, now=NOW)
    assert needs() == [RefillNeed(project.pk, Trigger.QUEUE_LOW)]


def test_a_queue_without_a_policy_has_the_default_watermark(project: Project) -> None:
    make.queue(project, 19)
    make.pool(project, 1)
    assert len(needs()) == 1
    make.queue(project, 1)
    assert needs() == []


@pytest.mark.parametrize(("epsilon", "bucket"), [(0.0, 999), (1.0, 1000)])
def test_items_that_the_policy_never_draws_make_no_need(
    project: Project, owner: User, epsilon: float, bucket: int
) -> None:
    policies.new_version(project, by=owner, epsilon=epsilon)
    make.pool(project, 3, buckets=[bucket] * 3)
    assert needs() == []
    make.pool(project, 1, buckets=[1999 - bucket], prefix="other")
    assert len(needs()) == 1


def test_an_exhausted_pool_makes_no_need(project: Project) -> None:
    make.scored_pool(project, 5)
    fill(project)
    assert needs() == []


def test_a_champion_that_predicted_makes_a_need(project: Project) -> None:
    items = make.scored_pool(project, 200)
    fill(project)
    assert needs() == []
    newer = make.champion(project, "newer")
    make.scores(newer, items[:1], np.array([[0.2, 0.3, 0.5]]))
    assert needs() == [RefillNeed(project.pk, Trigger.PROMOTION)]
    fill(project)
    assert needs() == []


def test_a_champion_without_predictions_is_waited_for(project: Project) -> None:
    items = make.pool(project, 200)
    fill(project)
    version = make.champion(project)
    assert needs() == []
    make.scores(version, items, np.full((200, 3), 1 / 3))
    assert needs() == [RefillNeed(project.pk, Trigger.PROMOTION)]


def test_a_paused_queue_has_no_need(project: Project) -> None:
    make.scored_pool(project, 50)
    projects.pause_queue(project, now=NOW)
    assert needs() == []


def test_after_a_failure_nothing_starts_by_itself_for_a_while(project: Project) -> None:
    make.scored_pool(project, 50)
    run = refill.request(project, trigger=Trigger.QUEUE_LOW)
    refill.fail(run.pk, message="broken", now=NOW)
    assert needs() == []
    later = NOW + selectors.FAILURE_PAUSE
    assert len(selectors.refill_needs(now=later)) == 1


def test_the_need_of_many_projects_takes_one_statement(project: Project, owner: User) -> None:
    definition = {"classes": [{"key": key} for key in make.CLASSES]}
    others = [
        projects.create(slug=f"p-{number}", name=f"P {number}", definition=definition, by=owner) for number in range(5)
    ]
    for other in others[:3]:
        make.scored_pool(other, 30)
    with CaptureQueriesContext(connection) as queries:
        found = needs()
    assert len(queries) == 1
    assert [need.project_id for need in found] == [other.pk for other in others[:3]]
    chosen = selectors.refill_needs(now=NOW, project_ids=[others[1].pk, others[4].pk])
    assert [need.project_id for need in chosen] == [others[1].pk]


# -- the tasks ---------------------------------------------------------------------------------------------------


def test_check_watermark_fills_a_low_queue_once(project: Project) -> None:
    make.scored_pool(project, 200)
    tasks.check_watermark(project.pk)
    tasks.check_watermark(project.pk)
    run = RefillRun.objects.get()
    assert (run.trigger, run.state, run.selected_count) == (Trigger.QUEUE_LOW, State.SUCCEEDED, 100)


def test_check_watermark_replaces_the_tasks_of_the_old_champion(project: Project) -> None:
    items = make.scored_pool(project, 200)
    tasks.check_watermark(project.pk)
    newer = make.champion(project, "newer")
    make.scores(newer, items, np.random.default_rng(4).dirichlet(np.ones(3), 200))

    tasks.check_watermark(project.pk)
    tasks.check_watermark(project.pk)

    run = RefillRun.objects.latest("id")
    assert RefillRun.objects.count() == 2
    assert (run.trigger, run.replaces_open_tasks, run.withdrawn_count) == (Trigger.PROMOTION, True, 100)
    assert {task.model_version for task in AnnotationTask.objects.filter(state="open")} == {newer}


def test_check_watermark_of_a_project_that_is_gone_does_nothing(project: Project) -> None:
    tasks.check_watermark(project.pk + 1000)
    assert not RefillRun.objects.exists()


def test_check_watermark_can_be_woken_again_once_it_started(project: Project, broker: "redis.Redis") -> None:
    make.scored_pool(project, 50)
    tasks.sweep_watermarks()
    tasks.sweep_watermarks()
    assert broker.llen("score") == 1
    tasks.check_watermark(project.pk)
    AnnotationTask.objects.update(state="withdrawn", closed_at=NOW)
    PoolEntry.objects.update(state=PoolEntry.State.AVAILABLE)
    tasks.sweep_watermarks()
    assert broker.llen("score") == 2


def test_sweep_watermarks_wakes_nobody_without_need(project: Project, broker: "redis.Redis") -> None:
    tasks.sweep_watermarks()
    assert broker.llen("score") == 0


def test_the_refill_task_executes_the_run(project: Project) -> None:
    make.scored_pool(project, 50)
    run = refill.request(project, trigger=Trigger.MANUAL)
    tasks.run_refill(run.pk)
    tasks.run_refill(run.pk)
    run.refresh_from_db()
    assert (run.state, run.selected_count, run.attempts) == (State.SUCCEEDED, 50, 1)


def test_sweep_refills_executes_what_is_pending_and_nothing_of_a_paused_queue(project: Project, owner: User) -> None:
    definition = {"classes": [{"key": key} for key in make.CLASSES]}
    paused = projects.create(slug="paused", name="Paused", definition=definition, by=owner)
    runs = []
    for each in (project, paused):
        make.pool(each, 5)
        runs.append(refill.request(each, trigger=Trigger.MANUAL))
    projects.pause_queue(paused, now=NOW)

    tasks.sweep_refills()

    for run in runs:
        run.refresh_from_db()
    assert [run.state for run in runs] == [State.SUCCEEDED, State.PENDING]


def test_an_unexpected_error_ends_the_run_as_failed_and_the_sweep_goes_on(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = {"classes": [{"key": key} for key in make.CLASSES]}
    other = projects.create(slug="second", name="Second", definition=definition, by=owner)
    runs = []
    for each in (project, other):
        make.pool(each, 5)
        runs.append(refill.request(each, trigger=Trigger.MANUAL))
    execute = refill.execute

    def broken_for_one(run_id: int, *, now: dt.datetime) -> RefillRun:
        if run_id == runs[0].pk:
            raise RuntimeError("a bug")
        return execute(run_id, now=now)

    monkeypatch.setattr(refill, "execute", broken_for_one)
    tasks.sweep_refills()
    for run in runs:
        run.refresh_from_db()
    assert [run.state for run in runs] == [State.FAILED, State.SUCCEEDED]
    assert "a bug" in runs[0].message


def test_a_database_error_leaves_the_run_pending(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(run_id: int, *, now: dt.datetime) -> RefillRun:
        raise OperationalError("the server went away")

    make.pool(project, 5)
    run = refill.request(project, trigger=Trigger.MANUAL)
    with monkeypatch.context() as patch:
        patch.setattr(refill, "execute", gone)
        tasks.sweep_refills()
        tasks.check_watermark(project.pk)
        with pytest.raises(OperationalError):
            tasks.run_refill(run.pk)
    run.refresh_from_db()
    assert run.state == State.PENDING


def test_a_failed_check_is_not_tried_again_at_once(project: Project) -> None:
    items = make.scored_pool(project, 50)
    PoolEntry.objects.filter(item=items[0]).update(probabilities=pack(np.array([0.9, 0.9, 0.9])))
    for _ in range(3):
        tasks.check_watermark(project.pk)
    run = RefillRun.objects.get()
    assert run.state == State.FAILED
    assert run.finished_at is not None
    assert run.finished_at <= timezone.now()
