"""Batches drawn from summaries of a pool that was cut into ranges."""

import itertools
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sampling import pool_summary
from sampling.batch_rules.candidates import Candidates, Parameters
from sampling.batch_rules.registry import RULES, BatchRule
from sampling.batch_rules.tallies import IDS_A_BLOCK
from sampling.pool_summary import Batch, PoolSummary

EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
PARAMETERS = Parameters(beta=4.0, shortlist_factor=3, sample_size=200)


class Pool:
    """Items spread over five blocks of ids, some in the reserve, some without a score."""

    def __init__(self, n: int = 700, *, seed: int = 0, unscored: float = 0.2) -> None:
        rng = np.random.default_rng(seed)
        self.ids = rng.choice(5 * IDS_A_BLOCK, size=n, replace=False).astype(np.int64)
        self.in_reserve = rng.random(n) < 0.15
        self.scores = rng.random(n, dtype=np.float32)
        self.scores[rng.random(n) < unscored] = np.nan
        self.vectors = rng.standard_normal((n, 5)).astype(np.float16)
        self.predictions = rng.dirichlet(np.ones(3), size=n).astype(np.float32)

    def summary(self, rule: BatchRule, rows: NDArray[np.bool_] | None = None, *, size: int = 12) -> PoolSummary:
        rows = np.ones(len(self.ids), dtype=np.bool_) if rows is None else rows
        return pool_summary.summarise(
            *(self.ids[rows], self.in_reserve[rows], self.scores[rows]),
            rule=rule,
            size=size,
            seed=5,
            parameters=PARAMETERS,
        )

    def complete(self, candidates: Candidates) -> Candidates:
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids[order], candidates.item_ids)]
        return replace(candidates, embeddings=self.vectors[rows], predictions=self.predictions[rows])

    def draw(self, summary: PoolSummary, rule: BatchRule, *, size: int = 12, epsilon: float = 0.2) -> Batch:
        return pool_summary.draw(
            *(summary,),
            rule=rule,
            size=size,
            epsilon=epsilon,
            seed=9,
            parameters=PARAMETERS,
            complete=self.complete,
        )


def assert_equal(one: Batch, other: Batch) -> None:
    for field in fields(Batch):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@EVERY_RULE
@pytest.mark.parametrize("cuts", [[1], [2, 4], [1, 2, 3, 4]])
def test_a_pool_cut_into_ranges_gives_the_same_batch_bit_for_bit(rule: BatchRule, cuts: list[int]) -> None:
    pool = Pool()
    whole = pool.summary(rule)
    bounds = [0, *(cut * IDS_A_BLOCK for cut in cuts), 5 * IDS_A_BLOCK]
    parts = [pool.summary(rule, (pool.ids >= begin) & (pool.ids < end)) for begin, end in itertools.pairwise(bounds)]
    merged = pool_summary.merge([pool_summary.loads(pool_summary.dumps(part)) for part in reversed(parts)])
    assert merged.digest == whole.digest
    np.testing.assert_array_equal(merged.histogram, whole.histogram)
    assert_equal(pool.draw(merged, rule), pool.draw(whole, rule))


@EVERY_RULE
def test_the_order_of_the_rows_does_not_matter(rule: BatchRule) -> None:
    pool, shuffled = Pool(), Pool()
    order = np.random.default_rng(3).permutation(len(pool.ids))
    shuffled.ids, shuffled.in_reserve, shuffled.scores = pool.ids[order], pool.in_reserve[order], pool.scores[order]
    one, other = pool.summary(rule), shuffled.summary(rule)
    assert one.digest == other.digest
    assert_equal(pool.draw(one, rule), pool.draw(other, rule))


