"""Drawn batches: what they hold, what they report, and that chance behaves as reported."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sampling.selection import Draw, draw_batch, draw_top_k

SCORES = np.array([0.9, 0.2, 0.6, 0.5, 0.4, 0.0, 1.0], dtype=np.float32)
RESERVE = np.array([False, False, True, False, True, True, False])


def _chance_of_next(drawn: list[int], item: int, scores: NDArray[np.float32], beta: float, epsilon: float) -> float:
    """The probability of `item` after `drawn`, straight from the definition, one item at a time."""
    left = [index for index in range(len(scores)) if index not in drawn]
    active = [index for index in left if not RESERVE[index]]
    reserve = [index for index in left if RESERVE[index]]
    if RESERVE[item]:
        return (epsilon if active else 1.0) / len(reserve)
    weight: dict[int, float] = {index: max(float(scores[index]), 1e-3) ** beta for index in active}
    return (1.0 - epsilon if reserve else 1.0) * weight[item] / sum(weight.values())


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
@pytest.mark.parametrize("epsilon", [0.1, 0.7])
def test_every_draw_reports_its_exact_probability_given_the_draws_before(
    size: int, beta: float, epsilon: float
) -> None:
    for seed in range(50):
        draw = draw_batch(SCORES, RESERVE, size=size, beta=beta, epsilon=epsilon, rng=np.random.default_rng(seed))
        order = draw.index.tolist()
        for position, item in enumerate(order):
            chance = _chance_of_next(order[:position], item, SCORES, beta, epsilon)
            assert draw.propensity[position] == pytest.approx(chance, rel=1e-9)
            assert draw.proposal[position] == pytest.approx(_chance_of_next([], item, SCORES, beta, epsilon), rel=1e-9)
        np.testing.assert_array_equal(draw.is_audit, RESERVE[draw.index])


def test_every_ordered_triple_comes_up_as_often_as_its_probability_says() -> None:
    beta, epsilon, repetitions = 2.0, 0.3, 40_000
    rng = np.random.default_rng(5)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(repetitions):
        triple = tuple(draw_batch(SCORES, RESERVE, size=3, beta=beta, epsilon=epsilon, rng=rng).index.tolist())
        counts[triple] = counts.get(triple, 0) + 1
    total_chance = 0.0
    squares = 0.0
    cells = 0
    for triple in permutations(range(7), 3):
        chance = 1.0
        for position, item in enumerate(triple):
            chance *= _chance_of_next(list(triple[:position]), item, SCORES, beta, epsilon)
        total_chance += chance
        expected = repetitions * chance
        if expected >= 5.0:
            squares += (counts.get(triple, 0) - expected) ** 2 / expected
            cells += 1
    assert total_chance == pytest.approx(1.0)
    # A chi-squared variable with `cells` degrees of freedom has standard deviation sqrt(2 cells).
    assert cells > 100
    assert abs(squares - cells) < 4 * np.sqrt(2 * cells)


def test_in_a_large_pool_the_first_draws_follow_the_proposal() -> None:
    # Scores in ten groups of 10,000: what decides are the very smallest of 100,000 exponentials.
    levels = np.linspace(0.1, 1.0, 10, dtype=np.float32)
    scores = np.repeat(levels, 10_000)
    reserve = np.zeros(len(scores), dtype=bool)
    rng = np.random.default_rng(11)
    repetitions = 3_000
    first = np.array([draw_batch(scores, reserve, size=1, beta=3.0, rng=rng).index[0] for _ in range(repetitions)])
    share = levels.astype(np.float64) ** 3 / (levels.astype(np.float64) ** 3).sum()
    error = np.bincount(first // 10_000, minlength=10) / repetitions - share
    assert (np.abs(error) < 4 * np.sqrt(share * (1 - share) / repetitions)).all()


def test_audit_draws_are_uniform_over_the_reserve_whatever_the_scores() -> None:
    rng = np.random.default_rng(2)
    scores = np.linspace(0.0, 1.0, 200, dtype=np.float32)
    reserve = np.zeros(200, dtype=bool)
    reserve[::5] = True
    hits = np.zeros(200)
    repetitions, rounds, size = 1_500, 3, 30
    for _ in range(repetitions):
        # Three rounds with what is left each time: the audit slice over all rounds must be uniform.
        left = np.arange(200)
        for _ in range(rounds):
            draw = draw_batch(scores[left], reserve[left], size=size, beta=6.0, epsilon=0.2, rng=rng)
            hits[left[draw.index[draw.is_audit]]] += 1
            left = np.delete(left, draw.index)
    assert hits[~reserve].sum() == 0
    frequency = hits[reserve] / repetitions
    expected = rounds * size * 0.2 / 40  # 18 audit draws of 40 items
    standard_error = np.sqrt(expected * (1 - expected) / repetitions)
    assert (np.abs(frequency - expected) < 4 * standard_error).all()
    # Half of the reserve has high scores and half has low ones; both come up equally often.
    assert abs(frequency[:20].mean() - frequency[20:].mean()) < 4 * standard_error * np.sqrt(2 / 20)


def test_the_audit_share_stays_epsilon_when_few_items_hold_all_the_weight() -> None:
    # 20 items hold the active weight and the batch takes them all: the draws after must not turn into audits.
    scores = np.full(1_000, 1e-3, dtype=np.float32)
    scores[:20] = 1.0
    reserve = np.arange(1_000) >= 900
    rng = np.random.default_rng(3)
    audits = [int(draw_batch(scores, reserve, size=100, epsilon=0.1, rng=rng).is_audit.sum()) for _ in range(400)]
    assert abs(np.mean(audits) - 10.0) < 4 * np.sqrt(100 * 0.1 * 0.9 / 400)


def test_active_propensities_make_the_lure_estimate_unbiased() -> None:
    scores = np.array([0.9, 0.5, 0.7, 0.3, 0.6, 0.8, 0.4, 0.2], dtype=np.float32)
    losses = np.array([1.0, 0.0, 0.25, 3.0, 0.5, 0.0, 2.0, 1.5])
    reserve = np.zeros(8, dtype=bool)
    n, size = 8, 4
    step = np.arange(1, size + 1)
    rng = np.random.default_rng(4)
    estimates, plain_means = [], []
    for _ in range(20_000):
        draw = draw_batch(scores, reserve, size=size, beta=1.5, epsilon=0.0, rng=rng)
        weights = 1 + (n - size) / (n - step) * (1 / ((n - step + 1) * draw.propensity) - 1)
        estimates.append(np.mean(weights * losses[draw.index]))
        plain_means.append(losses[draw.index].mean())
    assert abs(np.mean(estimates) - losses.mean()) < 4 * np.std(estimates) / np.sqrt(len(estimates))
    # What the weights repair: the plain mean over the drawn items is far off.
    assert abs(np.mean(plain_means) - losses.mean()) > 20 * np.std(plain_means) / np.sqrt(len(plain_means))


@pytest.mark.parametrize("rule", ["batch", "top_k"])
@given(
    scores=st.lists(st.sampled_from([0.0, 1e-7, 0.3, 0.3, 1.0]), max_size=12),
    size=st.integers(0, 15),
    epsilon=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
def test_a_batch_has_the_right_size_and_no_item_twice(
    rule: str, scores: list[float], size: int, epsilon: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    informativeness = np.array(scores, dtype=np.float32)
    reserve = rng.random(len(scores)) < 0.5
    draw = _draw(rule, informativeness, reserve, size=size, epsilon=epsilon, rng=rng)
    drawable = (int((~reserve).sum()) if epsilon < 1.0 else 0) + (int(reserve.sum()) if epsilon > 0.0 else 0)
    assert len(draw.index) == len(draw.proposal) == len(draw.propensity) == len(draw.is_audit) == min(size, drawable)
    assert len(set(draw.index.tolist())) == len(draw.index)
    np.testing.assert_array_equal(draw.is_audit, reserve[draw.index])
    known = draw.is_audit if rule == "top_k" else np.ones(len(draw.index), dtype=bool)
    assert (draw.propensity[known] > 0.0).all()
    assert (draw.propensity[known] <= 1.0 + 1e-12).all()
    assert (draw.proposal[known] <= 1.0 + 1e-12).all()
    if rule == "batch" and len(draw.index) == drawable > 0:
        assert draw.propensity[-1] == pytest.approx(1.0)


def _draw(
    rule: str,
    informativeness: NDArray[np.float32],
    reserve: NDArray[np.bool_],
    *,
    size: int,
    epsilon: float,
    rng: np.random.Generator,
) -> Draw:
    if rule == "batch":
        return draw_batch(informativeness, reserve, size=size, epsilon=epsilon, rng=rng)
    return draw_top_k(informativeness, reserve, size=size, epsilon=epsilon, rng=rng)


def test_the_same_seed_draws_the_same_batch_and_another_seed_another() -> None:
    scores = np.random.default_rng(0).random(1000, dtype=np.float32)
    reserve = np.arange(1000) % 10 == 0
    first, again, other = (draw_batch(scores, reserve, size=50, rng=np.random.default_rng(seed)) for seed in (7, 7, 8))
    for field in ("index", "proposal", "propensity", "is_audit"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.index.tolist() != other.index.tolist()


def test_arguments_are_not_changed() -> None:
    scores, reserve = SCORES.copy(), RESERVE.copy()
    draw_batch(scores, reserve, size=5, rng=np.random.default_rng(0))
    draw_top_k(scores, reserve, size=5, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(scores, SCORES)
    np.testing.assert_array_equal(reserve, RESERVE)


def test_without_any_information_the_active_draws_are_uniform() -> None:
    draw = draw_batch(np.zeros(7, dtype=np.float32), RESERVE, size=1, epsilon=0.0, rng=np.random.default_rng(0))
    assert draw.proposal.tolist() == [0.25]


def test_an_item_without_information_keeps_a_chance_above_zero() -> None:
    scores = np.array([1.0, 0.0], dtype=np.float32)
    reserve = np.zeros(2, dtype=bool)
    for beta in (6.0, 50.0):
        draw = draw_batch(scores, reserve, size=2, beta=beta, epsilon=0.0, rng=np.random.default_rng(0))
        assert draw.index.tolist() == [0, 1]
        assert draw.proposal[1] == pytest.approx(1e-3**beta, rel=1e-6)
        assert draw.propensity.tolist() == [1.0, 1.0]


def test_propensities_lose_no_digits_when_the_drawn_items_held_nearly_all_the_weight() -> None:
    # After the first draw 1e-18 of the weight is left; 1 - q would be exactly zero.
    scores = np.array([1.0, 0.0, 0.0, 0.0], dtype=np.float32)
    draw = draw_batch(scores, np.zeros(4, dtype=bool), size=3, epsilon=0.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(draw.propensity, [1.0, 1 / 3, 1 / 2], rtol=1e-12)


def test_a_used_up_reserve_leaves_its_draws_to_the_active_items_and_the_other_way_round() -> None:
    one_in_reserve = np.array([True] + [False] * 9)
    draw = draw_batch(np.ones(10, dtype=np.float32), one_in_reserve, size=10, epsilon=0.9, rng=np.random.default_rng(1))
    (position,) = np.flatnonzero(draw.is_audit)
    assert draw.propensity[position] == pytest.approx(0.9)
    after = 10 - position - 1
    np.testing.assert_allclose(draw.propensity[position + 1 :], 1 / np.arange(after, 0, -1))

    one_active = ~one_in_reserve
    draw = draw_batch(np.ones(10, dtype=np.float32), one_active, size=10, epsilon=0.1, rng=np.random.default_rng(1))
    (position,) = np.flatnonzero(~draw.is_audit)
    assert draw.propensity[position] == pytest.approx(0.9)
    after = 10 - position - 1
    np.testing.assert_allclose(draw.propensity[position + 1 :], 1 / np.arange(after, 0, -1))


def test_without_a_reserve_everything_is_drawn_by_information_and_without_actives_uniformly() -> None:
    scores = np.array([0.5, 1.0], dtype=np.float32)
    rng = np.random.default_rng(0)
    no_reserve = draw_batch(scores, np.zeros(2, dtype=bool), size=2, beta=1.0, epsilon=0.5, rng=rng)
    assert sorted(no_reserve.proposal.tolist()) == pytest.approx([1 / 3, 2 / 3])
    assert not no_reserve.is_audit.any()
    all_reserve = draw_batch(scores, np.ones(2, dtype=bool), size=2, beta=1.0, epsilon=0.5, rng=rng)
    assert all_reserve.proposal.tolist() == [0.5, 0.5]
    assert all_reserve.propensity.tolist() == [0.5, 1.0]
    assert all_reserve.is_audit.all()


def test_epsilon_zero_never_draws_the_reserve_and_one_nothing_else() -> None:
    never = draw_batch(SCORES, RESERVE, size=100, epsilon=0.0, rng=np.random.default_rng(0))
    assert sorted(never.index.tolist()) == [0, 1, 3, 6]
    only = draw_batch(SCORES, RESERVE, size=100, epsilon=1.0, rng=np.random.default_rng(0))
    assert sorted(only.index.tolist()) == [2, 4, 5]
    assert draw_batch(SCORES, np.ones(7, dtype=bool), size=3, epsilon=0.0, rng=np.random.default_rng(0)).index.size == 0


def test_an_empty_pool_or_batch_is_empty() -> None:
    nothing, nobody = np.empty(0, dtype=np.float32), np.empty(0, dtype=bool)
    assert draw_batch(nothing, nobody, size=5, rng=np.random.default_rng(0)).index.tolist() == []
    assert draw_top_k(nothing, nobody, size=5, rng=np.random.default_rng(0)).index.tolist() == []
    assert draw_batch(SCORES, RESERVE, size=0, rng=np.random.default_rng(0)).index.tolist() == []


def test_top_k_takes_the_best_in_order_and_ties_by_position() -> None:
    scores = np.array([0.3, 0.9, 0.5, 0.9, 0.5, 0.5], dtype=np.float32)
    draw = draw_top_k(scores, np.zeros(6, dtype=bool), size=4, rng=np.random.default_rng(0))
    assert draw.index.tolist() == [1, 3, 2, 4]
    assert np.isnan(draw.propensity).all()
    assert np.isnan(draw.proposal).all()


def test_top_k_leaves_the_audit_draws_random_and_their_propensity_known() -> None:
    scores = np.linspace(0.0, 1.0, 100, dtype=np.float32)
    reserve = np.arange(100) % 2 == 0
    rng = np.random.default_rng(6)
    hits = np.zeros(100)
    repetitions = 2_000
    for _ in range(repetitions):
        draw = draw_top_k(scores, reserve, size=10, epsilon=0.5, rng=rng)
        hits[draw.index[draw.is_audit]] += 1
        before: NDArray[np.int64] = np.cumsum(draw.is_audit) - draw.is_audit
        np.testing.assert_allclose(draw.propensity[draw.is_audit], 0.5 / (50 - before[draw.is_audit]))
        assert draw.index[~draw.is_audit].tolist() == list(range(99, 99 - 2 * int((~draw.is_audit).sum()), -2))
    standard_error = np.sqrt(0.1 * 0.9 / repetitions)
    assert (np.abs(hits[reserve] / repetitions - 0.1) < 4.5 * standard_error).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_a_score_that_is_no_score_is_refused_by_its_row(bad: float) -> None:
    scores = SCORES.copy()
    scores[3] = bad
    for rule in ("batch", "top_k"):
        with pytest.raises(ValueError, match="row 3: informativeness"):
            _draw(rule, scores, RESERVE, size=2, epsilon=0.1, rng=np.random.default_rng(0))


def test_wrong_arguments_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="one shape"):
        draw_batch(SCORES, RESERVE[:-1], size=2, rng=rng)
    with pytest.raises(ValueError, match="one shape"):
        draw_batch(SCORES[None], RESERVE[None], size=2, rng=rng)
    with pytest.raises(ValueError, match="boolean"):
        draw_batch(SCORES, RESERVE.astype(np.int8), size=2, rng=rng)
    with pytest.raises(ValueError, match="size"):
        draw_batch(SCORES, RESERVE, size=-1, rng=rng)
    for epsilon in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="epsilon"):
            draw_batch(SCORES, RESERVE, size=2, epsilon=epsilon, rng=rng)
    for beta in (-1.0, 51.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta"):
            draw_batch(SCORES, RESERVE, size=2, beta=beta, rng=rng)
