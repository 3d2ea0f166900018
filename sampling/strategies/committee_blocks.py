"""The one door through which strategies read what a committee of models says: checked, in cache-sized pieces.

See `column_blocks`, which does the same for one model.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labeling.probability import RowProblem, find_problems
from labeling.schema import PredictionForm
from sampling.strategies.column_blocks import added_up

# About half a megabyte of float32: the block and two temporaries of its size fit the cache of one core.
_VALUES_PER_BLOCK: Final = 1 << 17
# Lower than for one model: a block has C * M values a row, and memory must stay bounded for many members too.
_SMALLEST_BLOCK: Final = 256


def committee_blocks(
    committee: NDArray[np.float32], form: PredictionForm = "distribution"
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield (rows, members): a slice of row numbers and what each member says of them, transposed and contiguous.

    Parameters
    ----------
    committee
        Shape (n, M, C), M >= 1 members, C >= 1; values in [0, 1].
    form
        "distribution": each member's values sum to 1 within 1e-3. "independent": each value stands for itself.
        "confidence": the same, and C = 1.

    Yields
    ------
    rows
        Slices that cover 0..n in order; nothing when n = 0.
    members
        Shape (M, C, rows in the slice), a copy, so a strategy may work in place.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row and member that is not of the form (NaN, negative, above 1, wrong
        sum).
    """
    if committee.ndim != 3 or committee.shape[1] < 1:
        raise ValueError(f"a committee must have shape (n, M, C) with M >= 1 and C >= 1, not {committee.shape}")
    find_problems(committee[:0, 0])
    n, n_members, n_columns = committee.shape
    if form == "confidence" and n_columns != 1:
        raise ValueError(f"confidences of a committee must have shape (n, M, 1), not {committee.shape}")
    step = max(_SMALLEST_BLOCK, _VALUES_PER_BLOCK // (n_members * n_columns))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        members = np.array(committee[rows].transpose(1, 2, 0), order="C")
        if not _passes_screen(members, form):
            _refuse_bad_row(committee, rows, form)
        yield rows, members


def mean_over_members(committee: NDArray[np.float32], form: PredictionForm = "distribution") -> NDArray[np.float32]:
    """Return the consensus: shape (n, C), the mean of what the members say of each row. Raises as `committee_blocks`.

    >>> mean_over_members(np.array([[[1.0, 0.0], [0.5, 0.5]]], dtype=np.float32)).tolist()
    [[0.75, 0.25]]
    """
    consensus = np.empty((committee.shape[0], committee.shape[-1]), dtype=np.float32)
    n_members = committee.shape[1]
    for rows, members in committee_blocks(committee, form):
        consensus[rows] = (added_up(members) / np.float32(n_members)).T
    return consensus


def _passes_screen(members: NDArray[np.float32], form: PredictionForm) -> bool:
    """A cheap look over the block. "not passed" may be a false alarm; a NaN, which compares false, never passes."""
    if not members.min() >= 0.0:
        return False
    if form != "distribution":
        return bool(members.max() <= 1.0)
    sums = members.sum(axis=1)
    # A little tighter than the rule, to leave room for float32 summation.
    return bool(sums.min() >= 1.0 - 0.9e-3 and sums.max() <= 1.0 + 0.9e-3)


def _refuse_bad_row(committee: NDArray[np.float32], rows: slice, form: PredictionForm) -> None:
    n_members, n_columns = committee.shape[1:]
    is_bad, problem = find_problems(committee[rows].reshape(-1, n_columns), is_exclusive=form == "distribution")
    if is_bad.any():
        first = int(is_bad.argmax())
        row, member = divmod(first, n_members)
        raise ValueError(f"row {rows.start + row}: member {member}: {RowProblem(problem[first]).reason}")
