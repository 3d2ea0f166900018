"""Krippendorff's alpha: agreement of any number of annotators, with gaps, for named, ordered or measured classes."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(
    counts: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    *,
    level: Level = "nominal",
    values: NDArray[np.float64] | None = None,
) -> float:
    """Return 1 - observed disagreement / disagreement expected by chance.

        o_ck  = sum_t n_tc (n_tk - [c = k]) / (n_t - 1)         coincidences within items with n_t >= 2
        alpha = 1 - (n - 1) sum o_ck d_ck / sum n_c n_k d_ck,   n_c = sum_k o_ck,  n = sum_c n_c

    with d = 1 for different classes (nominal), the squared difference of the values (interval), or the squared number of answers
    between the two classes, the ends counting half (ordinal).

    Parameters
    ----------
    counts
        Shape (n_items, K), how often each class was named for each item. Missing answers simply are not counted; an item with one
        answer says nothing of agreement and is left out.
    weight
        Shape (n_items,), how often each item counts; None: once.
    values
        Shape (K,), what each class measures (interval only); None: 0, 1, 2, ...

    Returns
    -------
    At most 1; 0 is chance. NaN if nothing can disagree: no item with two answers, or only one class named.

    Cost O(n_items K) for nominal, else O(n_items K^2).

    >>> counts = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> [round(krippendorff_alpha(counts, level=level), 3) for level in ("nominal", "ordinal", "interval")]
    [0.545, 0.778, 0.706]

    References
    ----------
    Krippendorff: Computing Krippendorff's Alpha-Reliability. 2011. (Its example is a test.)
    """
    n = counts.sum(axis=1)
    w = np.ones(len(counts)) if weight is None else weight
    share = np.where(n >= 2, w / np.maximum(n - 1.0, 1.0), 0.0)
    if level == "nominal":
        return _nominal(counts, share, n)
    weighted = counts * share[:, None]
    coincidence = counts.T @ weighted - np.diag(weighted.sum(axis=0))
    named = coincidence.sum(axis=1)
    distance = _distance(named, level, values)
    chance = float(named @ distance @ named)
    if not chance:
        return float("nan")
    return 1.0 - (float(named.sum()) - 1.0) * float((coincidence * distance).sum()) / chance


def nominal_alphas(counts: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nominal alpha of the same items under R weightings at once; (n_items, K) and (R, n_items) -> (R,).

    NaN where `krippendorff_alpha` is.

    >>> counts = np.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    >>> nominal_alphas(counts, np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])).round(3).tolist()
    [0.545, nan]
    """
    n = counts.sum(axis=1)
    is_paired = n >= 2
    named = weights[:, is_paired] @ counts[is_paired]
    within = (counts * (counts - 1.0)).sum(axis=1)[is_paired] / (n[is_paired] - 1.0)
    total = named.sum(axis=1)
    chance = total * total - (named * named).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alphas: NDArray[np.float64] = 1.0 - (total - 1.0) * (total - weights[:, is_paired] @ within) / chance
    alphas[(named > 0).sum(axis=1) < 2] = np.nan
    return alphas


def krippendorff_alpha_by_class(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nominal alpha of each class against all others together; shape (K,)."""
    rest = counts.sum(axis=1, keepdims=True) - counts
    return np.array([krippendorff_alpha(np.stack([counts[:, k], rest[:, k]], axis=1)) for k in range(counts.shape[1])])


def _nominal(counts: NDArray[np.float64], share: NDArray[np.float64], n: NDArray[np.float64]) -> float:
    """Without the matrix: only its diagonal and its sums matter where all classes are equally far apart."""
    named = (share * (n - 1.0)) @ counts
    if np.count_nonzero(named) < 2:
        return float("nan")
    total = float(named.sum())
    chance = total * total - float(named @ named)
    agreeing = float(share @ (counts * (counts - 1.0)).sum(axis=1))
    return 1.0 - (total - 1.0) * (total - agreeing) / chance


def _distance(named: NDArray[np.float64], level: Level, values: NDArray[np.float64] | None) -> NDArray[np.float64]:
    classes = len(named)
    # Ordinal: the number of answers from class c to class k, the two ends by half, is a difference of mid-ranks.
    place = np.cumsum(named) - named / 2.0 if level == "ordinal" else np.arange(classes, dtype=np.float64)
    if level == "interval" and values is not None:
        place = np.asarray(values, dtype=np.float64)
        if place.shape != (classes,) or not np.isfinite(place).all():
            raise ValueError(f"values must be {classes} finite numbers")
    squared: NDArray[np.float64] = np.subtract.outer(place, place) ** 2
    return squared
