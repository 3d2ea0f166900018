"""Estimators from actively drawn labels: reference values, exact enumeration, simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from datasets.estimation import aipw, horvitz_thompson, lure, overlap, prediction_powered

# Zrnic and Candès' form of AIPW, computed independently.
Y = np.array([1.0, 0, 1, 1, 0, 1, 0, 1])
F = np.array([0.9, 0.2, 0.6, 0.7, 0.4, 0.8, 0.1, 0.5])
SEEN = np.array([1, 0, 1, 0, 1, 0, 0, 1], dtype=bool)
PI = np.array([0.2, 0.4, 0.8, 0.5, 0.9, 0.3, 0.2, 1.0])
# Values of the package ppi_py.
PPI_Y = np.array([1.0, 0, 1, 1, 0, 1, 0, 1, 1, 0])
PPI_F = np.array([0.9, 0.3, 0.8, 0.6, 0.2, 0.7, 0.4, 0.9, 0.5, 0.1])
PPI_OTHER = np.array(
    [0.8, 0.1, 0.6, 0.4, 0.9, 0.3, 0.7, 0.5, 0.2, 0.6, 0.85, 0.15, 0.55, 0.45, 0.95, 0.35, 0.65, 0.25, 0.75, 0.05]
)


def test_aipw_and_its_special_cases_give_the_reference_values() -> None:
    estimate = aipw.estimate(Y, SEEN, PI, F, confidence=0.9)
    assert estimate.value == pytest.approx(0.6569444444, abs=1e-9)
    assert estimate.standard_error == pytest.approx(0.1722719182, abs=1e-9)
    assert estimate.high - estimate.value == pytest.approx(0.2833620895, abs=1e-9)
    assert aipw.estimate(Y, SEEN, PI, F, power=0.0).value == pytest.approx(0.90625, abs=1e-12)
    assert horvitz_thompson.horvitz_thompson(Y[SEEN], PI[SEEN], population=8).value == pytest.approx(0.90625, abs=1e-12)
    assert horvitz_thompson.hajek(Y[SEEN], PI[SEEN], population=8).value == pytest.approx(0.8671096346, abs=1e-9)


def test_weighted_means_of_four_answers_of_twenty_opportunities() -> None:
    answers, chances = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.5, 0.1, 0.25, 0.5])
    assert horvitz_thompson.horvitz_thompson(answers, chances, population=20).value == pytest.approx(0.40, abs=1e-12)
    assert horvitz_thompson.hajek(answers, chances, population=20).value == pytest.approx(0.444444, abs=1e-6)


@pytest.mark.parametrize(
    ("power", "value", "low", "high"),
    [(0.0, 0.6, 0.34518037, 0.85481963), (1.0, 0.565, 0.38612453, 0.74387547), (None, 0.565, 0.38612453, 0.74387547)],
)
def test_ppi_gives_the_values_of_its_authors_package(
    power: float | None, value: float, low: float, high: float
) -> None:
    estimate = prediction_powered.estimate(PPI_Y, PPI_F, PPI_OTHER, power=power, confidence=0.9, quantile="normal")
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((value, low, high), abs=1e-8)


def test_ppi_with_a_power_between() -> None:
    guesses = np.array([0.6, 0.5, 0.55, 0.4, 0.45, 0.7, 0.5, 0.35, 0.65, 0.3])
    estimate = prediction_powered.estimate(
        PPI_Y, guesses, PPI_OTHER / 2 + 0.25, power=0.7, confidence=0.9, quantile="normal"
    )
    assert estimate.value == pytest.approx(0.60175, abs=1e-9)
    assert estimate.standard_error == pytest.approx(0.1472219944, abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((0.35959137, 0.84390863), abs=1e-8)


def test_ppi_by_default_has_an_interval_for_few_outcomes() -> None:
    normal = prediction_powered.estimate(PPI_Y, PPI_F, PPI_OTHER, power=0.0, quantile="normal")
    default = prediction_powered.estimate(PPI_Y, PPI_F, PPI_OTHER, power=0.0)
    # The textbook interval of a mean: Student's t with 9 degrees of freedom, standard deviation with ddof 1.
    low, high = stats.t.interval(0.95, 9, loc=0.6, scale=stats.sem(PPI_Y))
    assert (default.value, default.low, default.high) == pytest.approx((0.6, low, high))
    assert default.low < normal.low
    one = prediction_powered.estimate(PPI_Y[:1], PPI_F[:1], PPI_OTHER)
    assert (one.low, one.high, np.isnan(one.standard_error)) == (-np.inf, np.inf, True)


def test_the_power_of_a_row_is_tuned_without_it() -> None:
    rng = np.random.default_rng(8)
    says, others = rng.random(120), rng.random(400)
    right = (rng.random(120) < 0.3 + 0.5 * says).astype(float)
    variance = np.concatenate([says, others]).var()
    corrected, powers = [], []
    for row in range(120):
        y, f = np.delete(right, row), np.delete(says, row)
        powers.append(np.clip(np.cov(y, f, ddof=0)[0, 1] / ((1 + 120 / 400) * variance), 0, 1))
        corrected.append(right[row] - powers[-1] * (says[row] - others.mean()))
    estimate = prediction_powered.estimate(right, says, others)
    assert 0.0 < min(powers) < max(powers) < 1.0
    assert estimate.value == pytest.approx(np.mean(corrected), abs=1e-12)
    error = (np.mean(powers) ** 2 * others.var() / 400 + np.var(corrected, ddof=1) / 120) ** 0.5
    assert estimate.standard_error == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("drawn", [15, 120])
def test_ppi_is_unbiased_and_covers_with_few_outcomes_and_with_many(drawn: int) -> None:
    rng = np.random.default_rng(drawn)
    says = rng.beta(5, 1.5, 3_000)
    right = (rng.random(3_000) < says**0.8).astype(float)  # right more often than the guesses say
    values, covered = [], 0
    for _ in range(2_000):
        chosen = rng.permutation(3_000)
        estimate = prediction_powered.estimate(right[chosen[:drawn]], says[chosen[:drawn]], says[chosen[drawn:]])
        values.append(estimate.value)
        covered += estimate.low <= right.mean() <= estimate.high
    assert abs(np.mean(values) - right.mean()) < 3 * np.std(values) / len(values) ** 0.5
    assert covered / len(values) > 0.9


@pytest.mark.parametrize(
    ("propensity", "population", "expected"),
    [
        ([0.3, 0.2, 0.25], 10, [0.4814814815, 0.6111111111, 0.5]),
        ([1 / 5, 1 / 4, 1 / 3], 5, [1, 1, 1]),
        ([0.3, 0.6, 1.0], 3, [1, 1, 1]),
    ],
)
def test_lure_weights(propensity: list[float], population: int, expected: list[float]) -> None:
    assert lure.weights(np.array(propensity), population=population) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("drawn", "variance"), [(2, 0.172771990741), (3, 0.045804398148), (4, 0.0)])
def test_lure_is_unbiased_over_all_orders_of_drawing(drawn: int, variance: float) -> None:
    losses, weight = np.array([0, 1, 0.25, 3]), np.array([0.1, 0.2, 0.3, 0.4])
    first = second = 0.0
    for order in itertools.permutations(range(4), drawn):
        left = 1.0 - np.cumsum(weight[list(order)]) + weight[list(order)]
        propensity = weight[list(order)] / left
        value = lure.estimate(losses[list(order)], propensity, population=4).value
        first += propensity.prod() * value
        second += propensity.prod() * value**2
    assert first == pytest.approx(1.0625, abs=1e-12)
    assert second - first**2 == pytest.approx(variance, abs=1e-11)


@pytest.mark.parametrize("drawn", [2, 3, 4, 5])
def test_lure_stays_unbiased_when_items_arrive_between_the_draws(drawn: int) -> None:
    losses, weight = np.array([0, 1, 0.25, 3, 2]), np.array([0.1, 0.2, 0.3, 0.4, 0.7])
    arrives = np.array([0, 0, 0, 1, 1])
    mean = total = 0.0
    for order in itertools.permutations(range(5), drawn):
        rows, chance, propensity = list(order), 1.0, []
        for draw, item in enumerate(order):
            there = [i for i in range(5) if arrives[i] <= draw and i not in order[:draw]]
            propensity.append(weight[item] / weight[there].sum() if item in there else 0.0)
            chance *= propensity[-1]
        if chance == 0.0:
            continue
        estimate = lure.estimate_of_rounds(losses[rows], np.array(propensity), arrives[rows], [(0, 3), (1, 2)])
        mean += chance * estimate.value
        total += chance
    assert total == pytest.approx(1.0)
    assert mean == pytest.approx(losses.mean(), abs=1e-12)


def test_lure_of_one_cohort_is_lure() -> None:
    propensity, values = np.array([0.3, 0.2, 0.25]), np.array([1.0, 0.0, 2.0])
    one = lure.estimate(values, propensity, population=10)
    same = lure.estimate_of_rounds(values, propensity, np.zeros(3, dtype=int), [(0, 10)])
    assert (same.value, same.standard_error) == pytest.approx((one.value, one.standard_error))


def test_aipw_is_unbiased_and_its_interval_covers_in_simulation() -> None:
    rng = np.random.default_rng(5)
    says = rng.uniform(0.3, 1.0, 2_000)
    right = (rng.random(2_000) < says**2).astype(float)  # over-confident guesses
    chance = np.clip(0.5 * (1.05 - says), 0.02, 1.0)
    values, covered = [], 0
    for _ in range(400):
        seen = rng.random(2_000) < chance
        estimate = aipw.estimate(right, seen, chance, says, power=1.0)
        values.append(estimate.value)
        covered += estimate.low <= right.mean() <= estimate.high
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - right.mean()) < 3 * error
    assert 0.91 <= covered / 400 <= 0.99


@pytest.mark.parametrize("drawn", [2, 3])
def test_aipw_of_draws_is_unbiased_over_all_orders_of_drawing_whatever_is_guessed(drawn: int) -> None:
    losses, weight, guesses = np.array([0, 1, 0.25, 3]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([2, 0.5, -1, 0])
    mean = 0.0
    for order in itertools.permutations(range(4), drawn):
        rows = np.array(order)
        propensity = weight[rows] / (1.0 - np.cumsum(weight[rows]) + weight[rows])
        mean += propensity.prod() * aipw.estimate_of_draws(losses[rows], rows, propensity, guesses).value
    assert mean == pytest.approx(1.0625, abs=1e-12)


def test_aipw_of_draws_is_lure_without_guesses_and_exact_with_the_right_ones() -> None:
    values, index, propensity = np.array([1.0, 0.0, 2.0]), np.array([4, 0, 2]), np.array([0.3, 0.2, 0.25])
    bare = aipw.estimate_of_draws(values, index, propensity, np.zeros(10))
    assert bare == lure.estimate(values, propensity, population=10)
    cohorts = aipw.estimate_of_draws(
        values, index, propensity, np.zeros(10), cohort=np.zeros(3, dtype=int), arrivals=[(0, 10)]
    )
    assert (cohorts.value, cohorts.low) == pytest.approx((bare.value, bare.low))
    known = np.arange(10.0)
    exact = aipw.estimate_of_draws(known[index], index, propensity, known)
    assert (exact.value, exact.low, exact.high) == pytest.approx((4.5, 4.5, 4.5))


def test_a_tuned_power_is_no_worse_than_either_end_with_useless_guesses() -> None:
    rng = np.random.default_rng(6)
    right, noise = (rng.random(3_000) < 0.7).astype(float), rng.random(3_000)
    seen = rng.random(3_000) < 0.1
    width = [
        aipw.estimate(right, seen, np.full(3_000, 0.1), noise, power=power).standard_error for power in (0.0, 1.0, None)
    ]
    assert width[2] <= min(width[:2]) + 1e-12


def test_overlap_tells_good_weak_and_impossible_draws_apart() -> None:
    even = overlap.diagnose(np.full(100, 1 / 1000), np.full(100, 1000))
    assert even.verdict == "good"
    assert even.effective_n == pytest.approx(100.0)
    assert even.smallest_relative == pytest.approx(1.0)
    few = overlap.diagnose(np.full(20, 1 / 1000), np.full(20, 1000))
    assert few.verdict == "weak"
    skewed = np.full(200, 5e-2)
    skewed[0] = 1e-7
    assert overlap.diagnose(skewed, np.full(200, 1000)).verdict == "weak"
    likely = overlap.diagnose(np.full(200, 5e-3), np.full(200, 1000))
    assert (likely.verdict, "20% of the pool" in likely.reason) == ("weak", True)
    top_k = overlap.diagnose(np.array([0.1, np.nan]), np.array([10, 9]))
    assert top_k.verdict == "not_estimable"
    assert "1 of 2 draws" in top_k.reason
    assert overlap.diagnose(np.empty(0), np.empty(0, dtype=int)).verdict == "not_estimable"
    assert overlap.effective_sample_size(np.array([3.0, 3.0])) == pytest.approx(2.0)
    assert overlap.effective_sample_size(np.array([1e200, 1e200])) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lure.weights(np.array([0.5, 0.0]), population=5), r"row 1: propensity"),
        (lambda: lure.weights(np.array([0.5, np.nan]), population=5), r"row 1: propensity must be finite"),
        (lambda: lure.weights(np.full(6, 0.1), population=5), "do not fit a pool of 5"),
        (lambda: lure.estimate(np.empty(0), np.empty(0), population=5), "no draw"),
        (lambda: lure.estimate(np.array([np.inf]), np.array([0.5]), population=5), "row 0: values"),
        (
            lambda: lure.estimate_of_rounds(np.ones(2), np.full(2, 0.5), np.array([1, 0]), [(0, 3), (1, 3)]),
            "row 0: drawn before it arrived",
        ),
        (lambda: aipw.estimate(Y, SEEN.astype(int), PI, F), "boolean"),
        (lambda: aipw.estimate(Y, SEEN, PI * 0, F), "row 0: inclusion"),
        (lambda: aipw.estimate_of_draws(Y[:1], np.array([8]), PI[:1], F), "positions among 8 guesses"),
        (lambda: horvitz_thompson.hajek(np.empty(0), np.empty(0), population=1), "at least one"),
        (lambda: horvitz_thompson.horvitz_thompson(Y, PI, population=7), "cannot hold 8"),
        (lambda: prediction_powered.estimate(Y, F, np.empty(0)), "at least one"),
        (lambda: overlap.effective_sample_size(np.array([1.0, -1.0])), "row 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
