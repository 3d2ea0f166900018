"""Estimates of a model's accuracy from real refills and answers, beside the truth."""

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from numpy.typing import NDArray
from rest_framework.test import APIClient

from datasets.estimation.wilson import proportion_interval
from datasets.services import accept
from datasets.services import accuracy as services
from labeling import selectors as labeling_selectors
from labeling.models import Annotation, AnnotationTask, Item, ModelVersion, PoolEntry, Project
from sampling.models import RefillRun
from sampling.services import policies, refill
from tests.factories import sampling as make
from training.services import accuracy, curve

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


def arrive(project: Project, *, first: int, count: int, accurate: float, hours: int) -> dict[int, str]:
    """Items that came so many hours after NOW, a fifth of them in the reserve, and predictions; their true classes."""
    items = Item.objects.bulk_create(
        Item(
            pk=first + number,
            project=project,
            key=f"item-{first + number}",
            payload={"text": f"text {number}"},
            bucket=10 if number % 5 == 0 else make.OUTSIDE_RESERVE,
            created_at=NOW + dt.timedelta(hours=hours),
        )
        for number in range(count)
    )
    PoolEntry.objects.bulk_create(PoolEntry(item=item, project=project, bucket=item.bucket) for item in items)
    rng = np.random.default_rng(first)
    sure = rng.uniform(0.6, 1.0, count)
    make.scores(ModelVersion.objects.get(), items, np.stack([sure, (1 - sure) * 0.6, (1 - sure) * 0.4], axis=1))
    return {item.pk: "cat" if rng.random() < accurate else "dog" for item in items}


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


def test_the_audit_slice_is_right_of_a_pool_that_grew_and_drifted_and_its_plain_mean_is_not(
    project: Project, annotator: User
) -> None:
    make.champion(project)
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP, created_at=NOW - dt.timedelta(days=1))
    policies.new_version(project, by=None, batch_size=150, low_watermark=1, epsilon=0.5)
    truths: dict[int, str] = {}
    # Two thirds come after the first of two refills, and the model is wrong on more of them.
    for seed, (count, accurate) in enumerate([(500, 0.95), (1_000, 0.4)]):
        truths |= arrive(project, first=21_000_000 + 1_000 * seed, count=count, accurate=accurate, hours=seed)
        run = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=seed)
        refill.execute(run.pk, now=NOW + dt.timedelta(hours=seed, minutes=30))
        answer(project, annotator, truths)
    truth = share(truths, list(truths))
    version = ModelVersion.objects.get()
    found = accuracy.estimates(version)
    audited = list(AnnotationTask.objects.filter(is_audit=True).values_list("item_id", flat=True))
    plain = proportion_interval(sum(truths[item] == "cat" for item in audited), len(audited))
    assert plain.low > truth
    for estimate in (found.audit, found.prediction_powered):
        assert estimate.value == pytest.approx(truth, abs=0.06)
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < truth < estimate.high
        assert estimate.n == len(audited)
        assert 30 < estimate.effective_n < estimate.n - 10
        assert estimate.verdict == "good"
    assert f"weighted by arrival: worth {found.audit.effective_n:.0f}" in found.audit.reason
    # Every figure of the audit slice is the same one.
    said = services.by_audit_labels(project, version)
    assert (said.value, said.low, said.high) == (found.audit.value, found.audit.low, found.audit.high)
    point = curve.record_audit_point(project, now=LATER)
    assert point is not None
    assert (point.accuracy, point.evaluated_on) == (found.audit.value, len(audited))


def test_items_that_came_after_the_last_draw_count_like_those_before_and_it_says_so(
    project: Project, annotator: User, truths: dict[int, str]
) -> None:
    policies.new_version(project, by=None, batch_size=60, low_watermark=1, epsilon=0.5)
    draw(project, 0)
    answer(project, annotator, truths)
    version = ModelVersion.objects.get()
    before = accuracy.estimates(version).audit
    arrive(project, first=22_000_000, count=100, accurate=0.1, hours=50)
    after = accuracy.estimates(version).audit
    assert (after.value, after.low, after.high) == (before.value, before.low, before.high)
    assert "came after" not in before.reason
    assert after.reason.endswith(
        "25% of the items came after those that have been drawn, and count like the newest of these."
    )


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
