"""Annotations become accepted labels: once each, whoever left, undid or asked twice."""

import datetime as dt
from importlib import import_module
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from datasets import selectors, tasks
from datasets.models import AcceptedLabel, PendingEvidence
from datasets.services import accept
from labeling import news
from labeling.models import Annotation, AnnotationTask, Item, LabelSchema, Membership, Project
from labeling.services import annotation_queue, answers
from tests.factories import datasets as make

NOW = make.NOW
LATER = NOW + dt.timedelta(minutes=5)


def withdraw(annotation: Annotation) -> None:
    Annotation.objects.filter(pk=annotation.pk).update(withdrawn_at=LATER)


def current(item: Item) -> str | None:
    return AcceptedLabel.objects.filter(item=item, superseded_at__isnull=True).values_list("label", flat=True).first()


def test_an_annotation_is_accepted_with_its_lineage(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    annotation = make.annotation(
        item, annotator, "cat", reason=AnnotationTask.Reason.AUDIT, propensity=0.125, is_audit=True
    )

    assert accept.accept_pending(project.pk, now=LATER) == 1

    label = AcceptedLabel.objects.get()
    assert (label.project, label.item, label.label, label.probability) == (project, item, "cat", 1.0)
    assert (label.reason, label.propensity, label.is_audit) == ("audit", 0.125, True)
    assert (label.method, label.accepted_at, label.superseded_at) == ("trusted_annotation", LATER, None)
    assert label.label_schema == annotation.label_schema
    assert list(label.evidence.all()) == [annotation]


@pytest.mark.parametrize("role", Membership.Role.values)
def test_every_role_is_trusted(project: Project, stranger: User, role: str) -> None:
    Membership.objects.create(project=project, user=stranger, role=role)
    make.annotation(make.item(project, "a"), stranger, "dog")
    assert accept.accept_pending(project.pk, now=NOW) == 1


def test_running_twice_accepts_once(project: Project, annotator: User) -> None:
    make.annotation(make.item(project, "a"), annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    before = AcceptedLabel.objects.get()

    assert accept.accept_pending(project.pk, now=LATER) == 0

    after = AcceptedLabel.objects.get()
    assert (after.pk, after.accepted_at, after.superseded_at) == (before.pk, NOW, None)


def test_looking_at_what_was_accepted_already_changes_nothing(project: Project, annotator: User) -> None:
    """The events only say where to look; a needless one is harmless."""
    annotation = make.annotation(make.item(project, "a"), annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    PendingEvidence.objects.create(project=project, annotation=annotation)

    assert accept.accept_pending(project.pk, now=LATER) == 0
    assert AcceptedLabel.objects.get().superseded_at is None
    assert not PendingEvidence.objects.exists()


def test_a_withdrawn_annotation_supersedes_its_label(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    annotation = make.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    withdraw(annotation)

    assert accept.accept_pending(project.pk, now=LATER) == 1

    label = AcceptedLabel.objects.get()
    assert (label.label, label.superseded_at) == ("cat", LATER)
    assert list(label.evidence.all()) == [annotation]
    assert accept.accept_pending(project.pk, now=LATER) == 0


def test_an_annotation_withdrawn_before_it_was_accepted_leaves_no_label(project: Project, annotator: User) -> None:
    withdraw(make.annotation(make.item(project, "a"), annotator, "cat"))
    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert not AcceptedLabel.objects.exists()
    assert not PendingEvidence.objects.exists()


def test_an_item_answered_again_after_an_undo_gets_a_new_row(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    withdrawn = make.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    withdraw(withdrawn)
    make.annotation(item, annotator, "dog")

    assert accept.accept_pending(project.pk, now=LATER) == 1

    rows = AcceptedLabel.objects.order_by("pk").values_list("label", "accepted_at", "superseded_at")
    assert list(rows) == [("cat", NOW, LATER), ("dog", LATER, None)]


def test_the_newest_standing_annotation_counts(project: Project, annotator: User, reviewer: User) -> None:
    item = make.item(project, "a")
    make.annotation(item, annotator, "cat")
    newest = make.annotation(item, reviewer, "dog")
    accept.accept_pending(project.pk, now=NOW)
    assert current(item) == "dog"

    withdraw(newest)
    accept.accept_pending(project.pk, now=LATER)
    assert current(item) == "cat"


def test_the_annotation_of_someone_who_left_stays_pending_until_they_return(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    make.annotation(item, annotator, "cat")
    Membership.objects.filter(user=annotator).delete()

    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert current(item) is None
    assert PendingEvidence.objects.count() == 1
    assert selectors.projects_with_acceptable_evidence() == []

    Membership.objects.create(project=project, user=annotator, role=Membership.Role.ANNOTATOR)
    assert selectors.projects_with_acceptable_evidence() == [project.pk]
    assert accept.accept_pending(project.pk, now=LATER) == 1
    assert current(item) == "cat"


def test_a_stranger_with_a_trusted_role_elsewhere_is_not_trusted_here(project: Project, stranger: User) -> None:
    item = make.item(project, "a")
    make.annotation(item, stranger, "cat")
    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert current(item) is None


def test_accepted_labels_outlast_the_membership(project: Project, annotator: User, reviewer: User) -> None:
    item = make.item(project, "a")
    make.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=NOW)
    Membership.objects.filter(user=annotator).delete()
    withdraw(make.annotation(item, reviewer, "dog"))

    assert accept.accept_pending(project.pk, now=LATER) == 0
    assert current(item) == "cat"


def test_an_answer_that_its_schema_does_not_admit_holds_up_no_other(project: Project, annotator: User) -> None:
    good, bad = make.item(project, "good"), make.item(project, "bad")
    make.annotation(bad, annotator, "unicorn")
    make.annotation(good, annotator, "cat")

    assert accept.accept_pending(project.pk, now=NOW) == 1
    assert (current(good), current(bad)) == ("cat", None)
    assert not PendingEvidence.objects.exists()


def test_an_answer_under_an_older_schema_keeps_it(project: Project, annotator: User) -> None:
    annotation = make.annotation(make.item(project, "a"), annotator, "bird")
    definition = {"classes": [{"key": "cat"}, {"key": "dog"}]}
    LabelSchema.objects.create(project=project, version=2, kind="single_choice", definition=definition)

    accept.accept_pending(project.pk, now=NOW)
    label = AcceptedLabel.objects.get()
    assert (label.label, label.label_schema) == ("bird", annotation.label_schema)


def test_other_projects_are_left_alone(project: Project, annotator: User, stranger: User) -> None:
    other = Project.objects.get(slug="other")
    LabelSchema.objects.create(
        project=other, version=1, kind="single_choice", definition=LabelSchema.objects.get(project=project).definition
    )
    make.annotation(make.item(other, "a"), stranger, "cat")

    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert not AcceptedLabel.objects.exists()
    assert selectors.projects_with_acceptable_evidence() == [other.pk]


def test_more_than_one_transaction_is_worked_off(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "_EVENTS_PER_TRANSACTION", 3)
    for number in range(7):
        make.annotation(make.item(project, f"item-{number}"), annotator, "cat")
    assert accept.accept_pending(project.pk, now=NOW) == 7
    assert AcceptedLabel.objects.count() == 7
    assert not PendingEvidence.objects.exists()


def test_the_number_of_queries_does_not_grow_with_the_labels(project: Project, annotator: User) -> None:
    def queries_for(keys: range) -> int:
        for number in keys:
            make.annotation(make.item(project, f"item-{number}"), annotator, "cat")
        with CaptureQueriesContext(connection) as captured:
            assert accept.accept_pending(project.pk, now=NOW) == len(keys)
        return len(captured)

    assert queries_for(range(1)) == queries_for(range(1, 40))


def test_news_is_told_only_when_labels_changed(
    project: Project, annotator: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard: list[int] = []

    def hear(sender: object, *, project_id: int, **kwargs: object) -> None:
        heard.append(project_id)

    news.labels_accepted.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            accept.accept_pending(project.pk, now=NOW)
        assert heard == []
        make.annotation(make.item(project, "a"), annotator, "cat")
        with django_capture_on_commit_callbacks(execute=True):
            accept.accept_pending(project.pk, now=NOW)
        assert heard == [project.pk]
    finally:
        news.labels_accepted.disconnect(hear)


def test_a_second_current_label_for_an_item_is_refused_by_the_database(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "cat"})
    again = AcceptedLabel.objects.get()
    again.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save(force_insert=True)
    assert AcceptedLabel.objects.count() == 1


def test_the_queue_s_submit_and_undo_reach_the_label(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    new = annotation_queue.NewTask(
        item_id=item.pk,
        reason=AnnotationTask.Reason.UNCERTAIN,
        informativeness=0.5,
        propensity=0.5,
        is_audit=False,
        draw_rank=0,
        model_version_id=None,
    )
    annotation_queue.enqueue(project, [new], batch=uuid4(), pool_size=1, now=NOW)
    [task] = annotation_queue.claim(project, annotator=annotator, now=NOW)

    annotation_queue.submit(task.pk, annotator=annotator, answer={"choice": "cat"}, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    assert current(item) == "cat"

    answers.undo(project, annotator=annotator, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    assert current(item) is None

    annotation_queue.submit(task.pk, annotator=annotator, answer={"choice": "dog"}, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    assert current(item) == "dog"


def test_noting_every_annotation_again_changes_nothing(project: Project, annotator: User) -> None:
    """What the migration does on a system with data, and an operator after a load with triggers disabled."""
    make.accepted(project, annotator, {"a": "cat"})
    unnoted = make.item(project, "b")
    make.annotation(unnoted, annotator, "dog")
    PendingEvidence.objects.all().delete()
    assert accept.accept_pending(project.pk, now=NOW) == 0

    with connection.cursor() as cursor:
        cursor.execute(import_module("datasets.migrations.0002_pending_evidence").NOTE_ALL)

    assert accept.accept_pending(project.pk, now=LATER) == 1
    assert list(AcceptedLabel.objects.order_by("pk").values_list("label", "accepted_at")) == [
        ("cat", NOW),
        ("dog", LATER),
    ]


def test_one_query_finds_the_projects_with_work(
    project: Project, annotator: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make.annotation(make.item(project, "a"), annotator, "cat")
    make.annotation(make.item(project, "b"), annotator, "cat")
    with django_assert_num_queries(1):
        assert selectors.projects_with_acceptable_evidence() == [project.pk]
    accept.accept_pending(project.pk, now=NOW)
    assert selectors.projects_with_acceptable_evidence() == []


def test_the_task_accepts_what_is_pending(project: Project, annotator: User) -> None:
    item = make.item(project, "a")
    make.annotation(item, annotator, "cat")
    tasks.accept_pending(project.pk)
    tasks.accept_pending(project.pk)
    assert current(item) == "cat"
    assert AcceptedLabel.objects.count() == 1


def test_the_sweep_goes_on_after_a_project_that_fails(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    item = make.item(project, "a")
    make.annotation(item, annotator, "cat")
    no_such_project = 0
    monkeypatch.setattr(selectors, "projects_with_acceptable_evidence", lambda: [no_such_project, project.pk])
    accept_one = accept.accept_pending

    def fail_for_one(project_id: int, *, now: dt.datetime) -> int:
        if project_id == no_such_project:
            raise RuntimeError("trouble")
        return accept_one(project_id, now=now)

    monkeypatch.setattr(accept, "accept_pending", fail_for_one)
    tasks.sweep_acceptance()

    assert current(item) == "cat"
    assert "could not accept what is pending in project 0" in caplog.text
