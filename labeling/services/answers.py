"""What annotators do with answers besides giving them: take them back, change them, and keep half-written ones."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import msgspec
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, JSONField, Value
from django.utils import timezone

from labeling import news, selectors
from labeling.errors import AlreadyAnswered, Conflict, InvalidInput, NotFound, NothingToUndo, NotLeased, TaskClosed
from labeling.models import Annotation, AnnotationTask, AnnotatorDay, Draft, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.services import annotation_queue

LONGEST_COMMENT: Final = 2_000
LARGEST_DRAFT_BYTES: Final = 512 * 1024


@dataclass(frozen=True)
class Undone:
    """`task` is leased to the annotator again; None when somebody else is at it or has closed it meanwhile."""

    annotation: Annotation
    task: AnnotationTask | None


@transaction.atomic
def undo(project: Project, *, annotator: User, now: dt.datetime, annotation_id: int | None = None) -> Undone:
    """Take back an answer of the last UNDO_SECONDS, the last one unless one is named, and lease its task again.

    The annotation stays, marked withdrawn. Without `annotation_id`, called again it takes back the one before; with it,
    a repetition changes nothing. Raises NothingToUndo when there is no such answer, Conflict `asked_again` when the item
    has another open task by now, `answer_shown` for an answer in training.
    """
    task, annotation = _lock_last(project, annotator, now, annotation_id)
    _refuse_after_training(task)
    if annotation.withdrawn_at is None:
        _withdraw(task, annotation, now)
    free = task.leased_to_id in (None, annotator.pk) or task.lease_expires_at is None or task.lease_expires_at <= now
    if task.state != AnnotationTask.State.OPEN or not free:
        return Undone(annotation, None)
    AnnotationTask.objects.filter(pk=task.pk).update(
        leased_to=annotator, lease_expires_at=annotation_queue.lease_end(now)
    )
    return Undone(annotation, AnnotationTask.objects.select_related("item__pool_entry").get(pk=task.pk))


@transaction.atomic
def edit(
    project: Project,
    annotation_id: int,
    *,
    by: User,
    answer: object,
    now: dt.datetime,
    comment: str = "",
    is_flagged: bool = False,
    of_anybody: bool = False,
) -> Annotation:
    """Replace an answer by another one: a new row supersedes the old one, which stays, marked withdrawn.

    One's own, or with `of_anybody` everybody's; the new row is then the editor's statement. At any time, whatever became of
    the task. Raises NotFound `annotation_not_found`, Conflict `annotation_withdrawn` (it does not stand any more) or `answer_shown`,
    AlreadyAnswered (the editor has an answer of their own to this task), InvalidInput. Tells annotation_recorded.
    """
    if len(comment) > LONGEST_COMMENT:
        raise InvalidInput(f"A comment has at most {LONGEST_COMMENT} characters.", fields={"comment": "too long"})
    found = Annotation.objects.filter(pk=annotation_id, task__project=project)
    if not of_anybody:
        found = found.filter(annotator=by)
    task_id = found.values_list("task_id", flat=True).first()
    if task_id is None:
        raise NotFound("There is no such answer of yours.", code="annotation_not_found")
    # The task first, as everybody does: so undo, edit and submit take turns.
    task = annotation_queue.lock(task_id, project)
    _refuse_after_training(task)
    old = found.select_related("item").get()
    if old.withdrawn_at is not None:
        raise Conflict("This answer was taken back or replaced already.", code="annotation_withdrawn")
    label_schema = selectors.current_schema(project)
    stored = annotation_queue.checked_answer(label_schema.pk, answer, old.item.payload)
    if by.pk != old.annotator_id and task.annotations.filter(annotator=by, withdrawn_at__isnull=True).exists():
        raise AlreadyAnswered("You have answered this task yourself; edit your own answer.")
    Annotation.objects.filter(pk=old.pk).update(withdrawn_at=now)
    new = Annotation.objects.create(
        task=task,
        item_id=old.item_id,
        annotator=by,
        label_schema=label_schema,
        answer=stored,
        suggested_answer=old.suggested_answer,
        duration_ms=old.duration_ms,
        comment=comment,
        is_flagged=is_flagged,
        supersedes=old,
        created_at=now,
    )
    _count(project, old, -1)
    _count(project, new, +1)
    news.tell(news.annotation_recorded, project_id=project.pk)
    return new


@transaction.atomic
def save_draft(
    project: Project, task_id: int, *, annotator: User, answer: JSONValue, comment: str, version: int, now: dt.datetime
) -> Draft:
    """Keep what the annotator has written so far, in place of an older version of it.

    Any JSON will do: a draft need not be a valid answer. Raises TaskNotFound, TaskClosed, NotLeased, Conflict
    `draft_outdated` when a version is there that is not older, InvalidInput when it is too large.
    """
    if len(msgspec.json.encode(answer)) > LARGEST_DRAFT_BYTES or len(comment) > LONGEST_COMMENT:
        raise InvalidInput("The draft is too large.", code="draft_too_large", fields={"answer": "too large"})
    task = annotation_queue.lock(task_id, project)
    if task.state != AnnotationTask.State.OPEN:
        raise TaskClosed("This task is closed.")
    # A page that is left sends its draft and gives the task back at once; either may arrive first.
    if task.leased_to_id not in (None, annotator.pk):
        raise NotLeased("This task is not leased to you.")
    draft = Draft.objects.filter(task=task, annotator=annotator).first()
    if draft is None:
        draft = Draft(task=task, annotator=annotator, version=0)
    elif version <= draft.version:
        raise Conflict("A newer draft is there already.", code="draft_outdated", fields={"version": str(draft.version)})
    # A comment may come before the answer, and then it is JSON's null; None by itself would be the database's.
    draft.answer = Value(None, JSONField()) if answer is None else answer
    draft.comment, draft.version, draft.updated_at = comment, version, now
    draft.save()
    return draft


# -- inside ------------------------------------------------------------------------------------------------------


def _refuse_after_training(task: AnnotationTask) -> None:
    if task.is_training:
        raise Conflict("The right answer was shown, so an answer in training stays as it is.", code="answer_shown")


def _lock_last(
    project: Project, annotator: User, now: dt.datetime, annotation_id: int | None
) -> tuple[AnnotationTask, Annotation]:
    own = Annotation.objects.filter(
        annotator=annotator,
        task__project=project,
        supersedes__isnull=True,
        import_key="",
        created_at__gte=now - dt.timedelta(seconds=settings.UNDO_SECONDS),
    )
    own = own.filter(withdrawn_at__isnull=True) if annotation_id is None else own.filter(pk=annotation_id)
    nothing = NothingToUndo(f"There is no answer of yours from the last {settings.UNDO_SECONDS // 60} minutes.")
    last = own.order_by("-created_at", "-id").first()
    if last is None or Annotation.objects.filter(supersedes=last).exists():
        raise nothing
    task = annotation_queue.lock(last.task_id, project)
    annotation = Annotation.objects.select_for_update(no_key=True).get(pk=last.pk)
    if annotation.withdrawn_at is not None and annotation_id is None:
        raise nothing  # somebody else, in another tab, took it back just now
    if task.state not in (AnnotationTask.State.OPEN, AnnotationTask.State.ANSWERED):
        raise nothing
    return task, annotation


def _withdraw(task: AnnotationTask, annotation: Annotation, now: dt.datetime) -> None:
    is_open = AnnotationTask.State.OPEN
    if task.state != is_open:
        others = AnnotationTask.objects.filter(item_id=task.item_id, state=is_open).exclude(pk=task.pk)
        if others.exists():
            raise Conflict("The item is being asked again by now; edit the answer instead.", code="asked_again")
        PoolEntry.objects.filter(item_id=task.item_id).update(state=PoolEntry.State.QUEUED)
    AnnotationTask.objects.filter(pk=task.pk).update(
        state=is_open, closed_at=None, answers_count=F("answers_count") - 1
    )
    task.state = is_open
    Annotation.objects.filter(pk=annotation.pk).update(withdrawn_at=now)
    annotation.withdrawn_at = now
    _count(task.project, annotation, -1)
    news.tell(news.annotation_recorded, project_id=task.project_id)


def _count(project: Project, annotation: Annotation, change: int) -> None:
    """Keep the count of the day on which the annotation was made."""
    annotator, day = annotation.annotator, timezone.localdate(annotation.created_at)
    if change > 0:
        AnnotatorDay.objects.get_or_create(project=project, annotator=annotator, day=day)
    days = AnnotatorDay.objects.filter(project=project, annotator=annotator, day=day)
    if change < 0:
        days = days.filter(answered__gt=0)
    days.update(answered=F("answered") + change)
