"""Shares of strata: exact chances, met in the long run."""

import numpy as np
import pytest

from sampling import pool_summary
from sampling.batch_rules.candidates import Parameters
from sampling.batch_rules.registry import RULES
from sampling.batch_rules.segment_quotas import draw_strata


def test_strata_come_as_often_as_their_shares_say() -> None:
    drawn = [draw_strata([1_000, 1_000, 1_000], [0.5, 0.3, 0.2], size=100, seed=seed) for seed in range(50)]
    counts = np.bincount(np.concatenate([each.of for each in drawn]), minlength=3) / 5_000
    np.testing.assert_allclose(counts, [0.5, 0.3, 0.2], atol=0.03)
    np.testing.assert_allclose(drawn[0].chance, np.array([0.5, 0.3, 0.2])[drawn[0].of])
    np.testing.assert_allclose(drawn[0].first, [0.5, 0.3, 0.2])


def test_a_stratum_that_is_used_up_leaves_its_share_to_the_others() -> None:
    drawn = draw_strata([2, 0, 50], [0.6, 0.3, 0.1], size=30, seed=1)
    assert np.bincount(drawn.of, minlength=3).tolist() == [2, 0, 28]
    np.testing.assert_allclose(drawn.first, [6 / 7, 0.0, 1 / 7])
    second = int(np.flatnonzero(drawn.of == 0)[1])
    np.testing.assert_allclose(drawn.chance[second + 1 :], 1.0)


def test_strata_without_a_share_come_when_nothing_else_is_left() -> None:
    drawn = draw_strata([1, 3], [1.0, 0.0], size=4, seed=0)
    assert drawn.of.tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(drawn.chance, 1.0)


def test_one_stratum_is_no_choice_and_the_seed_decides() -> None:
    np.testing.assert_array_equal(draw_strata([5], [1.0], size=5, seed=3).chance, np.ones(5))
    one, same = (draw_strata([9, 9], [0.5, 0.5], size=12, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.of, same.of)
    assert draw_strata([0, 0], [0.5, 0.5], size=0, seed=0).of.tolist() == []


@pytest.mark.parametrize("shares", [[0.5], [0.5, -0.1], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_wrong_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        draw_strata([3, 3], shares, size=1, seed=0)
    with pytest.raises(ValueError, match="more than the 6 items"):
        draw_strata([3, 3], [0.5, 0.5], size=7, seed=0)


def test_the_chance_of_an_item_is_that_of_its_stratum_and_of_it_within() -> None:
    ids = np.arange(6, dtype=np.int64)
    scores = np.array([0.9, 0.3, 0.6, 0.6, 0.2, 0.8], dtype=np.float32)
    strata = np.array([0, 0, 1, 1, 1, 1])
    rule, parameters, shares = RULES["stochastic"], Parameters(beta=1.0), [0.7, 0.3]
    firsts = np.zeros(6)
    expected = np.concatenate([0.7 * scores[:2] / scores[:2].sum(), 0.3 * scores[2:] / scores[2:].sum()])
    for seed in range(5_000):
        summary = pool_summary.summarise(
            *(ids, np.zeros(6, dtype=np.bool_), scores),
            rule=rule, size=3, seed=seed, parameters=parameters, strata=strata, n_strata=2,
        )  # fmt: skip
        batch = pool_summary.draw(
            summary, rule=rule, size=3, epsilon=0.0, seed=seed, parameters=parameters, complete=lambda each: each,
            shares=shares,
        )  # fmt: skip
        first = int(batch.item_ids[0])
        firsts[first] += 1
        assert batch.propensity[0] == pytest.approx(expected[first], rel=1e-6)
        assert batch.proposal[0] == pytest.approx(expected[first], rel=1e-6)
    np.testing.assert_allclose(firsts / 5_000, expected, atol=0.025)
