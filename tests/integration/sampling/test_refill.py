"""The refill run: what it draws, what it writes, and when it does not."""

import uuid

import numpy as np
import pytest
from django.contrib.auth.models import User
from numpy.typing import NDArray

from labeling.errors import QueuePaused
from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Project
from labeling.probability import pack
from labeling.services import annotation_queue, projects
from sampling.models import RefillRun
from sampling.services import policies, refill
from sampling.services.policies import PolicyChanges
from sampling.strategies import margin
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
State = RefillRun.State
Trigger = RefillRun.Trigger
HALF_RESERVE = [number * 100 % 2000 for number in range(200)]
"""Buckets of which every other ten are in the audit reserve."""


def run_refill(project: Project, *, seed: int = 1, replaces_open_tasks: bool = False) -> RefillRun:
    run = refill.request(project, trigger=Trigger.MANUAL, seed=seed, replaces_open_tasks=replaces_open_tasks)
    return refill.execute(run.pk, now=NOW)


def tasks_of(run: RefillRun) -> list[AnnotationTask]:
    return list(AnnotationTask.objects.filter(batch=run.batch).order_by("id"))


def margins(items: list[Item]) -> NDArray[np.float32]:
    stored = [bytes(PoolEntry.objects.get(item=item).probabilities or b"") for item in items]
    return margin.informativeness(np.array([np.frombuffer(row, dtype="<f4") for row in stored]))


# -- what it draws -----------------------------------------------------------------------------------------------


def test_a_refill_fills_the_queue_and_notes_what_it_did(project: Project, owner: User) -> None:
    policies.new_version(project, by=owner, batch_size=40)
    make.scored_pool(project, 200, buckets=HALF_RESERVE)
    run = refill.request(project, trigger=Trigger.MANUAL, by=owner, seed=7)
    assert (run.state, run.created_by, run.policy.version) == (State.PENDING, owner, 2)

    run = refill.execute(run.pk, now=NOW)

    run.refresh_from_db()
    tasks = tasks_of(run)
    assert (run.state, run.message, run.finished_at, run.attempts) == (State.SUCCEEDED, "", NOW, 1)
    assert (run.pool_size, run.selected_count, run.withdrawn_count) == (200, 40, 0)
    assert run.model_version == ModelVersion.objects.get()
    assert run.read_ms is not None
    assert run.score_ms is not None
    assert run.write_ms is not None
    assert len(tasks) == 40
    assert run.audit_count == sum(task.is_audit for task in tasks) > 0
    assert PoolEntry.objects.filter(state=PoolEntry.State.QUEUED).count() == 40


def test_tasks_follow_the_draw_and_say_how_they_were_drawn(project: Project) -> None:
    items = make.scored_pool(project, 200, buckets=HALF_RESERVE)
    by_id = dict(zip([item.pk for item in items], margins(items).tolist(), strict=True))
    buckets = {item.pk: item.bucket for item in items}
    run = run_refill(project)
    for rank, task in enumerate(tasks_of(run)):
        assert task.draw_rank == rank
        assert task.pool_size == 200
        assert task.informativeness == pytest.approx(by_id[task.item_id])
        assert task.propensity is not None
        assert 0 < task.propensity <= 1
        assert task.model_version == run.model_version
        assert task.is_audit == (buckets[task.item_id] < 1000)
        assert task.reason == ("audit" if task.is_audit else "uncertain")


def test_the_first_propensities_are_those_of_the_proposal(project: Project, owner: User) -> None:
    """An oracle by hand: q = (1 - eps) s^beta / sum s^beta outside the reserve, eps / N in it."""
    policies.new_version(project, by=owner, beta=2.0, epsilon=0.25, batch_size=1, low_watermark=0)
    items = make.scored_pool(project, 30, buckets=[100] * 10 + [5000] * 20)
    weights = margins(items).astype(np.float64) ** 2
    (task,) = tasks_of(run_refill(project))
    index = [item.pk for item in items].index(task.item_id)
    expected = 0.25 / 10 if index < 10 else 0.75 * weights[index] / weights[10:].sum()
    assert task.propensity == pytest.approx(expected, rel=1e-6)


