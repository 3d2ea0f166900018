"""The expected gain of the next labels."""

import numpy as np
import pytest

from sampling.stopping import Gain, advise, expected_gain

LABELS = [20, 40, 80, 160, 320, 640]


def _right(ceiling: float, fall: float, rate: float, *, of: int, seed: int) -> list[float]:
    chance = ceiling - fall * np.array(LABELS, dtype=np.float64) ** -rate
    return [float(count) for count in np.random.default_rng(seed).binomial(of, chance)]


def test_the_gain_of_a_known_curve_is_found() -> None:
    truth = 0.9 * (640**-0.5 - 740**-0.5)
    found = [
        expected_gain(LABELS, _right(0.9, 0.9, 0.5, of=2_000, seed=seed), [2_000] * 6, more=100) for seed in range(15)
    ]
    gains = [gain for gain in found if gain is not None]
    assert np.mean([gain.value for gain in gains]) == pytest.approx(truth, rel=0.35)
    assert sum(gain.low <= truth <= gain.high for gain in gains) >= 11
    assert {(gain.labels, gain.more) for gain in gains} == {(640, 100)}


def test_a_flat_curve_says_stop_and_a_steep_one_goes_on() -> None:
    flat = expected_gain(LABELS, [4_700.0, 4_750, 4_752, 4_750, 4_751, 4_750], [5_000] * 6, more=100)
    steep = expected_gain(LABELS, [1_000.0, 1_500, 2_000, 2_500, 3_000, 3_500], [5_000] * 6, more=300)
    assert advise(flat, threshold=0.002) == "stop"
    assert advise(steep, threshold=0.002) == "continue"
    assert steep is not None
    assert steep.value > 0.02


def test_few_measured_labels_settle_nothing() -> None:
    noisy = expected_gain(LABELS, [20.0, 24, 23, 26, 25, 26], [40] * 6, more=100)
    assert noisy is not None
    assert noisy.high > 0.002
    assert advise(noisy, threshold=0.002) == "continue"


def test_a_curve_of_three_points_is_too_early() -> None:
    assert expected_gain([20, 40, 80, 80], [5.0, 6, 7, 7], [10] * 4, more=100) is None
    assert advise(None, threshold=1.0) == "too_early"


@pytest.mark.parametrize("at_the_edge", [[0.0] * 6, [50.0] * 6])
def test_all_wrong_or_all_right_gains_nothing_sure(at_the_edge: list[float]) -> None:
    gain = expected_gain(LABELS, at_the_edge, [50] * 6, more=100)
    assert gain is not None
    assert gain.value == pytest.approx(0.0, abs=0.02)


def test_the_seed_decides_and_wrong_points_are_refused() -> None:
    right = _right(0.9, 0.9, 0.5, of=200, seed=0)
    assert expected_gain(LABELS, right, [200] * 6, more=50) == expected_gain(LABELS, right, [200] * 6, more=50)
    with pytest.raises(ValueError, match="point 2 is none"):
        expected_gain([1, 2, 3, 4], [1.0, 1, 9, 1], [5] * 4, more=1)
    with pytest.raises(ValueError, match="of one length"):
        expected_gain([1, 2], [1.0], [5], more=1)
    with pytest.raises(ValueError, match="at least 1"):
        expected_gain(LABELS, right, [200] * 6, more=0)


def test_the_upper_end_decides() -> None:
    assert advise(Gain(100, 50, 0.001, 0.0, 0.003), threshold=0.002) == "continue"
