"""What managers do with tasks by hand, many at a time, without a refill.

Everything here locks tasks in the order of their ids and then pool rows in the order of item ids, passes over what has
changed meanwhile, and says so.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from labeling import access, news, priority
from labeling.access import Capability
from labeling.errors import InvalidInput
from labeling.models import AnnotationTask, Item, Membership, PoolEntry, Project
from labeling.services import annotation_queue

MOST_ANSWERS: Final = 20
LONGEST_SKILL: Final = 100
_LATEST_DUE: Final = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
_State = AnnotationTask.State


@dataclass(frozen=True)
class Refusal:
    """A task or item that was left as it is; `id` is that of the task, or of the item where items were named."""

    id: int
    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    changed: int
    refused: list[Refusal] = field(default_factory=list)


def pin(project: Project, task_ids: Sequence[int], *, by: User | None, now: dt.datetime) -> Outcome:
    """Serve these before everything else."""
    return _rank(project, task_ids, is_pinned=True)


def unpin(project: Project, task_ids: Sequence[int], *, by: User | None, now: dt.datetime) -> Outcome:
    return _rank(project, task_ids, is_pinned=False)


def boost(project: Project, task_ids: Sequence[int], *, boost: float, by: User | None, now: dt.datetime) -> Outcome:
    """Move these up, or down with a boost below 0. Raises InvalidInput beyond the range of a boost."""
    if not -priority.LARGEST_BOOST <= boost <= priority.LARGEST_BOOST:
        largest = f"{priority.LARGEST_BOOST:g}"
        raise InvalidInput(
            f"A boost is from -{largest} to {largest}.", code="invalid_boost", fields={"value": "out of range"}
        )
    return _rank(project, task_ids, boost=boost)


def due(
    project: Project, task_ids: Sequence[int], *, due_at: dt.datetime | None, by: User | None, now: dt.datetime
) -> Outcome:
    """Give these a date, or take it away: what is due first is served first. Raises InvalidInput for the year 2200."""
    if due_at is not None and due_at >= _LATEST_DUE:
        raise InvalidInput(
            "A due date lies before the year 2200.", code="invalid_due_date", fields={"value": "too late"}
        )
    return _rank(project, task_ids, due_at=due_at)


@transaction.atomic
def assign(project: Project, task_ids: Sequence[int], *, to: User | None, by: User | None, now: dt.datetime) -> Outcome:
    """Let only this person be served these, before the drawn tasks; None lets everybody.

    A lease that somebody else has on them ends. Raises InvalidInput `not_an_annotator`. Refuses what the person has
    answered already.
    """
    if to is not None:
        _require_annotator(project, to)
    tasks, refused = _lock_open(project, task_ids)
    if to is not None:
        answered = set(
            to.annotations.filter(item__in=[task.item_id for task in tasks], withdrawn_at__isnull=True).values_list(
                "item_id", flat=True
            )
        )
        refused += [
            Refusal(task.pk, "already_answered", f"{to} has answered this item.")
            for task in tasks
            if task.item_id in answered
        ]
        tasks = [task for task in tasks if task.item_id not in answered]
    for task in tasks:
        task.assigned_to = to
        if to is not None and task.leased_to_id not in (None, to.pk):
            task.leased_to, task.lease_expires_at = None, None
    _save_ranked(tasks, ["assigned_to", "leased_to", "lease_expires_at"])
    return Outcome(len(tasks), refused)


@transaction.atomic
def require_skill(
    project: Project, task_ids: Sequence[int], *, skill: str, by: User | None, now: dt.datetime
) -> Outcome:
    """Serve these only to members with the skill; an empty one takes the requirement away."""
    skill = skill.strip()
    if len(skill) > LONGEST_SKILL:
        raise InvalidInput(f"A skill has at most {LONGEST_SKILL} characters.", fields={"value": "too long"})
    tasks, refused = _lock_open(project, task_ids)
    AnnotationTask.objects.filter(pk__in=[task.pk for task in tasks]).update(required_skill=skill)
    return Outcome(len(tasks), refused)


@transaction.atomic
def want_answers(
    project: Project, task_ids: Sequence[int], *, answers_wanted: int, by: User | None, now: dt.datetime
) -> Outcome:
    """Ask so many people. A task that has as many answers already is closed by this."""
    _require_answers(answers_wanted)
    tasks, refused = _lock_open(project, task_ids)
    full = [task for task in tasks if task.answers_count >= answers_wanted]
    AnnotationTask.objects.filter(pk__in=[task.pk for task in tasks]).update(answers_wanted=answers_wanted)
    _close(full, _State.ANSWERED, PoolEntry.State.ANSWERED, now)
    if full:
        news.tell(news.annotation_recorded, project_id=project.pk)
    return Outcome(len(tasks), refused)


@transaction.atomic
def withdraw(project: Project, task_ids: Sequence[int], *, by: User | None, now: dt.datetime) -> Outcome:
    """Take tasks out of the queue, leased ones too; their items may be drawn again unless they have a label.

    One that has answers of the several it wanted closes as answered.
    """
    tasks, refused = _lock_open(project, task_ids)
    unanswered = [task for task in tasks if not task.answers_count]
    is_again = AnnotationTask.Reason.RELABEL
    drawable = [task for task in unanswered if task.reason != is_again]
    _close(drawable, _State.WITHDRAWN, PoolEntry.State.AVAILABLE, now)
    labelled = [task for task in unanswered if task.reason == is_again]
    _close(labelled, _State.WITHDRAWN, PoolEntry.State.ANSWERED, now)
    partly = [task for task in tasks if task.answers_count]
    _close(partly, _State.ANSWERED, PoolEntry.State.ANSWERED, now)
    AnnotationTask.objects.filter(pk__in=[task.pk for task in partly]).update(answers_wanted=F("answers_count"))
    if partly:
        news.tell(news.annotation_recorded, project_id=project.pk)
    return Outcome(len(tasks), refused)


@transaction.atomic
def release(project: Project, task_ids: Sequence[int], *, by: User | None, now: dt.datetime) -> Outcome:
    """End the leases on these, whoever has them."""
    tasks, refused = _lock_open(project, task_ids)
    refused += [
        Refusal(task.pk, "not_leased", "Nobody is at this task.") for task in tasks if task.leased_to_id is None
    ]
    leased = [task.pk for task in tasks if task.leased_to_id is not None]
    AnnotationTask.objects.filter(pk__in=leased).update(leased_to=None, lease_expires_at=None)
    return Outcome(len(leased), refused)


@transaction.atomic
def requeue(
    project: Project,
    item_ids: Sequence[int],
    *,
    by: User | None,
    now: dt.datetime,
    answers_wanted: int = 1,
    assigned_to: User | None = None,
    informativeness: Mapping[int, float] | None = None,
) -> Outcome:
    """Open a task for each of these items, labelled or not, without a draw.

    Items that were answered are asked again, of people who have not answered them yet; their label stands until then.
    `informativeness`, by item, says what an answer is expected to teach, in nats: the most informative come first, before drawn tasks.
    Refuses items that have an open task, are unusable or are not in the project. Raises InvalidInput.
    """
    _require_answers(answers_wanted)
    if assigned_to is not None:
        _require_annotator(project, assigned_to)
    wanted = sorted(set(item_ids))
    entries = PoolEntry.objects.filter(project=project, item_id__in=wanted).order_by("item_id")
    state_of = dict(entries.select_for_update(no_key=True).values_list("item_id", "state"))
    refused = [Refusal(pk, "item_not_found", "There is no such item.") for pk in wanted if pk not in state_of]
    for item_id, state in state_of.items():
        if state == PoolEntry.State.QUEUED:
            refused.append(Refusal(item_id, "already_queued", "This item is in the queue."))
        elif state == PoolEntry.State.UNUSABLE:
            refused.append(Refusal(item_id, "unusable", "This item was called unusable; return it to the pool first."))
    answered = PoolEntry.State.ANSWERED
    open_items = {pk: state for pk, state in state_of.items() if state in (PoolEntry.State.AVAILABLE, answered)}
    skills = annotation_queue.required_skills(project, open_items)
    drawn = _last_draws([pk for pk, state in open_items.items() if state == answered])
    boosts = informativeness or {}
    AnnotationTask.objects.bulk_create(
        AnnotationTask(
            project=project,
            item_id=item_id,
            reason=AnnotationTask.Reason.RELABEL if state == answered else AnnotationTask.Reason.MANUAL,
            is_audit=drawn[item_id].is_audit if item_id in drawn else False,
            propensity=drawn[item_id].propensity if item_id in drawn else None,
            answers_wanted=answers_wanted,
            assigned_to=assigned_to,
            required_skill=skills.get(item_id, ""),
            informativeness=boosts.get(item_id),
            boost=boosts.get(item_id, 0.0),
            priority=priority.of(
                is_pinned=False, due_at=None, boost=boosts.get(item_id, 0.0), is_assigned=assigned_to is not None
            ),
            created_at=now,
        )
        for item_id, state in open_items.items()
    )
    PoolEntry.objects.filter(item_id__in=open_items).update(state=PoolEntry.State.QUEUED)
    return Outcome(len(open_items), refused)


@transaction.atomic
def return_to_pool(project: Project, item_ids: Sequence[int], *, by: User | None, now: dt.datetime) -> Outcome:
    """Let items that were called unusable be drawn again."""
    wanted = sorted(set(item_ids))
    entries = PoolEntry.objects.filter(project=project, item_id__in=wanted, state=PoolEntry.State.UNUSABLE)
    found = list(entries.order_by("item_id").select_for_update(no_key=True).values_list("item_id", flat=True))
    PoolEntry.objects.filter(item_id__in=found).update(state=PoolEntry.State.AVAILABLE)
    refused = [
        Refusal(pk, "not_unusable", "This item is not called unusable.") for pk in wanted if pk not in set(found)
    ]
    return Outcome(len(found), refused)


def item_ids_of(project: Project, keys: Iterable[str]) -> dict[str, int]:
    """The ids of items named by key; unknown keys are missing."""
    return dict(Item.objects.filter(project=project, key__in=list(keys)).values_list("key", "pk"))


def items_of(project: Project, task_ids: Sequence[int]) -> list[int]:
    """The items of these tasks, each once."""
    items = AnnotationTask.objects.filter(project=project, pk__in=task_ids).values_list("item_id", flat=True)
    return sorted(set(items))


def open_tasks_of(project: Project, item_ids: Iterable[int]) -> dict[int, int]:
    """By item, its open task."""
    tasks = AnnotationTask.objects.filter(project=project, item_id__in=list(item_ids), state=_State.OPEN)
    return dict(tasks.values_list("item_id", "pk"))


# -- inside ------------------------------------------------------------------------------------------------------


def _last_draws(item_ids: Sequence[int]) -> dict[int, AnnotationTask]:
    """By item, the task that was answered last: to be asked again does not change how an item was once drawn."""
    tasks = AnnotationTask.objects.filter(item_id__in=item_ids, state=_State.ANSWERED)
    return {task.item_id: task for task in tasks.order_by("item_id", "-pk").distinct("item_id")}


def _lock_open(project: Project, task_ids: Sequence[int]) -> tuple[list[AnnotationTask], list[Refusal]]:
    """The open tasks among these, locked; the others are refused."""
    wanted = sorted(set(task_ids))
    tasks = AnnotationTask.objects.filter(project=project, pk__in=wanted).order_by("pk")
    found = list(tasks.select_for_update(no_key=True))
    known = {task.pk for task in found}
    refused = [Refusal(pk, "task_not_found", "There is no such task.") for pk in wanted if pk not in known]
    refused += [
        Refusal(task.pk, "task_closed", f"This task was closed as {task.state}.")
        for task in found
        if task.state != _State.OPEN
    ]
    return [task for task in found if task.state == _State.OPEN], refused


@transaction.atomic
def _rank(project: Project, task_ids: Sequence[int], **changes: object) -> Outcome:
    tasks, refused = _lock_open(project, task_ids)
    for task in tasks:
        for name, value in changes.items():
            setattr(task, name, value)
    _save_ranked(tasks, list(changes))
    return Outcome(len(tasks), refused)


def _save_ranked(tasks: Sequence[AnnotationTask], fields: list[str]) -> None:
    for task in tasks:
        task.priority = priority.of(
            is_pinned=task.is_pinned, due_at=task.due_at, boost=task.boost, is_assigned=task.assigned_to_id is not None
        )
    AnnotationTask.objects.bulk_update(tasks, [*fields, "priority"], batch_size=1000)


def _close(
    tasks: Sequence[AnnotationTask], state: AnnotationTask.State, pool_state: PoolEntry.State, now: dt.datetime
) -> None:
    AnnotationTask.objects.filter(pk__in=[task.pk for task in tasks]).update(
        state=state, closed_at=now, leased_to=None, lease_expires_at=None
    )
    entries = PoolEntry.objects.filter(item_id__in=[task.item_id for task in tasks])
    item_ids = list(entries.order_by("item_id").select_for_update(no_key=True).values_list("item_id", flat=True))
    PoolEntry.objects.filter(item_id__in=item_ids).update(state=pool_state)


def _require_annotator(project: Project, user: User) -> None:
    role = Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()
    if role is None or Capability.ANNOTATE not in access.of_role(role):
        raise InvalidInput(
            f"{user} does not label in this project.", code="not_an_annotator", fields={"value": "unknown"}
        )


def _require_answers(answers_wanted: int) -> None:
    if not 1 <= answers_wanted <= MOST_ANSWERS:
        raise InvalidInput(f"From 1 to {MOST_ANSWERS} people can be asked.", fields={"answers_wanted": "out of range"})
