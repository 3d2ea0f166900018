"""Estimates of a model's accuracy from real refills and answers, beside the truth."""

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from numpy.typing import NDArray
from rest_framework.test import APIClient

from datasets.services import accept
from labeling import selectors as labeling_selectors
from labeling.models import Annotation, AnnotationTask, Item, ModelVersion, PoolEntry, Project
from sampling.models import RefillRun
from sampling.services import policies, refill
from tests.factories import sampling as make
from training.services import accuracy

pytestmark = pytest.mark.django_db

NOW = make.NOW
LATER = NOW + dt.timedelta(hours=1)
PATH = "/api/v1/projects/pets/accuracy"


@pytest.fixture
def truths(project: Project) -> dict[int, str]:
    """300 items of an app's model that is right about 80% of them, more often where it is sure; the true classes."""
    # Chance belongs to the ids, so they are fixed.
    items = Item.objects.bulk_create(
        Item(
            pk=20_000_000 + number,
            project=project,
            key=f"item-{number}",
            payload={"text": f"text {number}"},
            bucket=10 if number % 5 == 0 else make.OUTSIDE_RESERVE,
            created_at=NOW,
        )
        for number in range(300)
    )
    PoolEntry.objects.bulk_create(PoolEntry(item=item, project=project, bucket=item.bucket) for item in items)
    rng = np.random.default_rng(4)
    sure = rng.uniform(0.4, 1.0, 300)
    probabilities = np.stack([sure, (1 - sure) * 0.6, (1 - sure) * 0.4], axis=1)
    make.scores(make.champion(project), items, probabilities)
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP, created_at=NOW - dt.timedelta(days=1))
    is_right: NDArray[np.bool_] = rng.random(300) < np.clip(sure + 0.1, 0, 1)
    return {item.pk: "cat" if right else "dog" for item, right in zip(items, is_right, strict=True)}


def draw(project: Project, seed: int) -> RefillRun:
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=seed)
    return refill.execute(run.pk, now=LATER + dt.timedelta(minutes=seed))


def answer(project: Project, by: User, truths: dict[int, str]) -> None:
    schema = labeling_selectors.current_schema(project)
    for task in AnnotationTask.objects.filter(project=project, state="open").order_by("draw_rank"):
        task.state, task.closed_at = AnnotationTask.State.ANSWERED, LATER
        task.save()
        PoolEntry.objects.filter(item=task.item_id).update(state=PoolEntry.State.ANSWERED)
        Annotation.objects.create(
            task=task, item_id=task.item_id, annotator=by, label_schema=schema,
            answer={"choice": truths[task.item_id]}, created_at=LATER,
        )  # fmt: skip
    accept.accept_pending(project.pk, now=LATER)


def share(truths: dict[int, str], items: list[int]) -> float:
    return sum(truths[item] == "cat" for item in items) / len(items)


def test_the_audit_labels_and_weighted_draws_find_the_truth_and_the_naive_mean_does_not(
    project: Project, annotator: User, truths: dict[int, str]
) -> None:
    policies.new_version(project, by=None, batch_size=60, low_watermark=1, beta=1.0, epsilon=0.4)
    for seed in range(2):
        draw(project, seed)
        answer(project, annotator, truths)
    found = accuracy.estimates(ModelVersion.objects.get())
    audited = list(AnnotationTask.objects.filter(is_audit=True).values_list("item_id", flat=True))
    assert found.audit.value == pytest.approx(share(truths, audited))
    assert (found.audit.n, found.audit.verdict) == (len(audited), "good")
    truth = share(truths, list(truths))
    for estimate in (found.audit, found.prediction_powered, found.active):
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= truth <= estimate.high, estimate
    assert (found.active.n, found.drawn, found.answered) == (120, 120, 120)
    assert found.naive.correct / found.naive.n < truth
    assert found.headline in (found.audit, found.prediction_powered)


def test_a_rule_without_chances_is_not_estimable_and_the_audit_labels_still_are(
    project: Project, annotator: User, truths: dict[int, str]
) -> None:
    policies.new_version(project, by=None, batch_size=80, low_watermark=1, batch_rule="top_k", epsilon=0.3)
    draw(project, 0)
    answer(project, annotator, truths)
    found = accuracy.estimates(ModelVersion.objects.get())
    assert (found.active.value, found.active.verdict) == (None, "not_estimable")
    assert "determin" in found.active.reason or "chance" in found.active.reason
    assert found.audit.verdict == "good"


def test_draws_before_the_model_was_known_do_not_measure_it(
    project: Project, annotator: User, truths: dict[int, str]
) -> None:
    policies.new_version(project, by=None, batch_size=40, low_watermark=1, beta=1.0, epsilon=0.0)
    draw(project, 0)
    answer(project, annotator, truths)
    ModelVersion.objects.update(created_at=LATER + dt.timedelta(seconds=1))
    found = accuracy.estimates(ModelVersion.objects.get())
    assert (found.drawn, found.active.verdict) == (0, "not_estimable")


def test_an_open_task_ends_what_can_be_used(project: Project, annotator: User, truths: dict[int, str]) -> None:
    policies.new_version(project, by=None, batch_size=40, low_watermark=1, beta=1.0)
    run = draw(project, 0)
    waiting = AnnotationTask.objects.get(batch=run.batch, draw_rank=25)
    AnnotationTask.objects.filter(pk=waiting.pk).update(state=AnnotationTask.State.UNUSABLE, closed_at=LATER)
    answer(project, annotator, truths)
    found = accuracy.estimates(ModelVersion.objects.get())
    assert (found.active.n, found.drawn, found.answered) == (25, 40, 39)


def test_few_audit_labels_are_shown_and_not_quoted(project: Project, annotator: User, truths: dict[int, str]) -> None:
    policies.new_version(project, by=None, batch_size=20, low_watermark=1, epsilon=0.2)
    draw(project, 0)
    answer(project, annotator, truths)
    found = accuracy.estimates(ModelVersion.objects.get())
    assert 0 < found.audit.n < 10
    assert (found.audit.verdict, found.headline) == ("weak", None)


def test_the_api_names_the_model_and_says_what_to_trust(
    project: Project, annotator: User, truths: dict[int, str], owner_client: APIClient, annotator_client: APIClient
) -> None:
    policies.new_version(project, by=None, batch_size=80, low_watermark=1, beta=1.0, epsilon=0.4)
    draw(project, 0)
    answer(project, annotator, truths)
    said = owner_client.get(PATH).json()
    assert said["model_version"] == "champion"
    assert said["headline"]["verdict"] == "good"
    assert said["audit"]["low"] < said["audit"]["value"] < said["audit"]["high"]
    assert owner_client.get(PATH, {"model_version": "champion"}).json() == said
    missing = owner_client.get(PATH, {"model_version": "nobody"})
    assert (missing.status_code, missing.json()["code"]) == (404, "model_version_not_found")
    assert annotator_client.get(PATH).status_code == 403
    ModelVersion.objects.update(stage="retired")
    assert owner_client.get(PATH).status_code == 404


def test_the_cost_does_not_grow_with_the_labels(project: Project, annotator: User, truths: dict[int, str]) -> None:
    version = ModelVersion.objects.get()
    with CaptureQueriesContext(connection) as few:
        accuracy.estimates(version)
    policies.new_version(project, by=None, batch_size=100, low_watermark=1, epsilon=0.3)
    draw(project, 0)
    answer(project, annotator, truths)
    with CaptureQueriesContext(connection) as many:
        accuracy.estimates(version)
    assert len(many) <= len(few) + 1
    assert Item.objects.count() == 300
