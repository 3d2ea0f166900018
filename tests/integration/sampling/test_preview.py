"""What a policy would ask next, before it is put in force."""

import re

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Project
from sampling.errors import InvalidPolicy
from sampling.models import QueuePolicy, RefillRun
from sampling.services import features, policies, preview, refill
from sampling.services import pool as pool_service
from sampling.services.pool import IdRange
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

PATH = "/api/v1/projects/pets/queue-policies/preview"


@pytest.fixture
def pool(project: Project) -> list[Item]:
    """200 items of an app's model, a tenth in the reserve, of two countries; some are the same."""
    items = make.scored_pool(project, 200, buckets=[10 if n % 10 == 0 else make.OUTSIDE_RESERVE for n in range(200)])
    for number, item in enumerate(items):
        item.segments = {"country": "de" if number % 4 else "fr"}
        item.payload = {"text": f"words {number % 198} and {'cat' if number % 3 else 'dog'}"}
    Item.objects.bulk_update(items, ["segments", "payload"])
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP)
    return items


def test_it_shows_the_batch_that_a_refill_then_draws(project: Project, pool: list[Item]) -> None:
    said = preview.preview(project, batch_size=30, low_watermark=1, beta=4.0)
    assert not AnnotationTask.objects.exists()
    assert not RefillRun.objects.exists()
    assert QueuePolicy.objects.count() == 1, "the preview put nothing in force"

    policies.new_version(project, by=None, batch_size=30, low_watermark=1, beta=4.0)
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=preview.PREVIEW_SEED)
    done = refill.execute(run.pk, now=make.NOW)
    tasks = list(AnnotationTask.objects.filter(batch=done.batch).order_by("draw_rank").select_related("item"))
    assert [item.key for item in said.items] == [task.item.key for task in tasks[:10]]
    assert [item.chance for item in said.items] == pytest.approx([task.propensity for task in tasks[:10]])
    assert (said.size, said.audit_count, said.pool_size) == (30, done.audit_count, 200)
    assert [item.reason for item in said.items] == [task.reason for task in tasks[:10]]
    assert said.phase_reason == done.phase_reason


def test_its_figures_are_those_of_the_batch_and_the_pool(project: Project, pool: list[Item]) -> None:
    said = preview.preview(project, batch_size=40, low_watermark=1)
    assert sum(said.pool_histogram) == 180
    assert sum(said.batch_histogram) == 40 - said.audit_count
    assert sum(said.chances) == 40
    assert said.has_chances
    assert said.mean_informativeness is not None
    assert said.pool_informativeness is not None
    assert said.relative_informativeness == pytest.approx(said.mean_informativeness / said.pool_informativeness)
    assert said.mean_informativeness > 1.3 * said.pool_informativeness
    assert sum(share.in_batch for share in said.classes) == pytest.approx(1.0)
    (country,) = said.segments.values()
    assert {share.name: share.elsewhere for share in country} == {"de": 0.75, "fr": 0.25}


def test_deterministic_rules_and_near_duplicates_are_pointed_out(project: Project, pool: list[Item]) -> None:
    features.build(project, now=make.NOW)
    said = preview.preview(project, batch_rule="top_k", batch_size=200, low_watermark=1)
    assert not said.has_chances
    assert said.duplicate_count >= 1
    assert tuple(sorted((pool[0].key, pool[198].key))) in [tuple(sorted(pair)) for pair in said.duplicates]


def test_a_pool_without_scores_or_items(project: Project) -> None:
    empty = preview.preview(project)
    assert (empty.size, empty.items, empty.relative_informativeness, empty.classes) == (0, [], None, [])
    make.pool(project, 20)
    said = preview.preview(project, batch_size=5, low_watermark=1)
    assert (said.size, said.unscored_count, said.scored_by) == (5, 5, "no model")
    assert "have no vectors yet" in said.remark


