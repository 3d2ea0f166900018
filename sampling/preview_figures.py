"""Figures of a batch before it is drawn for good: how its chances spread, and what in it is alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.geometry import NEAR_DUPLICATE, points, squared_distances

CHANCE_BOUNDS: Final = (0.1, 1.0, 10.0, 100.0)
"""Chances are counted below, between and above these multiples of the uniform one."""
_LARGEST_BATCH_COMPARED: Final = 2_000


@dataclass(frozen=True, slots=True)
class Share:
    """How much of two groups has one value, both in [0, 1]."""

    name: str
    in_batch: float
    elsewhere: float


def chances(propensity: NDArray[np.float64], drawable: int) -> list[int]:
    """Count draws by their chance, in multiples of that of a uniform draw from what was left.

    Parameters
    ----------
    propensity
        Shape (k,), in draw order; NaN where a deterministic rule chose, which is not counted.
    drawable
        Items that could be drawn at first, >= k.

    Returns
    -------
    Five counts: below 1/10, up to 1, up to 10, up to 100, above.

    >>> chances(np.array([0.002, 0.5, np.nan]), 100)
    [0, 1, 0, 1, 0]
    """
    remaining = drawable - np.arange(len(propensity))
    multiples = (propensity * remaining)[~np.isnan(propensity)]
    # The smallest difference is rounding: a uniform draw is exactly 1.
    places = np.searchsorted(np.array(CHANCE_BOUNDS), multiples * (1 - 1e-9), side="left")
    return [int(count) for count in np.bincount(places, minlength=len(CHANCE_BOUNDS) + 1)]


def near_duplicates(vectors: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Pairs of rows that point the same way (cosine above 0.9995), the first by row; rows of zeros are like no other.

    Compares the first 2,000 rows.
    """
    rows = points(vectors[:_LARGEST_BATCH_COMPARED], "cosine")
    is_zero = ~rows.any(axis=1)
    distances = squared_distances(rows, rows)
    distances[is_zero] = distances[:, is_zero] = np.inf
    one, other = np.nonzero(np.triu(distances < NEAR_DUPLICATE, k=1))
    return [(int(a), int(b)) for a, b in zip(one, other, strict=True)]


def shares(batch: Sequence[str], elsewhere: Mapping[str, int], *, most: int = 8) -> list[Share]:
    """Compare how often names occur, the most frequent of the batch first; beyond `most` they are put together.

    >>> shares(["cat", "cat", "dog"], {"cat": 1, "bird": 1})[0]
    Share(name='cat', in_batch=0.6666666666666666, elsewhere=0.5)
    """
    counts = Counter(batch)
    total, rest = max(len(batch), 1), max(sum(elsewhere.values()), 1)
    names = sorted({*counts, *elsewhere}, key=lambda name: (-counts[name], -elsewhere.get(name, 0), name))
    found = [Share(name, counts[name] / total, elsewhere.get(name, 0) / rest) for name in names[:most]]
    if others := names[most:]:
        in_batch, outside = sum(counts[name] for name in others), sum(elsewhere.get(name, 0) for name in others)
        found.append(Share(f"{len(others)} others", in_batch / total, outside / rest))
    return found


def mean_of_histogram(counts: NDArray[np.int64]) -> float | None:
    """The mean of numbers in [0, 1] that were counted in equal steps, by the middles of the steps; None for none.

    >>> mean_of_histogram(np.array([0, 2]))
    0.75
    """
    if not counts.sum():
        return None
    middles = (np.arange(len(counts)) + 0.5) / len(counts)
    return float(counts @ middles / counts.sum())
