"""Post-stratified estimates: values by hand, the plain ones as their special case, properties, a simulation with drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datasets.estimation import post_stratified, prediction_powered
from datasets.estimation.moments import Moments, together
from datasets.estimation.wilson import proportion_interval, share_interval

Z = 1.959963984540054


def test_strata_merge_cohorts_without_labels_forwards_and_the_newest_backwards() -> None:
    assert post_stratified.strata(np.array([0, 4, 0, 0, 2, 0])).tolist() == [0, 0, 1, 1, 1, 1]
    assert post_stratified.strata(np.array([1, 1, 3])).tolist() == [0, 1, 2]
    assert post_stratified.strata(np.array([0, 0, 5])).tolist() == [0, 0, 0]
    assert post_stratified.strata(np.array([5, 0, 0])).tolist() == [0, 0, 0]


def test_a_proportion_of_two_cohorts_by_hand() -> None:
    right, cohort = np.array([1.0, 1, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    found = post_stratified.proportion(right, cohort, np.array([30, 90]))
    # Weights 1/4 / 4 and 3/4 / 2; 0.25 * 1/2 + 0.75 * 1.
    assert found.value == pytest.approx(0.875)
    kish = 1 / (4 * 0.0625**2 + 2 * 0.375**2)
    assert kish < 0.875 * 0.125 / (0.0625**2 * (2 * 0.125**2 + 2 * 0.875**2) + 0.375**2 * 2 * 0.125**2)
    assert found.n == 6
    assert found.effective_n == pytest.approx(kish)
    # The ends of Wilson's interval solve |p - x| = z sqrt(x (1 - x) / n).
    for end in (found.low, found.high):
        assert abs(0.875 - end) == pytest.approx(Z * (end * (1 - end) / kish) ** 0.5)


def test_fewer_are_effective_where_the_heavy_stratum_varies_more() -> None:
    right, cohort = np.array([1.0, 1, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 1, 1])
    found = post_stratified.proportion(right, cohort, np.array([50, 50]))
    linearised = 0.75 * 0.25 / (0.125**2 * 4 * 0.25**2 + 0.25**2 * (0.75**2 + 0.25**2))
    assert found.effective_n == pytest.approx(linearised)
    assert linearised < 1 / (4 * 0.125**2 + 2 * 0.25**2)


def test_outcomes_that_are_all_alike_have_an_interval_of_the_effective_number() -> None:
    found = post_stratified.proportion(np.ones(6), np.array([0, 0, 0, 0, 1, 1]), np.array([50, 50]))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.effective_n == pytest.approx(16 / 3)
    assert found.low == pytest.approx((16 / 3) / (16 / 3 + Z**2))
    none = post_stratified.proportion(np.zeros(6), np.array([0, 0, 0, 0, 1, 1]), np.array([50, 50]))
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - found.low)


@given(
    right=st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60),
    more=st.integers(0, 500),
    empty=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_one_cohort_gives_the_plain_wilson_interval_exactly(
    right: list[float], more: int, empty: tuple[int, int]
) -> None:
    n = len(right)
    before, after = empty
    cohort = np.full(n, before)
    sizes = np.array([*[7] * before, n + more, *[3] * after])
    found = post_stratified.proportion(np.array(right), cohort, sizes)
    plain = proportion_interval(int(sum(right)), n)
    assert (found.value, found.low, found.high, found.n) == (plain.value, plain.low, plain.high, plain.n)
    assert found.effective_n == n


@st.composite
def samples(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    labelled = draw(st.lists(st.integers(0, 8), min_size=1, max_size=6).filter(any))
    cohort = np.repeat(np.arange(len(labelled)), labelled)
    right = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(cohort), max_size=len(cohort)))
    more = draw(st.lists(st.integers(0, 200), min_size=len(labelled), max_size=len(labelled)))
    return np.array(right), cohort, np.array(labelled) + np.array(more)


@given(sample=samples())
def test_estimates_lie_where_they_should(
    sample: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
) -> None:
    right, cohort, sizes = sample
    found = post_stratified.proportion(right, cohort, sizes)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert 1.0 - 1e-9 <= found.effective_n <= len(right) + 1e-9
    flipped = post_stratified.proportion(1.0 - right, cohort, sizes)
    assert flipped.value == pytest.approx(1.0 - found.value)
    assert (flipped.low, flipped.high) == pytest.approx((1.0 - found.high, 1.0 - found.low))


@given(sample=samples(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_labels_says_nothing(
    sample: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]], seed: int
) -> None:
    right, cohort, sizes = sample
    order = np.random.default_rng(seed).permutation(len(right))
    found = post_stratified.proportion(right, cohort, sizes)
    again = post_stratified.proportion(right[order], cohort[order], sizes)
    assert (again.value, again.effective_n) == pytest.approx((found.value, found.effective_n))


def test_prediction_powered_of_two_cohorts_by_hand() -> None:
    y, f, cohort = np.array([1.0, 0, 1, 1]), np.array([0.9, 0.1, 0.9, 0.9]), np.array([0, 0, 0, 1])
    found = post_stratified.prediction_powered(y, f, cohort, [Moments(7, 0.6, 0.1), Moments(9, 0.8, 0.2)])
    weights = np.array([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    x = np.array([0.7, 0.5, 0.7, 0.9])
    assert found.value == pytest.approx(float(weights @ x))
    kish = 1 / float(weights @ weights)
    residual = x - weights @ x
    spread = float(weights @ residual**2)
    effective = min(kish, spread / float(weights**2 @ residual**2))
    assert found.effective_n == pytest.approx(effective)
    of_guesses = 0.25 * 0.1 / 7 + 0.25 * 0.2 / 9
    error = (spread * kish / (kish - 1) / effective + of_guesses) ** 0.5
    assert (found.high - found.value) / error == pytest.approx(found.value / error - found.low / error)
    # Student's quantile with about 2 degrees of freedom is far from the normal one.
    assert (found.high - found.value) / error > 3.5


@pytest.mark.parametrize("n", [2, 15, 120])
def test_one_cohort_gives_plain_ppi(n: int) -> None:
    rng = np.random.default_rng(n)
    f, rest = rng.random(n), rng.random(300)
    y = (rng.random(n) < f).astype(float)
    y[:2] = [0.0, 1.0]
    plain = prediction_powered.estimate(y, f, rest)
    found = post_stratified.prediction_powered(y, f, np.ones(n, dtype=int), [Moments(0), Moments.of(rest), Moments(0)])
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-12)
    assert found.effective_n == n


def test_a_cohort_of_which_nothing_is_left_counts_by_its_own_mean() -> None:
    y, f, cohort = np.array([1.0, 0, 1, 1]), np.array([0.9, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 1])
    found = post_stratified.prediction_powered(y, f, cohort, [Moments(0), Moments(2, 0.6, 0.1)])
    assert found.value == pytest.approx(2 / 6 * 0.5 + 4 / 6 * (1.0 - 0.9 + 0.6))


def test_one_label_has_an_interval_without_ends() -> None:
    found = post_stratified.prediction_powered(np.ones(1), np.ones(1), np.zeros(1, dtype=int), [Moments(3, 0.5, 0.1)])
    assert (found.low, found.high) == (-np.inf, np.inf)


@given(st.lists(st.lists(st.floats(-5, 5), max_size=6), min_size=1, max_size=5))
def test_moments_together_are_those_of_all_numbers(parts: list[list[float]]) -> None:
    everything = np.array([number for part in parts for number in part])
    found = together([Moments.of(np.array(part)) for part in parts])
    assert found.count == len(everything)
    if len(everything):
        assert (found.mean, found.variance) == pytest.approx((everything.mean(), everything.var()), abs=1e-9)


def test_both_are_unbiased_and_cover_while_a_drifting_pool_grows() -> None:
    rng = np.random.default_rng(9)
    late = np.arange(2_000) >= 1_000
    f = rng.beta(6, 1.5, 2_000)
    y = (rng.random(2_000) < np.where(late, f - 0.15, f + 0.1)).astype(float)
    truth, plain, values, covered = y.mean(), [], [], np.zeros(2)
    for _ in range(1_000):
        reserve = np.flatnonzero(rng.random(2_000) < 0.15)
        first = rng.choice(reserve[~late[reserve]], 20, replace=False)
        rows = np.concatenate([first, rng.choice(np.setdiff1d(reserve, first), 20, replace=False)])
        rest = np.setdiff1d(reserve, rows)
        cohort = late.astype(int)
        by_labels = post_stratified.proportion(y[rows], cohort[rows], np.bincount(cohort[reserve]))
        by_both = post_stratified.prediction_powered(
            y[rows], f[rows], cohort[rows], [Moments.of(f[rest[cohort[rest] == c]]) for c in range(2)]
        )
        plain.append(y[rows].mean())
        values.append((by_labels.value, by_both.value))
        covered += [each.low <= truth <= each.high for each in (by_labels, by_both)]
    errors = np.std(values, axis=0) / len(values) ** 0.5
    assert (np.abs(np.mean(values, axis=0) - truth) < 3 * errors).all()
    assert (covered / len(values) > 0.92).all()
    assert np.mean(plain) - truth > 0.04


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: post_stratified.strata(np.array([0, 0])), "not all of them 0"),
        (lambda: post_stratified.strata(np.array([1, -1])), "must be counts"),
        (
            lambda: post_stratified.proportion(np.array([1.0, 0.5]), np.zeros(2, int), np.array([3])),
            "row 1: an outcome",
        ),
        (lambda: post_stratified.proportion(np.ones(2), np.zeros(2, int), np.array([1])), "2 labels of 1 items"),
        (lambda: post_stratified.proportion(np.ones(2), np.array([0, 1]), np.array([3])), "does not exist"),
        (lambda: post_stratified.proportion(np.ones(0), np.ones(0, int), np.array([3])), "at least one label"),
        (lambda: post_stratified.proportion(np.ones(2), np.zeros(1, int), np.array([3])), r"shape \(2,\)"),
        (
            lambda: post_stratified.prediction_powered(np.ones(1), np.ones(1), np.zeros(1, int), [Moments(0)]),
            "at least one other",
        ),
        (lambda: Moments(-1), "no moments"),
        (lambda: Moments(1, float("nan")), "no moments"),
        (lambda: share_interval(1.5, 3.0), "share lies in"),
        (lambda: share_interval(0.5, 0.0), "some observations"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
