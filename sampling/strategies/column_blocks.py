"""The one door through which strategies read a matrix of predictions: checked, in cache-sized pieces.

Strategies reduce each row to one number. Over a row-major (n, C) matrix with a small C that is slow as one call per
row (C values are too few to amortise a reduction) and wasteful as one call over everything (temporaries as large as the
input). A transposed block turns it into C long vector operations on memory that stays in the second-level cache.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from labeling.probability import find_problems, require_matrix, validate
from labeling.schema import PredictionForm

Number = TypeVar("Number", np.float32, np.float64)

# About half a megabyte of float32: the block and two temporaries of its size fit the cache of one core.
_VALUES_PER_BLOCK: Final = 1 << 17
# Below this many rows the calls into numpy cost more than the arithmetic, whatever C is.
_SMALLEST_BLOCK: Final = 2_048


def column_blocks(
    probabilities: NDArray[np.float32], form: PredictionForm = "distribution"
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield (rows, columns): a slice of row numbers and those rows' values, transposed and contiguous.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; values in [0, 1].
    form
        "distribution": each row sums to 1 within 1e-3. "independent": each value stands for itself. "confidence": the
        same, and C = 1.

    Yields
    ------
    rows
        Slices that cover 0..n in order; nothing when n = 0.
    columns
        Shape (C, rows in the slice), a copy, so a strategy may work in place. Sums over columns go by `added_up`.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is not of the form (NaN, negative, above 1, wrong sum).
    """
    require_matrix(probabilities)
    n, n_columns = probabilities.shape
    if form == "confidence" and n_columns != 1:
        raise ValueError(f"confidences must have shape (n, 1), not {probabilities.shape}")
    step = max(_SMALLEST_BLOCK, _VALUES_PER_BLOCK // n_columns)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        columns = np.array(probabilities[rows].T, order="C")
        if form == "distribution":
            _check_distributions(columns, probabilities, rows)
        else:
            _check_range(columns, rows)
        yield rows, columns


def added_up(values: NDArray[Number], axis: int = 0) -> NDArray[Number]:
    """The sum over an axis that is not the last: over columns or members, for each of the rows that stand last.

    Added up in order, for one row as for many. `sum` does so for two rows and more; of one it makes a vector, and adds that
    up in pairs, which rounds differently. Parts of a pool must score what the whole scores.
    """
    is_one = values.shape[-1] == 1
    sums: NDArray[Number] = (
        np.add.accumulate(values, axis=axis).take(-1, axis=axis)
        if is_one
        else values.sum(axis=axis, dtype=values.dtype)
    )
    return sums


def find_bad_rows(probabilities: NDArray[np.float32], form: PredictionForm) -> NDArray[np.bool_]:
    """Say which rows `column_blocks` refuses; shape (n,)."""
    if form == "distribution":
        return find_problems(probabilities)[0]
    # Written so that a NaN, which compares false with everything, falls on the refused side.
    in_range = ((probabilities >= 0.0) & (probabilities <= 1.0)).all(axis=1)
    return np.logical_not(in_range)


def _check_distributions(columns: NDArray[np.float32], probabilities: NDArray[np.float32], rows: slice) -> None:
    """Raise if a row is no distribution: a cheap screen over the block, the exact rule only where it fires."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity is a NaN, and refused as any other
        sums = columns.sum(axis=0)
    # "not (... <= ...)" so that a NaN fails the screen. It is a little tighter than the rule, to leave room for
    # float32 summation; find_problems then decides in float64.
    if not (np.abs(sums - 1.0).max() <= 0.9e-3 and columns.min() >= 0.0):
        is_bad, _ = find_problems(probabilities[rows])
        if is_bad.any():
            first = rows.start + int(is_bad.argmax())
            try:
                validate(probabilities[first : first + 1])
            except ValueError as error:
                raise ValueError(f"row {first}{str(error).removeprefix('row 0')}") from None


def _check_range(columns: NDArray[np.float32], rows: slice) -> None:
    # A NaN is both minimum and maximum of what it is part of.
    if columns.min() >= 0.0 and columns.max() <= 1.0:
        return
    first = int(find_bad_rows(columns.T, "independent").argmax())
    row = columns[:, first]
    if np.isnan(row).any():
        reason = "a probability is not a number"
    else:
        reason = "a probability is negative" if (row < 0.0).any() else "a probability is above 1"
    raise ValueError(f"row {rows.start + first}: {reason}")
