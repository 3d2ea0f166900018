"""Refills that several workers share."""

import itertools

import numpy as np
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from datasets.services import accept
from labeling.models import AnnotationTask, Embedding, EmbeddingSpace, Item, ModelVersion, PoolEntry, Project
from labeling.services import annotation_queue
from sampling import tasks
from sampling.batch_rules.tallies import IDS_A_BLOCK
from sampling.models import RefillRun, RefillShard, Surrogate
from sampling.services import policies, pool, refill, scoring, sharding, surrogates
from tests.factories import datasets as dataset
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
ROWS = list[tuple[int, float | None, float | None, bool]]


@pytest.fixture
def wide(project: Project) -> list[Item]:
    """90 scored items spread over many blocks of ids, a ninth of them in the audit reserve."""
    items = Item.objects.bulk_create(
        Item(
            pk=10_000_000 + number * (IDS_A_BLOCK // 4),
            project=project,
            key=f"wide-{number:03}",
            payload={"text": f"text {number}"},
            bucket=10 if number % 9 == 0 else make.OUTSIDE_RESERVE,
        )
        for number in range(90)
    )
    PoolEntry.objects.bulk_create(PoolEntry(item=item, project=project, bucket=item.bucket) for item in items)
    version = make.champion(project)
    ModelVersion.objects.filter(pk=version.pk).update(origin=ModelVersion.Origin.APP)
    make.scores(version, items, np.random.default_rng(0).dirichlet(np.ones(3), 90))
    return items


def request(project: Project, *, replaces_open_tasks: bool = False) -> int:
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=3, replaces_open_tasks=replaces_open_tasks)
    return run.pk


def rows_of(run: RefillRun) -> ROWS:
    drawn = AnnotationTask.objects.filter(batch=run.batch).order_by("draw_rank")
    return list(drawn.values_list("item_id", "informativeness", "propensity", "is_audit"))


def check_that_shards_draw_as_one_worker(project: Project, *, items_a_shard: int) -> RefillRun:
    """Scores, batch and chances, to the last bit."""
    available = list(PoolEntry.objects.filter(state=PoolEntry.State.AVAILABLE).values_list("pk", flat=True))
    alone = refill.execute(request(project), now=NOW)
    expected = rows_of(alone)
    assert len(expected) == 20, alone.message
    AnnotationTask.objects.filter(batch=alone.batch).delete()
    PoolEntry.objects.filter(pk__in=available).update(state=PoolEntry.State.AVAILABLE)

    run_id = request(project)
    shards = refill.split(run_id, now=NOW, items_a_shard=items_a_shard)
    assert len(shards) > 2
    assert refill.split(run_id, now=NOW, items_a_shard=items_a_shard) == shards, "a second worker cuts nothing anew"
    assert refill.execute(run_id, now=NOW).state == "pending", "nothing is drawn before all are done"
    said = [sharding.summarise(shard, now=NOW) for shard in reversed(shards)]
    assert said == [None] * (len(shards) - 1) + [run_id]
    run = refill.execute(run_id, now=NOW)

    assert rows_of(run) == expected
    assert (run.state, run.pool_size, run.score_digest) == ("succeeded", len(available), alone.score_digest)
    assert (run.rule, run.surrogate) == (alone.rule, alone.surrogate)
    assert bytes(run.pool_record or b"") != b""
    assert not RefillShard.objects.exists()
    return run


@pytest.mark.parametrize("rule", ["stochastic", "softmax", "top_k"])
@pytest.mark.parametrize("items_a_shard", [10, 40])
def test_shards_give_the_batch_that_one_worker_gives(
    project: Project, wide: list[Item], rule: str, items_a_shard: int
) -> None:
    policies.new_version(project, by=None, batch_size=20, low_watermark=1, batch_rule=rule)
    check_that_shards_draw_as_one_worker(project, items_a_shard=items_a_shard)


@pytest.fixture
def with_vectors(project: Project, wide: list[Item], annotator: User) -> Surrogate:
    """64 numbers for every item, and a surrogate that learned from the labels of 30 items more."""
    labelled = [
        dataset.item(project, f"labelled-{number}", bucket=make.OUTSIDE_RESERVE if number % 5 else 10)
        for number in range(30)
    ]
    for number, item in enumerate(labelled):
        dataset.annotation(item, annotator, make.CLASSES[number % 3], is_audit=number % 5 == 0)
    accept.accept_pending(project.pk, now=NOW)
    items = [*wide, *labelled]
    space = EmbeddingSpace.objects.create(project=project, origin=EmbeddingSpace.Origin.APP, width=64, fitted_items=0)
    vectors = np.random.default_rng(1).standard_normal((len(items), 64)).astype("<f2")
    Embedding.objects.bulk_create(
        Embedding(item=item, project=project, space=space, vector=vector.tobytes())
        for item, vector in zip(items, vectors, strict=True)
    )
    policies.new_version(project, by=None, score_source="surrogate")
    trained = surrogates.train(project, now=NOW)
    assert trained is not None
    assert trained.state == "ready", trained.message
    return trained


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [
        ("margin", "stochastic"),
        ("bald", "stochastic"),
        ("kl_disagreement", "top_k"),
        ("expected_model_change", "cluster_quotas"),
        ("consensus_entropy", "k_center"),
        ("margin", "badge"),
        ("margin", "facility_location"),
    ],
)
def test_shards_that_a_surrogate_scores_give_what_one_worker_gives(
    project: Project, with_vectors: Surrogate, strategy: str, rule: str
) -> None:
    policies.new_version(
        project, by=None, batch_size=20, low_watermark=1, strategy=strategy, batch_rule=rule, shortlist_factor=2
    )
    run = check_that_shards_draw_as_one_worker(project, items_a_shard=1)
    assert (run.surrogate, run.phase, run.rule) == (with_vectors, "active", rule)


