"""How much spans of a text, or boxes on an image, overlap (intersection over union), and which belong together."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def span_overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of each span (start, end) of one list with each of another.

    Shapes (n, 2), (m, 2) -> (n, m), float64, in [0, 1]; 1 for equal spans, 0 for spans that only touch.

    >>> span_overlap(np.array([[0.0, 4.0]]), np.array([[2.0, 6.0], [4.0, 5.0]])).round(4).tolist()
    [[0.3333, 0.0]]
    """
    return _ratio(first[:, None, :], second[None, :, :], 1)


def box_overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intersection over union of each box (left, top, right, bottom) of one list with each of another.

    Shapes (n, 4), (m, 4) -> (n, m), float64, in [0, 1].

    >>> box_overlap(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 1.0, 3.0, 3.0]])).round(4).tolist()
    [[0.1429]]
    """
    return _ratio(first[:, None, :], second[None, :, :], 2)


def _ratio(first: NDArray[np.float64], second: NDArray[np.float64], axes: int) -> NDArray[np.float64]:
    low = np.maximum(first[..., :axes], second[..., :axes])
    high = np.minimum(first[..., axes:], second[..., axes:])
    common = np.maximum(high - low, 0.0).prod(axis=-1)
    own = (first[..., axes:] - first[..., :axes]).prod(axis=-1)
    other = (second[..., axes:] - second[..., :axes]).prod(axis=-1)
    union = own + other - common
    ratio: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return ratio


def match(overlap: NDArray[np.float64], *, least: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the overlaps add up to the most, leaving out pairs below `least`. O(n^3).

    >>> match(np.array([[0.9, 0.6], [0.7, 0.0]]), least=0.5)  # 0.6 + 0.7 beats 0.9 alone
    [(0, 1), (1, 0)]
    """
    worth = np.where(overlap >= least, overlap, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if worth[r, c] > 0]
