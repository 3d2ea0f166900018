"""In which order somebody is served the tasks that ask about an item once more: a port that a higher app fills in.

The queue knows what was drawn and what people said about priorities; what an answer by a certain person would teach, it does not.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class ServingOrder:
    """Tasks by id, most valuable first: served to one annotator before the drawn tasks, or only after all of them.

    `ceiling`: whatever else has a higher priority comes before all of these. `kept_until`: when the first comes free that is neither in
    `first` nor in `last`, since it is kept for others; None: there is none such.
    """

    first: Sequence[int]
    last: Sequence[int]
    ceiling: float
    kept_until: dt.datetime | None = None


Ranker: TypeAlias = Callable[[int, int, dt.datetime], ServingOrder | None]
"""From project, annotator and time; None: all are served by priority, whoever asks."""

_rankers: list[Ranker] = []


def rank_by(ranker: Ranker) -> None:
    """Have claims ask this one, and no other."""
    _rankers[:] = [ranker]


def order_for(project_id: int, annotator_id: int, now: dt.datetime) -> ServingOrder | None:
    return _rankers[0](project_id, annotator_id, now) if _rankers else None
