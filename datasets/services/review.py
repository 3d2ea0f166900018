"""Review: reviewers decide about items that are in doubt, one case at a time. See docs/algorithms/review.md.

Every change a person makes leaves a `ReviewDecision`: who, when, what and why. Everything here locks the case, then tasks,
then pool rows.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from datasets.errors import AlreadyInReview, ReviewClaimed, ReviewClosed, ReviewNotFound
from datasets.models import GoldItem, ReviewCase, ReviewDecision
from datasets.services import pending
from labeling import selectors
from labeling.errors import Conflict, InvalidInput
from labeling.models import AnnotationTask, Item, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.services import annotation_queue, queue_management

CLAIM_MINUTES: Final = 10
LONGEST_COMMENT: Final = 2000
VALUE_OF_A_WISH: Final = 1.0
"""Nats that a look is taken to be worth that a person asked for: more than any doubt between two classes."""

_State = ReviewCase.State
_Action = ReviewDecision.Action


@dataclass(frozen=True)
class Sent:
    case: ReviewCase
    is_new: bool


# -- opening -----------------------------------------------------------------------------------------------------


@transaction.atomic
def send_to_review(project: Project, item: Item, *, by: User, now: dt.datetime, comment: str = "") -> Sent:
    """Open a case about the item, or add the wish to the one that is open; either leaves a decision row.

    Raises InvalidInput for a comment that is too long.
    """
    _check_comment(comment)
    # Two who send the same item take turns here; the unique index would only tell the second one off.
    Item.objects.select_for_update(no_key=True).get(pk=item.pk)
    case = ReviewCase.objects.filter(item=item, state=_State.OPEN).first()
    is_new = case is None
    if case is None:
        case = ReviewCase.objects.create(
            project=project, item=item, kind=ReviewCase.Kind.MANUAL, value=VALUE_OF_A_WISH, opened_at=now
        )
    elif case.value < VALUE_OF_A_WISH:
        case.value = VALUE_OF_A_WISH
        case.save(update_fields=["value"])
    _record(case, _Action.OPEN, by, now, comment=comment)
    return Sent(case, is_new)


@transaction.atomic
def reopen(project: Project, case_id: int, *, by: User, now: dt.datetime, comment: str = "") -> ReviewDecision:
    """Open a closed case again: what it decided is in doubt. Gold that it made is gold no more.

    Raises ReviewNotFound, Conflict `review_open`, AlreadyInReview where the item has another open case.
    """
    _check_comment(comment)
    case = _lock(project, case_id)
    if case.state == _State.OPEN:
        raise Conflict("This case is open.", code="review_open")
    Item.objects.select_for_update(no_key=True).get(pk=case.item_id)
    other = ReviewCase.objects.filter(item=case.item_id, state=_State.OPEN).first()
    if other is not None:
        raise AlreadyInReview("The item has another open case.", fields={"review": str(other.pk)})
    last = case.decisions.exclude(action=_Action.OPEN).order_by("-pk").first()
    if last is not None and last.action == _Action.GOLD:
        GoldItem.objects.filter(item=case.item_id).delete()
    case.state, case.closed_at = _State.OPEN, None
    case.value = max(case.value, VALUE_OF_A_WISH)
    case.save(update_fields=["state", "closed_at", "value"])
    made = _record(case, _Action.REOPEN, by, now, comment=comment)
    pending.note_items(project, [case.item_id])
    return made


# -- who is at what ----------------------------------------------------------------------------------------------


@transaction.atomic
def next_case(
    project: Project, *, by: User, now: dt.datetime, kind: str = "", after: ReviewCase | None = None
) -> ReviewCase | None:
    """Claim the open case that is worth most and that nobody else is at; None if there is none.

    With `after`, one that comes behind it in this order. Two reviewers at once get different cases.
    """
    cases = ReviewCase.objects.filter(_free(by, now), project=project, state=_State.OPEN)
    if kind:
        cases = cases.filter(kind=kind)
    if after is not None:
        cases = cases.filter(Q(value__lt=after.value) | Q(value=after.value, pk__gt=after.pk))
    case = cases.order_by("-value", "pk").select_for_update(skip_locked=True).first()
    if case is not None:
        _take(case, by, now)
    return case


@transaction.atomic
def claim(project: Project, case_id: int, *, by: User, now: dt.datetime) -> dt.datetime:
    """Take the case, or go on holding it; return until when others are kept from it.

    A claim keeps others from starting on the same case, not from deciding it. Raises ReviewNotFound, ReviewClosed,
    ReviewClaimed.
    """
    case = _lock(project, case_id)
    _require_open(case)
    is_held = case.claimed_until is not None and case.claimed_until > now
    if is_held and case.claimed_by not in (None, by):
        raise ReviewClaimed(f"{case.claimed_by} is at this case.", fields={"claimed_by": str(case.claimed_by)})
    return _take(case, by, now)


def release(project: Project, case_id: int, *, by: User) -> None:
    """Let others have it. Does nothing if somebody else is at it."""
    ReviewCase.objects.filter(project=project, pk=case_id, claimed_by=by).update(claimed_by=None, claimed_until=None)


# -- deciding ----------------------------------------------------------------------------------------------------


@transaction.atomic
def decide(
    project: Project,
    case_id: int,
    *,
    by: User,
    now: dt.datetime,
    answer: object,
    comment: str = "",
    saw_suggestion: bool = False,
) -> ReviewDecision:
    """Say what the item is. The item is not asked about any more, and its belief is worked out anew.

    Raises ReviewNotFound, ReviewClosed, InvalidInput `invalid_answer` or `unknown_class`.
    """
    case = _lock_open(project, case_id, comment)
    stored = _checked(case, answer)
    _end_asking(case, by, now)
    return _close(
        case, _State.DECIDED, _Action.DECIDE, by, now, answer=stored, comment=comment, saw_suggestion=saw_suggestion
    )


@transaction.atomic
def make_gold(
    project: Project,
    case_id: int,
    *,
    by: User,
    now: dt.datetime,
    answer: object,
    explanation: str = "",
    comment: str = "",
    saw_suggestion: bool = False,
) -> ReviewDecision:
    """`decide`, for certain: from now on the item also tests and teaches annotators, and the explanation is what they read.

    An item that is gold already gets the new answer. Raises as `decide`.
    """
    _check_comment(explanation, field="explanation")
    case = _lock_open(project, case_id, comment)
    stored = _checked(case, answer)
    _end_asking(case, by, now)
    GoldItem.objects.update_or_create(
        item_id=case.item_id,
        defaults={
            "project": project,
            "label_schema": selectors.current_schema(project),
            "answer": stored,
            "explanation": explanation,
            "is_active": True,
            "created_by": by,
            "created_at": now,
        },
    )
    return _close(
        case, _State.DECIDED, _Action.GOLD, by, now, answer=stored, comment=comment, saw_suggestion=saw_suggestion
    )


@transaction.atomic
def mark_ambiguous(
    project: Project, case_id: int, *, by: User, now: dt.datetime, comment: str, saw_suggestion: bool = False
) -> ReviewDecision:
    """Say that the item has no one right answer: it loses its label, is kept out of training and is not drawn again.

    Raises ReviewNotFound, ReviewClosed, InvalidInput `comment_required`.
    """
    case = _lock_open(project, case_id, comment, needs_comment=True)
    _end_asking(case, by, now)
    PoolEntry.objects.filter(item=case.item_id, state=PoolEntry.State.AVAILABLE).update(state=PoolEntry.State.ANSWERED)
    return _close(case, _State.AMBIGUOUS, _Action.AMBIGUOUS, by, now, comment=comment, saw_suggestion=saw_suggestion)


@transaction.atomic
def send_back(
    project: Project, case_id: int, *, by: User, now: dt.datetime, comment: str, saw_suggestion: bool = False
) -> ReviewDecision:
    """Have one more annotator answer the item. An item that is in the queue already stays there.

    Raises ReviewNotFound, ReviewClosed, InvalidInput `comment_required`, Conflict `item_unusable`.
    """
    case = _lock_open(project, case_id, comment, needs_comment=True)
    outcome = queue_management.requeue(project, [case.item_id], by=by, now=now)
    if any(refusal.code == "unusable" for refusal in outcome.refused):
        raise Conflict("The item was called unusable; return it to the pool first.", code="item_unusable")
    return _close(case, _State.SENT_BACK, _Action.SEND_BACK, by, now, comment=comment, saw_suggestion=saw_suggestion)


# -- what decisions say ------------------------------------------------------------------------------------------


def ambiguous_items(item_ids: Collection[int]) -> set[int]:
    """Those of the items that a reviewer called ambiguous, with no decision since: they have no label."""
    newest = ReviewDecision.objects.filter(item_id__in=item_ids).exclude(action=_Action.OPEN)
    last = newest.order_by("item_id", "-pk").distinct("item_id").values_list("item_id", "action")
    return {item_id for item_id, action in last if action == _Action.AMBIGUOUS}


def find(project: Project, case_id: int) -> ReviewCase:
    """The case with its item. Raises ReviewNotFound."""
    cases = ReviewCase.objects.filter(project=project).select_related("item__pool_entry", "claimed_by")
    case = cases.filter(pk=case_id).first()
    if case is None:
        raise ReviewNotFound("No such case.")
    return case


# -- inside ------------------------------------------------------------------------------------------------------


def _free(by: User, now: dt.datetime) -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lte=now) | Q(claimed_by=by)


def _take(case: ReviewCase, by: User, now: dt.datetime) -> dt.datetime:
    until = now + dt.timedelta(minutes=CLAIM_MINUTES)
    case.claimed_by, case.claimed_until = by, until
    case.save(update_fields=["claimed_by", "claimed_until"])
    return until


def _lock(project: Project, case_id: int) -> ReviewCase:
    case = ReviewCase.objects.select_for_update(of=["self"]).filter(project=project, pk=case_id).first()
    if case is None:
        raise ReviewNotFound("No such case.")
    return case


def _lock_open(project: Project, case_id: int, comment: str, *, needs_comment: bool = False) -> ReviewCase:
    _check_comment(comment)
    if needs_comment and not comment.strip():
        raise InvalidInput("Say why.", code="comment_required", fields={"comment": "missing"})
    case = _lock(project, case_id)
    _require_open(case)
    return case


def _require_open(case: ReviewCase) -> None:
    if case.state == _State.OPEN:
        return
    last = case.decisions.exclude(action=_Action.OPEN).select_related("reviewer").order_by("-pk").first()
    if case.state == _State.SETTLED or last is None:
        raise ReviewClosed("Later evidence has settled this case.", fields={"state": case.state})
    said = "" if last.answer is None else f": {selectors.parsed(last.label_schema).summary_of(last.answer)}"
    raise ReviewClosed(
        f"{last.reviewer} was here first. {last.get_action_display()}{said}.",
        fields={"state": case.state, "decided_by": str(last.reviewer), "decided_at": last.decided_at.isoformat()},
    )


def _check_comment(text: str, *, field: str = "comment") -> None:
    if len(text) > LONGEST_COMMENT:
        raise InvalidInput(f"At most {LONGEST_COMMENT} characters.", fields={field: "too long"})


def _checked(case: ReviewCase, answer: object) -> JSONValue:
    schema = selectors.current_schema(case.project)
    return annotation_queue.checked_answer(schema.pk, answer, case.item.payload)


def _end_asking(case: ReviewCase, by: User, now: dt.datetime) -> None:
    """Take the item out of the queue; the pool follows its label.

    A task that somebody is at stays: what they say is evidence, too. So do audit tasks: an audit slice that loses what is in
    doubt is no random sample.
    """
    tasks = AnnotationTask.objects.filter(item=case.item_id, state=AnnotationTask.State.OPEN, is_audit=False)
    idle = tasks.exclude(leased_to__isnull=False, lease_expires_at__gt=now)
    queue_management.withdraw(case.project, list(idle.values_list("pk", flat=True)), by=by, now=now)


def _close(
    case: ReviewCase,
    state: ReviewCase.State,
    action: ReviewDecision.Action,
    by: User,
    now: dt.datetime,
    *,
    answer: JSONValue = None,
    comment: str,
    saw_suggestion: bool,
) -> ReviewDecision:
    case.state, case.closed_at, case.claimed_by, case.claimed_until = state, now, None, None
    case.save(update_fields=["state", "closed_at", "claimed_by", "claimed_until"])
    decision = _record(case, action, by, now, answer=answer, comment=comment, saw_suggestion=saw_suggestion)
    pending.note_items(case.project, [case.item_id])
    return decision


def _record(
    case: ReviewCase,
    action: ReviewDecision.Action,
    by: User,
    now: dt.datetime,
    *,
    answer: JSONValue = None,
    comment: str = "",
    saw_suggestion: bool = False,
) -> ReviewDecision:
    return ReviewDecision.objects.create(
        case=case,
        item_id=case.item_id,
        reviewer=by,
        action=action,
        label_schema=selectors.current_schema(case.project),
        answer=answer,
        comment=comment,
        saw_suggestion=saw_suggestion,
        decided_at=now,
    )
