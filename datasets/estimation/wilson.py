"""Wilson score interval: a proportion from few, independent yes-or-no observations."""

import math
from dataclasses import dataclass

from scipy.stats import norm


@dataclass(frozen=True, slots=True)
class Estimate:
    """A proportion with its confidence interval. `value` is None when there was nothing to observe."""

    value: float | None
    low: float
    high: float
    n: int


def proportion_interval(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a proportion and its two-sided Wilson score interval.

    With p = successes / n and z the standard normal quantile of (1 + confidence) / 2:

        (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Parameters
    ----------
    successes
        In [0, n].
    n
        Number of observations, >= 0.
    confidence
        In (0, 1).

    Returns
    -------
    An `Estimate` with 0 <= low <= value <= high <= 1.

    Raises
    ------
    ValueError
        For counts or a confidence out of range.

    Notes
    -----
    n = 0: value None, interval [0, 1]. No success: low is exactly 0; no failure: high is exactly 1. Mean coverage is close
    to nominal down to n of about 10, where the textbook interval p -+ z sqrt(p (1 - p) / n) fails.
    There is no finite population correction: the question is the accuracy on items like these, also those that have not
    arrived yet, and a correction for the share of the present pool would make the interval too narrow for that.

    >>> estimate = proportion_interval(81, 263)
    >>> f"{estimate.low:.4f} {estimate.high:.4f}"
    '0.2553 0.3662'

    References
    ----------
    Wilson: Probable Inference, the Law of Succession, and Statistical Inference. JASA 1927. Newcombe: Two-sided
    Confidence Intervals for the Single Proportion. Statistics in Medicine 1998 (the example). Brown, Cai, DasGupta:
    Interval Estimation for a Binomial Proportion. Statistical Science 2001.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in [0, n], not {successes} of {n}")
    if n == 0:
        return Estimate(value=None, low=0.0, high=1.0, n=0)
    value = successes / n
    low, high = share_interval(value, n, confidence=confidence)
    return Estimate(value=value, low=low, high=high, n=n)


def share_interval(share: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The same interval around a share of `n` observations, which need not be a whole number: an effective sample size.

    Of a share of 0 the low end is exactly 0, of 1 the high end exactly 1. ValueError for a share outside [0, 1], n <= 0 or a
    confidence outside (0, 1).

    >>> [round(end, 4) for end in share_interval(0.75, 12.5)]
    [0.4732, 0.9092]
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    if not (0.0 <= share <= 1.0 and n > 0):
        raise ValueError(f"a share lies in [0, 1] and is of some observations, not {share} of {n}")
    z = float(norm.ppf((1.0 + confidence) / 2.0))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half_width = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula gives 0 and 1 exactly, but for rounding.
    low = 0.0 if share == 0.0 else min(centre - half_width, share)
    high = 1.0 if share == 1.0 else max(centre + half_width, share)
    return low, high
