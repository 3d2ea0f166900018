"""Labels judged by cross-validation: what is stored, listed and opened, when it is due, and what is told where it fails."""

import datetime as dt
from unittest import mock

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from datasets.models import AcceptedLabel, HeldOutPrediction, LabelCheck, ReviewCase, SuspectLabel
from datasets.services import accept, label_errors, review, snapshot
from labeling import locks, news
from labeling.locks import LockKind
from labeling.models import Item, ModelVersion, Prediction, Project
from labeling.probability import unpack
from tests.factories import datasets as make
from tests.factories import kinds
from tests.factories.training import CLASSES, NOW, later, model_saying, more_labels, pets, text_of
from training.services import label_checks
from training.tasks import check_labels, sweep_label_checks

CHECKED = later(60)


@pytest.fixture
def wrong(project: Project, owner: User) -> Item:
    """Forty-five labelled items, of which the text of one says “cat” and the label “dog”."""
    pets(project, owner, n_train=30, n_audit=12, n_unlabelled=3)
    item = make.item(project, "wrong", payload={"text": text_of("cat", 0)}, bucket=5_000)
    make.annotation(item, owner, "dog")
    accept.accept_pending(project.pk, now=NOW)
    return item


def test_a_label_that_the_others_contradict_is_listed_and_opened_although_no_model_ever_predicted_it(
    project: Project, wrong: Item
) -> None:
    done = label_checks.check(project, now=CHECKED)
    assert done is not None
    assert (done.search.labels, done.search.judged, done.search.cross_validated) == (46, 46, 46)
    (suspect,) = label_errors.listed(project)
    assert (suspect.item, suspect.source, suspect.model, suspect.suggested) == (
        wrong,
        "cross_validation",
        "text",
        "cat",
    )
    assert suspect.self_confidence < 0.3
    assert suspect.score > 0.3
    case = ReviewCase.objects.get()
    assert (case.item, case.kind, case.detail["source"]) == (wrong, "label_error", "cross_validation")
    assert (done.check.trainer, done.check.folds, done.check.label_count, done.check.message) == ("text", 5, 46, "")
    assert done.check.agreement is not None
    assert 0.9 < done.check.agreement < 1.0


def test_every_label_of_the_audit_reserve_is_judged_too(project: Project, wrong: Item) -> None:
    label_checks.check(project, now=CHECKED)
    reserve = HeldOutPrediction.objects.filter(accepted_label__item__bucket=0)
    assert reserve.count() == 12
    assert unpack(bytes(reserve[0].probabilities), 3).sum() == pytest.approx(1.0)


def test_another_check_stands_in_place_of_the_first(project: Project, wrong: Item) -> None:
    first, second = (label_checks.check(project, now=later(60 * turn)) for turn in (1, 2))
    assert first is not None
    assert second is not None
    assert second.search.opened == 0
    assert set(HeldOutPrediction.objects.values_list("run", flat=True)) == {second.check.pk}
    assert HeldOutPrediction.objects.count() == 46
    assert LabelCheck.objects.count() == 2
    assert (SuspectLabel.objects.count(), ReviewCase.objects.count()) == (1, 1)


def test_two_checks_at_once_are_one(project: Project, wrong: Item) -> None:
    with mock.patch.object(locks, "held") as held:
        held.return_value.__enter__.return_value = False
        assert label_checks.check(project, now=CHECKED) is None
    held.assert_called_once_with(LockKind.LABEL_CHECK, project.pk)
    assert not LabelCheck.objects.exists()


def test_of_two_sources_the_one_that_explains_the_labels_better_is_believed(project: Project, wrong: Item) -> None:
    labels = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True)
    truth = dict(labels.values_list("item_id", "label")) | {wrong.pk: "cat"}
    good = model_saying(project, "good", truth)
    said = {item_id: CLASSES[(CLASSES.index(label) + 1) % 3] for item_id, label in truth.items()}
    bad = model_saying(project, "bad", said)
    Prediction.objects.update(created_at=NOW - dt.timedelta(days=1))
    ModelVersion.objects.filter(pk=bad.pk).update(stage="candidate")
    ModelVersion.objects.filter(pk=good.pk).update(stage="champion")
    label_checks.check(project, now=CHECKED)
    assert {each.model for each in label_errors.listed(project)} <= {"good", "text"}
    ModelVersion.objects.filter(pk=good.pk).update(stage="retired")
    ModelVersion.objects.filter(pk=bad.pk).update(stage="champion")
    found = label_errors.search(project, now=CHECKED)
    assert (found.judged, found.cross_validated) == (46, 46)
    assert [each.item for each in label_errors.listed(project)] == [wrong]


def test_a_label_that_somebody_decided_about_or_that_is_gone_is_listed_no_more(
    project: Project, wrong: Item, reviewer: User
) -> None:
    label_checks.check(project, now=CHECKED)
    review.decide(project, ReviewCase.objects.get().pk, by=reviewer, now=later(120), answer={"choice": "dog"})
    assert not label_errors.listed(project).exists()
    label_checks.check(project, now=later(180))
    assert not SuspectLabel.objects.exists()


