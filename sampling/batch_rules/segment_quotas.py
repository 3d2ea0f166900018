"""Segment quotas: the share of each stratum in a batch is set, the rule chooses within it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STREAM: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """Which stratum every draw is of.

    of
        Shape (size,), int64.
    chance
        Shape (size,): the probability of that stratum at that draw.
    first
        Shape (S,): the probability of each stratum at the first draw.
    """

    of: NDArray[np.int64]
    chance: NDArray[np.float64]
    first: NDArray[np.float64]


def draw_strata(counts: Sequence[int], shares: Sequence[float], *, size: int, seed: int) -> Strata:
    """Draw the stratum of every draw by the shares, over the strata that still have items.

    A stratum is drawn, not filled to a number, so the propensity of an item is exactly chance of the stratum x propensity
    within it, and what is estimated from the draws stays unbiased. The number of draws of a stratum is binomial about its share.

    Parameters
    ----------
    counts
        Items of each stratum, S of them.
    shares
        Of each stratum, >= 0 with a sum above 0; they need not sum to 1.
    size
        How many draws, at most the sum of the counts.
    seed
        Of the strata, independent of what is drawn within them.

    Raises
    ------
    ValueError
        Different numbers of counts and shares, a share that is negative or not finite, none above 0, or too large a size.

    Notes
    -----
    When only strata of share 0 have items left, these are drawn in proportion to what is left in them.

    >>> draw_strata([1, 5], [0.5, 0.5], size=6, seed=0).of.tolist().count(0)
    1
    """
    wanted, left = np.array(shares, dtype=np.float64), np.array(counts, dtype=np.int64)
    if wanted.shape != left.shape:
        raise ValueError(f"{len(left)} strata need as many shares, not {len(wanted)}")
    if not (np.isfinite(wanted).all() and (wanted >= 0).all() and wanted.sum() > 0):
        raise ValueError("shares must be at least 0, finite, and not all 0")
    if size > left.sum():
        raise ValueError(f"{size} draws are more than the {left.sum()} items")
    of, chance = np.empty(size, dtype=np.int64), np.empty(size)
    first = _chances(wanted, left) if left.sum() else np.zeros(len(left))
    uniforms = np.random.default_rng([seed, _STREAM]).random(size)
    for place in range(size):
        chances = _chances(wanted, left)
        of[place] = min(int(np.searchsorted(np.cumsum(chances), uniforms[place], side="right")), len(left) - 1)
        if not left[of[place]]:  # rounding at the very end of the last stratum with items
            of[place] = np.flatnonzero(left)[-1]
        chance[place] = chances[of[place]]
        left[of[place]] -= 1
    return Strata(of, chance, first)


def _chances(shares: NDArray[np.float64], left: NDArray[np.int64]) -> NDArray[np.float64]:
    weights = np.where(left > 0, shares, 0.0)
    if not weights.any():
        weights = left.astype(np.float64)
    chances: NDArray[np.float64] = weights / weights.sum()
    return chances
