"""Choosing points far from each other: by squared-distance draws (k-means++) and farthest first (k-center).

Distances to what is chosen only ever shrink. So those of the last look are upper bounds: a candidate found by them is
checked against the points chosen since, and all points are looked at again only when that has become dearer than a look, or
every so many picks, with all of these at once. The result is that of looking at all points after every pick.
"""

import heapq
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

PICKS_A_LOOK: Final = 16
# What checking one row costs, in distances of a look: to call it at all, and for each point chosen since.
_CHECK_COSTS: Final = 2_000
_POINT_COSTS: Final = 10
_CONSIDERED_A_LOOK: Final = 1_024
_ENTRIES_A_BLOCK: Final = 524_288

Distances = Callable[[NDArray[np.int64] | slice, NDArray[np.int64]], NDArray[np.float32]]
"""(rows, chosen) -> squared distances (rows, chosen)."""


def squared_distance_draws(
    weights: NDArray[np.float64],
    nearest: NDArray[np.float32] | None,
    distances: Distances,
    *,
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw rows one after the other, each in proportion to weight x squared distance to the nearest before it.

    Parameters
    ----------
    weights
        Shape (n,), >= 0.
    nearest
        Shape (n,): squared distance to the nearest point that is there already; None: nothing is, and the first draw goes
        by weight alone.
    distances
        Between rows.
    size
        How many, <= n.

    Returns
    -------
    Rows in draw order. When all that is left coincides with what is chosen, the rest is taken by weight, ties by row.

    Notes
    -----
    Exact by rejection: a row drawn by an old distance is accepted with probability new / old distance. Rows are looked at
    again when rejections cost as much, so at most twice as much is done as by the better of never looking and always
    looking. Where points are spread widely hardly any row is rejected, and O(n) is done for the whole batch.

    References
    ----------
    Arthur, Vassilvitskii: k-means++: The Advantages of Careful Seeding. SODA 2007.
    """
    n = len(weights)
    chosen: list[int] = []
    if size == 0:
        return np.empty(0, dtype=np.int64)
    if nearest is None:
        total = float(weights.sum())
        chosen.append(_draw(np.cumsum(weights), rng) if total > 0.0 else 0)
        nearest = np.full(n, np.inf, dtype=np.float32)
        _look(nearest, np.array(chosen), distances)
    nearest = nearest.copy()
    since: list[int] = []
    wasted = 0
    sums = np.cumsum(weights * nearest)
    while len(chosen) < size and sums[-1] > 0.0:
        row = _draw(sums, rng)
        now = nearest[row]
        if since:
            now = min(now, distances(np.array([row]), np.array(since)).min())
        wasted += _POINT_COSTS * len(since)
        if row not in since and rng.random() * nearest[row] < now:
            chosen.append(row)
            since.append(row)
        else:
            wasted += _CHECK_COSTS
        if wasted > n * len(since):
            _look(nearest, np.array(since), distances)
            sums = np.cumsum(weights * nearest)
            since, wasted = [], 0
    return _filled(chosen, weights, size)


def farthest_first(
    nearest: NDArray[np.float32], distances: Distances, *, size: int, ranks: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Choose again and again the row farthest from everything chosen so far; ties by row.

    Parameters
    ----------
    nearest
        Shape (n,): squared distance to the nearest point that is there already; inf where nothing is.
    distances
        Between rows.
    ranks
        Shape (n,): the highest is the first choice where nothing is there, and first among what coincides with the chosen.

    References
    ----------
    Gonzalez: Clustering to minimize the maximum intercluster distance. 1985; Sener, Savarese: Active Learning for
    Convolutional Neural Networks: A Core-Set Approach. ICLR 2018.
    """
    nearest = nearest.copy()
    chosen: list[int] = []
    if size and len(nearest) and np.isinf(nearest).all():
        chosen.append(int(ranks.argmax()))
        _look(nearest, np.array(chosen), distances)
    while len(chosen) < size:
        found = _farthest_of_a_look(nearest, distances, most=min(size - len(chosen), PICKS_A_LOOK))
        if not found:
            break
        chosen.extend(found)
        _look(nearest, np.array(found), distances)
    return _filled(chosen, ranks, size)


def _farthest_of_a_look(nearest: NDArray[np.float32], distances: Distances, *, most: int) -> list[int]:
    """As many of the next choices as can be told from the rows that were farthest at the last look."""
    count = min(len(nearest), _CONSIDERED_A_LOOK)
    considered = np.sort(np.argpartition(-nearest, count - 1)[:count])
    outside = -np.inf if count == len(nearest) else float(np.partition(nearest, len(nearest) - count - 1)[-count - 1])
    heap = [(-float(nearest[row]), int(row), 0) for row in considered if nearest[row] > 0.0]
    heapq.heapify(heap)
    found: list[int] = []
    while heap and len(found) < most:
        negative, row, checked = heapq.heappop(heap)
        if -negative <= outside:
            break
        if checked == len(found):
            found.append(row)
            continue
        since = np.array(found[checked:])
        now = min(-negative, float(distances(np.array([row]), since).min()))
        if now > 0.0:
            heapq.heappush(heap, (-now, row, len(found)))
    if not found and heap:
        # Everything considered ties with something outside: the first of all is as far as any.
        return [int(nearest.argmax())]
    return found


def _look(nearest: NDArray[np.float32], since: NDArray[np.int64], distances: Distances) -> None:
    step = max(1, _ENTRIES_A_BLOCK // len(since))
    for begin in range(0, len(nearest), step):
        rows = slice(begin, min(begin + step, len(nearest)))
        np.minimum(nearest[rows], distances(rows, since).min(axis=1), out=nearest[rows])
    nearest[since] = 0.0


def _draw(sums: NDArray[np.float64], rng: np.random.Generator) -> int:
    """A row in proportion to the steps of the sums."""
    place = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    # Rounding may lead past the end.
    return place if place < len(sums) else int(np.searchsorted(sums, sums[-1], side="left"))


def _filled(chosen: list[int], weights: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    missing = size - len(chosen)
    if missing <= 0:
        return np.array(chosen[:size], dtype=np.int64)
    is_left = np.ones(len(weights), dtype=np.bool_)
    is_left[chosen] = False
    rows = np.flatnonzero(is_left)
    rest = rows[np.argsort(-weights[rows], kind="stable")[:missing]]
    return np.concatenate([np.array(chosen, dtype=np.int64), rest])
