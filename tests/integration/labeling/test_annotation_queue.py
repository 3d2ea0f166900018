"""The life of an annotation task, one annotator at a time; races are in test_annotation_queue_races.py."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from labeling import news, selectors
from labeling.errors import (
    AlreadyAnswered,
    DomainError,
    InvalidInput,
    LeaseExpired,
    NothingToUndo,
    NotLeased,
    QueuePaused,
    TaskClosed,
    TaskNotFound,
)
from labeling.models import Annotation, AnnotationTask, PoolEntry, Project, Skip
from labeling.services import annotation_queue, answers, projects
from labeling.services.annotation_queue import NothingReason, NothingServed
from tests.factories import sampling as make
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db

NOW = make.NOW
LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
SECOND = dt.timedelta(seconds=1)
CAT = {"choice": "cat"}


@pytest.fixture
def other(reviewer: User) -> User:
    """A second person who may annotate."""
    return reviewer


def claim(project: Project, annotator: User, limit: int = 1, now: dt.datetime = NOW) -> list[int]:
    return [task.pk for task in annotation_queue.claim(project, annotator=annotator, now=now, limit=limit)]


def claimed(project: Project, annotator: User) -> AnnotationTask:
    """One new task, leased to the annotator."""
    make.queue(project, 1)
    (task,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    return task


def facts() -> list[object]:
    """Everything a refused call must leave as it was."""
    return [list(model.objects.order_by("pk").values()) for model in (AnnotationTask, Annotation, Skip, PoolEntry)]


def assert_refused(error: type[DomainError], call: object, *args: object, **kwargs: object) -> DomainError:
    before = facts()
    assert callable(call)
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert facts() == before
    return caught.value


def pool_state(task: AnnotationTask) -> int:
    return PoolEntry.objects.get(item=task.item_id).state


# -- filling -----------------------------------------------------------------------------------------------------


def test_enqueue_opens_tasks_in_the_order_of_the_draw(project: Project) -> None:
    items = make.pool(project, 4)
    drawn = [items[2], items[0], items[3]]
    batch = uuid.uuid4()

    count = annotation_queue.enqueue(
        project, [make.new_task(item, rank) for rank, item in enumerate(drawn)], batch=batch, pool_size=4, now=NOW
    )

    tasks = AnnotationTask.objects.filter(batch=batch).order_by("id")
    assert count == 3
    assert [(task.item_id, task.draw_rank, task.pool_size) for task in tasks] == [
        (item.pk, rank, 4) for rank, item in enumerate(drawn)
    ]
    states = dict(PoolEntry.objects.values_list("item", "state"))
    assert [states[item.pk] for item in items] == [1, 0, 1, 1]


def test_enqueue_passes_over_items_that_are_not_available(project: Project, annotator: User) -> None:
    items = make.pool(project, 3)
    PoolEntry.objects.filter(item=items[0]).update(state=PoolEntry.State.ANSWERED)
    PoolEntry.objects.filter(item=items[1]).update(state=PoolEntry.State.QUEUED)

    tasks = [make.new_task(item) for item in items]
    assert annotation_queue.enqueue(project, tasks, batch=uuid.uuid4(), pool_size=3, now=NOW) == 1
    assert annotation_queue.enqueue(project, tasks, batch=uuid.uuid4(), pool_size=3, now=NOW) == 0

    assert [task.item_id for task in AnnotationTask.objects.all()] == [items[2].pk]


def test_enqueue_passes_over_items_of_another_project(project: Project, stranger: User) -> None:
    foreign = make.pool(Project.objects.get(slug="other"), 1)
    assert annotation_queue.enqueue(project, [make.new_task(foreign[0])], batch=uuid.uuid4(), pool_size=1, now=NOW) == 0
    assert not AnnotationTask.objects.exists()


def test_withdraw_open_takes_back_what_waits_and_leaves_what_is_leased(project: Project, annotator: User) -> None:
    leased, expired, free = make.queue(project, 3)
    assert claim(project, annotator, now=NOW - 2 * LEASE, limit=2) == [leased.pk, expired.pk]
    annotation_queue.claim(project, annotator=annotator, now=NOW, limit=1)

    assert annotation_queue.withdraw_open(project, now=NOW) == 2

    states = dict(AnnotationTask.objects.values_list("pk", "state"))
    assert states == {leased.pk: "open", expired.pk: "withdrawn", free.pk: "withdrawn"}
    assert [pool_state(task) for task in (leased, expired, free)] == [1, 0, 0]


def test_withdraw_open_keeps_an_audit_task_that_somebody_skipped(project: Project, annotator: User) -> None:
    items = make.pool(project, 4)
    tasks = [make.new_task(item, is_audit=rank < 2) for rank, item in enumerate(items)]
    annotation_queue.enqueue(project, tasks, batch=uuid.uuid4(), pool_size=4, now=NOW)
    for task_id in claim(project, annotator, limit=4)[::2]:
        annotation_queue.skip(task_id, annotator=annotator, now=NOW)
    for task in AnnotationTask.objects.filter(leased_to=annotator):
        annotation_queue.release(task.pk, annotator=annotator, now=NOW)

    assert annotation_queue.withdraw_open(project, now=NOW) == 3

    assert AnnotationTask.objects.get(state="open").item_id == items[0].pk


def test_a_withdrawn_item_can_be_drawn_again(project: Project) -> None:
    (task,) = make.queue(project, 1)
    annotation_queue.withdraw_open(project, now=NOW)
    assert annotation_queue.enqueue(project, [make.new_task(task.item)], batch=uuid.uuid4(), pool_size=1, now=NOW) == 1


# -- claiming ----------------------------------------------------------------------------------------------------


def test_claim_serves_by_priority_then_in_the_order_of_the_draw(project: Project, annotator: User) -> None:
    tasks = make.queue(project, 4)
    AnnotationTask.objects.filter(pk=tasks[3].pk).update(priority=1.0)
    assert claim(project, annotator, limit=3) == [tasks[3].pk, tasks[0].pk, tasks[1].pk]


def test_claim_again_returns_the_held_tasks_first_and_renews_the_lease(project: Project, annotator: User) -> None:
    make.queue(project, 4)
    first = claim(project, annotator, limit=2)
    AnnotationTask.objects.exclude(pk__in=first).update(priority=1.0)

    tasks = annotation_queue.claim(project, annotator=annotator, now=NOW + SECOND, limit=3)

    assert [task.pk for task in tasks][:2] == first
    assert len(tasks) == 3
    assert {task.lease_expires_at for task in tasks} == {NOW + SECOND + LEASE}


def test_claim_never_holds_more_than_asked_for(project: Project, annotator: User) -> None:
    make.queue(project, 5)
    held = claim(project, annotator, limit=3)
    assert claim(project, annotator, limit=2) == held[:2]
    assert AnnotationTask.objects.filter(leased_to=annotator).count() == 3


def test_claim_skips_a_task_leased_to_someone_else(project: Project, annotator: User, other: User) -> None:
    first, second = make.queue(project, 2)
    assert claim(project, annotator) == [first.pk]
    assert claim(project, other) == [second.pk]


def test_an_expired_lease_can_be_claimed_by_another(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    assert claim(project, other, now=NOW + LEASE - SECOND) == []
    assert claim(project, other, now=NOW + LEASE) == [task.pk]
    assert_refused(NotLeased, annotation_queue.submit, task.pk, annotator=annotator, answer=CAT, now=NOW + LEASE)


def test_an_expired_lease_can_be_claimed_again_by_its_holder(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    later = NOW + 2 * LEASE
    assert claim(project, annotator, now=later) == [task.pk]
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=later)


def test_claim_loads_what_the_page_shows_in_one_statement(
    project: Project, annotator: User, settings: Settings
) -> None:
    settings.QUEUE_SIZE_SECONDS = 3600.0
    assert claim(project, annotator) == []  # what is known for a while is read
    make.queue(project, 5)
    with statements_counted() as statements:
        tasks = annotation_queue.claim(project, annotator=annotator, now=NOW, limit=3, skills=())
        assert [task.item.payload["text"] for task in tasks] == ["text 0", "text 1", "text 2"]
        assert all(task.item.pool_entry.state == PoolEntry.State.QUEUED for task in tasks)
    assert len(statements) == 1


def test_claim_serves_no_other_project(project: Project, annotator: User, stranger: User) -> None:
    make.queue(Project.objects.get(slug="other"), 1)
    assert claim(project, annotator) == []


def test_a_paused_queue_serves_nothing(project: Project, annotator: User) -> None:
    make.queue(project, 1)
    projects.pause_queue(project, now=NOW)
    assert_refused(QueuePaused, annotation_queue.claim, project, annotator=annotator, now=NOW)


def test_an_item_is_not_asked_again_of_who_answered_it(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    second = AnnotationTask.objects.create(project=project, item=task.item, reason="manual")
    assert claim(project, annotator) == []
    assert claim(project, other) == [second.pk]


def test_a_claim_that_finds_too_few_tells_that_the_queue_is_low(
    project: Project, annotator: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard: list[int] = []

    def hear(sender: object, *, project_id: int, **kwargs: object) -> None:
        heard.append(project_id)

    make.queue(project, 2)
    news.queue_low.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            claim(project, annotator, limit=2)
        assert heard == []
        with django_capture_on_commit_callbacks(execute=True):
            claim(project, annotator, limit=3)
        assert heard == [project.pk]
    finally:
        news.queue_low.disconnect(hear)


# -- when there is nothing ---------------------------------------------------------------------------------------


def why_nothing(project: Project, annotator: User) -> NothingServed:
    assert project.queue_paused_at or claim(project, annotator) == []
    return annotation_queue.why_nothing(project, annotator=annotator, now=NOW)


def test_an_empty_queue_says_so(project: Project, annotator: User) -> None:
    assert why_nothing(project, annotator) == NothingServed(NothingReason.EMPTY)


def test_a_queue_in_other_hands_says_when_the_first_task_is_free(
    project: Project, annotator: User, other: User
) -> None:
    make.queue(project, 2)
    claim(project, other, now=NOW - 60 * SECOND)
    claim(project, other, limit=2, now=NOW - 30 * SECOND)
    annotation_queue.extend(claim(project, other)[0], annotator=other, now=NOW)
    assert why_nothing(project, annotator) == NothingServed(NothingReason.ALL_LEASED, NOW - 30 * SECOND + LEASE)


def test_a_queue_of_skipped_tasks_says_that_nothing_is_left_for_you(project: Project, annotator: User) -> None:
    annotation_queue.skip(claimed(project, annotator).pk, annotator=annotator, now=NOW)
    assert why_nothing(project, annotator) == NothingServed(NothingReason.NOTHING_LEFT_FOR_YOU)


def test_a_paused_queue_says_so(project: Project, annotator: User) -> None:
    make.queue(project, 1)
    projects.pause_queue(project, now=NOW)
    assert why_nothing(project, annotator) == NothingServed(NothingReason.PAUSED)


# -- answering ---------------------------------------------------------------------------------------------------


def test_submit_records_the_answer_and_closes_the_task(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    later = NOW + 5 * SECOND

    annotation = annotation_queue.submit(
        task.pk, annotator=annotator, answer=CAT, now=later, duration_ms=4200, suggested_answer={"choice": "dog"}
    )

    stored = Annotation.objects.get()
    assert stored == annotation
    assert (stored.task_id, stored.item_id, stored.annotator_id) == (task.pk, task.item_id, annotator.pk)
    assert (stored.answer, stored.suggested_answer, stored.duration_ms) == (CAT, {"choice": "dog"}, 4200)
    assert stored.label_schema == selectors.current_schema(project)
    assert stored.created_at == later
    task.refresh_from_db()
    assert (task.state, task.closed_at, task.leased_to) == ("answered", later, None)
    assert pool_state(task) == PoolEntry.State.ANSWERED


def test_next_and_submit_take_a_statement_each_and_together_one(
    project: Project, annotator: User, settings: Settings
) -> None:
    settings.QUEUE_SIZE_SECONDS = 3600.0
    make.queue(project, 4)
    known: dict[str, Any] = {"skills": (), "label_schema_id": selectors.current_schema(project).pk}
    (task,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    selectors.schema_of(known["label_schema_id"])
    with statements_counted() as statements:
        recorded = annotation_queue.submit_and_claim(
            task.pk, project=project, annotator=annotator, answer=CAT, now=NOW, limit=2, **known
        )
        assert [claimed.item.payload["text"] for claimed in recorded.tasks] == ["text 1", "text 2"]
    assert len(statements) == 1
    with statements_counted() as statements:
        annotation_queue.submit_and_claim(
            recorded.tasks[0].pk, project=project, annotator=annotator, answer=CAT, now=NOW, limit=0, **known
        )
        annotation_queue.claim(project, annotator=annotator, now=NOW, skills=())
    assert len(statements) == 2


def test_an_answer_counts_under_the_schema_in_force(project: Project, annotator: User, owner: User) -> None:
    task = claimed(project, annotator)
    projects.new_schema_version(project, definition={"classes": [{"key": "fish"}, {"key": "dog"}]}, by=owner)
    error = assert_refused(InvalidInput, annotation_queue.submit, task.pk, annotator=annotator, answer=CAT, now=NOW)
    assert error.code == "unknown_class"
    annotation = annotation_queue.submit(task.pk, annotator=annotator, answer={"choice": "fish"}, now=NOW)
    assert annotation.label_schema.version == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"choice": "unicorn"}, "unknown_class"),
        ({"choice": ["cat"]}, "invalid_answer"),
        ({"choice": "cat", "sure": True}, "invalid_answer"),
        ({}, "invalid_answer"),
        ("cat", "invalid_answer"),
        (None, "invalid_answer"),
    ],
)
def test_an_answer_outside_the_schema_is_refused(project: Project, annotator: User, answer: object, code: str) -> None:
    task = claimed(project, annotator)
    error = assert_refused(InvalidInput, annotation_queue.submit, task.pk, annotator=annotator, answer=answer, now=NOW)
    assert error.code == code
    assert "answer" in error.fields


def test_answering_twice_is_refused(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    for answer in (CAT, {"choice": "dog"}):
        assert_refused(AlreadyAnswered, annotation_queue.submit, task.pk, annotator=annotator, answer=answer, now=NOW)


def test_answering_what_another_answered_is_refused(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    assert_refused(TaskClosed, annotation_queue.submit, task.pk, annotator=other, answer=CAT, now=NOW)


def test_answering_a_withdrawn_task_is_refused(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.release(task.pk, annotator=annotator, now=NOW)
    annotation_queue.withdraw_open(project, now=NOW)
    assert_refused(TaskClosed, annotation_queue.submit, task.pk, annotator=annotator, answer=CAT, now=NOW)


def test_answering_without_a_claim_is_refused(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    assert_refused(NotLeased, annotation_queue.submit, task.pk, annotator=annotator, answer=CAT, now=NOW)


def test_answering_after_the_lease_ran_out_is_refused(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    for verb in (annotation_queue.submit, annotation_queue.extend):
        extra = {"answer": CAT} if verb is annotation_queue.submit else {}
        assert_refused(LeaseExpired, verb, task.pk, annotator=annotator, now=NOW + LEASE, **extra)


def test_no_task_is_found_under_an_unknown_id_or_in_another_project(
    project: Project, annotator: User, stranger: User
) -> None:
    task = claimed(project, annotator)
    other_project = Project.objects.get(slug="other")
    for verb in (annotation_queue.release, annotation_queue.skip, annotation_queue.extend):
        assert_refused(TaskNotFound, verb, task.pk + 1, annotator=annotator, now=NOW)
        assert_refused(TaskNotFound, verb, task.pk, annotator=annotator, now=NOW, project=other_project)
    assert_refused(TaskNotFound, annotation_queue.submit, task.pk + 1, annotator=annotator, answer=CAT, now=NOW)
    assert_refused(
        TaskNotFound, annotation_queue.submit, task.pk, annotator=annotator, answer=CAT, now=NOW, project=other_project
    )


# -- skip, release, extend ---------------------------------------------------------------------------------------


def test_a_skipped_task_stays_open_for_others_only(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.skip(task.pk, annotator=annotator, now=NOW, reason="blurred")
    assert Skip.objects.get().reason == "blurred"
    assert claim(project, annotator) == []
    assert claim(project, other) == [task.pk]
    assert pool_state(task) == PoolEntry.State.QUEUED


def test_a_skipped_item_is_not_served_again_under_another_task(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.skip(task.pk, annotator=annotator, now=NOW)
    annotation_queue.withdraw_open(project, now=NOW)
    annotation_queue.enqueue(project, [make.new_task(task.item)], batch=uuid.uuid4(), pool_size=1, now=NOW)
    assert claim(project, annotator) == []


def test_skipped_items_do_not_count_as_servable(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    make.queue(project, 2)
    assert selectors.servable_tasks().count() == 3
    annotation_queue.skip(task.pk, annotator=annotator, now=NOW)
    assert selectors.servable_tasks().count() == 2


def test_a_released_task_is_free_for_all(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.release(task.pk, annotator=annotator, now=NOW)
    task.refresh_from_db()
    assert (task.leased_to, task.lease_expires_at) == (None, None)
    assert claim(project, other) == [task.pk]


def test_only_the_holder_may_skip_release_or_extend(project: Project, annotator: User, other: User) -> None:
    task = claimed(project, annotator)
    for verb in (annotation_queue.skip, annotation_queue.release, annotation_queue.extend):
        assert_refused(NotLeased, verb, task.pk, annotator=other, now=NOW)


def test_a_heartbeat_extends_the_lease(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    later = NOW + LEASE - SECOND
    assert annotation_queue.extend(task.pk, annotator=annotator, now=later) == later + LEASE
    task.refresh_from_db()
    assert task.lease_expires_at == later + LEASE


def test_a_long_reason_for_a_skip_is_refused(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    assert_refused(InvalidInput, annotation_queue.skip, task.pk, annotator=annotator, now=NOW, reason="x" * 301)


# -- undo --------------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_last_answer_and_leases_the_task_again(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    annotation = annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)

    undone = answers.undo(project, annotator=annotator, now=NOW + SECOND).task
    assert undone is not None

    assert undone.pk == task.pk
    assert (undone.state, undone.closed_at, undone.leased_to) == ("open", None, annotator)
    assert undone.lease_expires_at == NOW + SECOND + LEASE
    assert pool_state(task) == PoolEntry.State.QUEUED
    annotation.refresh_from_db()
    assert annotation.withdrawn_at == NOW + SECOND
    assert claim(project, annotator) == [task.pk]


def test_undo_reaches_back_answer_by_answer(project: Project, annotator: User) -> None:
    tasks = make.queue(project, 3)
    for number, task in enumerate(tasks):
        claim(project, annotator)
        annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW + number * SECOND)
    undone = [answers.undo(project, annotator=annotator, now=NOW + 5 * SECOND).annotation.task_id for _ in tasks]
    assert undone == [task.pk for task in reversed(tasks)]
    assert_refused(NothingToUndo, answers.undo, project, annotator=annotator, now=NOW + 5 * SECOND)


def test_an_undone_task_can_be_answered_anew(project: Project, annotator: User) -> None:
    task = claimed(project, annotator)
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    answers.undo(project, annotator=annotator, now=NOW)
    annotation_queue.submit(task.pk, annotator=annotator, answer={"choice": "dog"}, now=NOW)
    standing = Annotation.objects.get(withdrawn_at__isnull=True)
    assert standing.answer == {"choice": "dog"}
    assert Annotation.objects.count() == 2


def test_undo_is_for_ones_own_fresh_answers_in_this_project(
    project: Project, annotator: User, other: User, stranger: User
) -> None:
    task = claimed(project, annotator)
    annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    window = dt.timedelta(seconds=settings.UNDO_SECONDS)
    elsewhere = Project.objects.get(slug="other")
    assert_refused(NothingToUndo, answers.undo, project, annotator=other, now=NOW)
    assert_refused(NothingToUndo, answers.undo, elsewhere, annotator=annotator, now=NOW)
    assert_refused(NothingToUndo, answers.undo, project, annotator=annotator, now=NOW + window + SECOND)
    assert answers.undo(project, annotator=annotator, now=NOW + window).annotation.task_id == task.pk


@pytest.mark.parametrize("is_undone", [False, True])
def test_every_change_of_an_answer_is_told(
    project: Project,
    annotator: User,
    is_undone: bool,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    heard: list[int] = []

    def hear(sender: object, *, project_id: int, **kwargs: object) -> None:
        heard.append(project_id)

    task = claimed(project, annotator)
    if is_undone:
        annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    news.annotation_recorded.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            if is_undone:
                answers.undo(project, annotator=annotator, now=NOW)
            else:
                annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=NOW)
    finally:
        news.annotation_recorded.disconnect(hear)
    assert heard == [project.pk]


# -- what the annotator sees -------------------------------------------------------------------------------------


def test_counts_are_of_the_queue_and_of_ones_own_day(project: Project, annotator: User, other: User) -> None:
    tasks = make.queue(project, 4)
    yesterday = NOW - dt.timedelta(days=1)
    for task, now in zip(tasks[:2], (yesterday, NOW), strict=True):
        claim(project, annotator, now=now)
        annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=now)
    claim(project, other)
    assert selectors.queue_counts(project, annotator=annotator, now=NOW) == selectors.QueueCounts(2, 1, 1)
    assert selectors.queue_counts(project, annotator=other, now=NOW) == selectors.QueueCounts(2, 1, 0)
    answers.undo(project, annotator=annotator, now=NOW)
    assert selectors.queue_counts(project, annotator=annotator, now=NOW) == selectors.QueueCounts(3, 2, 0)


def test_an_undo_after_midnight_takes_from_the_day_of_the_answer(project: Project, annotator: User) -> None:
    midnight = NOW.replace(hour=0, minute=0)
    tasks = make.queue(project, 2)
    for task, now in zip(tasks, (midnight - 2 * SECOND, midnight - SECOND), strict=True):
        claim(project, annotator, now=now)
        annotation_queue.submit(task.pk, annotator=annotator, answer=CAT, now=now)
    answers.undo(project, annotator=annotator, now=midnight + SECOND)
    assert selectors.queue_counts(project, annotator=annotator, now=midnight - SECOND).answered_today == 1
    assert selectors.queue_counts(project, annotator=annotator, now=midnight + SECOND).answered_today == 0
