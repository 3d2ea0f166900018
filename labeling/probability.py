"""Class probabilities: what is accepted, and how a row is stored.

A row of class probabilities is stored as fixed-width little-endian float32, so that a million rows read from the
database become one numpy array without a loop.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

SUM_TOLERANCE: Final = 1e-3
STORED_DTYPE: Final = np.dtype("<f4")


class RowProblem(IntEnum):
    """Why a row of probabilities is refused. The first that applies, in this order, is reported."""

    NONE = 0
    NOT_A_NUMBER = 1
    NEGATIVE = 2
    ABOVE_ONE = 3
    BAD_SUM = 4

    @property
    def reason(self) -> str:
        return _REASONS[self]


_REASONS: Final = {
    RowProblem.NONE: "",
    RowProblem.NOT_A_NUMBER: "a probability is not a number",
    RowProblem.NEGATIVE: "a probability is negative",
    RowProblem.ABOVE_ONE: "a probability is above 1",
    RowProblem.BAD_SUM: "the probabilities do not sum to 1",
}


def find_problems(
    probabilities: NDArray[np.floating], *, tolerance: float = SUM_TOLERANCE, is_exclusive: bool = True
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Say which rows are not probability distributions, and why.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1.
    tolerance
        Largest accepted distance of a row's sum from 1, and of a single value above 1.
    is_exclusive
        Whether the classes exclude each other, so that a row sums to 1. Otherwise each value is judged on its own and
        must be in [0, 1], without tolerance.

    Returns
    -------
    is_bad
        Shape (n,), True where the row must be refused.
    problem
        Shape (n,), the `RowProblem` of each row; 0 where it is fine.

    Notes
    -----
    Infinity counts as above 1 (or negative); n = 0 gives empty arrays. Costs one pass when every row is fine, and a
    closer look at the bad rows alone otherwise.

    >>> is_bad, problem = find_problems(np.array([[0.4, 0.6], [0.4, 0.4], [-0.1, 1.1]]))
    >>> is_bad.tolist(), [RowProblem(p).name for p in problem]
    ([False, True, True], ['NONE', 'BAD_SUM', 'NEGATIVE'])
    >>> find_problems(np.array([[0.9, 0.8]]), is_exclusive=False)[0].tolist()
    [False]
    """
    require_matrix(probabilities)
    problem = np.zeros(len(probabilities), dtype=np.uint8)
    # Written so that a NaN, which compares false with everything, falls on the refused side.
    if is_exclusive:
        with np.errstate(invalid="ignore", over="ignore"):  # a sum that is NaN or infinite is refused below
            sums = probabilities.sum(axis=1, dtype=np.float64)
        highest = 1.0 + tolerance
        is_bad = ~((np.abs(sums - 1.0) <= tolerance) & (probabilities.min(axis=1) >= 0.0))
    else:
        highest = 1.0
        is_bad = ~((probabilities.min(axis=1) >= 0.0) & (probabilities.max(axis=1) <= highest))
    if is_bad.any():
        rows = probabilities[is_bad]
        problem[is_bad] = np.select(
            [np.isnan(rows).any(axis=1), (rows < 0.0).any(axis=1), (rows > highest).any(axis=1)],
            [RowProblem.NOT_A_NUMBER, RowProblem.NEGATIVE, RowProblem.ABOVE_ONE],
            default=RowProblem.BAD_SUM,
        )
    return is_bad, problem


def validate(probabilities: NDArray[np.floating], *, tolerance: float = SUM_TOLERANCE) -> NDArray[np.float32]:
    """Return the rows as float32 distributions, or refuse all of them because of the first bad one.

    Rows within the tolerance are divided by their sum, in float64 before the cast, so that a stored row sums to 1 up to
    float32 rounding (about C * 6e-8) and scores of different clients' rounding habits compare.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1, each row in [0, 1] and summing to 1 within `tolerance`.

    Returns
    -------
    A new array of shape (n, C); the argument is left alone. n = 0 gives an empty array.

    Raises
    ------
    ValueError
        Naming the first offending row and what is wrong with it.

    >>> validate(np.array([[0.2, 0.8005]])).tolist() == [[np.float32(0.2 / 1.0005), np.float32(0.8005 / 1.0005)]]
    True
    """
    is_bad, problem = find_problems(probabilities, tolerance=tolerance)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: {RowProblem(problem[row]).reason}: {_shown(probabilities[row])}")
    return normalise(probabilities)


