import numpy as np
import pytest
from sklearn.metrics import log_loss

from training import evaluation


def test_worked_scores_of_four_rows() -> None:
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.25, 0.75], [0.35, 0.65]], dtype=np.float32)
    found = evaluation.scores(probabilities, np.array([0, 1, 1, 1]))
    assert found is not None
    assert (found.n, found.accuracy) == (4, 0.75)
    assert found.log_loss == pytest.approx(-np.log([0.95, 0.05, 0.75, 0.65]).mean(), rel=1e-6)
    # Bins 9 (two rows, one right), 7 and 6 (one row each, right).
    assert found.calibration_error == pytest.approx((abs(1.9 - 1) + 0.25 + 0.35) / 4, abs=1e-6)
    assert (round(found.accuracy_low, 4), round(found.accuracy_high, 4)) == (0.3006, 0.9544)


def test_the_log_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], 200).astype(np.float32)
    truth = rng.integers(0, 3, 200)
    found = evaluation.scores(probabilities, truth)
    assert found is not None
    exact = probabilities.astype(np.float64)
    expected = log_loss(truth, exact / exact.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    assert found.log_loss == pytest.approx(expected, rel=1e-5)


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 50_000)
    truth = (rng.random(50_000) > confidence).astype(np.int64)
    found = evaluation.scores(np.column_stack([confidence, 1 - confidence]).astype(np.float32), truth)
    assert found is not None
    assert found.calibration_error < 0.01


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    found = evaluation.scores(np.array([[1.0, 0.0]], dtype=np.float32), np.array([1]))
    assert found is not None
    assert found.log_loss == pytest.approx(-np.log(1e-7))


def test_a_class_the_model_does_not_know_counts_as_wrong() -> None:
    truth = evaluation.positions(["cat", "owl"], ["dog", "cat"])
    assert truth.tolist() == [1, -1]
    found = evaluation.scores(np.array([[0.2, 0.8], [0.2, 0.8]], dtype=np.float32), truth)
    assert found is not None
    assert found.accuracy == 0.5


def test_without_rows_there_are_no_scores() -> None:
    assert evaluation.scores(np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.int64)) is None


def test_rows_and_labels_must_pair_up() -> None:
    with pytest.raises(ValueError, match="2 labels"):
        evaluation.scores(np.empty((3, 3), dtype=np.float32), np.array([0, 1]))
