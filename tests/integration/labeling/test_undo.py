"""Answers that are taken back, and the counts that annotators see."""

import datetime as dt

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_django import DjangoCaptureOnCommitCallbacks

from labeling import news, selectors
from labeling.errors import NothingToUndo
from labeling.models import Annotation, PoolEntry, Project
from labeling.services import annotation_queue, answers
from tests.factories import sampling as make
from tests.factories.annotation_queue import CAT, LEASE, NOW, SECOND, assert_refused, claim, claimed, pool_state

pytestmark = pytest.mark.django_db


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