def test_the_same_pool_and_seed_give_the_same_batch(project: Project) -> None:
    """Also when rows were rewritten, so that the database hands them out in another order."""
    items = make.scored_pool(project, 300)
    first = [(task.item_id, task.propensity, task.is_audit) for task in tasks_of(run_refill(project, seed=5))]
    annotation_queue.withdraw_open(project, now=NOW)
    for item in items[::-3]:
        PoolEntry.objects.filter(item=item).update(state=PoolEntry.State.AVAILABLE)

    again = [(task.item_id, task.propensity, task.is_audit) for task in tasks_of(run_refill(project, seed=5))]
    annotation_queue.withdraw_open(project, now=NOW)
    other = [(task.item_id, task.propensity, task.is_audit) for task in tasks_of(run_refill(project, seed=6))]

    assert again == first
    assert other != first


def test_the_greedy_rule_takes_the_most_informative_first(project: Project, owner: User) -> None:
    policies.new_version(project, by=owner, batch_rule="top_k", epsilon=0.0, batch_size=5, low_watermark=0)
    items = make.scored_pool(project, 50)
    best = np.argsort(-margins(items), kind="stable")[:5]
    tasks = tasks_of(run_refill(project))
    assert [task.item_id for task in tasks] == [items[index].pk for index in best]
    assert {task.propensity for task in tasks} == {None}


def test_without_a_share_the_reserve_is_neither_drawn_nor_counted(project: Project, owner: User) -> None:
    policies.new_version(project, by=owner, epsilon=0.0)
    make.scored_pool(project, 200, buckets=HALF_RESERVE)
    run = run_refill(project)
    assert (run.pool_size, run.selected_count, run.audit_count) == (100, 100, 0)


def test_more_is_not_drawn_than_fits_the_queue(project: Project, owner: User, annotator: User) -> None:
    policies.new_version(project, by=owner, batch_size=30)
    make.scored_pool(project, 100)
    run_refill(project)
    for task in annotation_queue.claim(project, annotator=annotator, now=NOW, limit=4):
        annotation_queue.submit(task.pk, annotator=annotator, answer={"choice": "cat"}, now=NOW)
    run = run_refill(project)
    assert (run.selected_count, run.pool_size) == (4, 70)
    assert AnnotationTask.objects.filter(state="open").count() == 30


def test_a_full_queue_is_left_alone(project: Project, owner: User) -> None:
    policies.new_version(project, by=owner, batch_size=30)
    make.scored_pool(project, 100)
    run_refill(project)
    run = run_refill(project)
    assert (run.state, run.selected_count, run.message) == (State.SUCCEEDED, 0, "The queue is full.")
    assert run.model_version == ModelVersion.objects.get()


def test_skipped_tasks_do_not_keep_the_queue_from_being_filled(project: Project, owner: User, annotator: User) -> None:
    policies.new_version(project, by=owner, batch_size=5, low_watermark=1)
    make.scored_pool(project, 100)
    run_refill(project)
    for task in annotation_queue.claim(project, annotator=annotator, now=NOW, limit=5):
        annotation_queue.skip(task.pk, annotator=annotator, now=NOW)
    assert run_refill(project).selected_count == 5


def test_an_empty_pool_is_no_error(project: Project) -> None:
    run = run_refill(project)
    assert (run.state, run.selected_count, run.pool_size) == (State.SUCCEEDED, 0, 0)
    assert run.message == "The pool has no item to draw."


# -- cold start and items without a score ------------------------------------------------------------------------