@EVERY_RULE
@pytest.mark.parametrize("unscored", [0.0, 0.5, 1.0])
def test_a_batch_names_each_item_once_with_its_own_score_and_group(rule: BatchRule, unscored: float) -> None:
    pool = Pool(unscored=unscored)
    batch = pool.draw(pool.summary(rule, size=40), rule, size=40)
    assert len(set(batch.item_ids.tolist())) == 40
    place = {int(item): row for row, item in enumerate(pool.ids)}
    rows = np.array([place[int(item)] for item in batch.item_ids])
    np.testing.assert_array_equal(batch.informativeness, pool.scores[rows])
    np.testing.assert_array_equal(batch.is_audit, pool.in_reserve[rows])
    assert (batch.propensity[batch.is_audit] > 0).all()
    assert np.isnan(batch.propensity[~batch.is_audit]).any() != rule.has_propensities


@pytest.mark.parametrize(("n", "size"), [(0, 5), (1, 1), (3, 10), (30, 0)])
@EVERY_RULE
def test_small_pools_are_drawn_empty(rule: BatchRule, n: int, size: int) -> None:
    pool = Pool(n)
    batch = pool.draw(pool.summary(rule, size=size), rule, size=size)
    assert len(batch.item_ids) == min(n, size)


def test_items_are_drawn_as_often_as_their_weights_say() -> None:
    ids = np.arange(6, dtype=np.int64) * 7
    scores = np.array([0.9, 0.5, 0.3, np.nan, 0.8, 0.1], dtype=np.float32)
    in_reserve = np.array([False, False, False, False, True, True])
    rule, parameters = RULES["stochastic"], Parameters(beta=2.0)
    counts: Counter[int] = Counter()
    proposals: dict[int, float] = {}
    for seed in range(6_000):
        summary = pool_summary.summarise(ids, in_reserve, scores, rule=rule, size=2, seed=seed, parameters=parameters)
        batch = pool_summary.draw(
            *(summary,), rule=rule, size=2, epsilon=0.25, seed=seed, parameters=parameters, complete=lambda each: each
        )
        counts[int(batch.item_ids[0])] += 1
        proposals[int(batch.item_ids[0])] = float(batch.proposal[0])
    weights = np.array([0.81, 0.25, 0.09, (0.81 + 0.25 + 0.09) / 3])
    expected = [*(0.75 * weights / weights.sum()), 0.125, 0.125]
    np.testing.assert_allclose([proposals[int(item)] for item in ids], expected, rtol=1e-6)
    np.testing.assert_allclose([counts[int(item)] / 6_000 for item in ids], expected, atol=0.025)


def test_the_second_draw_knows_what_the_first_took() -> None:
    pool, rule = Pool(40, unscored=0.0), RULES["stochastic"]
    batch = pool.draw(pool.summary(rule, size=40), rule, size=40, epsilon=0.0)
    place = {int(item): row for row, item in enumerate(pool.ids)}
    weights = np.array([max(float(pool.scores[place[int(item)]]), 1e-3) ** 4.0 for item in batch.item_ids])
    left = np.cumsum(weights[::-1])[::-1]
    np.testing.assert_allclose(batch.propensity, weights / left, rtol=1e-9)


def test_a_changed_score_changes_the_digest() -> None:
    pool, rule = Pool(), RULES["stochastic"]
    before = pool.summary(rule).digest
    row = int(np.flatnonzero(~np.isnan(pool.scores))[0])
    pool.scores[row] = np.nextafter(pool.scores[row], np.float32(2))
    assert pool.summary(rule).digest != before


def test_what_is_wrong_with_the_pool_is_named() -> None:
    pool, rule = Pool(20), RULES["stochastic"]
    pool.ids[3] = pool.ids[7]
    with pytest.raises(ValueError, match=f"item {pool.ids[3]} comes more than once"):
        pool.summary(rule)
    pool = Pool(20, unscored=0.0)
    pool.scores[2] = 1.5
    with pytest.raises(ValueError, match="informativeness must lie in"):
        pool.summary(rule)
    one = Pool(20).summary(rule)
    with pytest.raises(ValueError, match="in more than one part"):
        pool_summary.merge([one, one])
    with pytest.raises(ValueError, match="nothing to merge"):
        pool_summary.merge([])
