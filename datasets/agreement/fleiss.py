"""Fleiss' kappa: agreement of many annotators beyond what their overall habits give by chance."""

import numpy as np
from numpy.typing import NDArray

from datasets.agreement.percent import percent_agreement


def fleiss_kappa(counts: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> float:
    """Return (P - E) / (1 - E), P the percent agreement, E = sum_k p_k^2 with p_k the share of all answers that name k.

    Made for equally many answers an item by whoever; with unequal numbers every item with two or more answers counts
    alike in P, and every answer alike in p.

    Parameters
    ----------
    counts
        Shape (n_items, K), how often each class was named for each item.
    weight
        Shape (n_items,), how often each item counts; None: once.

    Returns
    -------
    At most 1 (full agreement); 0 is chance; below 0 is less than chance. NaN if no item has two answers, or if only one
    class was ever named: then chance agreement is full, too, and the ratio is 0/0.

    >>> round(fleiss_kappa(np.array([[3.0, 0.0], [0.0, 3.0], [2.0, 1.0]])), 4)
    0.55

    References
    ----------
    Fleiss: Measuring nominal scale agreement among many raters. Psychological Bulletin 1971.
    """
    w = np.ones(len(counts)) if weight is None else weight
    w = w * (counts.sum(axis=1) >= 2)
    named = w @ counts
    if not named.sum():
        return float("nan")
    chance = float(((named / named.sum()) ** 2).sum())
    return (percent_agreement(counts, w) - chance) / (1.0 - chance) if chance < 1.0 else float("nan")


def fleiss_kappa_by_class(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the kappa of each class against all others together; shape (K,), NaN for a class never or always named.

    Low values show which classes people confuse.
    """
    rest = counts.sum(axis=1, keepdims=True) - counts
    return np.array([fleiss_kappa(np.stack([counts[:, k], rest[:, k]], axis=1)) for k in range(counts.shape[1])])
