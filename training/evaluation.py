"""How good are a model's probabilities on labelled rows it was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.estimation.wilson import proportion_interval

# Stored probabilities are float32: what is below its resolution of 1 may have been anything down to zero.
SMALLEST_PROBABILITY: Final = 1e-7
_BINS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of one model on n rows.

    accuracy, accuracy_low, accuracy_high
        Share of rows whose most probable class is the true one, with its 95% Wilson interval.
    log_loss
        Mean of -ln p(true class) in nats, >= 0, lower is better; probabilities below 1e-7 count as 1e-7.
    calibration_error
        Mean distance of confidence and accuracy over ten bins of confidence, weighted by rows; in [0, 1], lower is
        better. Biased upwards on few rows: with one row a bin it is about the mean of 1 - confidence.
    """

    n: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    log_loss: float
    calibration_error: float


def positions(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64]:
    """The column of each label, -1 for a class that the model does not know. Shape (n,)."""
    place = {name: position for position, name in enumerate(classes)}
    return np.array([place.get(label, -1) for label in labels], dtype=np.int64)


def is_correct(probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each row's most probable class (the first one of a tie) is the true one. Shape (n,).

    >>> is_correct(np.array([[0.9, 0.1], [0.9, 0.1]], dtype=np.float32), np.array([0, -1])).tolist()
    [True, False]
    """
    correct: NDArray[np.bool_] = probabilities.argmax(axis=1) == truth
    return correct


def scores(probabilities: NDArray[np.float32], truth: NDArray[np.int64]) -> Scores | None:
    """Measure a model on labelled rows; None when there are none.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1, each row a distribution.
    truth
        Shape (n,), the column of the true class; -1 where the model does not know that class, which counts as wrong and
        as probability zero.
    """
    n = len(truth)
    if probabilities.ndim != 2 or len(probabilities) != n:
        raise ValueError(f"{n} labels need as many rows of probabilities, not shape {probabilities.shape}")
    if not n:
        return None
    correct = is_correct(probabilities, truth)
    accuracy = proportion_interval(int(correct.sum()), n)
    of_truth = np.where(truth >= 0, probabilities[np.arange(n), truth], 0.0).astype(np.float64)
    return Scores(
        n=n,
        accuracy=float(correct.mean()),
        accuracy_low=accuracy.low,
        accuracy_high=accuracy.high,
        log_loss=float(-np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1.0)).mean()),
        calibration_error=_calibration_error(probabilities.max(axis=1), correct),
    )


def _calibration_error(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    surplus = np.bincount(bins, weights=confidence - correct, minlength=_BINS)
    return float(np.abs(surplus).sum() / len(correct))