@pytest.mark.parametrize("has_champion", [False, True])
def test_without_any_prediction_items_are_drawn_uniformly(project: Project, has_champion: bool) -> None:
    if has_champion:
        make.champion(project)
    make.pool(project, 200, buckets=HALF_RESERVE)
    run = run_refill(project)
    tasks = tasks_of(run)
    active = [task for task in tasks if not task.is_audit]
    assert (run.model_version, len(tasks)) == (None, 100)
    assert {task.reason for task in active} == {"random"}
    assert {task.reason for task in tasks if task.is_audit} == {"audit"}
    assert {task.informativeness for task in tasks} == {None}
    assert {task.model_version for task in tasks} == {None}
    assert active[0].propensity == pytest.approx(0.9 / 100)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "uncertain"),
        ({"batch_rule": "top_k"}, "uncertain"),
        ({"strategy": "uniform"}, "random"),
        ({"beta": 0.0}, "random"),
        # Ties are broken by id, which is no chance.
        ({"strategy": "uniform", "batch_rule": "top_k"}, "uncertain"),
    ],
)
def test_draws_to_which_the_scores_do_not_matter_are_called_random(
    project: Project, changes: PolicyChanges, reason: str
) -> None:
    make.scored_pool(project, 30)
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP)
    wanted: PolicyChanges = {"batch_size": 10, "low_watermark": 1, "epsilon": 0.0, **changes}
    policies.new_version(project, by=None, **wanted)
    assert {task.reason for task in tasks_of(run_refill(project))} == {reason}


def test_a_cold_start_is_uniform_under_the_greedy_rule_too(project: Project, owner: User) -> None:
    policies.new_version(project, by=owner, batch_rule="top_k", batch_size=20)
    items = make.pool(project, 200)
    drawn = [task.item_id for task in tasks_of(run_refill(project))]
    assert drawn != [item.pk for item in items[:20]]
    assert len(set(drawn)) == 20


def test_items_without_a_score_are_drawn_like_the_average_item(project: Project, owner: User) -> None:
    """Half the pool has no score: each such item weighs the mean of the others' s^beta."""
    policies.new_version(project, by=owner, beta=3.0, epsilon=0.0, batch_size=40, low_watermark=0)
    items = make.pool(project, 40)
    scored, unscored = items[:20], items[20:]
    make.scores(make.champion(project), scored, np.random.default_rng(0).dirichlet(np.ones(3), 20))
    weights = margins(scored).astype(np.float64) ** 3
    by_id = {item.pk: weight for item, weight in zip(scored, weights, strict=True)}
    by_id |= {item.pk: weights.mean() for item in unscored}

    left = sum(by_id.values())
    for task in tasks_of(run_refill(project)):
        assert task.propensity == pytest.approx(by_id[task.item_id] / left, rel=1e-4)
        left -= by_id[task.item_id]
        is_scored = task.item_id in {item.pk for item in scored}
        assert (task.informativeness is not None) == is_scored
        assert (task.model_version is not None) == is_scored


# -- replacing ---------------------------------------------------------------------------------------------------


def test_a_refill_on_request_replaces_what_waits_but_not_what_is_leased(project: Project, annotator: User) -> None:
    make.scored_pool(project, 300, buckets=[number * 40 for number in range(250)] + [5000] * 50)
    first = run_refill(project)
    (leased,) = annotation_queue.claim(project, annotator=annotator, now=NOW)

    second = run_refill(project, seed=2, replaces_open_tasks=True)

    assert AnnotationTask.objects.get(batch=first.batch, state="open") == leased
    assert second.withdrawn_count == second.selected_count == 99
    assert AnnotationTask.objects.filter(state="open").count() == 100


def test_a_refill_under_another_champion_replaces_by_itself(project: Project) -> None:
    items = make.scored_pool(project, 200)
    run_refill(project)
    newer = make.champion(project, "newer")
    make.scores(newer, items, np.random.default_rng(9).dirichlet(np.ones(3), 200))

    run = run_refill(project)

    assert run.replaces_open_tasks
    assert (run.model_version, run.withdrawn_count) == (newer, 100)
    assert {task.model_version for task in AnnotationTask.objects.filter(state="open")} == {newer}
    assert not run_refill(project).replaces_open_tasks


def test_the_first_predictions_replace_a_cold_start(project: Project) -> None:
    items = make.pool(project, 200)
    run_refill(project)
    make.scores(make.champion(project), items, np.random.default_rng(9).dirichlet(np.ones(3), 200))
    run = run_refill(project)
    assert (run.replaces_open_tasks, run.withdrawn_count) == (True, 100)
    assert {task.reason for task in tasks_of(run)} == {"uncertain"}


# -- requests, failures ------------------------------------------------------------------------------------------


