"""The annotators page: whose answers count, what is a share of what, and who may look."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from labeling.annotator_figures import AnnotatorFigures, annotator_figures
from labeling.models import Annotation, AnnotationTask, Membership, Project, Skip
from labeling.services import annotation_queue
from tests.factories import sampling as factory
from tests.factories.labeling import other_project

NOW = factory.NOW


def _answer(project: Project, by: User, *, at: dt.datetime = NOW, **others: object) -> Annotation:
    (task,) = factory.queue(project, 1, now=NOW)
    AnnotationTask.objects.filter(pk=task.pk).update(leased_to=by, lease_expires_at=at + dt.timedelta(minutes=1))
    values = {"answer": {"choice": "cat"}, "duration_ms": 2_000, **others}
    return annotation_queue.submit(task.pk, annotator=by, now=at, **values)  # type: ignore[arg-type]  # of many types


def _of(project: Project, person: User) -> AnnotatorFigures:
    return next(each for each in annotator_figures(project, now=NOW) if each.person_id == person.pk)


def test_answers_are_counted_by_day_and_week(project: Project, annotator: User) -> None:
    for days in (0, 0, 3, 6, 8):
        _answer(project, annotator, at=NOW - dt.timedelta(days=days))
    _answer(other_project(), annotator)
    figures = _of(project, annotator)
    assert (figures.today, figures.week, figures.total, figures.standing) == (2, 4, 5, 4)
    assert figures.last_at == NOW
    assert figures.role == "annotator"


def test_pace_is_of_the_time_somebody_worked(project: Project, annotator: User) -> None:
    for minutes, duration in ((0, 1_000), (2, 3_000), (4, 20_000), (60, 3_000)):
        _answer(project, annotator, at=NOW - dt.timedelta(minutes=minutes + 1), duration_ms=duration)
    figures = _of(project, annotator)
    assert figures.median_ms == 3_000
    assert figures.quarters == 2
    assert figures.per_active_hour == 8


def test_what_was_taken_back_counts_as_undone_only(project: Project, annotator: User) -> None:
    _answer(project, annotator)
    undone = _answer(project, annotator, is_flagged=True)
    changed = _answer(project, annotator)
    Annotation.objects.filter(pk__in=[undone.pk, changed.pk]).update(withdrawn_at=NOW)
    Annotation.objects.create(
        task=changed.task, item=changed.item, annotator=annotator, label_schema=changed.label_schema,
        answer={"choice": "dog"}, supersedes=changed, created_at=NOW,
    )  # fmt: skip
    figures = _of(project, annotator)
    assert (figures.standing, figures.undone, figures.edited, figures.flagged) == (2, 1, 1, 0)
    assert figures.edited_or_undone == pytest.approx(2 / 3)


def test_agreement_is_a_share_of_what_was_shown(project: Project, annotator: User) -> None:
    _answer(project, annotator, suggested_answer={"choice": "cat"})
    _answer(project, annotator, suggested_answer={"choice": "dog"})
    _answer(project, annotator)
    figures = _of(project, annotator)
    assert (figures.shown, figures.agreed, figures.agreement) == (2, 1, 0.5)


def test_skips_are_told_apart(project: Project, annotator: User) -> None:
    tasks = factory.queue(project, 3)
    kinds = (Skip.Kind.LATER, Skip.Kind.SOMEONE_ELSE, Skip.Kind.UNUSABLE)
    for task, kind in zip(tasks, kinds, strict=True):
        until = NOW if kind == Skip.Kind.LATER else None
        Skip.objects.create(task=task, annotator=annotator, kind=kind, until=until, created_at=NOW)
    figures = _of(project, annotator)
    assert (figures.later, figures.someone_else, figures.unusable, figures.skipped) == (1, 1, 1, 3)


def test_somebody_who_did_nothing_has_no_shares(project: Project, annotator: User) -> None:
    figures = _of(project, annotator)
    assert (figures.standing, figures.total, figures.held) == (0, 0, 0)
    assert figures.per_active_hour is figures.agreement is figures.edited_or_undone is figures.median_ms is None


def test_who_left_is_still_listed(project: Project, annotator: User) -> None:
    _answer(project, annotator)
    Membership.objects.filter(user=annotator).delete()
    assert _of(project, annotator).role is None


def test_one_statement_whatever_the_number_of_people(project: Project, annotator: User, manager: User) -> None:
    _answer(project, annotator)
    with CaptureQueriesContext(connection) as queries:
        annotator_figures(project, now=NOW)
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("name", "status"), [("owner", 200), ("manager", 200), ("reviewer", 403), ("annotator", 403), ("stranger", 404)]
)
def test_the_page_is_for_who_manages(
    name: str, status: int, client: Client, request: pytest.FixtureRequest, project: Project
) -> None:
    client.force_login(request.getfixturevalue(name))
    response = client.get("/projects/pets/annotators/")
    assert response.status_code == status
    assert ('data-live-part="annotators"' in response.content.decode()) == (status == 200)
