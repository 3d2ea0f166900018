"""Refills by the rules that look at vectors, and the phases of a queue."""

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from labeling.models import AnnotationTask, Embedding, EmbeddingSpace, Item, ModelVersion, Project
from labeling.services import intake
from sampling import tasks
from sampling.batch_rules.registry import RULES
from sampling.errors import InvalidPolicy
from sampling.models import QueuePolicy, RefillRun
from sampling.services import features, policies, refill, scoring
from tests.factories import kinds

pytestmark = pytest.mark.django_db

TOPICS = [
    "my card was lost in",
    "exchange some money into",
    "what is the fee for a transfer to",
    "open an account with",
]


@pytest.fixture
def texts(project: Project) -> list[str]:
    """40 items of four topics, none scored."""
    rows = [{"key": f"t{number}", "payload": {"text": f"{TOPICS[number % 4]} {number}"}} for number in range(40)]
    report = intake.record_items(project, rows)
    assert report.created == 40
    return [str(row["key"]) for row in rows]


def _run(project: Project, *, seed: int = 1) -> RefillRun:
    requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=seed)
    return refill.execute(requested.pk, now=timezone.now())


def _score(project: Project, *, origin: ModelVersion.Origin) -> ModelVersion:
    version = intake.register_model_version(project, name="scorer", classes=["cat", "dog"], origin=origin)
    ids = np.array(sorted(Item.objects.filter(project=project).values_list("pk", flat=True)), dtype=np.int64)
    first = np.random.default_rng(0).uniform(0.0, 1.0, len(ids)).astype(np.float32)
    intake.set_champion(version, now=timezone.now())
    intake.record_prediction_arrays(version, item_ids=ids, probabilities=np.stack([first, 1 - first], axis=1))
    return version


def test_cold_start_asks_for_typical_items_of_every_topic(project: Project, texts: list[str]) -> None:
    policies.new_version(project, by=None, batch_size=8, low_watermark=1, epsilon=0.0)
    assert features.is_wanted(project)
    tasks.make_features(project.pk)
    assert Embedding.objects.filter(project=project).count() == 40
    run = _run(project)
    assert (run.state, run.phase) == (RefillRun.State.SUCCEEDED, RefillRun.Phase.COLD_START), run.message
    assert run.space == features.current_space(project)
    drawn = AnnotationTask.objects.filter(batch=run.batch).select_related("item")
    assert {task.reason for task in drawn} == {AnnotationTask.Reason.COLD_START}
    assert {task.propensity for task in drawn} == {None}
    assert len({str(task.item.payload["text"])[:10] for task in drawn}) == 4


def test_without_vectors_cold_start_is_uniform_and_says_so(project: Project, texts: list[str]) -> None:
    policies.new_version(project, by=None, batch_size=10, low_watermark=1)
    run = _run(project)
    assert (run.selected_count, run.phase) == (10, RefillRun.Phase.COLD_START)
    assert "have no vectors yet" in run.message
    assert "uniform" in run.message
    drawn = AnnotationTask.objects.filter(batch=run.batch, propensity__gt=0)
    assert drawn.count() == 10
    assert {task.reason for task in drawn if not task.is_audit} == {AnnotationTask.Reason.RANDOM}


def test_the_doubt_of_an_apps_own_model_counts_from_the_start(project: Project, texts: list[str]) -> None:
    _score(project, origin=ModelVersion.Origin.APP)
    assert not features.is_wanted(project)
    run = _run(project)
    assert run.phase == RefillRun.Phase.ACTIVE
    assert "app's own model" in run.phase_reason


def test_a_model_of_our_own_waits_for_labels(project: Project, texts: list[str]) -> None:
    _score(project, origin=ModelVersion.Origin.TRAINER)
    policies.new_version(project, by=None, batch_size=4, low_watermark=1)
    run = _run(project)
    assert run.phase == RefillRun.Phase.COLD_START
    assert "no label yet" in run.phase_reason
    policies.new_version(project, by=None, hand_over_labels_per_class=0)
    assert scoring.score_and_draw(project, policies.current_policy(project), size=5, seed=1).plan.phase == "active"


