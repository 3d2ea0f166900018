"""Bursts: far more answers in a short time than usual."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import poisson

WINDOW_SECONDS: Final = 600.0
LEAST_EXPECTED: Final = 1.0
LEAST_SPREAD: Final = 0.25


def burst_p_value(count: int, expected: float) -> float:
    """Return the chance of `count` or more answers in a window where `expected` are usual (Poisson).

    >>> f"{burst_p_value(10, 2.0):.1e}", f"{burst_p_value(12, 2.0):.1e}", burst_p_value(0, 2.0)
    ('4.6e-05', '1.4e-06', 1.0)
    """
    if count < 0 or not expected > 0:
        raise ValueError("a count that is not below 0, and an expectation above 0")
    return float(poisson.sf(count - 1, expected))


def busiest_window(seconds: NDArray[np.float64], window_seconds: float = WINDOW_SECONDS) -> int:
    """Return the largest number of answers within any window of this length (both ends included). O(n log n).

    >>> busiest_window(np.array([0.0, 5.0, 100.0, 103.0, 106.0]), 10.0)
    3
    """
    times = np.sort(np.asarray(seconds, dtype=np.float64))
    if not len(times):
        return 0
    ends = np.searchsorted(times, times + window_seconds, side="right")
    return int((ends - np.arange(len(times))).max())


@dataclass(frozen=True, eq=False)
class Bursts:
    """One row per source: answers in its busiest window, and how unlikely that is by what is usual in the project."""

    busiest: NDArray[np.int64]
    p_value: NDArray[np.float64]


def bursts(
    source: NDArray[np.int64], seconds: NDArray[np.float64], *, n_sources: int, window_seconds: float = WINDOW_SECONDS
) -> Bursts:
    """Compare the busiest window of each source with those of all sources.

        z = (log busiest - log median) / sqrt(1 / median + s^2),      p = P(N(0, 1) >= z)

    What is usual is the median of the busiest windows. People differ in pace by factors, so the comparison is one of logarithms; s is the
    standard deviation of the logarithms from the distance between median and lower quartile, which bots do not reach, even if they are a third of all sources, and at least
    0.25. 1 / median is what chance adds to the logarithm of a count.

    Returns
    -------
    Bursts, shape (n_sources,); p-value 1 for a source without answers. O(n log n).

    >>> source = np.repeat(np.arange(11), 20)
    >>> seconds = np.concatenate([np.arange(20) * 120.0] * 10 + [np.arange(20) * 2.0])
    >>> found = bursts(source, seconds, n_sources=11)
    >>> found.busiest.tolist()[-2:], bool(found.p_value[-1] < 0.01), bool(found.p_value[0] > 0.1)
    ([6, 20], True, True)
    """
    order = np.lexsort((seconds, source))
    source, seconds = source[order], seconds[order]
    starts = np.searchsorted(source, np.arange(n_sources + 1))
    busiest = np.array(
        [busiest_window(seconds[a:b], window_seconds) for a, b in pairwise(starts)],
        dtype=np.int64,
    )
    active = busiest[busiest > 0]
    if not len(active):
        return Bursts(busiest, np.ones(n_sources))
    usual = max(LEAST_EXPECTED, float(np.median(active)))
    spread = max(LEAST_SPREAD, float(np.log(usual / max(1.0, np.quantile(active, 0.25)))) / 0.6745)
    z = (np.log(np.maximum(busiest, 1)) - np.log(usual)) / np.sqrt(1.0 / usual + spread**2)
    return Bursts(busiest, np.where(busiest > 0, ndtr(-z), 1.0))
