"""Comments that are nearly the same text: MinHash signatures and locality-sensitive hashing."""

import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

HASHES: Final = 128
BANDS: Final = 32
SHINGLE: Final = 5
LEAST_SIMILARITY: Final = 0.7
_MOST_IN_BUCKET: Final = 50
# Constants, not chance: equal texts must have equal signatures in every process and year.
_FACTORS: Final = np.random.default_rng(0x5EED).integers(0, 1 << 64, size=(2, HASHES), dtype=np.uint64)
_ODD: Final = _FACTORS[0] | np.uint64(1)


def shingles(text: str) -> frozenset[str]:
    """All runs of five characters of the text in lower case with single spaces; a shorter text is one shingle."""
    plain = " ".join(text.casefold().split())
    if len(plain) <= SHINGLE:
        return frozenset([plain]) if plain else frozenset()
    return frozenset(plain[start : start + SHINGLE] for start in range(len(plain) - SHINGLE + 1))


def signature(text: str) -> NDArray[np.uint64]:
    """Return the MinHash signature of a text: for each of 128 hash functions the smallest hash of its shingles.

    Two texts have the same value in a place with the chance that is the Jaccard similarity of their shingles. Shape (128,), uint64;
    all ones' complement of 0 for a text without characters, which equals nothing (`groups` leaves it out).
    """
    pieces = shingles(text)
    if not pieces:
        return np.full(HASHES, np.iinfo(np.uint64).max, dtype=np.uint64)
    codes = np.array([zlib.crc32(piece.encode()) for piece in sorted(pieces)], dtype=np.uint64)
    # Multiply-shift: the product wraps around at 64 bits, and its high half is nearly a random function of the code.
    hashes = (codes[:, None] * _ODD + _FACTORS[1]) >> np.uint64(32)
    smallest: NDArray[np.uint64] = hashes.min(axis=0)
    return smallest


def similarity(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    """Estimate the Jaccard similarity of two texts from their signatures; standard error at most 0.045."""
    return float((first == second).mean())


def groups(texts: Sequence[str], *, least_similarity: float = LEAST_SIMILARITY) -> list[tuple[int, ...]]:
    """Return the groups of nearly equal texts, as sorted positions, groups of two or more only.

    Signatures are cut into 32 bands of 4; only texts that share a band are compared, so the cost grows with the texts and with
    the near-duplicates among them, not with all pairs. A pair of similarity 0.7 is met with chance 0.9998, one of 0.3 with 0.23
    (and then not confirmed). In a bucket of many equal texts each is compared with the first 50 only. Groups are connected: a
    chain of small edits is one group.

    >>> groups(["Great product, would buy again!", "something else", "great product,  would buy again", "Great produkt, would buy again!"])
    [(0, 2, 3)]

    References
    ----------
    Broder: On the Resemblance and Containment of Documents. 1997. Indyk, Motwani: Approximate Nearest Neighbors. STOC 1998.
    """
    signatures = [signature(text) for text in texts]
    parent = list(range(len(texts)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for members in _buckets(signatures):
        for first, second in _candidates(members):
            a, b = root(first), root(second)
            if a != b and similarity(signatures[first], signatures[second]) >= least_similarity:
                parent[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = defaultdict(list)
    for place in range(len(texts)):
        found[root(place)].append(place)
    return [tuple(members) for _, members in sorted(found.items()) if len(members) > 1]


def _buckets(signatures: Sequence[NDArray[np.uint64]]) -> list[list[int]]:
    rows = HASHES // BANDS
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    empty = np.iinfo(np.uint64).max
    for place, each in enumerate(signatures):
        if each[0] == empty:
            continue
        for band in range(BANDS):
            buckets[band, each[band * rows : (band + 1) * rows].tobytes()].append(place)
    return [members for members in buckets.values() if len(members) > 1]


def _candidates(members: Sequence[int]) -> list[tuple[int, int]]:
    if len(members) <= _MOST_IN_BUCKET:
        return list(combinations(members, 2))
    return [(first, second) for first in members[:_MOST_IN_BUCKET] for second in members if first != second]
