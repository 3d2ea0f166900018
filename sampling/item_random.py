"""Chance that belongs to an item: a function of (seed, item id), not of its place in an array.

So a draw is the same in whatever order the rows came, and however many workers shared the pool.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def uniforms(seed: int, item_ids: NDArray[np.int64], *, stream: int = 0) -> NDArray[np.float64]:
    """One number in (0, 1) for each item: the midpoints of 2 ** 53 equal steps, equally likely.

    Two rounds of the finaliser of SplitMix64 over (seed, stream) and the item id: a counter-based hash. Different
    streams of one seed are independent of each other, for decisions that must be.

    Parameters
    ----------
    seed
        Any integer >= 0; its lowest 64 bits count.
    item_ids
        Shape (n,), int64. Equal ids get equal numbers.
    stream
        Which of the seed's sequences.

    Returns
    -------
    Shape (n,), float64, never 0 and never 1.

    Notes
    -----
    About 8 ns an item. Not for cryptography.

    >>> both = uniforms(7, np.array([5, 9], dtype=np.int64))
    >>> bool(both[1] == uniforms(7, np.array([9], dtype=np.int64))[0])
    True

    References
    ----------
    Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators. OOPSLA 2014. Salmon et al.: Parallel Random
    Numbers: As Easy as 1, 2, 3. SC 2011 (counter-based generators).
    """
    bits = hashes(seed, item_ids, stream=stream)
    bits >>= np.uint64(11)
    numbers = bits.astype(np.float64)
    numbers += 0.5
    numbers *= 2.0**-53
    return numbers


def hashes(
    seed: int, item_ids: NDArray[np.int64], content: NDArray[np.uint64] | None = None, *, stream: int = 0
) -> NDArray[np.uint64]:
    """64 bits for each item, which are those of another only by accident; of its content too, shape (n,), where given."""
    if seed < 0 or stream < 0:
        raise ValueError(f"seed and stream must not be negative, not {seed}, {stream}")
    key = _mixed_int(_mixed_int(seed & _MASK) ^ ((stream * _GOLDEN) & _MASK))
    bits: NDArray[np.uint64] = np.asarray(item_ids, dtype=np.int64).view(np.uint64) * np.uint64(_GOLDEN)
    bits = _mix(bits)
    if content is not None:
        bits += content
        bits = _mix(bits)
    bits ^= np.uint64(key)
    return _mix(bits)


def exponentials(seed: int, item_ids: NDArray[np.int64], *, stream: int = 0) -> NDArray[np.float64]:
    """One standard exponential variable for each item: -ln of `uniforms`. Always above zero and below 38.

    >>> exponentials(7, np.array([], dtype=np.int64)).shape
    (0,)
    """
    numbers = uniforms(seed, item_ids, stream=stream)
    np.log(numbers, out=numbers)
    return np.negative(numbers, out=numbers)


def _mix(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64; changes its argument."""
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def _mixed_int(number: int) -> int:
    number = (number + _GOLDEN) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
