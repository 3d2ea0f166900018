import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from datasets.estimation.wilson import proportion_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe 1998, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    estimate = proportion_interval(successes, n)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)
    assert estimate.value == successes / n
    assert estimate.n == n


@given(st.integers(1, 5000), st.data(), st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_intervals_agree_with_scipy_and_hold_their_value(n: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, n))
    estimate = proportion_interval(successes, n, confidence=confidence)
    theirs = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    assert estimate.low == pytest.approx(theirs.low, abs=1e-12)
    assert estimate.high == pytest.approx(theirs.high, abs=1e-12)
    assert estimate.value is not None
    assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0


@given(st.integers(1, 300), st.data())
def test_failures_mirror_successes(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    estimate, mirrored = proportion_interval(successes, n), proportion_interval(n - successes, n)
    assert estimate.low == pytest.approx(1.0 - mirrored.high, abs=1e-12)


def test_the_ends_are_exact() -> None:
    assert proportion_interval(0, 7).low == 0.0
    assert proportion_interval(7, 7).high == 1.0


def test_nothing_observed_is_no_value_and_the_whole_range() -> None:
    estimate = proportion_interval(0, 0)
    assert estimate.value is None
    assert (estimate.low, estimate.high, estimate.n) == (0.0, 1.0, 0)


def test_mean_coverage_is_close_to_nominal_on_small_samples() -> None:
    # Exact, by summing the binomial: the mean over a grid of true proportions.
    n = 60
    intervals = [proportion_interval(successes, n) for successes in range(n + 1)]
    grid = [step / 200 for step in range(20, 181)]
    coverage = [
        sum(
            binom.pmf(successes, n, truth)
            for successes, interval in enumerate(intervals)
            if interval.low <= truth <= interval.high
        )
        for truth in grid
    ]
    assert sum(coverage) / len(coverage) == pytest.approx(0.95, abs=0.005)
    assert min(coverage) > 0.92


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        proportion_interval(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        proportion_interval(1, 2, confidence=confidence)
