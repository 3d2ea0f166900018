"""The annotation queue: tasks go in by draw, out by lease, and end answered or withdrawn.

See docs/algorithms/annotation_queue.md for the state machine and for what the claim guarantees.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from labeling import news, schema, selectors, serving_order
from labeling.errors import (
    AlreadyAnswered,
    InvalidInput,
    LeaseExpired,
    NotAllowed,
    NotLeased,
    QueuePaused,
    TaskClosed,
    TaskNotFound,
)
from labeling.models import (
    Annotation,
    AnnotationTask,
    Draft,
    Item,
    Membership,
    PoolEntry,
    Project,
    Skip,
)
from labeling.services import queue_sql
from labeling.services.queue_sql import Recorded, Who

LONGEST_SKIP_REASON = 300
LATER_MINUTES = 30
"""For how long a task is put off that is skipped for later, unless the annotator says otherwise."""
MOST_MINUTES = 7 * 24 * 60


@dataclass(frozen=True)
class NewTask:
    """One drawn item, as the refill hands it over."""

    item_id: int
    reason: AnnotationTask.Reason
    informativeness: float | None
    propensity: float | None
    is_audit: bool
    draw_rank: int
    model_version_id: int | None


class NothingReason(StrEnum):
    """Why a claim came back empty."""

    EMPTY = "empty"
    ALL_LEASED = "all_leased"
    LATER = "later"
    KEPT_FOR_OTHERS = "kept_for_others"
    NOT_ELIGIBLE = "not_eligible"
    NOTHING_LEFT_FOR_YOU = "nothing_left_for_you"
    PAUSED = "paused"
    TRAINING = "training"


@dataclass(frozen=True)
class NothingServed:
    """`first_free_at`: when the first task comes free that the annotator could take: its lease runs out, the time
    they put it off to has come, or it is kept for others no longer."""

    reason: NothingReason
    first_free_at: dt.datetime | None = None


# -- filling -----------------------------------------------------------------------------------------------------


@transaction.atomic
def enqueue(
    project: Project,
    tasks: Sequence[NewTask],
    *,
    batch: UUID,
    pool_size: int,
    now: dt.datetime,
    waits: bool = True,
    answers_wanted: int = 1,
) -> int:
    """Open a task for each of the items that is still available, to be answered by `answers_wanted` people; return how many.

    Ids follow the order of `tasks`, which is the order in which they will be served. Locks the pool rows in the order of
    item ids, as everybody does who locks several. A caller who holds locks on other pool rows passes `waits=False`, and
    gets OperationalError instead of a wait that might be circular.
    """
    item_ids = [task.item_id for task in tasks]
    available = PoolEntry.objects.filter(project=project, item_id__in=item_ids, state=PoolEntry.State.AVAILABLE)
    locked = set(
        available.order_by("item_id").select_for_update(no_key=True, nowait=not waits).values_list("item_id", flat=True)
    )
    skills = required_skills(project, locked)
    AnnotationTask.objects.bulk_create(
        AnnotationTask(
            project=project,
            item_id=task.item_id,
            reason=task.reason,
            informativeness=task.informativeness,
            propensity=task.propensity,
            is_audit=task.is_audit,
            draw_rank=task.draw_rank,
            model_version_id=task.model_version_id,
            batch=batch,
            pool_size=pool_size,
            created_at=now,
            answers_wanted=answers_wanted,
            required_skill=skills.get(task.item_id, ""),
        )
        for task in tasks
        if task.item_id in locked
    )
    PoolEntry.objects.filter(item_id__in=locked).update(state=PoolEntry.State.QUEUED)
    return len(locked)


@transaction.atomic
def withdraw_open(project: Project, *, now: dt.datetime) -> int:
    """Withdraw the tasks that wait for an annotator and give their items back to the pool; return how many.

    Leased tasks stay with their annotators, and so does whatever a person had a hand in: tasks that were put in, pinned,
    dated, boosted or assigned by somebody, or answered in part. Audit tasks that somebody skipped stay open: an audit slice
    that loses what is hard to answer is no random sample. Other audit tasks go back, to be drawn at random again: kept,
    they would pile up at every withdrawal and outgrow their share. Tasks that are being claimed at this moment are passed
    over. Locks tasks, then their pool rows in the order of item ids.
    """
    waiting = (
        AnnotationTask.objects.filter(project=project, state=AnnotationTask.State.OPEN)
        .filter(~_OF_A_PERSON)
        .exclude(leased_to__isnull=False, lease_expires_at__gt=now)
        .exclude(Exists(Skip.objects.filter(task=OuterRef("pk"))), is_audit=True)
    )
    locked = list(waiting.select_for_update(skip_locked=True).values_list("pk", "item_id"))
    AnnotationTask.objects.filter(pk__in=[pk for pk, _ in locked]).update(
        state=AnnotationTask.State.WITHDRAWN, closed_at=now, leased_to=None, lease_expires_at=None
    )
    entries = PoolEntry.objects.filter(item_id__in=[item_id for _, item_id in locked], state=PoolEntry.State.QUEUED)
    item_ids = list(entries.order_by("item_id").select_for_update(no_key=True).values_list("item_id", flat=True))
    PoolEntry.objects.filter(item_id__in=item_ids).update(state=PoolEntry.State.AVAILABLE)
    return len(locked)


# -- serving -----------------------------------------------------------------------------------------------------


def claim(
    project: Project,
    *,
    annotator: User,
    now: dt.datetime,
    limit: int = 1,
    skills: Sequence[str] | None = None,
    is_in_training: bool = False,
) -> list[AnnotationTask]:
    """Lease up to `limit` tasks to the annotator: first those they hold already, then the top of the queue.

    Returns them in the order to work on, with item, pool entry and the annotator's draft loaded. All leases, old ones too,
    end LEASE_SECONDS from `now`. No task is ever leased to two people. Skills and stage are looked up unless `skills` are
    given. Raises QueuePaused, NotAllowed `blocked`. Tells queue_low when it found too few.
    """
    if not project.is_queue_open:
        raise QueuePaused("The queue of this project is paused.")
    who = _who(project, annotator, skills, is_in_training)
    tasks = queue_sql.claim(who, limit=limit, now=now, until=lease_end(now), order=_order(who, now))
    _tell_if_low(project, len(tasks), limit)
    return tasks


def why_nothing(
    project: Project,
    *,
    annotator: User,
    now: dt.datetime,
    skills: Sequence[str] | None = None,
    is_in_training: bool = False,
) -> NothingServed:
    """Explain an empty claim to the annotator."""
    if not project.is_queue_open:
        return NothingServed(NothingReason.PAUSED)
    who = _who(project, annotator, skills, is_in_training)
    left = queue_sql.what_is_left(who, now)
    if who.is_in_training and not left.servable_count and left.put_off_until is None:
        return NothingServed(NothingReason.TRAINING)
    if left.open_count == 0:
        return NothingServed(NothingReason.EMPTY)
    if left.eligible_count == 0:
        return NothingServed(NothingReason.NOT_ELIGIBLE)
    if left.servable_count:
        order = _order(who, now)
        if order is not None and order.kept_until is not None and left.first_free_at is None:
            return NothingServed(NothingReason.KEPT_FOR_OTHERS, max(order.kept_until, now))
        # A lease that ended between the claim and this look, or a task given back: it is free now.
        return NothingServed(NothingReason.ALL_LEASED, max(left.first_free_at or now, now))
    if left.put_off_until is not None:
        return NothingServed(NothingReason.LATER, max(left.put_off_until, now))
    return NothingServed(NothingReason.NOTHING_LEFT_FOR_YOU)


@transaction.atomic
def extend(task_id: int, *, annotator: User, now: dt.datetime, project: Project | None = None) -> dt.datetime:
    """Heartbeat: let the lease end LEASE_SECONDS from `now`; return when that is.

    Raises the lease errors of `submit`.
    """
    task = lock(task_id, project)
    _require_lease(task, annotator, now)
    until = lease_end(now)
    AnnotationTask.objects.filter(pk=task.pk).update(lease_expires_at=until)
    return until


def extend_all(
    project: Project, task_ids: Sequence[int], *, annotator: User, now: dt.datetime
) -> tuple[dt.datetime, frozenset[int]]:
    """`extend` for several at once; returns the new end, and which of the tasks are still the annotator's."""
    until = lease_end(now)
    held = AnnotationTask.objects.filter(
        project=project,
        pk__in=task_ids,
        state=AnnotationTask.State.OPEN,
        leased_to=annotator,
        lease_expires_at__gt=now,
    )
    with transaction.atomic():
        locked = list(held.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
        AnnotationTask.objects.filter(pk__in=locked).update(lease_expires_at=until)
    return until, frozenset(locked)


@transaction.atomic
def release(task_id: int, *, annotator: User, now: dt.datetime, project: Project | None = None) -> None:
    """Give the task back, for anybody, the same annotator included. An expired lease that nobody took since will do.

    Raises TaskNotFound, TaskClosed, AlreadyAnswered, NotLeased.
    """
    task = lock(task_id, project)
    _require_held(task, annotator)
    _end_lease(task)


@transaction.atomic
def skip(
    task_id: int,
    *,
    annotator: User,
    now: dt.datetime,
    kind: Skip.Kind = Skip.Kind.SOMEONE_ELSE,
    reason: str = "",
    minutes: int = LATER_MINUTES,
    project: Project | None = None,
) -> None:
    """Pass the task by. What becomes of it depends on the kind:

    later
        It stays open for all, and does not come back to this annotator for so many minutes.
    someone_else
        It stays open for others; its item is never served to this annotator again.
    unusable
        It is closed and its item leaves the pool, until a manager returns it. Needs a reason.

    An expired lease that nobody took since will do. Raises TaskNotFound, TaskClosed, AlreadyAnswered, NotLeased, and
    InvalidInput for a reason that is missing or too long, or minutes out of range.
    """
    if len(reason) > LONGEST_SKIP_REASON:
        raise InvalidInput(f"A reason has at most {LONGEST_SKIP_REASON} characters.", fields={"reason": "too long"})
    if kind == Skip.Kind.UNUSABLE and not reason.strip():
        raise InvalidInput("Say why it is unusable.", code="reason_required", fields={"reason": "missing"})
    if not 1 <= minutes <= MOST_MINUTES:
        raise InvalidInput(f"Minutes are from 1 to {MOST_MINUTES}.", fields={"minutes": "out of range"})
    task = lock(task_id, project)
    _require_held(task, annotator)
    until = now + dt.timedelta(minutes=minutes) if kind == Skip.Kind.LATER else None
    Skip.objects.update_or_create(
        task=task,
        annotator=annotator,
        defaults={"kind": kind, "reason": reason, "until": until, "created_at": now},
    )
    if kind != Skip.Kind.UNUSABLE:
        _end_lease(task)
        return
    AnnotationTask.objects.filter(pk=task.pk).update(
        state=AnnotationTask.State.UNUSABLE, closed_at=now, leased_to=None, lease_expires_at=None
    )
    Draft.objects.filter(task=task).delete()
    PoolEntry.objects.filter(item_id=task.item_id).update(state=PoolEntry.State.UNUSABLE)


# -- answering ---------------------------------------------------------------------------------------------------


def submit(
    task_id: int,
    *,
    annotator: User,
    answer: object,
    now: dt.datetime,
    duration_ms: int | None = None,
    suggested_answer: schema.JSONValue = None,
    comment: str = "",
    is_flagged: bool = False,
    project: Project | None = None,
) -> Annotation:
    """Record the answer; the task closes when it has as many as it wants. Annotation, task and pool entry change together
    or not at all.

    Locks the task, so of two answers at once one wins and the other is told. With `project`, a task of another project
    is not found. Raises TaskNotFound, InvalidInput `invalid_answer` or `unknown_class`, AlreadyAnswered (by this
    annotator), TaskClosed (by another, or withdrawn), NotLeased, LeaseExpired. Tells annotation_recorded.
    """
    of = Project.objects.filter(annotation_tasks=task_id).first()
    if of is None or project not in (None, of):
        raise TaskNotFound("No such task.")
    recorded = submit_and_claim(
        task_id,
        project=of,
        annotator=annotator,
        answer=answer,
        now=now,
        limit=0,
        duration_ms=duration_ms,
        suggested_answer=suggested_answer,
        comment=comment,
        is_flagged=is_flagged,
        skills=(),
    )
    return recorded.annotation


def submit_and_claim(
    task_id: int,
    *,
    project: Project,
    annotator: User,
    answer: object,
    now: dt.datetime,
    limit: int,
    duration_ms: int | None = None,
    suggested_answer: schema.JSONValue = None,
    comment: str = "",
    is_flagged: bool = False,
    skills: Sequence[str] | None = None,
    is_in_training: bool = False,
    label_schema_id: int | None = None,
) -> Recorded:
    """`submit`, then `claim` unless the queue is paused or nothing is wanted: one statement, so one wait for the disk.

    `skills` and the label schema in force are looked up unless given.
    """
    if label_schema_id is None:
        label_schema_id = selectors.current_schema(project).pk
    annotation = Annotation(
        task_id=task_id,
        annotator=annotator,
        label_schema_id=label_schema_id,
        answer=_checked_answer(label_schema_id, answer, project, task_id),
        suggested_answer=suggested_answer,
        comment=comment,
        is_flagged=is_flagged,
        duration_ms=duration_ms,
        created_at=now,
    )
    who = _who(project, annotator, skills, is_in_training)
    claims = limit if project.is_queue_open else 0
    order = _order(who, now) if claims else None
    recorded = queue_sql.record(annotation, who, claims=claims, until=lease_end(now), order=order)
    if recorded is None:
        # Something stands against it. Under the lock it is clear what, and if it went away meanwhile, it stays away.
        with transaction.atomic():
            _require_lease(lock(task_id, project), annotator, now)
            recorded = queue_sql.record(annotation, who, claims=claims, until=lease_end(now), order=order)
            if recorded is None:  # pragma: no cover - the lock is held, so nothing can have come between
                raise RuntimeError(f"task {task_id} can be answered and cannot")
    news.tell(news.annotation_recorded, project_id=project.pk)
    _tell_if_low(project, len(recorded.tasks), claims)
    return recorded


# -- shared with labeling.services.answers and queue_management ---------------------------------------------------------


def lease_end(now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(seconds=settings.LEASE_SECONDS)


def lock(task_id: int, project: Project | None) -> AnnotationTask:
    """The task, locked until the transaction ends. Raises TaskNotFound."""
    tasks = AnnotationTask.objects.filter(pk=task_id)
    if project is not None:
        tasks = tasks.filter(project=project)
    task = tasks.select_for_update().first()
    if task is None:
        raise TaskNotFound("No such task.")
    return task


def checked_answer(label_schema_id: int, answer: object, payload: schema.JSONValue) -> schema.JSONValue:
    """The answer in the form in which it is stored. Raises InvalidInput `invalid_answer` or `unknown_class`."""
    definition = selectors.schema_of(label_schema_id)
    try:
        # parse_answer checks whatever it is given; its type only says what JSON can hold.
        parsed = definition.parse_answer(cast("schema.JSONValue", answer))
        if definition.needs_payload:
            definition.check_against(parsed, payload)
    except schema.SchemaError as error:
        raise InvalidInput(str(error), code=error.code, fields={"answer": str(error)}) from None
    stored: schema.JSONValue = msgspec.to_builtins(parsed)
    return stored


def required_skills(project: Project, item_ids: Iterable[int]) -> dict[int, str]:
    """By item, the skill that its segment asks for; items that ask for none are missing."""
    if not project.skill_segment:
        return {}
    segments = Item.objects.filter(pk__in=item_ids, segments__has_key=project.skill_segment)
    return {pk: str(value[project.skill_segment])[:100] for pk, value in segments.values_list("pk", "segments")}


# -- inside ------------------------------------------------------------------------------------------------------

_REASON = AnnotationTask.Reason
_OF_A_PERSON = (
    ~Q(priority=0)
    | Q(assigned_to__isnull=False)
    | Q(answers_count__gt=0)
    | Q(reason__in=[_REASON.MANUAL, _REASON.RELABEL, _REASON.IMPORTED])
)


def _who(project: Project, annotator: User, skills: Sequence[str] | None, is_in_training: bool) -> Who:
    if skills is None:
        found = Membership.objects.filter(project=project, user=annotator).values_list("skills", "stage").first()
        skills, stage = found or ((), "")
        if stage == Membership.Stage.BLOCKED:
            raise NotAllowed("You are blocked in this project.", code="blocked")
        is_in_training = stage == Membership.Stage.TRAINING
    return Who(project.pk, annotator.pk, skills, is_in_training)


def _order(who: Who, now: dt.datetime) -> serving_order.ServingOrder | None:
    return None if who.is_in_training else serving_order.order_for(who.project_id, who.annotator_id, now)


def _tell_if_low(project: Project, found: int, wanted: int) -> None:
    if found < wanted:
        news.tell(news.queue_low, project_id=project.pk)


def _require_held(task: AnnotationTask, annotator: User) -> None:
    if task.state != AnnotationTask.State.WITHDRAWN:
        if task.annotations.filter(annotator=annotator, withdrawn_at__isnull=True).exists():
            raise AlreadyAnswered("You have answered this task already.")
        if task.state == AnnotationTask.State.ANSWERED:
            raise TaskClosed("Somebody else has answered this task.")
    if task.state != AnnotationTask.State.OPEN:
        raise TaskClosed(f"This task was closed as {task.state}.")
    if task.leased_to_id != annotator.pk:
        raise NotLeased("This task is not leased to you; ask for the next one.")


def _require_lease(task: AnnotationTask, annotator: User, now: dt.datetime) -> None:
    _require_held(task, annotator)
    if task.lease_expires_at is None or task.lease_expires_at <= now:
        raise LeaseExpired("Your lease of this task ran out; ask for the next one.")


def _end_lease(task: AnnotationTask) -> None:
    AnnotationTask.objects.filter(pk=task.pk).update(leased_to=None, lease_expires_at=None)


def _checked_answer(label_schema_id: int, answer: object, project: Project, task_id: int) -> schema.JSONValue:
    """Reads the payload only for those kinds of answers that are about places in it."""
    payload: schema.JSONValue = None
    if selectors.schema_of(label_schema_id).needs_payload:
        payloads = Item.objects.filter(annotation_tasks=task_id, project=project).values_list("payload", flat=True)
        found = payloads.first()
        if found is None:
            raise TaskNotFound("No such task.")
        payload = found
    return checked_answer(label_schema_id, answer, payload)
