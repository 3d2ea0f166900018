"""An estimate of a mean with its standard error and normal interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t


@dataclass(frozen=True, slots=True)
class MeanEstimate:
    """A mean with its two-sided confidence interval.

    standard_error
        In the unit of the mean; NaN where one observation gives none, and then the interval is all of the real line.
    n
        Observed outcomes the estimate rests on.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int


def normal_interval(value: float, standard_error: float, n: int, *, confidence: float = 0.95) -> MeanEstimate:
    """Put value -+ z * standard_error around a mean; ValueError for a confidence outside (0, 1).

    >>> estimate = normal_interval(0.5, 0.1, 20)
    >>> f"{estimate.low:.3f} {estimate.high:.3f}"
    '0.304 0.696'
    """
    return _interval(value, standard_error, n, _upper(norm(), confidence))


def student_interval(
    value: float, standard_error: float, n: int, *, freedom: float | None = None, confidence: float = 0.95
) -> MeanEstimate:
    """As `normal_interval` with the quantile of Student's t.

    `freedom`: its degrees of freedom, n - 1 unless given; 0 or less: all of the real line.

    >>> estimate = student_interval(0.5, 0.1, 20)
    >>> f"{estimate.low:.3f} {estimate.high:.3f}"
    '0.291 0.709'
    """
    degrees = n - 1 if freedom is None else freedom
    return _interval(value, standard_error, n, _upper(t(degrees), confidence) if degrees > 0 else float("nan"))


def _upper(distribution: Any, confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    return float(distribution.ppf((1.0 + confidence) / 2.0))


def _interval(value: float, standard_error: float, n: int, quantile: float) -> MeanEstimate:
    half_width = quantile * standard_error
    if np.isnan(half_width):
        half_width = float("inf")
    return MeanEstimate(value, standard_error, value - half_width, value + half_width, n)


def finite_column(name: str, values: NDArray[np.floating], length: int | None = None) -> NDArray[np.float64]:
    """Check that an argument is a column of finite numbers, of that length; ValueError naming the first bad row."""
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or (length is not None and len(column) != length):
        wanted = "(n,)" if length is None else f"({length},)"
        raise ValueError(f"{name} must have the shape {wanted}, not {column.shape}")
    if not np.isfinite(column).all():
        row = int(np.argmin(np.isfinite(column)))
        raise ValueError(f"row {row}: {name} must be finite, not {column[row]}")
    return column


def probability_column(name: str, values: NDArray[np.floating], length: int | None = None) -> NDArray[np.float64]:
    """As `finite_column`, with every value in (0, 1]."""
    column = finite_column(name, values, length)
    is_bad = (column <= 0.0) | (column > 1.0 + 1e-12)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: {name} must lie in (0, 1], not be {column[row]}")
    return column
