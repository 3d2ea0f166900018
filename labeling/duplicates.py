"""Telling what was seen before in a long stream, at eight bytes a key."""

import numpy as np
from numpy.typing import NDArray


class SeenHashes:
    """Remembers 64-bit hashes. Two different keys among n are taken for equal with probability n² / 2⁶⁵.

    Hashes lie in sorted blocks, each more than twice as long as the next, so that n hashes cost O(n log n) in all.
    """

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.int64]] = []

    def admit(self, hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Remember the hashes (n,) and say of each, True or False, whether it came for the first time.

        >>> SeenHashes().admit(np.array([5, 7, 5])).tolist()
        [True, True, False]
        """
        unique, first_positions = np.unique(hashes, return_index=True)
        is_first = np.zeros(len(hashes), dtype=np.bool_)
        is_first[first_positions] = True
        for block in self._blocks:
            places = np.searchsorted(block, hashes)
            places[places == len(block)] = 0
            is_first &= block[places] != hashes
        if unique.size:
            self._remember(unique)
        return is_first

    def _remember(self, block: NDArray[np.int64]) -> None:
        while self._blocks and len(self._blocks[-1]) <= 2 * len(block):
            block = np.union1d(self._blocks.pop(), block)
        self._blocks.append(block)
