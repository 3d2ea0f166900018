"""Answers that were given too fast to have been thought about."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

SHORTEST_SECONDS: Final = 0.8
USUAL_SHARE: Final = 0.05
LEAST_ANSWERS: Final = 5


def too_fast_below(seconds: NDArray[np.float64]) -> float:
    """Return the time below which an answer to this question is too fast: max(0.8 s, half of the 5th percentile of all answers).

    >>> too_fast_below(np.array([4.0] * 19 + [100.0])), too_fast_below(np.array([1.0] * 20))
    (2.0, 0.8)
    """
    times = np.asarray(seconds, dtype=np.float64)
    if not (np.isfinite(times) & (times >= 0)).all():
        raise ValueError("a time to answer is finite and not below 0")
    return max(SHORTEST_SECONDS, float(np.quantile(times, 0.05)) / 2.0) if len(times) else SHORTEST_SECONDS


@dataclass(frozen=True, eq=False)
class Pace:
    """One row per source: answers with a known time, the share that was too fast, and how unlikely that is by chance.

    p_value
        In [0, 1]; 1 with fewer than 5 answers.
    """

    n: NDArray[np.int64]
    share_too_fast: NDArray[np.float64]
    p_value: NDArray[np.float64]


def pace(source: NDArray[np.int64], seconds: NDArray[np.float64], *, n_sources: int, least_seconds: float) -> Pace:
    """Test each source for more too fast answers than people give by accident (one in twenty).

        p_w = P(Binomial(n_w, 0.05) >= number of answers below `least_seconds`)

    A source without answers has share 0 and p-value 1. O(n).

    >>> found = pace(np.repeat([0, 1], 10), np.tile([0.5, 6.0], 10), n_sources=2, least_seconds=0.8)
    >>> found.share_too_fast.tolist(), found.p_value.round(5).tolist()
    ([0.5, 0.5], [6e-05, 6e-05])
    """
    n = np.bincount(source, minlength=n_sources)
    fast = np.bincount(source[seconds < least_seconds], minlength=n_sources)
    p_value = np.where(n >= LEAST_ANSWERS, binom.sf(fast - 1, n, USUAL_SHARE), 1.0)
    return Pace(n.astype(np.int64), np.divide(fast, n, out=np.zeros(n_sources), where=n > 0), p_value)
