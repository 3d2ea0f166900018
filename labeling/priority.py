"""In which order tasks are served: one number for all that a person may say about it."""

import datetime as dt
from typing import Final

LARGEST_BOOST: Final = 1000.0
_ASSIGNED: Final = 1e6
_DUE: Final = 1e10
_PINNED: Final = 1e12


def of(*, is_pinned: bool, due_at: dt.datetime | None, boost: float, is_assigned: bool = False) -> float:
    """Return the priority of a task; higher is served first.

    Pinned tasks come first, then those with a due date, the earliest first, then those assigned to somebody, then the
    rest, both by boost. Drawn tasks have none of these, hence 0, and are served in the order of their draw. Raises
    ValueError for a boost beyond +-1000 or not a number.

    >>> of(is_pinned=False, due_at=None, boost=0.0)
    0.0
    >>> soon, late = (dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (2, 3))
    >>> of(is_pinned=False, due_at=soon, boost=0) > of(is_pinned=False, due_at=late, boost=1000)
    True
    """
    if not -LARGEST_BOOST <= boost <= LARGEST_BOOST:
        raise ValueError(f"a boost is a number from {-LARGEST_BOOST:g} to {LARGEST_BOOST:g}, not {boost}")
    if is_pinned:
        return _PINNED + boost
    if due_at is not None:
        return _DUE - due_at.timestamp()
    return _ASSIGNED + boost if is_assigned else float(boost)
