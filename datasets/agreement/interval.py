"""Bootstrap intervals of measures of agreement: what they would be on other items like these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 500
Measure = Callable[[NDArray[np.float64], NDArray[np.float64] | None], float]
"""(counts, how often each item counts) -> agreement."""
ManyMeasure = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""(counts, how often each item counts in each of R resamples, shape (R, n)) -> agreement in each."""


@dataclass(frozen=True)
class Agreement:
    """A measure, its percentile interval, and the items with two or more answers it rests on.

    `value` is NaN where the measure is undefined; `low` and `high` are NaN where fewer than half of the resamples are defined.
    """

    value: float
    low: float
    high: float
    n: int


def distinct(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the different rows, shape (m, K), and how many items have each, shape (m,).

    Few answers about few classes differ in few ways: measures and their intervals are the same by these, and cost less.

    >>> distinct(np.array([[2.0, 0.0], [1.0, 1.0], [2.0, 0.0]]))
    (array([[1., 1.],
           [2., 0.]]), array([1., 2.]))
    """
    whole = counts.astype(">u4")
    if not counts.size or not np.array_equal(whole, counts):
        rows, times = np.unique(counts, axis=0, return_counts=True)
        return rows, times.astype(np.float64)
    # Rows of big-endian whole numbers sort as bytes like they do as numbers, several times as fast.
    packed = np.ascontiguousarray(whole).view(np.dtype((np.void, whole.dtype.itemsize * counts.shape[1])))[:, 0]
    _, first, times = np.unique(packed, return_index=True, return_counts=True)
    return counts[first], times.astype(np.float64)


def bootstrap(
    measure: Measure,
    counts: NDArray[np.float64],
    times: NDArray[np.float64] | None = None,
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    of_many: ManyMeasure | None = None,
) -> Agreement:
    """Return the measure with an interval from resamples of the items (answers about one item stay together).

    The percentile interval; with fewer than about 20 items it is too narrow. Annotators are taken as given: it does not say
    what other people would have answered. Cost: `resamples` times that of the measure.

    Parameters
    ----------
    times
        Shape (n_rows,), how many items each row stands for, see `distinct`; None: one each.
    of_many
        The measure of all resamples at once, where there is a faster one; R n numbers are held in memory.

    >>> from datasets.agreement.fleiss import fleiss_kappa
    >>> counts = np.array([[3.0, 0.0]] * 20 + [[0.0, 3.0]] * 20 + [[2.0, 1.0]] * 10)
    >>> found = bootstrap(fleiss_kappa, counts, rng=np.random.default_rng(0))
    >>> found.low < found.value < found.high, found.n
    (True, 50)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    is_paired = counts.sum(axis=1) >= 2
    paired = counts[is_paired]
    stands_for = np.ones(len(paired)) if times is None else times[is_paired]
    items = int(stands_for.sum())
    value = measure(counts, times)
    if not items or resamples < 1:
        return Agreement(value, float("nan"), float("nan"), items)
    chance = stands_for / items
    if of_many is not None:
        found = of_many(paired, rng.multinomial(items, chance, size=resamples).astype(np.float64))
    else:
        found = np.array([measure(paired, rng.multinomial(items, chance).astype(np.float64)) for _ in range(resamples)])
    found = found[~np.isnan(found)]
    if len(found) < resamples / 2:
        return Agreement(value, float("nan"), float("nan"), items)
    low, high = np.quantile(found, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return Agreement(value, float(low), float(high), items)
