"""The annotation queue: tasks go in by draw, out by lease, and end answered or withdrawn.

See docs/algorithms/annotation_queue.md for the state machine and for what the claim guarantees.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import cast
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from labeling import news, schema, selectors
from labeling.errors import (
    AlreadyAnswered,
    InvalidInput,
    LeaseExpired,
    NothingToUndo,
    NotLeased,
    QueuePaused,
    TaskClosed,
    TaskNotFound,
)
from labeling.models import Annotation, AnnotationTask, AnnotatorDay, LabelSchema, PoolEntry, Project, Skip
from labeling.services import queue_sql

_LONGEST_SKIP_REASON = 300


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
    NOTHING_LEFT_FOR_YOU = "nothing_left_for_you"
    PAUSED = "paused"


@dataclass(frozen=True)
class NothingServed:
    """`first_free_at`: when the first lease of a task that the annotator could take runs out."""

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
) -> int:
    """Open a task for each of the items that is still available; return how many.

    Ids follow the order of `tasks`, which is the order in which they will be served. Locks the pool rows in the order of
    item ids, as everybody does who locks several. A caller who holds locks on other pool rows passes `waits=False`, and
    gets OperationalError instead of a wait that might be circular.
    """
    item_ids = [task.item_id for task in tasks]
    available = PoolEntry.objects.filter(project=project, item_id__in=item_ids, state=PoolEntry.State.AVAILABLE)
    locked = set(
        available.order_by("item_id").select_for_update(no_key=True, nowait=not waits).values_list("item_id", flat=True)
    )
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
        )
        for task in tasks
        if task.item_id in locked
    )
    PoolEntry.objects.filter(item_id__in=locked).update(state=PoolEntry.State.QUEUED)
    return len(locked)


@transaction.atomic
def withdraw_open(project: Project, *, now: dt.datetime) -> int:
    """Withdraw the tasks that wait for an annotator and give their items back to the pool; return how many.

    Leased tasks stay with their annotators, and audit tasks that somebody skipped stay open: an audit slice that loses
    what is hard to answer is no random sample. Other audit tasks go back, to be drawn at random again: kept, they would
    pile up at every withdrawal and outgrow their share. Tasks that are being claimed at this moment are passed over.
    Locks tasks, then their pool rows in the order of item ids.
    """
    waiting = (
        AnnotationTask.objects.filter(project=project, state=AnnotationTask.State.OPEN)
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


def claim(project: Project, *, annotator: User, now: dt.datetime, limit: int = 1) -> list[AnnotationTask]:
    """Lease up to `limit` tasks to the annotator: first those they hold already, then the top of the queue.

    Returns them in the order to work on, with item and pool entry loaded. All leases, old ones too, end LEASE_SECONDS
    from `now`. No task is ever leased to two people. Raises QueuePaused. Tells queue_low when it found too few.
    """
    if not project.is_queue_open:
        raise QueuePaused("The queue of this project is paused.")
    tasks = queue_sql.claim(project.pk, annotator.pk, limit=limit, now=now, until=_lease_end(now))
    if len(tasks) < limit:
        news.tell(news.queue_low, project_id=project.pk)
    return tasks


def why_nothing(project: Project, *, annotator: User, now: dt.datetime) -> NothingServed:
    """Explain an empty claim to the annotator."""
    if not project.is_queue_open:
        return NothingServed(NothingReason.PAUSED)
    left = queue_sql.what_is_left(project.pk, annotator.pk)
    if left.open_count == 0:
        return NothingServed(NothingReason.EMPTY)
    if left.servable_count == 0:
        return NothingServed(NothingReason.NOTHING_LEFT_FOR_YOU)
    # A lease that ended between the claim and this look, or a task given back: it is free now.
    return NothingServed(NothingReason.ALL_LEASED, max(left.first_free_at or now, now))


@transaction.atomic
def extend(task_id: int, *, annotator: User, now: dt.datetime, project: Project | None = None) -> dt.datetime:
    """Heartbeat: let the lease end LEASE_SECONDS from `now`; return when that is.

    Raises the lease errors of `submit`.
    """
    task = _lock(task_id, project)
    _require_lease(task, annotator, now)
    until = _lease_end(now)
    AnnotationTask.objects.filter(pk=task.pk).update(lease_expires_at=until)
    return until


@transaction.atomic
def release(task_id: int, *, annotator: User, now: dt.datetime, project: Project | None = None) -> None:
    """Give the task back, for anybody, the same annotator included. An expired lease that nobody took since will do.

    Raises TaskNotFound, TaskClosed, AlreadyAnswered, NotLeased.
    """
    task = _lock(task_id, project)
    _require_held(task, annotator)
    _end_lease(task)


@transaction.atomic
def skip(task_id: int, *, annotator: User, now: dt.datetime, reason: str = "", project: Project | None = None) -> None:
    """Pass the task by: it stays open for others and its item is never served to this annotator again.

    An expired lease that nobody took since will do. Raises TaskNotFound, TaskClosed, AlreadyAnswered, NotLeased, and
    InvalidInput for a reason that is too long.
    """
    if len(reason) > _LONGEST_SKIP_REASON:
        raise InvalidInput(f"A reason has at most {_LONGEST_SKIP_REASON} characters.", fields={"reason": "too long"})
    task = _lock(task_id, project)
    _require_held(task, annotator)
    Skip.objects.get_or_create(task=task, annotator=annotator, defaults={"reason": reason, "created_at": now})
    _end_lease(task)


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
    """Record the answer and close the task: annotation, task and pool entry change together or not at all.

    Locks the task, so of two answers at once one wins and the other is told. With `project`, a task of another project
    is not found. Raises TaskNotFound, InvalidInput `invalid_answer` or `unknown_class`, AlreadyAnswered (by this
    annotator), TaskClosed (by another, or withdrawn), NotLeased, LeaseExpired. Tells annotation_recorded.
    """
    of = queue_sql.project_and_schema(task_id)
    if of is None or (project is not None and project.pk != of.project_id):
        raise TaskNotFound("No such task.")
    annotation = Annotation(
        task_id=task_id,
        annotator=annotator,
        label_schema_id=of.label_schema_id,
        answer=_parsed_answer(of.label_schema_id, answer),
        suggested_answer=suggested_answer,
        comment=comment,
        is_flagged=is_flagged,
        duration_ms=duration_ms,
        created_at=now,
    )
    if not queue_sql.record(annotation):
        # Something stands against it. Under the lock it is clear what, and if it went away meanwhile, it stays away.
        with transaction.atomic():
            _require_lease(_lock(task_id, project), annotator, now)
            queue_sql.record(annotation)
    news.tell(news.annotation_recorded, project_id=of.project_id)
    return annotation


@transaction.atomic
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
) -> tuple[Annotation, list[AnnotationTask]]:
    """`submit`, then `claim` unless the queue is paused or nothing is wanted: one commit, so one wait for the disk."""
    annotation = submit(
        task_id,
        project=project,
        annotator=annotator,
        answer=answer,
        now=now,
        duration_ms=duration_ms,
        suggested_answer=suggested_answer,
        comment=comment,
        is_flagged=is_flagged,
    )
    if limit == 0 or not project.is_queue_open:
        return annotation, []
    return annotation, claim(project, annotator=annotator, now=now, limit=limit)


@transaction.atomic
def undo(project: Project, *, annotator: User, now: dt.datetime) -> AnnotationTask:
    """Take back the annotator's last answer that stands, and lease its task to them again.

    The annotation stays, marked withdrawn. Called again it takes back the one before. Raises NothingToUndo when there
    is none from the last UNDO_SECONDS. Tells annotation_recorded.
    """
    oldest = now - dt.timedelta(seconds=settings.UNDO_SECONDS)
    last = (
        Annotation.objects.filter(
            annotator=annotator,
            task__project=project,
            task__state=AnnotationTask.State.ANSWERED,
            withdrawn_at__isnull=True,
            created_at__gte=oldest,
        )
        .order_by("-created_at", "-id")
        .select_for_update(of=("self", "task"))
        .select_related("task")
        .first()
    )
    if last is None:
        raise NothingToUndo(f"There is no answer of yours from the last {settings.UNDO_SECONDS // 60} minutes.")
    Annotation.objects.filter(pk=last.pk).update(withdrawn_at=now)
    AnnotationTask.objects.filter(pk=last.task_id).update(
        state=AnnotationTask.State.OPEN,
        answers_count=F("answers_count") - 1,
        closed_at=None,
        leased_to=annotator,
        lease_expires_at=_lease_end(now),
    )
    PoolEntry.objects.filter(item_id=last.item_id).update(state=PoolEntry.State.QUEUED)
    day = AnnotatorDay.objects.filter(project=project, annotator=annotator, day=timezone.localdate(last.created_at))
    day.filter(answered__gt=0).update(answered=F("answered") - 1)
    news.tell(news.annotation_recorded, project_id=project.pk)
    return AnnotationTask.objects.select_related("item__pool_entry").get(pk=last.task_id)


# -- inside ------------------------------------------------------------------------------------------------------


def _lease_end(now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(seconds=settings.LEASE_SECONDS)


def _lock(task_id: int, project: Project | None) -> AnnotationTask:
    tasks = AnnotationTask.objects.filter(pk=task_id)
    if project is not None:
        tasks = tasks.filter(project=project)
    task = tasks.select_for_update().first()
    if task is None:
        raise TaskNotFound("No such task.")
    return task


def _require_held(task: AnnotationTask, annotator: User) -> None:
    if task.state == AnnotationTask.State.ANSWERED:
        if task.annotations.filter(annotator=annotator, withdrawn_at__isnull=True).exists():
            raise AlreadyAnswered("You have answered this task already.")
        raise TaskClosed("Somebody else has answered this task.")
    if task.state != AnnotationTask.State.OPEN:
        raise TaskClosed("This task was withdrawn.")
    if task.leased_to_id != annotator.pk:
        raise NotLeased("This task is not leased to you; ask for the next one.")


def _require_lease(task: AnnotationTask, annotator: User, now: dt.datetime) -> None:
    _require_held(task, annotator)
    if task.lease_expires_at is None or task.lease_expires_at <= now:
        raise LeaseExpired("Your lease of this task ran out; ask for the next one.")


def _end_lease(task: AnnotationTask) -> None:
    AnnotationTask.objects.filter(pk=task.pk).update(leased_to=None, lease_expires_at=None)


def _parsed_answer(label_schema_id: int, answer: object) -> dict[str, str]:
    try:
        # parse_answer checks whatever it is given; its type only says what JSON can hold.
        parsed = _schema(label_schema_id).parse_answer(cast("schema.JSONValue", answer))
    except schema.SchemaError as error:
        raise InvalidInput(str(error), code=error.code, fields={"answer": str(error)}) from None
    stored: dict[str, str] = msgspec.to_builtins(parsed)
    return stored


@lru_cache(maxsize=256)
def _schema(label_schema_id: int) -> schema.AnySchema:
    """Versions are append-only, so what was parsed once stays true."""
    return selectors.parsed(LabelSchema.objects.get(pk=label_schema_id))
