"""Filling the queue and claiming from it, one annotator at a time; races are in test_annotation_queue_races.py."""

import uuid

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from labeling import news
from labeling.errors import NotLeased, QueuePaused
from labeling.models import AnnotationTask, PoolEntry, Project
from labeling.services import annotation_queue, projects
from labeling.services.annotation_queue import NothingReason, NothingServed
from tests.factories import sampling as make
from tests.factories.annotation_queue import CAT, LEASE, NOW, SECOND, assert_refused, claim, claimed, pool_state
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db


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