def test_a_diverse_batch_is_the_same_for_the_same_seed_and_never_doubles(project: Project, texts: list[str]) -> None:
    _score(project, origin=ModelVersion.Origin.APP)
    policy = policies.new_version(project, by=None, batch_rule="cluster_quotas", epsilon=0.2)
    assert features.is_wanted(project)
    features.build(project, now=timezone.now())
    one, same = (scoring.score_and_draw(project, policy, size=12, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.batch.item_ids, same.batch.item_ids)
    assert len(set(one.batch.item_ids.tolist())) == 12
    assert np.isnan(one.batch.propensity[~one.batch.is_audit]).all()
    assert (one.batch.propensity[one.batch.is_audit] > 0).all()
    assert _run(project).message == ""


def test_building_vectors_twice_changes_nothing_and_new_items_follow(project: Project, texts: list[str]) -> None:
    space = features.build(project, now=timezone.now())
    assert space is not None
    before = dict(Embedding.objects.values_list("item_id", "vector"))
    assert features.build(project, now=timezone.now()) == space
    assert dict(Embedding.objects.values_list("item_id", "vector")) == before
    intake.record_items(project, [{"key": "late", "payload": {"text": "my card was lost in rome"}}])
    features.build(project, now=timezone.now())
    assert Embedding.objects.filter(item__key="late", space=space).exists()


def test_a_pool_that_doubled_is_fitted_anew(project: Project, texts: list[str]) -> None:
    first = features.build(project, now=timezone.now())
    intake.record_items(project, [{"key": f"n{n}", "payload": {"text": f"new topic {n} of sports"}} for n in range(40)])
    second = features.build(project, now=timezone.now())
    assert first is not None
    assert second is not None
    assert second.pk > first.pk
    assert set(Embedding.objects.values_list("space_id", flat=True)) == {second.pk}


def test_vectors_of_the_app_win_and_nothing_is_fitted(project: Project, texts: list[str]) -> None:
    space = EmbeddingSpace.objects.create(project=project, origin=EmbeddingSpace.Origin.APP, width=2)
    assert features.build(project, now=timezone.now()) == space
    assert not Embedding.objects.exists()


def test_payloads_without_text_or_numbers_get_no_vectors(project: Project, owner: User) -> None:
    intake.record_items(project, [{"key": f"i{n}", "payload": {"image": f"https://x/{n}.png"}} for n in range(3)])
    assert features.build(project, now=timezone.now()) is None
    assert not EmbeddingSpace.objects.exists()


@pytest.mark.parametrize("rule", sorted(name for name in QueuePolicy.BatchRule.values))
def test_every_rule_of_a_policy_fills_the_queue(project: Project, texts: list[str], rule: str) -> None:
    _score(project, origin=ModelVersion.Origin.APP)
    features.build(project, now=timezone.now())
    policies.new_version(project, by=None, batch_rule=rule, batch_size=12, low_watermark=1)
    run = _run(project)
    assert (run.state, run.rule, run.message, run.selected_count) == ("succeeded", rule, "", 12)
    assert AnnotationTask.objects.filter(batch=run.batch).values("item").distinct().count() == 12


@pytest.mark.parametrize("rule", sorted(name for name in QueuePolicy.ColdStart.values))
def test_every_cold_start_fills_the_queue(project: Project, texts: list[str], rule: str) -> None:
    features.build(project, now=timezone.now())
    policies.new_version(project, by=None, cold_start=rule, batch_size=12, low_watermark=1)
    run = _run(project)
    assert (run.state, run.rule, run.message, run.selected_count) == ("succeeded", rule, "", 12)


def test_a_rule_that_needs_class_probabilities_is_refused_where_there_are_none(annotator: User) -> None:
    spans = kinds.project("spans", annotator=annotator)
    with pytest.raises(InvalidPolicy) as refused:
        policies.new_version(spans, by=None, batch_rule="badge")
    assert "needs class probabilities" in refused.value.fields["batch_rule"]


def test_the_registry_and_the_policy_name_the_same_rules() -> None:
    cold = {name for name, rule in RULES.items() if rule.is_cold_start}
    assert set(QueuePolicy.ColdStart.values) == cold
    assert set(QueuePolicy.BatchRule.values) == set(RULES) - cold