def normalise(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide each row by its sum, in float64, and cast. Only for rows that `find_problems` found fine."""
    exact = np.asarray(probabilities, dtype=np.float64)
    normalised: NDArray[np.float32] = (exact / exact.sum(axis=1, keepdims=True)).astype(np.float32)
    return normalised


def joint_confidence(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    r"""Probability that all binary verdicts of a row are right, the likelier of each taken: prod_c max(p_c, 1 - p_c).

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1, values in [0, 1], judged independent of each other.

    Returns
    -------
    Shape (n,), from 2^-C (every verdict a coin's) to 1 (all certain). n = 0 gives an empty array.

    >>> joint_confidence(np.array([[0.9, 0.5], [1.0, 0.0]])).tolist()
    [0.45, 1.0]
    """
    require_matrix(probabilities)
    exact = probabilities.astype(np.float64)
    joint: NDArray[np.float64] = np.maximum(exact, 1.0 - exact).prod(axis=1)
    return joint


def pack(row: NDArray[np.floating]) -> bytes:
    """Encode one row as 4 * C bytes of little-endian float32.

    >>> pack(np.array([0.25, 0.75])).hex()
    '0000803e0000403f'
    """
    return row.astype(STORED_DTYPE).tobytes()


def pack_many(probabilities: NDArray[np.floating]) -> list[bytes]:
    """Encode each row of an (n, C) array as `pack` does, in one pass."""
    require_matrix(probabilities)
    width = STORED_DTYPE.itemsize * probabilities.shape[1]
    joined = probabilities.astype(STORED_DTYPE).tobytes()
    return [joined[start : start + width] for start in range(0, len(joined), width)]


def unpack(blob: bytes, n_classes: int) -> NDArray[np.float32]:
    """Decode one packed row; ValueError if it does not hold exactly `n_classes` values."""
    if len(blob) != STORED_DTYPE.itemsize * n_classes:
        raise ValueError(f"a packed row of {n_classes} classes has {4 * n_classes} bytes, not {len(blob)}")
    return np.frombuffer(blob, dtype=STORED_DTYPE).astype(np.float32, copy=False)


def unpack_many(blobs: bytes | bytearray | memoryview | Sequence[bytes], n_classes: int) -> NDArray[np.float32]:
    """Decode packed rows, joined in one buffer or as a sequence of blobs, into shape (n, n_classes).

    A joined buffer is viewed, not copied, so the result is read-only when the buffer is.

    Raises
    ------
    ValueError
        If the bytes are not a whole number of rows, or (for a sequence) naming the blob of another width.
    """
    if n_classes < 1:
        raise ValueError("n_classes must be at least 1")
    width = STORED_DTYPE.itemsize * n_classes
    if not isinstance(blobs, bytes | bytearray | memoryview):
        for index, blob in enumerate(blobs):
            if len(blob) != width:
                raise ValueError(f"row {index}: a packed row of {n_classes} classes has {width} bytes, not {len(blob)}")
        blobs = b"".join(blobs)
    flat = np.frombuffer(blobs, dtype=np.uint8)
    if flat.size % width:
        raise ValueError(f"{flat.size} bytes are not a whole number of rows of {n_classes} classes ({width} bytes)")
    return flat.view(STORED_DTYPE).astype(np.float32, copy=False).reshape(-1, n_classes)


def require_matrix(probabilities: NDArray[np.floating]) -> None:
    """ValueError unless the shape is (n, C) with C >= 1, of floating point."""
    if probabilities.ndim != 2 or probabilities.shape[1] < 1:
        raise ValueError(f"probabilities must have shape (n, C) with C >= 1, not {probabilities.shape}")
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise ValueError(f"probabilities must be floating point, not {probabilities.dtype}")


def _shown(row: NDArray[np.floating]) -> str:
    head = ", ".join(f"{value:g}" for value in row[:5])
    return f"[{head}, ... {len(row)} values]" if len(row) > 5 else f"[{head}]"