def test_a_request_returns_the_run_that_is_pending(project: Project) -> None:
    run = refill.request(project, trigger=Trigger.MANUAL, seed=1)
    assert refill.request(project, trigger=Trigger.PROMOTION, seed=2) == run
    assert RefillRun.objects.count() == 1


def test_a_run_is_executed_once(project: Project) -> None:
    make.scored_pool(project, 200)
    run = run_refill(project)
    again = refill.execute(run.pk, now=NOW)
    assert (again.selected_count, again.attempts) == (100, 1)
    assert AnnotationTask.objects.count() == 100


def test_a_paused_queue_takes_no_request(project: Project) -> None:
    projects.pause_queue(project, now=NOW)
    with pytest.raises(QueuePaused):
        refill.request(project, trigger=Trigger.MANUAL)
    assert not RefillRun.objects.exists()


def test_a_run_waits_while_the_queue_is_paused(project: Project) -> None:
    make.scored_pool(project, 50)
    run = refill.request(project, trigger=Trigger.MANUAL)
    projects.pause_queue(project, now=NOW)
    assert refill.execute(run.pk, now=NOW).state == State.PENDING
    assert not AnnotationTask.objects.exists()
    projects.resume_queue(project)
    run = refill.execute(run.pk, now=NOW)
    assert (run.state, run.selected_count, run.attempts) == (State.SUCCEEDED, 50, 1)


def test_a_broken_prediction_fails_the_run_by_name_and_changes_nothing(project: Project) -> None:
    items = make.scored_pool(project, 50)
    run_refill(project)
    annotation_queue.withdraw_open(project, now=NOW)
    PoolEntry.objects.filter(item=items[30]).update(probabilities=pack(np.array([0.5, 0.9, 0.1])))
    before = list(AnnotationTask.objects.values())

    run = run_refill(project, replaces_open_tasks=True)

    assert (run.state, run.finished_at) == (State.FAILED, NOW)
    assert f"item {items[30].pk}" in run.message
    assert (run.selected_count, run.withdrawn_count, run.pool_size) == (0, 0, None)
    assert list(AnnotationTask.objects.values()) == before


def test_a_strategy_that_is_gone_fails_the_run(project: Project) -> None:
    make.scored_pool(project, 10)
    run = refill.request(project, trigger=Trigger.MANUAL)
    type(run.policy).objects.update(strategy="astrology")
    run = refill.execute(run.pk, now=NOW)
    assert run.state == State.FAILED
    assert "astrology" in run.message


def test_a_run_that_was_begun_too_often_is_given_up(project: Project) -> None:
    make.scored_pool(project, 10)
    run = refill.request(project, trigger=Trigger.MANUAL)
    RefillRun.objects.update(attempts=refill.MOST_ATTEMPTS)
    run = refill.execute(run.pk, now=NOW)
    assert run.state == State.FAILED
    assert "Given up" in run.message
    assert not AnnotationTask.objects.exists()


def test_a_long_failure_message_is_cut(project: Project) -> None:
    run = refill.request(project, trigger=Trigger.MANUAL)
    refill.fail(run.pk, message="x" * 2000, now=NOW)
    run.refresh_from_db()
    assert (run.state, len(run.message)) == (State.FAILED, 500)
    refill.fail(run.pk, message="again", now=NOW)
    run.refresh_from_db()
    assert run.message[0] == "x"


def test_items_taken_while_the_refill_worked_are_not_queued_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool changes between reading and writing: what is no longer available is passed over."""
    items = make.scored_pool(project, 120)
    enqueue = annotation_queue.enqueue

    def taken_meanwhile(*args: object, **kwargs: object) -> int:
        others = [make.new_task(item) for item in items[:60]]
        enqueue(project, others, batch=uuid.uuid4(), pool_size=120, now=NOW)
        return enqueue(*args, **kwargs)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(annotation_queue, "enqueue", taken_meanwhile)
    run = run_refill(project)
    open_items = list(AnnotationTask.objects.filter(state="open").values_list("item", flat=True))
    assert len(open_items) == len(set(open_items)) == 60 + run.selected_count
    assert 0 < run.selected_count < 100