def test_of_a_huge_pool_the_first_range_is_looked_at(
    project: Project, pool: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = IdRange(0, pool[99].pk + 1)
    asked: list[int] = []

    def ranges(project_id: int, *, items_a_range: int) -> list[IdRange]:
        asked.append(items_a_range)
        return [one, IdRange(one.end, 2**62)]

    monkeypatch.setattr(pool_service, "ranges", ranges)
    said = preview.preview(project)
    assert asked == [preview.ITEMS_LOOKED_AT]
    assert said.pool_size == 100
    assert said.remark == "Only the oldest 100 items of this large pool were looked at."


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "informative: stochastic"),
        ({"batch_rule": "top_k"}, "informative: top_k"),
        ({"strategy": "uniform"}, "at random"),
        ({"hand_over_labels_per_class": 50, "cold_start": "uniform"}, "at random"),
        ({"hand_over_labels_per_class": 50}, "cold start: typicality"),
    ],
)
def test_the_page_names_what_chose_an_item(
    owner: User, project: Project, pool: list[Item], changes: dict[str, object], why: str
) -> None:
    if "hand_over_labels_per_class" in changes:
        ModelVersion.objects.update(origin=ModelVersion.Origin.TRAINER)
        features.build(project, now=make.NOW)
    client = Client()
    client.force_login(owner)
    form = {
        "action": "preview", "strategy": "margin", "score_source": "auto", "batch_rule": "stochastic", "beta": "3",
        "epsilon": "0.1", "batch_size": "25", "low_watermark": "5", "answers_per_item": "1", "cold_start": "typicality",
        "hand_over_labels_per_class": "5", "shortlist_factor": "10", "stop_below_gain": "0.002", **changes,
    }  # fmt: skip
    page = client.post(reverse("queue", args=["pets"]), form, headers={"HX-Request": "true"}).content.decode()
    shown = set(re.findall(r'data-label="Why">([^<]*)<', page))
    assert shown - {"random audit"} == {why}


def test_a_wrong_policy_is_refused_by_its_fields(project: Project, owner_client: APIClient) -> None:
    with pytest.raises(InvalidPolicy):
        preview.preview(project, beta=99.0)
    answer = owner_client.post(PATH, {"beta": 99, "batch_size": 0}, format="json")
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"beta", "batch_size", "low_watermark"}


def test_wrong_predictions_are_a_refusal_and_no_crash(
    project: Project, pool: list[Item], owner_client: APIClient
) -> None:
    bad = np.array([0.9, 0.9, 0.9], dtype="<f4").tobytes()
    PoolEntry.objects.filter(item=pool[5]).update(probabilities=bad)
    answer = owner_client.post(PATH, {}, format="json")
    assert answer.status_code == 400
    assert f"item {pool[5].pk}" in answer.json()["message"]


def test_only_managers_preview(annotator_client: APIClient, owner_client: APIClient, pool: list[Item]) -> None:
    assert annotator_client.post(PATH, {}, format="json").status_code == 403
    answer = owner_client.post(PATH, {"strategy": "entropy"}, format="json")
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 10


def test_the_page_previews_what_is_in_the_form(owner: User, project: Project, pool: list[Item]) -> None:
    client = Client()
    client.force_login(owner)
    form = {
        "action": "preview", "strategy": "margin", "score_source": "auto", "batch_rule": "softmax", "beta": "3", "epsilon": "0.1",
        "batch_size": "25", "low_watermark": "5", "answers_per_item": "1", "cold_start": "uniform",
        "hand_over_labels_per_class": "5", "shortlist_factor": "10", "stop_below_gain": "0.002", "falls_back": "on",
    }  # fmt: skip
    page = client.post(reverse("queue", args=["pets"]), form)
    assert page.status_code == 200
    assert "The next batch would be" in page.content.decode()
    assert 'value="softmax" selected' in page.content.decode()
    fragment = client.post(reverse("queue", args=["pets"]), form, headers={"HX-Request": "true"}).content.decode()
    assert "The next batch would be" in fragment
    assert "<html" not in fragment
    refused = client.post(
        reverse("queue", args=["pets"]), {**form, "beta": "99"}, headers={"HX-Request": "true"}
    ).content.decode()
    assert "Sharpness" in refused
    assert "less than or equal to 50" in refused
    assert QueuePolicy.objects.count() == 1
