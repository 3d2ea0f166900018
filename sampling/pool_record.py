"""Which items a refill could draw, and which ones it kept away from: what a replay needs beside the run's row."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PoolRecord:
    """Two sets of item ids, ascending, int64.

    available
        The items that could be drawn.
    known
        The items that were labelled or waited in the queue, as far as the rule looked at them.
    """

    available: NDArray[np.int64]
    known: NDArray[np.int64]


def dumps(record: PoolRecord) -> bytes:
    """Steps between ids, compressed: a few kilobytes a million where most ids in a row are there, at worst about 2 bytes each.

    >>> record = PoolRecord(np.array([3, 4, 9]), np.array([5]))
    >>> [part.tolist() for part in (loads(dumps(record)).available, loads(dumps(record)).known)]
    [[3, 4, 9], [5]]
    """
    return joined([dumps_part(record.available), dumps_part(record.known)])


def dumps_part(ids: NDArray[np.int64]) -> bytes:
    """One ascending set of ids; ValueError if it does not ascend."""
    steps = np.diff(ids, prepend=np.int64(0))
    if (steps[1:] <= 0).any():
        raise ValueError("the ids must ascend")
    return zlib.compress(steps.astype("<i8").tobytes(), level=1)


def joined(parts: Sequence[bytes]) -> bytes:
    """Parts of sets, each with its length before it."""
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def loads(content: bytes) -> PoolRecord:
    """Read what `dumps` wrote: the last part are the known items, all before it the available ones."""
    *available, known = _parts(content)
    nothing = np.empty(0, dtype=np.int64)
    return PoolRecord(np.sort(np.concatenate([nothing, *available])), known)


def _parts(content: bytes) -> list[NDArray[np.int64]]:
    parts = []
    while content:
        length = int.from_bytes(content[:8], "little")
        steps = np.frombuffer(zlib.decompress(content[8 : 8 + length]), dtype="<i8")
        parts.append(np.cumsum(steps, dtype=np.int64))
        content = content[8 + length :]
    return parts
