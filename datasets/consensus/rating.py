"""Ratings on an ordered scale: a robust mean, and a model of severe, lenient and noisy raters."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

HUBER: Final = 1.345
"""In standard deviations: 95% of the efficiency of the mean when nothing is wrong."""
MOST_ROUNDS: Final = 100
_SEVERITY_PRIOR: Final = 2.0
_NOISE_PRIOR: Final = 4.0


def robust_mean(values: NDArray[np.float64], *, spread: float | None = None) -> float:
    """Return Huber's M-estimate of location: a mean in which far-off values pull no harder than moderately far ones.

        minimises sum_i rho((x_i - m) / s),   rho(u) = u^2 / 2 up to |u| = 1.345, then linear

    Parameters
    ----------
    values
        Shape (n,), finite, n >= 1.
    spread
        s > 0; None: 1.4826 times the median absolute deviation. Where that is 0 (more than half agree), the median.

    Returns
    -------
    Between the smallest and the largest value; equals the mean where nothing is farther than 1.345 s from it.

    >>> round(robust_mean(np.array([3.0, 3.0, 4.0, 4.0, 20.0]), spread=1.0), 3)
    3.836

    References
    ----------
    Huber: Robust Estimation of a Location Parameter. Annals of Mathematical Statistics 1964.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError("a robust mean needs one finite value or more")
    middle = float(np.median(x))
    s = 1.4826 * float(np.median(np.abs(x - middle))) if spread is None else spread
    if s <= 0:
        return middle
    mean = middle
    for _ in range(MOST_ROUNDS):
        distance = np.abs(x - mean) / s
        weight = np.minimum(1.0, HUBER / np.maximum(distance, HUBER))
        renewed = float((weight * x).sum() / weight.sum())
        if abs(renewed - mean) < 1e-9 * s:
            return renewed
        mean = renewed
    return mean


@dataclass(frozen=True, eq=False)
class RatingBeliefs:
    """What is believed of items that were rated.

    mean, deviation
        Shape (n_items,): the rating without the raters' severity, and how uncertain it is. NaN where nobody rated.
    posterior
        Shape (n_items, levels), float32: chance that the item belongs to each level. Uniform where nobody rated.
    severity, noise
        Shape (n_sources,): how much each rater adds on average, and their standard deviation. 0 and the mean noise for nobody's.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    posterior: NDArray[np.float32]
    severity: NDArray[np.float64]
    noise: NDArray[np.float64]
    rounds: int


def fit_ratings(
    item: NDArray[np.int64],
    source: NDArray[np.int64],
    rating: NDArray[np.float64],
    *,
    n_items: int,
    n_sources: int,
    levels: NDArray[np.float64],
) -> RatingBeliefs:
    """Work out the true rating of each item, allowing for raters who are severe, lenient or erratic.

    Intuition: 4 by somebody who gives 4 to everything says less than 4 by somebody who mostly gives 2. Each rating is

        x_iw = m_i + b_w + noise of variance s_w^2,   b_w ~ N(0, s_w^2 / 2),   s_w^2 drawn towards the mean variance by 4 ratings

    and m, b and s are worked out in turn (iterated conditional means) until m stands still; the b add up to zero over
    all ratings, since only differences of severity can be seen. An item's chance of a level is the normal mass between the midpoints to the next levels.

    Parameters
    ----------
    item, source, rating
        Shape (n,): who gave which item which rating.
    levels
        Shape (L,), L >= 2, increasing: the levels of the scale.

    Raises
    ------
    ValueError
        For ratings that are not finite, columns that do not fit each other, or levels that do not increase.

    Cost O(n) a round, at most 100 rounds.

    >>> item, source = np.repeat(np.arange(4), 2), np.tile([0, 1], 4)
    >>> truth = np.array([1.0, 2.0, 3.0, 4.0])
    >>> said = truth[item] + np.where(source == 1, 1.0, 0.0)  # the second is lenient
    >>> found = fit_ratings(item, source, said, n_items=4, n_sources=2, levels=np.arange(1.0, 6.0))
    >>> found.mean.round(2).tolist(), (found.severity[1] - found.severity[0]).round(1).item()
    ([1.5, 2.5, 3.5, 4.5], 0.7)
    """
    x, scale = np.asarray(rating, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    if not (item.shape == source.shape == x.shape) or x.ndim != 1:
        raise ValueError("item, source and rating must be columns of the same length")
    if len(scale) < 2 or not (np.diff(scale) > 0).all():
        raise ValueError("levels must increase, and there must be two of them")
    if not np.isfinite(x).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(x)))}: the rating is not finite")
    given = np.bincount(source, minlength=n_sources)
    severity, noise = np.zeros(n_sources), np.ones(n_sources)
    mean, rounds = np.zeros(n_items), 0
    floor = float(np.diff(scale).min()) ** 2 / 12.0  # what rounding to the levels alone gives
    for _ in range(MOST_ROUNDS):
        rounds += 1
        weight = 1.0 / noise[source]
        precision = np.bincount(item, weights=weight, minlength=n_items)
        total = np.bincount(item, weights=weight * (x - severity[source]), minlength=n_items)
        renewed = np.divide(total, precision, out=np.zeros(n_items), where=precision > 0)
        off = x - renewed[item]
        severity = np.bincount(source, weights=off, minlength=n_sources) / (given + _SEVERITY_PRIOR)
        if len(x):
            severity -= severity[source].mean()
        squared = np.bincount(source, weights=(off - severity[source]) ** 2, minlength=n_sources)
        overall = squared.sum() / max(1, len(x))
        noise = np.maximum((squared + _NOISE_PRIOR * overall) / (given + _NOISE_PRIOR), floor)
        is_still = bool(np.abs(renewed - mean).max(initial=0.0) < 1e-6)
        mean = renewed
        if is_still:
            break
    precision = np.bincount(item, weights=1.0 / noise[source], minlength=n_items)
    is_rated = precision > 0
    deviation = np.sqrt(np.divide(1.0, precision, out=np.full(n_items, np.nan), where=is_rated))
    mean = np.where(is_rated, mean, np.nan)
    return RatingBeliefs(mean, deviation, level_chances(mean, deviation, scale), severity, np.sqrt(noise), rounds)


def level_chances(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Normal mass between the midpoints of neighbouring levels; shape (n, L), rows sum to 1, uniform for NaN.

    >>> level_chances(np.array([2.0]), np.array([0.5]), np.array([1.0, 2.0, 3.0])).round(3).tolist()
    [[0.1589999943971634, 0.6830000281333923, 0.1589999943971634]]
    """
    between = (levels[1:] + levels[:-1]) / 2.0
    below = ndtr((between[None, :] - mean[:, None]) / deviation[:, None])
    edges = np.concatenate([np.zeros((len(mean), 1)), below, np.ones((len(mean), 1))], axis=1)
    chances = np.diff(edges, axis=1)
    chances[np.isnan(mean)] = 1.0 / len(levels)
    return chances.astype(np.float32)
