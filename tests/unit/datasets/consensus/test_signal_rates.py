"""What signals foretell: right where the model of them is, honest where it knows nothing, and never learned from itself."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from datasets.consensus.reliability_curve import reliability_curve
from datasets.consensus.signal_rates import cross_fitted, fit


def drawn(n: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Clicks of 60% of the right and 20% of the wrong predictions, retries of 5% and 40%; 70% are right."""
    rng = np.random.default_rng(seed)
    is_right = rng.random(n) < 0.7
    clicked = rng.random(n) < np.where(is_right, 0.6, 0.2)
    retried = rng.random(n) < np.where(is_right, 0.05, 0.4)
    return np.column_stack([clicked, retried]).astype(np.int64), is_right


def test_with_much_data_it_is_the_rule_of_bayes() -> None:
    levels, is_right = drawn(200_000, seed=1)
    found = fit(levels, is_right, [2, 2]).probability(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
    odds = 0.7 / 0.3
    likelihood = np.array([0.4 * 0.95 / (0.8 * 0.6), 0.6 * 0.95 / (0.2 * 0.6), 0.4 * 0.05 / (0.8 * 0.4), 3 * 0.125])
    np.testing.assert_allclose(found, expit(np.log(odds * likelihood)), atol=0.01)


def test_it_is_calibrated_where_signals_are_independent() -> None:
    levels, is_right = drawn(20_000, seed=2)
    chances = cross_fitted(levels, is_right, np.arange(20_000), [2, 2], rng=np.random.default_rng(0))
    assert reliability_curve(chances, is_right).expected_error < 0.02


def test_signals_that_say_the_same_twice_are_too_sure_and_it_shows() -> None:
    levels, is_right = drawn(20_000, seed=3)
    doubled = np.repeat(levels, 4, axis=1)
    chances = cross_fitted(doubled, is_right, np.arange(20_000), [2] * 8, rng=np.random.default_rng(0))
    assert reliability_curve(chances, is_right).expected_error > 0.05


def test_noise_foretells_no_more_than_the_base_rate() -> None:
    rng = np.random.default_rng(4)
    levels, is_right = rng.integers(0, 6, size=(4_000, 5)), rng.random(4_000) < 0.8
    chances = cross_fitted(levels, is_right, np.arange(4_000), [6] * 5, rng=rng)
    assert np.mean((chances - is_right) ** 2) == pytest.approx(0.8 * 0.2, abs=0.02)
    assert reliability_curve(chances, is_right).expected_error < 0.05


def test_nobody_is_judged_by_rates_that_were_learned_on_their_item() -> None:
    """Each item has a level of its own, which would give its truth away if it took part in learning."""
    items = np.repeat(np.arange(100), 2)
    levels, is_right = items[:, None].copy(), items % 2 == 0
    chances = cross_fitted(levels, is_right, items, [100], rng=np.random.default_rng(0))
    np.testing.assert_allclose(chances, 0.5, atol=0.1)


def test_nothing_known_is_as_likely_as_not() -> None:
    nothing = np.empty((0, 2), dtype=np.int64)
    learned = fit(nothing, np.empty(0, dtype=np.bool_), [2, 3])
    assert learned.probability(np.array([[0, 0], [1, 2]])).tolist() == [0.5, 0.5]
    assert (
        cross_fitted(
            nothing, np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.int64), [2, 3], rng=np.random.default_rng(0)
        ).size
        == 0
    )
