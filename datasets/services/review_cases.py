"""Cases for reviewers: opened where the evidence does not settle an item, closed again where later evidence does."""

import datetime as dt
from collections.abc import Iterable
from typing import Final

from django.db import connection

from datasets.models import ReviewCase
from labeling.models import Project

_Kind, _State = ReviewCase.Kind, ReviewCase.State

# Items of which a reviewer has seen all there is: the last case was closed by a person, in one of these states, and nobody said
# anything since. What a reviewer decided is no reason: if the belief stays below the threshold, somebody else is to look.
_SEEN: Final = """
SELECT closed.item_id FROM (
    SELECT DISTINCT ON (item_id) item_id, state, closed_at FROM datasets_reviewcase
    WHERE item_id = ANY(%(items)s) AND state <> 'open' ORDER BY item_id, closed_at DESC
) closed
WHERE closed.state = ANY(%(states)s)
    AND NOT EXISTS (SELECT FROM labeling_annotation said
        WHERE said.item_id = closed.item_id AND said.created_at > closed.closed_at)
    AND NOT EXISTS (SELECT FROM labeling_correction said
        WHERE said.item_id = closed.item_id AND said.received_at > closed.closed_at)
    AND NOT EXISTS (SELECT FROM labeling_feedback said
        WHERE said.item_id = closed.item_id AND said.received_at > closed.closed_at)"""


def open_cases(
    project: Project,
    valued: Iterable[tuple[int, float]],
    *,
    now: dt.datetime,
    kind: ReviewCase.Kind = _Kind.DISAGREEMENT,
) -> int:
    """Open a case for each of these items, unless one is open or a reviewer has seen all there is; return how many.

    `valued` are item ids and what a decision is expected to be worth. Marked ambiguous or sent back, an item of a disagreement
    comes again when somebody said something since; a flagged one also after a decision.
    """
    value_of = dict(valued)
    if not value_of:
        return 0
    states = [_State.AMBIGUOUS, _State.SENT_BACK, *([_State.DECIDED] if kind == _Kind.FLAGGED else [])]
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, {"items": list(value_of), "states": list(map(str, states))})
        seen = {item_id for (item_id,) in cursor.fetchall()}
    is_open = set(
        ReviewCase.objects.filter(item__in=value_of.keys() - seen, state=_State.OPEN).values_list("item_id", flat=True)
    )
    fresh = sorted(value_of.keys() - seen - is_open)
    ReviewCase.objects.bulk_create(
        [
            ReviewCase(project=project, item_id=item_id, kind=kind, value=value_of[item_id], opened_at=now)
            for item_id in fresh
        ],
        # Another worker may have opened one since: the unique index says so.
        ignore_conflicts=True,
    )
    return len(fresh)


def settle(project: Project, *, now: dt.datetime) -> int:
    """Close the open disagreements about items that are accepted by now; return how many. What a reviewer is at stays open."""
    settled = ReviewCase.objects.filter(
        project=project, state=_State.OPEN, kind=_Kind.DISAGREEMENT, item__belief__action="accept"
    ).exclude(claimed_until__gt=now)
    return settled.update(state=_State.SETTLED, closed_at=now, claimed_by=None, claimed_until=None)
