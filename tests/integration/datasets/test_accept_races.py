"""Acceptance with several sessions at work, and with one that dies."""

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from datasets.models import AcceptedLabel, PendingEvidence
from datasets.services import accept
from labeling.locks import LockKind, hold_until_commit
from labeling.models import Annotation, Project
from tests.factories import datasets as make
from tests.integration.datasets.concurrency import at_once, in_another_session

pytestmark = pytest.mark.django_db(transaction=True)

NOW = make.NOW


def accept_pending(project: Project) -> int:
    return accept.accept_pending(project.pk, now=NOW)


def test_workers_at_once_accept_every_item_once(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "_EVENTS_PER_TRANSACTION", 5)
    items = [make.item(project, f"item-{number}") for number in range(40)]
    for item in items:
        make.annotation(item, annotator, "cat")

    changed = at_once([lambda: accept_pending(project)] * 4)

    assert sum(changed) == 40
    assert AcceptedLabel.objects.count() == 40
    assert set(AcceptedLabel.objects.values_list("item", flat=True)) == {item.pk for item in items}
    assert not PendingEvidence.objects.exists()


def test_answers_and_undos_during_acceptance_all_arrive(project: Project, annotator: User) -> None:
    """Whatever the interleaving was, one more run afterwards leaves labels equal to the standing annotations."""
    items = [make.item(project, f"item-{number}") for number in range(30)]
    first = [make.annotation(item, annotator, "cat") for item in items]

    def undo_and_answer_again() -> int:
        for item, annotation in zip(items, first, strict=True):
            with transaction.atomic():
                Annotation.objects.filter(pk=annotation.pk).update(withdrawn_at=NOW)
            make.annotation(item, annotator, "dog")
        return 0

    at_once([undo_and_answer_again, *[lambda: sum(accept_pending(project) for _ in range(20))] * 2])
    accept_pending(project)

    current = AcceptedLabel.objects.filter(superseded_at__isnull=True)
    assert sorted(current.values_list("item", "label")) == [(item.pk, "dog") for item in items]
    assert not PendingEvidence.objects.exists()


def test_an_annotation_that_commits_late_is_not_passed_over(project: Project, annotator: User) -> None:
    """Ids are handed out before commits happen, so a newer annotation can be accepted before an older one is visible."""
    slow, quick = make.item(project, "slow"), make.item(project, "quick")
    with transaction.atomic():
        older = make.annotation(slow, annotator, "cat")

        def record_and_accept() -> int:
            newer = make.annotation(quick, annotator, "dog")
            assert newer.pk > older.pk
            return accept_pending(project)

        assert in_another_session(record_and_accept) == 1

    assert accept_pending(project) == 1
    assert AcceptedLabel.objects.get(item=slow).label == "cat"


def test_a_worker_killed_before_its_commit_leaves_no_trace(project: Project, annotator: User) -> None:
    make.annotation(make.item(project, "a"), annotator, "cat")
    make.annotation(make.item(project, "b"), annotator, "dog")

    def die() -> None:
        with transaction.atomic():
            assert accept_pending(project) == 2
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(OperationalError):
        in_another_session(die)

    assert not AcceptedLabel.objects.exists()
    assert PendingEvidence.objects.count() == 2
    assert accept_pending(project) == 2
    assert AcceptedLabel.objects.count() == 2


def test_a_lock_until_commit_ends_with_its_transaction(project: Project) -> None:
    def hold() -> bool:
        with transaction.atomic():
            hold_until_commit(LockKind.ACCEPTANCE, project.pk)
        return True

    assert at_once([hold, hold]) == [True, True]
    with pytest.raises(RuntimeError, match="needs a transaction"):
        hold_until_commit(LockKind.ACCEPTANCE, project.pk)
