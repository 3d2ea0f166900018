"""Percent agreement: how often two answers about the same item are the same."""

import numpy as np
from numpy.typing import NDArray


def percent_agreement(counts: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """Return the share of pairs of answers about one item that agree, each item counting alike.

        A_t = sum_k n_tk (n_tk - 1) / (n_t (n_t - 1)),   the mean of A_t over items with n_t >= 2

    Easy to read, but chance alone gives much of it: two people who name the commonest of unequal classes agree often. So look at
    it beside a chance-corrected measure.

    Parameters
    ----------
    counts
        Shape (n_items, K), >= 0: how often each class was named for each item.
    weight
        Shape (n_items,), how often each item counts (a bootstrap resample); None: once.

    Returns
    -------
    In [0, 1]; 1 is full agreement. NaN if no item has two answers.

    >>> percent_agreement(np.array([[2.0, 0.0], [1.0, 1.0], [3.0, 1.0]]))
    0.5
    """
    n = counts.sum(axis=1)
    is_paired = n >= 2
    w = is_paired.astype(np.float64) if weight is None else weight * is_paired
    if not w.sum():
        return float("nan")
    pairs = np.where(is_paired, n * (n - 1.0), 1.0)
    agreeing = (counts * (counts - 1.0)).sum(axis=1) / pairs
    return float((agreeing * w).sum() / w.sum())