@pytest.mark.parametrize("rule", ["k_means_plus_plus", "stochastic_clusters"])
def test_shards_that_a_champion_scores_give_the_diverse_batch_of_one_worker(
    project: Project, with_vectors: Surrogate, rule: str
) -> None:
    policies.new_version(
        project, by=None, batch_size=20, low_watermark=1, score_source="champion", batch_rule=rule, shortlist_factor=2
    )
    run = check_that_shards_draw_as_one_worker(project, items_a_shard=10)
    assert (run.surrogate, run.rule) == (None, rule)


@pytest.mark.parametrize("rule", ["typicality", "k_center_cold", "probability_coverage"])
def test_shards_of_a_cold_start_give_the_batch_of_one_worker(
    project: Project, with_vectors: Surrogate, rule: str
) -> None:
    policies.new_version(
        project, by=None, batch_size=20, low_watermark=1, cold_start=rule, hand_over_labels_per_class=50
    )
    assert check_that_shards_draw_as_one_worker(project, items_a_shard=10).phase == "cold_start"


def test_a_pool_larger_than_the_budget_is_read_range_by_range(
    project: Project, wide: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = policies.current_policy(project)
    whole = scoring.score_and_draw(project, policy, size=15, seed=4)
    monkeypatch.setattr(scoring, "ITEMS_A_RANGE", 12)
    assert len(scoring.ranges(project)) > 4
    streamed = scoring.score_and_draw(project, policy, size=15, seed=4)
    np.testing.assert_array_equal(streamed.batch.item_ids, whole.batch.item_ids)
    np.testing.assert_array_equal(streamed.batch.propensity, whole.batch.propensity)


def test_ranges_are_whole_blocks_and_cover_every_id(project: Project, wide: list[Item]) -> None:
    cut = pool.ranges(project.pk, items_a_range=10)
    assert cut[0].first == 0
    assert cut[-1].end == 2**63 - 1
    assert all(one.end == other.first for one, other in itertools.pairwise(cut))
    assert all(each.first % IDS_A_BLOCK == 0 for each in cut)
    assert len(pool.ranges(project.pk, items_a_range=10**9)) == 1


def test_the_workers_share_a_run_and_the_last_one_draws(
    project: Project, wide: list[Item], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFILL_ITEMS_PER_SHARD = 30
    woken: list[tuple[str, int]] = []
    monkeypatch.setattr(tasks, "wake", lambda name, number: woken.append((name, number)))
    run_id = request(project)
    tasks.run_refill(run_id)
    assert {name for name, _ in woken} == {tasks.SCORE_SHARD}
    for _, shard in woken:
        tasks.score_shard(shard)
        tasks.score_shard(shard)  # a message that comes twice
    run = RefillRun.objects.get(pk=run_id)
    assert (run.state, run.selected_count) == ("succeeded", 90)


def test_a_shard_whose_worker_died_is_handed_out_again_and_given_up_in_the_end(
    project: Project, wide: list[Item], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFILL_ITEMS_PER_SHARD = 30
    woken: list[int] = []
    monkeypatch.setattr(tasks, "wake", lambda name, number: woken.append(number))
    run_id = request(project)
    tasks.run_refill(run_id)
    first, *others = woken
    for shard in others:
        tasks.score_shard(shard)
    woken.clear()
    tasks.sweep_refills()
    assert woken == [first]

    RefillShard.objects.filter(pk=first).update(attempts=sharding.MOST_ATTEMPTS)
    tasks.score_shard(first)
    run = RefillRun.objects.get(pk=run_id)
    assert (run.state, "begun 5 times" in run.message) == ("failed", True)
    assert not AnnotationTask.objects.exists()


def test_what_changes_while_the_shards_work_is_neither_doubled_nor_wrong(
    project: Project, wide: list[Item], annotator: User
) -> None:
    policies.new_version(project, by=None, batch_size=10, low_watermark=1)
    refill.execute(request(project), now=NOW)
    (leased,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    run_id = request(project, replaces_open_tasks=True)
    shards = refill.split(run_id, now=NOW, items_a_shard=30)
    for shard in shards:
        sharding.summarise(shard, now=NOW)
    # Meanwhile somebody else queues the item that would have been drawn first.
    plan = scoring.plan_of(RefillRun.objects.get(pk=run_id))
    drawn = scoring.draw(plan, sharding.parts(RefillRun.objects.get(pk=run_id)))
    taken = int(drawn.batch.item_ids[0])
    PoolEntry.objects.filter(item=taken).update(state=PoolEntry.State.ANSWERED)
    run = refill.execute(run_id, now=NOW)
    items = [row[0] for row in rows_of(run)]
    assert taken not in items
    assert leased.item_id not in items
    assert len(items) == len(set(items)) == run.selected_count == 8
    assert run.withdrawn_count == 9


def test_a_wrong_score_in_one_shard_fails_the_run_by_name(
    project: Project, wide: list[Item], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFILL_ITEMS_PER_SHARD = 30
    bad = np.array([0.9, 0.9, 0.9], dtype="<f4").tobytes()
    PoolEntry.objects.filter(item=wide[70]).update(probabilities=bad)
    woken: list[int] = []
    monkeypatch.setattr(tasks, "wake", lambda name, number: woken.append(number))
    run_id = request(project)
    tasks.run_refill(run_id)
    for shard in woken:
        tasks.score_shard(shard)
    run = RefillRun.objects.get(pk=run_id)
    assert run.state == "failed"
    assert f"item {wide[70].pk}" in run.message
