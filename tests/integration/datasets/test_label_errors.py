"""The search for wrong labels: what counts as out-of-sample, which cases are opened, and what is said of the rest."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.models import AcceptedLabel, ReviewCase
from datasets.services import accept, label_errors, review
from datasets.tasks import sweep_label_errors
from labeling.models import Item, ModelVersion, Prediction, Project
from labeling.services import intake
from tests.factories import datasets as factory
from tests.factories import kinds
from tests.factories import labeling as rows
from tests.factories.reviews import LATER, NOW

BEFORE = NOW - dt.timedelta(days=1)
SURE = {"cat": (0.9, 0.05, 0.05), "dog": (0.05, 0.9, 0.05), "bird": (0.05, 0.05, 0.9)}


@pytest.fixture
def version(project: Project) -> ModelVersion:
    made = rows.model_version(project)
    ModelVersion.objects.update(created_at=BEFORE)
    return made


def labelled(project: Project, by: User, labels: dict[str, str], *, bucket: int = 5_000) -> list[Item]:
    """Items outside the audit reserve with these labels, accepted at NOW."""
    items = [factory.item(project, key, bucket=bucket) for key in labels]
    for item in items:
        factory.annotation(item, by, labels[item.key])
    accept.accept_pending(project.pk, now=NOW)
    return items


def predicted(project: Project, said: dict[str, str], *, at: dt.datetime = BEFORE) -> None:
    intake.record_predictions(project, [rows.prediction_row(key, *SURE[label]) for key, label in said.items()])
    Prediction.objects.update(created_at=at)


def plain(number: int = 12) -> dict[str, str]:
    return {f"plain-{each}": ("cat", "dog", "bird")[each % 3] for each in range(number)}


def test_a_label_that_a_model_contradicts_which_never_saw_it_is_opened(
    project: Project, owner: User, version: ModelVersion
) -> None:
    truth = {**plain(), "wrong": "dog"}
    labelled(project, owner, {**truth, "wrong": "cat"})
    predicted(project, truth)
    found = label_errors.search(project, now=LATER)
    assert (found.labels, found.judged, found.suspects, found.opened, found.open_now) == (13, 13, 1, 1, 1)
    case = ReviewCase.objects.get()
    assert (case.item.key, case.kind, case.state) == ("wrong", "label_error", "open")
    assert case.detail == {
        "score": 0.85, "self_confidence": 0.05, "source": "prediction", "label": "cat", "suggested": "dog", "model_version": "m1",
    }  # fmt: skip
    assert case.value == pytest.approx(0.85, abs=1e-6)
    assert label_errors.search(project, now=LATER).opened == 0
    assert "13 of 13 labels could be judged" in found.summary


@pytest.mark.parametrize(
    ("origin", "predicted_at", "version_at", "bucket", "judged"),
    [
        ("app", BEFORE, BEFORE, 5_000, True),
        ("app", LATER, BEFORE, 5_000, False),  # it may have been trained anew under the same name
        ("app", LATER, BEFORE, 5, False),  # what an app trains on is not ours to know
        ("trainer", LATER, BEFORE, 5_000, True),  # what was trained before the label was there never saw it
        ("trainer", LATER, LATER, 5_000, False),
        ("trainer", LATER, LATER, 5, True),  # no trainer sees the audit reserve
    ],
)
def test_only_predictions_count_that_cannot_have_seen_the_label(
    project: Project,
    owner: User,
    version: ModelVersion,
    origin: str,
    predicted_at: dt.datetime,
    version_at: dt.datetime,
    bucket: int,
    judged: bool,
) -> None:
    labelled(project, owner, {"a": "cat", "b": "dog"}, bucket=bucket)
    predicted(project, {"a": "dog", "b": "dog"}, at=predicted_at)
    ModelVersion.objects.update(origin=origin, created_at=version_at)
    found = label_errors.search(project, now=LATER)
    assert (found.judged, found.in_sample) == ((2, 0) if judged else (0, 2))


def test_a_label_that_was_there_before_under_another_row_counts_from_the_first(
    project: Project, owner: User, annotator: User, version: ModelVersion
) -> None:
    (item,) = labelled(project, owner, {"a": "cat"})
    factory.annotation(item, annotator, "cat")
    accept.accept_pending(project.pk, now=LATER)
    assert AcceptedLabel.objects.filter(item=item).count() == 2
    predicted(project, {"a": "dog"}, at=NOW + dt.timedelta(minutes=1))
    assert label_errors.search(project, now=LATER).in_sample == 1


def test_what_could_not_be_judged_is_told_with_the_reason(project: Project, owner: User, version: ModelVersion) -> None:
    items = labelled(project, owner, {"silent": "cat", "gone": "cat", "seen": "cat", "fine": "cat"})
    predicted(project, {"gone": "cat", "seen": "cat", "fine": "cat"})
    AcceptedLabel.objects.filter(item=items[1]).update(label="cow")
    AcceptedLabel.objects.filter(item=items[2]).update(method=AcceptedLabel.Method.REVIEWED)
    found = label_errors.search(project, now=LATER)
    assert (found.labels, found.judged, found.no_prediction, found.other_classes, found.certain) == (4, 1, 1, 1, 1)
    assert "Not judged: 1: no model said anything of them; 1: a reviewer" in found.summary


def test_at_most_so_many_are_open_at_once_the_most_suspicious_first(
    project: Project, owner: User, version: ModelVersion
) -> None:
    wrong = {f"wrong-{number}": "dog" for number in range(4)}
    labelled(project, owner, {**plain(30), **dict.fromkeys(wrong, "cat")})
    predicted(project, {**plain(30), **wrong})
    assert label_errors.search(project, now=LATER, most_open=2).opened == 2
    assert label_errors.search(project, now=LATER, most_open=2).opened == 0
    assert label_errors.search(project, now=LATER, most_open=3).opened == 1
    assert ReviewCase.objects.count() == 3


def test_a_label_that_a_reviewer_has_looked_at_is_not_brought_up_again(
    project: Project, owner: User, reviewer: User, version: ModelVersion
) -> None:
    labelled(project, owner, {**plain(), "wrong": "cat"})
    predicted(project, {**plain(), "wrong": "dog"})
    label_errors.search(project, now=LATER)
    review.decide(project, ReviewCase.objects.get().pk, by=reviewer, now=LATER, answer={"choice": "cat"})
    assert label_errors.search(project, now=LATER).opened == 0


def test_a_label_whose_case_was_settled_by_later_evidence_was_looked_at_by_nobody(
    project: Project, owner: User, version: ModelVersion
) -> None:
    items = labelled(project, owner, {**plain(), "wrong": "cat"})
    predicted(project, {**plain(), "wrong": "dog"})
    ReviewCase.objects.create(
        project=project, item=items[-1], kind="disagreement", state="settled", opened_at=BEFORE, closed_at=NOW
    )
    assert label_errors.search(project, now=LATER).opened == 1
    assert [each.item for each in label_errors.listed(project)] == [items[-1]]


def test_other_task_types_and_empty_projects_find_nothing(project: Project, annotator: User) -> None:
    assert label_errors.search(project, now=LATER).summary.startswith("There are no accepted labels")
    assert label_errors.search(kinds.project("spans", annotator=annotator), now=LATER) == label_errors.Search()


def test_the_page_and_the_sweep_search(project: Project, owner: User, version: ModelVersion, client: Client) -> None:
    labelled(project, owner, {**plain(), "wrong": "cat"})
    predicted(project, {**plain(), "wrong": "dog"})
    client.force_login(owner)
    assert client.post("/projects/pets/review/", {"most_open": "0"}).status_code == 422
    assert not ReviewCase.objects.exists()
    told = client.post("/projects/pets/review/", {"most_open": "5"}, follow=True).content.decode()
    assert "13 of 13 labels could be judged" in told
    assert "by 85 points" in told
    ReviewCase.objects.all().delete()
    sweep_label_errors()
    assert ReviewCase.objects.get().item.key == "wrong"
