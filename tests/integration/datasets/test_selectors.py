"""The figures that say how a model and a project stand."""

import pytest
from django.contrib.auth.models import User

from datasets import selectors
from datasets.models import AcceptedLabel
from datasets.services import accept, snapshot
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

    assert selectors.audit_outcomes(project, model) == selectors.Outcomes(n=3, correct=2)
    assert selectors.naive_outcomes(project, model) == selectors.Outcomes(n=2, correct=1)
    assert selectors.audit_outcomes(project, other) == selectors.Outcomes(n=4, correct=0)


def test_superseded_labels_are_no_outcomes(project: Project, annotator: User, model: ModelVersion) -> None:
    item = make.item(project, "a", bucket=0)
    predict(model, item, "cat")
    make.annotation(item, annotator, "cat", reason=Reason.AUDIT, is_audit=True)
    accept.accept_pending(project.pk, now=NOW)
    AcceptedLabel.objects.update(superseded_at=NOW)
    assert selectors.audit_outcomes(project, model) == selectors.Outcomes(0, 0)


def test_a_project_without_labels_has_no_outcomes(project: Project, model: ModelVersion) -> None:
    assert selectors.audit_outcomes(project, model) == selectors.Outcomes(0, 0)
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