def test_it_is_due_after_a_snapshot_if_enough_labels_have_changed(project: Project, owner: User, wrong: Item) -> None:
    assert not label_checks.is_due(project)
    snapshot.take(project, by=owner, now=later(10))
    assert label_checks.is_due(project)
    label_checks.check(project, now=CHECKED)
    assert not label_checks.is_due(project)
    more_labels(project, owner, 20)
    assert not label_checks.is_due(project)  # no snapshot, no fit since
    snapshot.take(project, by=owner, now=later(120))
    assert label_checks.is_due(project)
    label_checks.check(project, now=later(180))
    more_labels(project, owner, 19, prefix="few")
    snapshot.take(project, by=owner, now=later(240))
    assert not label_checks.is_due(project)


def test_the_sweep_wakes_what_is_due(project: Project, owner: User, wrong: Item) -> None:
    snapshot.take(project, by=owner, now=later(10))
    with mock.patch("training.tasks.wake") as wake:
        sweep_label_checks()
    wake.assert_called_once_with("training.check_labels", project.pk)


def test_what_is_wrong_with_the_data_is_told_and_ends_the_check(project: Project, owner: User) -> None:
    make.accepted(project, owner, {"a": "cat", "b": "dog"})
    check_labels(project.pk)
    (check,) = LabelCheck.objects.all()
    assert check.label_count == 0
    assert "at least 10 labels of two classes" in check.message


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SoftTimeLimitExceeded(), "it took longer than 55 minutes"),
        (ValueError("n_samples=0"), "unexpected error: n_samples=0"),
    ],
)
def test_a_check_that_fails_is_told_and_not_due_again(
    project: Project, owner: User, wrong: Item, error: Exception, told: str
) -> None:
    snapshot.take(project, by=owner, now=later(10))
    with mock.patch("training.services.label_checks.held_out", side_effect=error):
        check_labels(project.pk)
    check = LabelCheck.objects.get()
    assert (check.label_count, told in check.message) == (0, True)
    assert not label_checks.is_due(project)


def test_a_check_that_is_killed_is_not_due_again_and_what_the_one_before_said_stands(
    project: Project, owner: User, wrong: Item
) -> None:
    label_checks.check(project, now=CHECKED)
    more_labels(project, owner, 20)
    snapshot.take(project, by=owner, now=later(120))
    with mock.patch("training.services.label_checks.held_out", side_effect=SystemExit), pytest.raises(SystemExit):
        label_checks.check(project, now=later(180))
    assert "broken off" in LabelCheck.objects.latest("pk").message
    assert not label_checks.is_due(project)
    assert label_errors.search(project, now=later(240)).cross_validated == 46


def test_kinds_that_are_no_single_choice_are_passed_over(annotator: User) -> None:
    spans = kinds.project("spans", annotator=annotator)
    assert label_checks.check(spans, now=CHECKED) is None
    assert not label_checks.is_due(spans)


def test_the_page_lists_suspects_and_starts_a_check(
    project: Project, wrong: Item, reviewer: User, client: Client, django_capture_on_commit_callbacks: mock.Mock
) -> None:
    label_checks.check(project, now=CHECKED)
    client.force_login(reviewer)
    shown = client.get("/projects/pets/review/").content.decode()
    assert "46 labels in 5 folds by “text”" in shown
    assert "Cross-validation" in shown
    heard = mock.Mock()
    news.label_check_wanted.connect(heard)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            told = client.post("/projects/pets/review/", {"most_open": "5"}, follow=True).content.decode()
    finally:
        news.label_check_wanted.disconnect(heard)
    assert "Cross-validation has been started" in told
    assert heard.call_args.kwargs["project_id"] == project.pk


def test_the_api_lists_suspects_without_the_class_that_is_suggested(
    project: Project, wrong: Item, reviewer: User, annotator_client: APIClient, api_client: APIClient
) -> None:
    label_checks.check(project, now=CHECKED)
    api_client.force_login(reviewer)
    found = api_client.get("/api/v1/projects/pets/label-errors").json()
    assert (found["count"], found["last_check"]["label_count"]) == (1, 46)
    (row,) = found["results"]
    assert (row["item_key"], row["label"], row["source"]) == ("wrong", "dog", "cross_validation")
    assert row["review_id"] == ReviewCase.objects.get().pk
    assert "suggested" not in row
    assert api_client.get("/api/v1/projects/pets/label-errors?limit=0").status_code == 400
    started = api_client.post("/api/v1/projects/pets/label-errors")
    assert (started.status_code, started.json()["cross_validated"], started.json()["is_check_started"]) == (
        202,
        46,
        True,
    )
    assert annotator_client.get("/api/v1/projects/pets/label-errors").status_code == 403


def test_strangers_do_not_learn_that_the_project_exists(
    project: Project, stranger: User, api_client: APIClient
) -> None:
    api_client.force_login(stranger)
    assert api_client.get("/api/v1/projects/pets/label-errors").status_code == 404
    assert api_client.post("/api/v1/projects/pets/label-errors").status_code == 404
