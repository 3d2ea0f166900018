"""The difference of two independent proportions, with an interval that holds for few observations too."""

import math
from dataclasses import dataclass

from datasets.estimation.wilson import proportion_interval


@dataclass(frozen=True, slots=True)
class Difference:
    """First proportion minus second.

    value
        None where one of them has no observation; the interval is then [-1, 1].
    low, high
        Newcombe's interval, in [-1, 1].
    standard_error
        Of the value, by the two sample proportions; 0 where both are 0 or 1.
    z
        The test statistic of “no difference”, with the pooled proportion; 0 where both are 0 or both are 1.
    """

    value: float | None
    low: float
    high: float
    standard_error: float
    z: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves no difference out."""
        return self.value is not None and not self.low <= 0.0 <= self.high


def difference(first: int, n_first: int, second: int, n_second: int, *, confidence: float = 0.95) -> Difference:
    """Estimate how far two proportions are apart, from `first` of `n_first` and `second` of `n_second`.

    With the Wilson intervals (l1, u1), (l2, u2) of the proportions p1, p2:

        low  = p1 - p2 - sqrt((p1 - l1)^2 + (u2 - p2)^2)
        high = p1 - p2 + sqrt((u1 - p1)^2 + (p2 - l2)^2)

    Raises
    ------
    ValueError
        For counts or a confidence out of range.

    >>> found = difference(850, 1000, 780, 1000)
    >>> f"{found.value:.2f} {found.standard_error:.6f} {found.z:.3f}"
    '0.07 0.017295 4.031'

    References
    ----------
    Newcombe: Interval Estimation for the Difference between Independent Proportions. Statistics in Medicine 1998, method 10.
    """
    one = proportion_interval(first, n_first, confidence=confidence)
    other = proportion_interval(second, n_second, confidence=confidence)
    if one.value is None or other.value is None:
        return Difference(None, -1.0, 1.0, math.nan, math.nan)
    value = one.value - other.value
    pooled = (first + second) / (n_first + n_second)
    pooled_error = math.sqrt(pooled * (1.0 - pooled) * (1.0 / n_first + 1.0 / n_second))
    return Difference(
        value=value,
        low=value - math.hypot(one.value - one.low, other.high - other.value),
        high=value + math.hypot(one.high - one.value, other.value - other.low),
        standard_error=math.sqrt(one.value * (1 - one.value) / n_first + other.value * (1 - other.value) / n_second),
        z=value / pooled_error if pooled_error else 0.0,
    )
