import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from labeling import calibration


def _sampled(true_temperature: float, n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / T)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(n, 4))
    probabilities = np.exp(log_softmax(logits / true_temperature, axis=1))
    labels = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return log_softmax(logits, axis=1), labels


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true_temperature: float) -> None:
    found = calibration.fit_temperature(*_sampled(true_temperature, 20_000))
    assert found == pytest.approx(true_temperature, rel=0.05)


def test_few_rows_that_are_all_right_do_not_make_the_model_certain() -> None:
    log_probabilities = np.log(np.full((10, 2), [0.9, 0.1]))
    found = calibration.fit_temperature(log_probabilities, np.zeros(10, dtype=np.int64))
    assert 0.2 < found < 1.0


def test_the_worked_minimum_for_one_row() -> None:
    """One row with log-odds L = 1, right. The loss ln(1 + e^(-L/T)) + ln(T)^2 / 2 is stationary where ln T = -s(-1/T) / T."""
    found = calibration.fit_temperature(log_softmax(np.array([[1.0, 0.0]]), axis=1), np.array([0]))
    slope = 1 / (1 + np.exp(1 / found)) / found
    assert np.log(found) == pytest.approx(-slope, abs=1e-3)


@given(st.floats(0.05, 20.0), st.integers(0, 2**32 - 1))
def test_applying_a_temperature_keeps_the_top_class_and_the_sum(temperature: float, seed: int) -> None:
    log_probabilities = log_softmax(np.random.default_rng(seed).normal(size=(5, 3)), axis=1)
    scaled = calibration.apply(log_probabilities, temperature)
    assert (scaled.argmax(axis=1) == log_probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1.0)


def test_an_impossible_class_stays_impossible() -> None:
    assert calibration.apply(np.array([[0.0, -np.inf]]), 2.0).tolist() == [[1.0, 0.0]]


def test_a_true_class_its_model_did_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1"):
        calibration.fit_temperature(np.array([[0.0, -np.inf], [0.0, -np.inf]]), np.array([0, 1]))


def test_every_row_is_held_out_once_and_never_trained_on_in_that_fold() -> None:
    labels = np.array([0, 1, 2] * 7 + [3])
    seen: list[int] = []

    def predict_fold(training: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        assert not set(training) & set(held_out)
        assert set(labels[training]) >= {0, 1, 2}
        seen.extend(held_out.tolist())
        return np.full((len(held_out), 4), np.log(0.25))

    found = calibration.out_of_fold(labels, 4, predict_fold, rng=np.random.default_rng(0))
    assert sorted(seen) == list(range(22))
    assert found.held_out == 21
