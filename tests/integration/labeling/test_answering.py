"""Answering, passing by and giving back: what a task becomes, and what is refused."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from labeling import selectors
from labeling.errors import AlreadyAnswered, InvalidInput, LeaseExpired, NotLeased, TaskClosed, TaskNotFound
from labeling.models import Annotation, PoolEntry, Project, Skip
from labeling.services import annotation_queue, projects
from tests.factories import sampling as make
from tests.factories.annotation_queue import CAT, LEASE, NOW, SECOND, assert_refused, claim, claimed, pool_state
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db


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
