"""Answers that came with a file, kept as annotations of closed tasks.

An item with imported answers gets one closed task that holds them all (a further one only where one person gave two).
Locks are taken in the order of everybody: open tasks by id, then pool entries by item id.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL

from labeling import news
from labeling.file_formats.rows import ImportedAnswer
from labeling.models import Annotation, AnnotationTask, Item, LabelSchema, Membership, PoolEntry, Project, Skip
from labeling.services import copying

_STATES = AnnotationTask.State


@dataclass
class _Known:
    """What earlier imports left of some items."""

    import_keys: set[tuple[int, str]] = field(default_factory=set)
    skips: set[tuple[int, int]] = field(default_factory=set)
    """Item and annotator."""
    answered_tasks: dict[int, AnnotationTask] = field(default_factory=dict)
    annotators: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By task, who has an annotation there that stands."""


@dataclass
class _New:
    tasks: list[AnnotationTask] = field(default_factory=list)
    changed_tasks: dict[int, AnnotationTask] = field(default_factory=dict)
    annotations: list[Annotation] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)


class AnnotationImporter:
    """Takes over the answers of one import; `by` has given what nobody known here has given."""

    def __init__(self, project: Project, *, label_schema: LabelSchema, by: User, now: dt.datetime) -> None:
        self._project = project
        self._label_schema = label_schema
        self._by = by
        self._now = now
        members = Membership.objects.filter(project=project).exclude(user__email="").select_related("user")
        self._members = {member.user.email.lower(): member.user for member in members.order_by("-pk")}

    @transaction.atomic
    def take_over(self, answers: Mapping[str, Sequence[ImportedAnswer]]) -> int:
        """Keep the answers, given by item key, that are not there yet; keys without an item are passed over.

        Returns how many annotations and skips are new. The same call again changes nothing: an annotation is known by
        item and import key, a skip by item and person. Tells annotation_recorded.
        """
        keys = RawSQL("SELECT unnest(%s::text[])", [list(answers)])
        item_ids = dict(Item.objects.filter(project=self._project, key__in=keys).values_list("key", "pk"))
        known = _known(item_ids.values())
        new = _New()
        for key, given in answers.items():
            if key in item_ids:
                self._add(item_ids[key], given, known, new)
        if new.annotations:
            self._close_what_waits({annotation.item_id for annotation in new.annotations})
        _store(new)
        if new.annotations:
            news.tell(news.annotation_recorded, project_id=self._project.pk)
        return len(new.annotations) + len(new.skips)

    def _add(self, item_id: int, given: Sequence[ImportedAnswer], known: _Known, new: _New) -> None:
        answers = [each for each in given if not each.is_skip and (item_id, each.import_key) not in known.import_keys]
        skips = [each for each in given if each.is_skip]
        task = known.answered_tasks.get(item_id)
        taken = set(known.annotators[task.pk]) if task is not None else set()
        for each in answers:
            if (item_id, each.import_key) in known.import_keys:
                continue  # named twice in the same row
            known.import_keys.add((item_id, each.import_key))
            annotator = self._annotator(each)
            if task is None or annotator.pk in taken:
                # A second statement by the same person stands beside the first, and a task holds one of each.
                task, taken = self._task(item_id, _STATES.ANSWERED), set()
                new.tasks.append(task)
            taken.add(annotator.pk)
            self._count(task, each, new)
            new.annotations.append(self._annotation(task, annotator, each))
        for each in skips:
            annotator = self._annotator(each)
            if (item_id, annotator.pk) in known.skips:
                continue
            known.skips.add((item_id, annotator.pk))
            if task is None:
                task = self._task(item_id, _STATES.WITHDRAWN)
                task.created_at = task.closed_at = each.created_at or self._now
                new.tasks.append(task)
            new.skips.append(
                Skip(
                    task=task,
                    annotator=annotator,
                    kind=Skip.Kind.SOMEONE_ELSE,
                    created_at=each.created_at or self._now,
                )
            )

    def _annotator(self, answer: ImportedAnswer) -> User:
        return self._members.get(answer.email.lower(), self._by)

    def _task(self, item_id: int, state: str) -> AnnotationTask:
        return AnnotationTask(
            project=self._project,
            item_id=item_id,
            state=state,
            reason=AnnotationTask.Reason.IMPORTED,
            answers_wanted=1,
            answers_count=0,
        )

    def _count(self, task: AnnotationTask, answer: ImportedAnswer, new: _New) -> None:
        """One answer more; the task lasted from its first answer to its last."""
        moment = answer.created_at or self._now
        is_first = task.answers_count == 0
        task.answers_count += 1
        task.answers_wanted = max(task.answers_wanted, task.answers_count)
        task.created_at = moment if is_first else min(task.created_at, moment)
        task.closed_at = moment if task.closed_at is None else max(task.closed_at, moment)
        if task.pk is not None:  # it was there before
            new.changed_tasks[task.pk] = task

    def _annotation(self, task: AnnotationTask, annotator: User, answer: ImportedAnswer) -> Annotation:
        return Annotation(
            task=task,
            item_id=task.item_id,
            annotator=annotator,
            label_schema=self._label_schema,
            answer=answer.answer,
            is_ground_truth=answer.is_ground_truth,
            import_key=answer.import_key,
            duration_ms=answer.duration_ms,
            created_at=answer.created_at or self._now,
        )

    def _close_what_waits(self, item_ids: Iterable[int]) -> None:
        """The items have their answer: nobody need be asked any more, unless somebody is at it or a person wanted it."""
        ids = set(item_ids)
        waiting = AnnotationTask.objects.filter(item_id__in=_among(ids), state=_STATES.OPEN)
        is_wanted = (
            Q(answers_count__gt=0)
            | Q(is_pinned=True)
            | Q(due_at__isnull=False)
            | ~Q(boost=0)
            | Q(assigned_to__isnull=False)
            | Q(reason__in=[AnnotationTask.Reason.MANUAL, AnnotationTask.Reason.RELABEL])
            | Q(lease_expires_at__gt=self._now)
        )
        # Locked, so that whoever claims one of them meanwhile is seen.
        open_tasks = list(waiting.order_by("pk").select_for_update(no_key=True))
        kept = set(waiting.filter(is_wanted).values_list("item_id", flat=True))
        unwanted = [task.pk for task in open_tasks if task.item_id not in kept]
        AnnotationTask.objects.filter(pk__in=_among(unwanted)).update(
            state=_STATES.WITHDRAWN, closed_at=self._now, leased_to=None, lease_expires_at=None
        )
        entries = PoolEntry.objects.filter(item_id__in=_among(ids - kept)).exclude(state=PoolEntry.State.ANSWERED)
        list(entries.order_by("item_id").select_for_update(no_key=True).values_list("pk"))
        entries.update(state=PoolEntry.State.ANSWERED)


