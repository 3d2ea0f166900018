"""Cases for reviewers: opened where the evidence does not settle an item, closed again where later evidence does."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from datasets.models import ItemBelief, ReviewCase, ReviewDecision
from labeling.models import AnnotationTask, Project
from labeling.schema import JSONValue

_Kind, _State, _Action = ReviewCase.Kind, ReviewCase.State, ReviewDecision.Action

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
    """Close the open disagreements that the label model needs no reviewer for; return how many: the item is accepted by now, or
    annotators are being asked about it once more. See `close_settled`."""
    asked = AnnotationTask.objects.filter(item=OuterRef("item"), state=AnnotationTask.State.OPEN)
    accepted = Q(item__belief__action=ItemBelief.Action.ACCEPT)
    waiting = Q(Exists(asked), item__belief__action=ItemBelief.Action.ASK)
    held = _settleable(now).filter(accepted | waiting, project=project)
    believed = held.values_list("pk", "item__belief__action", "item__belief__label", "item__belief__probability")
    reasons: dict[int, dict[str, JSONValue]] = {
        pk: {"by": "label_model", "label": label, "probability": round(probability, 4)}
        if action == ItemBelief.Action.ACCEPT
        else {"by": "asked_again"}
        for pk, action, label, probability in believed
    }
    return close_settled(reasons, now=now)


@transaction.atomic
def close_settled(reasons: Mapping[int, dict[str, JSONValue]], *, now: dt.datetime) -> int:
    """Close the open disagreements (case id -> why); return how many. When and why are kept in the case's `detail`.

    What a reviewer is at, or somebody asked a reviewer for, stays open, and so does what another transaction is changing. Safe to
    run twice or at once.
    """
    cases = list(
        _settleable(now).filter(pk__in=reasons).order_by("pk").select_for_update(of=["self"], skip_locked=True)
    )
    for case in cases:
        case.state, case.closed_at, case.claimed_by, case.claimed_until = _State.SETTLED, now, None, None
        case.detail = {**case.detail, "settled": {**reasons[case.pk], "at": now.isoformat()}}
    ReviewCase.objects.bulk_update(cases, ["state", "closed_at", "claimed_by", "claimed_until", "detail"])
    return len(cases)


def _settleable(now: dt.datetime) -> QuerySet[ReviewCase]:
    wishes = ReviewDecision.objects.filter(case=OuterRef("pk"), action__in=[_Action.OPEN, _Action.REOPEN])
    cases = ReviewCase.objects.filter(~Exists(wishes), state=_State.OPEN, kind=_Kind.DISAGREEMENT)
    return cases.exclude(claimed_until__gt=now)
