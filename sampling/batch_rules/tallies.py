"""The best items of a pool by a key, with the weight of all the rest: what parts of a pool can be merged by.

A tally of a part of the pool (whole blocks of item ids) keeps the `size` items with the largest keys, and for each block
the summed weight of the items it did not keep. Merging the tallies of the parts gives, bit for bit, the tally of the
whole, however it was cut: within a block the sum begins with the items outside the block's own best `size` (in
order of ids), and items dropped later are added one by one, smallest key first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

IDS_A_BLOCK: Final = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """The kept items in order (largest key first, ties by item id), and the weight of the others.

    count
        How many items there are, kept or not.
    blocks, rest
        The blocks of ids that were seen, ascending, and the weight of each one's items that are not kept.
    scores
        The informativeness of the kept items, which the tally only carries along; NaN where they have none.
    """

    size: int
    count: int
    blocks: NDArray[np.int64]
    rest: NDArray[np.float64]
    item_ids: NDArray[np.int64]
    keys: NDArray[np.float64]
    weights: NDArray[np.float64]
    scores: NDArray[np.float32]

    @property
    def total_weight(self) -> float:
        """The summed weight of all items."""
        return float(remaining(self)[0])


def tally(
    item_ids: NDArray[np.int64],
    keys: NDArray[np.float64],
    weights: NDArray[np.float64],
    scores: NDArray[np.float32],
    *,
    size: int,
) -> Tally:
    """Tally items; `item_ids` must ascend. O(n), about 24 bytes an item."""
    if not len(item_ids):
        nothing, none = np.empty(0, dtype=np.int64), np.empty(0)
        return Tally(size, 0, nothing, none, nothing, none, none, np.empty(0, dtype=np.float32))
    block_of = item_ids // IDS_A_BLOCK
    starts = np.concatenate([[0], np.flatnonzero(np.diff(block_of)) + 1])
    stops = np.append(starts[1:], len(item_ids))
    kept = np.concatenate([begin + largest(keys[begin:end], size) for begin, end in zip(starts, stops, strict=True)])
    outside = weights.copy()
    outside[kept] = 0.0
    whole = Tally(
        size=len(kept),
        count=len(item_ids),
        blocks=block_of[starts],
        rest=np.add.reduceat(outside, starts),
        item_ids=item_ids[kept],
        keys=keys[kept],
        weights=weights[kept],
        scores=scores[kept],
    )
    return cut(_ordered(whole), size)


def merged(tallies: Sequence[Tally]) -> Tally:
    """The tally of all parts together. ValueError if a block is in two of them, or if their sizes differ."""
    if not tallies:
        raise ValueError("there is nothing to merge")
    if len({part.size for part in tallies}) > 1:
        raise ValueError("the parts were tallied for batches of different sizes")
    blocks = np.concatenate([part.blocks for part in tallies])
    order = np.argsort(blocks, kind="stable")
    blocks = blocks[order]
    if (np.diff(blocks) == 0).any():
        raise ValueError(f"block {blocks[int(np.argmin(np.diff(blocks)))]} of item ids is in more than one part")
    together = Tally(
        size=sum(len(part.item_ids) for part in tallies),
        count=sum(part.count for part in tallies),
        blocks=blocks,
        rest=np.concatenate([part.rest for part in tallies])[order],
        item_ids=np.concatenate([part.item_ids for part in tallies]),
        keys=np.concatenate([part.keys for part in tallies]),
        weights=np.concatenate([part.weights for part in tallies]),
        scores=np.concatenate([part.scores for part in tallies]),
    )
    return cut(_ordered(together), tallies[0].size)


def cut(whole: Tally, size: int) -> Tally:
    """Keep the best `size` only; the weight of the others goes to the rest of their blocks."""
    dropped = slice(size, None)
    rest = whole.rest.copy()
    # add.at adds one after the other, in this order: smallest key first.
    owner = np.searchsorted(whole.blocks, whole.item_ids[dropped][::-1] // IDS_A_BLOCK)
    np.add.at(rest, owner, whole.weights[dropped][::-1])
    kept = slice(None, size)
    return replace(
        whole,
        size=size,
        rest=rest,
        item_ids=whole.item_ids[kept],
        keys=whole.keys[kept],
        weights=whole.weights[kept],
        scores=whole.scores[kept],
    )


def union(one: Tally, other: Tally) -> Tally:
    """Two tallies over different items of the same pool as one that keeps what both kept.

    The weight of items that neither kept is summed per block: that of `one` first.
    """
    blocks, owner = np.unique(np.concatenate([one.blocks, other.blocks]), return_inverse=True)
    rest = np.zeros(len(blocks))
    np.add.at(rest, owner, np.concatenate([one.rest, other.rest]))
    both = Tally(
        size=len(one.item_ids) + len(other.item_ids),
        count=one.count + other.count,
        blocks=blocks,
        rest=rest,
        item_ids=np.concatenate([one.item_ids, other.item_ids]),
        keys=np.concatenate([one.keys, other.keys]),
        weights=np.concatenate([one.weights, other.weights]),
        scores=np.concatenate([one.scores, other.scores]),
    )
    return _ordered(both)


def remaining(drawn: Tally) -> NDArray[np.float64]:
    """The weight left before the draw of each kept item, and after the last: shape (kept + 1,).

    Summed from the back, items that are not kept first, so it loses no digits when the kept ones hold nearly all.
    """
    terms = np.append(drawn.weights, drawn.rest.sum())
    return np.cumsum(terms[::-1])[::-1]


def largest(keys: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Positions of the `count` largest keys, largest first, ties by position (at the cut as well)."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    if count < len(keys):
        threshold = np.partition(keys, len(keys) - count)[len(keys) - count]
        above = np.flatnonzero(keys > threshold)
        ties = np.flatnonzero(keys == threshold)[: count - len(above)]
        places = np.concatenate([above, ties])
    else:
        places = np.arange(len(keys))
    return places[np.argsort(-keys[places], kind="stable")]


def _ordered(kept: Tally) -> Tally:
    order = np.lexsort((kept.item_ids, -kept.keys))
    return replace(
        kept,
        item_ids=kept.item_ids[order],
        keys=kept.keys[order],
        weights=kept.weights[order],
        scores=kept.scores[order],
    )