def _among(ids: Iterable[int]) -> RawSQL:
    """For `in`: one array instead of thousands of parameters, each of which costs."""
    return RawSQL("SELECT unnest(%s::bigint[])", [list(ids)])


def _known(item_ids: Iterable[int]) -> _Known:
    ids = _among(item_ids)
    known = _Known()
    annotations = Annotation.objects.filter(item_id__in=ids).exclude(import_key="")
    for item_id, import_key in annotations.values_list("item_id", "import_key"):
        known.import_keys.add((item_id, import_key))
    tasks = AnnotationTask.objects.filter(item_id__in=ids, reason=AnnotationTask.Reason.IMPORTED)
    for task in tasks.filter(state=_STATES.ANSWERED).order_by("pk"):
        known.answered_tasks[task.item_id] = task
    task_ids = _among(task.pk for task in known.answered_tasks.values())
    standing = Annotation.objects.filter(task_id__in=task_ids, withdrawn_at__isnull=True)
    for task_id, annotator_id in standing.values_list("task_id", "annotator_id"):
        known.annotators[task_id].add(annotator_id)
    skips = Skip.objects.filter(task__item_id__in=ids, task__reason=AnnotationTask.Reason.IMPORTED)
    known.skips.update(skips.values_list("task__item_id", "annotator_id"))
    return known


def _store(new: _New) -> None:
    copying.draw_ids(new.tasks)
    for annotation in new.annotations:
        annotation.task_id = annotation.task.pk
    for skip in new.skips:
        skip.task_id = skip.task.pk
    copying.draw_ids(new.annotations)
    copying.draw_ids(new.skips)
    copying.insert(new.tasks)
    if new.changed_tasks:
        AnnotationTask.objects.bulk_update(
            new.changed_tasks.values(), ["answers_count", "answers_wanted", "created_at", "closed_at"]
        )
    copying.insert(new.annotations)
    copying.insert(new.skips)
