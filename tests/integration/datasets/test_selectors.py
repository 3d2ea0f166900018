"""The figures that say how a model and a project stand."""

import datetime as dt
import uuid

import pytest
from django.contrib.auth.models import User

from datasets import selectors
from datasets.estimation.moments import Moments
from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.models import AcceptedLabel
from datasets.services import accept, accuracy, snapshot
from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Prediction, Project
from labeling.splitting import AUDIT_RESERVE_END
from tests.factories import datasets as make

NOW = make.NOW
Reason = AnnotationTask.Reason


@pytest.fixture
def model(project: Project) -> ModelVersion:
    return ModelVersion.objects.create(project=project, name="m1", classes=["cat", "dog", "bird"])


def predict(model: ModelVersion, item: Item, said: str) -> None:
    Prediction.objects.create(
        item=item, model_version=model, probabilities=b"", predicted_class=said, confidence=0.5, created_at=NOW
    )


def test_audit_outcomes_are_those_of_the_reserve(project: Project, annotator: User, model: ModelVersion) -> None:
    cases = [
        # key, bucket, reason, is audit, truth, prediction
        ("right", 0, Reason.AUDIT, True, "cat", "cat"),
        ("wrong", 1, Reason.AUDIT, True, "cat", "dog"),
        ("cold start", AUDIT_RESERVE_END - 1, Reason.COLD_START, False, "dog", "dog"),
        ("not predicted", 2, Reason.AUDIT, True, "dog", None),
        ("picked by a person", 3, Reason.MANUAL, False, "dog", "dog"),
        ("outside", AUDIT_RESERVE_END, Reason.UNCERTAIN, False, "dog", "dog"),
        ("outside, wrong", 9000, Reason.UNCERTAIN, False, "dog", "cat"),
        ("outside, cold start", 9001, Reason.COLD_START, False, "dog", "dog"),
        ("outside, random", 9002, Reason.RANDOM, False, "dog", "cat"),
    ]
    other = ModelVersion.objects.create(project=project, name="m2", classes=["cat", "dog", "bird"])
    for key, bucket, reason, is_audit, truth, prediction in cases:
        item = make.item(project, key, bucket=bucket)
        make.annotation(item, annotator, truth, reason=reason, is_audit=is_audit)
        predict(other, item, "bird")
        if prediction is not None:
            predict(model, item, prediction)
    accept.accept_pending(project.pk, now=NOW)

    assert sorted(selectors.audit_outcomes(project, model).is_right) == [0.0, 1.0, 1.0]
    assert selectors.naive_outcomes(project, model) == selectors.Outcomes(n=2, correct=1)
    assert selectors.audit_outcomes(project, other).is_right.tolist() == [0.0] * 4
    assert accuracy.by_audit_labels(project, model) == proportion_interval(2, 3)


def test_audit_outcomes_come_by_arrival_between_the_refills_that_drew_answered_audit_labels(
    project: Project, annotator: User, model: ModelVersion
) -> None:
    def later(hours: float) -> dt.datetime:
        return NOW + dt.timedelta(hours=hours)

    def arrived(key: str, hours: float, *, bucket: int = 5, confidence: float = 0.5) -> Item:
        item = make.item(project, key, bucket=bucket)
        Item.objects.filter(pk=item.pk).update(created_at=later(hours))
        predict(model, item, "cat")
        Prediction.objects.filter(item=item).update(confidence=confidence)
        return item

    def drawn(item: Item, hours: float, truth: str) -> None:
        make.annotation(item, annotator, truth, reason=Reason.AUDIT, is_audit=True)
        AnnotationTask.objects.filter(item=item).update(batch=uuid.uuid4(), created_at=later(hours))

    drawn(arrived("early", 0), 1, "cat")
    arrived("early, not drawn", 0.5, confidence=0.75)
    drawn(arrived("middle", 1.5), 4, "dog")
    arrived("before a refill whose audit draws wait", 1.7, confidence=0.25)
    waiting = arrived("waits", 2.2, confidence=0.75)
    AnnotationTask.objects.create(
        project=project, item=waiting, reason=Reason.AUDIT, is_audit=True, batch=uuid.uuid4(), created_at=later(3)
    )
    arrived("late", 5)
    arrived("outside the reserve", 5, bucket=AUDIT_RESERVE_END)
    make.item(project, "late, not predicted", bucket=5)
    make.annotation(arrived("picked by a person", 0), annotator, "dog", reason=Reason.MANUAL)
    make.annotation(arrived("came with its label", 0), annotator, "dog", reason=Reason.IMPORTED)
    accept.accept_pending(project.pk, now=NOW)

    found = selectors.audit_outcomes(project, model)
    by_cohort = sorted(zip(found.cohort.tolist(), found.is_right.tolist(), strict=True))
    assert by_cohort == [(0, 1.0), (1, 0.0)]
    assert found.others == [Moments(1, 0.75, 0.0), Moments(2, 0.5, 0.0625), Moments(1, 0.5, 0.0)]
    assert found.sizes.tolist() == [2, 3, 1]


def test_superseded_labels_are_no_outcomes(project: Project, annotator: User, model: ModelVersion) -> None:
    item = make.item(project, "a", bucket=0)
    predict(model, item, "cat")
    make.annotation(item, annotator, "cat", reason=Reason.AUDIT, is_audit=True)
    accept.accept_pending(project.pk, now=NOW)
    AcceptedLabel.objects.update(superseded_at=NOW)
    assert not len(selectors.audit_outcomes(project, model).is_right)


def test_a_project_without_labels_has_no_outcomes(project: Project, model: ModelVersion) -> None:
    assert not len(selectors.audit_outcomes(project, model).is_right)
    assert accuracy.by_audit_labels(project, model) == Estimate(None, 0.0, 1.0, 0)
    assert selectors.naive_outcomes(project, model) == selectors.Outcomes(0, 0)
    assert selectors.class_counts(project) == {}


def test_classes_are_counted_most_frequent_first(project: Project, annotator: User) -> None:
    make.accepted(project, annotator, {"a": "bird", "b": "dog", "c": "dog", "d": "cat"})
    AcceptedLabel.objects.filter(label="cat").update(superseded_at=NOW)
    assert list(selectors.class_counts(project).items()) == [("dog", 2), ("bird", 1)]


def test_the_funnel_counts_how_far_the_items_have_come(
    project: Project, annotator: User, stranger: User, model: ModelVersion
) -> None:
    empty = selectors.Funnel(items=0, predicted=0, queued=0, answered=0, accepted=0, in_last_snapshot=0)
    assert selectors.funnel(project) == empty

    make.accepted(project, annotator, {"a": "cat", "b": "dog"})
    snapshot.take(project, by=None, now=NOW)
    make.accepted(project, annotator, {"c": "cat"})
    make.annotation(make.item(project, "answered, not accepted yet"), annotator, "cat")
    for number in range(3):
        make.item(project, f"more-{number}")
    PoolEntry.objects.filter(item__key="more-0").update(state=PoolEntry.State.QUEUED)
    PoolEntry.objects.filter(item__key__in=["a", "more-0"]).update(
        probabilities=b"1234", scored_at=NOW, model_version=model
    )
    make.item(Project.objects.get(slug="other"), "elsewhere")

    assert selectors.funnel(project) == selectors.Funnel(
        items=7, predicted=2, queued=1, answered=4, accepted=3, in_last_snapshot=2
    )
