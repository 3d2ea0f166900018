"""Is a posterior of 0.9 right nine times in ten? Reliability curve and expected calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """One row per bin that holds anything: how sure, how often right, how many. `expected_error`: see `reliability_curve`."""

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    n: NDArray[np.int64]
    expected_error: float


def reliability_curve(
    probability: NDArray[np.floating], is_right: NDArray[np.bool_], *, bins: int = BINS
) -> ReliabilityCurve:
    """Compare stated probabilities with how often they hold, in bins of equal width over [0, 1].

        ECE = sum over bins of n_b / n |mean probability - share that is right|

    ECE is 0 for perfect probabilities in the limit, and of the order of sqrt(bins / n) by chance alone. NaN for n = 0.

    >>> found = reliability_curve(np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, True, True, False]))
    >>> found.accuracy.tolist(), round(found.expected_error, 3)
    ([0.5, 1.0], 0.05)

    References
    ----------
    Guo et al.: On Calibration of Modern Neural Networks. ICML 2017.
    """
    p = np.asarray(probability, dtype=np.float64)
    if p.shape != is_right.shape or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("one probability from 0 to 1 for each outcome")
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    n = np.bincount(place, minlength=bins)
    held = n > 0
    confidence = np.bincount(place, weights=p, minlength=bins)[held] / n[held]
    accuracy = np.bincount(place, weights=is_right.astype(np.float64), minlength=bins)[held] / n[held]
    error = float((np.abs(confidence - accuracy) * n[held]).sum() / len(p)) if len(p) else float("nan")
    return ReliabilityCurve(confidence, accuracy, n[held], error)
