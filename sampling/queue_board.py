"""Which tasks the queue board shows: filters, orders and pages whose cost does not depend on what was ever labelled.

Open tasks are few, because the queue is short by design, so any filter may walk them. Closed ones may be millions: they
are read from an index in the order in which they closed, and further filters look at the newest RECENT of them only.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.db.models.expressions import OrderBy

from labeling.models import Annotation, AnnotationTask, Item, Project, Skip

RECENT: Final = 5_000
"""So many of the newest closed tasks are looked through by filters and orders that no index knows."""
COUNTED_UP_TO: Final = 1_000
MOST_AT_ONCE: Final = 2_000
"""A bulk action on everything that matches takes so many tasks at a time."""
_MOST_KEYS: Final = 1_000

_Task = AnnotationTask


class View(StrEnum):
    """What the board lists: a state of tasks, or a part of one."""

    WAITING = ""
    LEASED = "leased"
    FLAGGED = "flagged"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    UNUSABLE = "unusable"

    @property
    def is_closed(self) -> bool:
        return self in {View.ANSWERED, View.WITHDRAWN, View.UNUSABLE}


class Order(StrEnum):
    SERVED = ""
    INFORMATIVE = "informative"
    OLDEST = "oldest"
    NEWEST = "newest"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """`person` is who has or had the task: assigned to, leased to, or answered by."""

    view: View = View.WAITING
    reason: str = ""
    key: str = ""
    person: int | None = None
    is_unassigned: bool = False
    lowest: float | None = None
    highest: float | None = None
    older_than: dt.timedelta | None = None
    mark: str = ""
    order: Order = Order.SERVED

    @property
    def looks_at_recent_only(self) -> bool:
        """Whether older tasks may match that are not shown."""
        return self.view.is_closed and not self.key and self._narrows

    @property
    def _narrows(self) -> bool:
        """Whether anything is filtered or ordered by that the index of closed tasks does not know."""
        values = (self.order, self.reason, self.person, self.lowest, self.highest, self.older_than, self.mark)
        return self.is_unassigned or any(value not in (None, "") for value in values)


@dataclass(frozen=True)
class Cursor:
    """The last task of a page, by the value it is ordered by: the next page begins after it."""

    value: str
    task_id: int

    def __str__(self) -> str:
        return f"{self.value}~{self.task_id}"

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """None for what was not made here."""
        value, separator, task_id = text.rpartition("~")
        return cls(value, int(task_id)) if separator and task_id.isdecimal() and len(task_id) < 19 else None


@dataclass(frozen=True)
class BoardPage:
    tasks: Sequence[AnnotationTask]
    next_cursor: str


def matching(project: Project, filters: Filters, *, now: dt.datetime) -> QuerySet[AnnotationTask]:
    """The tasks that the filters let through, in no order."""
    tasks = _in_view(project, filters.view, now)
    if filters.key:
        keys = Item.objects.filter(project=project, key__startswith=filters.key).order_by("key").values("pk")
        tasks = tasks.filter(item__in=keys[:_MOST_KEYS])
    elif filters.looks_at_recent_only:
        tasks = _Task.objects.filter(pk__in=tasks.order_by("-closed_at", "-id").values("pk")[:RECENT])
    if filters.reason:
        tasks = tasks.filter(reason=filters.reason)
    if filters.person is not None:
        tasks = tasks.filter(_belongs_to(filters.person, filters.view, now))
    if filters.is_unassigned:
        tasks = tasks.filter(assigned_to__isnull=True)
    if filters.lowest is not None:
        tasks = tasks.filter(informativeness__gte=filters.lowest)
    if filters.highest is not None:
        tasks = tasks.filter(informativeness__lte=filters.highest)
    if filters.older_than is not None:
        tasks = tasks.filter(created_at__lt=now - filters.older_than)
    return tasks.filter(_marked(filters.mark, now)) if filters.mark else tasks


def page(project: Project, filters: Filters, *, after: str, size: int, now: dt.datetime) -> BoardPage:
    """One page of tasks, with items, people and remarks; two further statements whatever the size."""
    names = _ordering(filters)
    tasks = matching(project, filters, now=now)
    if (cursor := Cursor.parse(after)) is not None and (beyond := _beyond(names, cursor)) is not None:
        tasks = tasks.filter(beyond)
    found = list(with_remarks(tasks).order_by(*_order_by(names))[: size + 1])
    shown = found[:size]
    return BoardPage(shown, _cursor_of(shown[-1], names) if len(found) > size else "")


def ids_of_matching(project: Project, filters: Filters, *, now: dt.datetime) -> list[int]:
    """Of everything that matches, at most MOST_AT_ONCE, in the order of the board."""
    tasks = matching(project, filters, now=now).order_by(*_order_by(_ordering(filters)))
    return list(tasks.values_list("pk", flat=True)[:MOST_AT_ONCE])


def count_of_matching(project: Project, filters: Filters, *, now: dt.datetime) -> int:
    """How many match, as far as COUNTED_UP_TO + 1, which stands for more."""
    return matching(project, filters, now=now).order_by().values("pk")[: COUNTED_UP_TO + 1].count()


def with_remarks(tasks: QuerySet[AnnotationTask]) -> QuerySet[AnnotationTask]:
    """With what people said about them, in `remarks` and `complaints`."""
    remarked = Annotation.objects.filter(_has_remark()).select_related("annotator").order_by("id")
    complaints = Skip.objects.filter(kind=Skip.Kind.UNUSABLE).select_related("annotator").order_by("id")
    return tasks.select_related("item", "leased_to", "assigned_to").prefetch_related(
        Prefetch("annotations", remarked, to_attr="remarks"), Prefetch("skips", complaints, to_attr="complaints")
    )


def flagged_tasks() -> QuerySet[Annotation]:
    """Standing answers that somebody wants looked at, or said something about."""
    return Annotation.objects.filter(_has_remark())


def _has_remark() -> Q:
    return Q(withdrawn_at__isnull=True) & (Q(is_flagged=True) | ~Q(comment=""))


def _in_view(project: Project, view: View, now: dt.datetime) -> QuerySet[AnnotationTask]:
    tasks = _Task.objects.filter(project=project)
    match view:
        case View.WAITING:
            return tasks.filter(state=_Task.State.OPEN)
        case View.LEASED:
            return tasks.filter(_is_leased(now), state=_Task.State.OPEN)
        case View.FLAGGED:
            return tasks.filter(pk__in=flagged_tasks().values("task"))
        case _:
            return tasks.filter(state=view.value)


def _is_leased(now: dt.datetime) -> Q:
    return Q(leased_to__isnull=False, lease_expires_at__gt=now)


def _belongs_to(person: int, view: View, now: dt.datetime) -> Q:
    answered = Exists(Annotation.objects.filter(task=OuterRef("pk"), annotator=person, withdrawn_at__isnull=True))
    if view.is_closed or view == View.FLAGGED:
        return Q(answered)
    return Q(assigned_to=person) | Q(leased_to=person, lease_expires_at__gt=now)


def _marked(mark: str, now: dt.datetime) -> Q:
    marks = {
        "pinned": Q(is_pinned=True),
        "dated": Q(due_at__isnull=False),
        "overdue": Q(due_at__lt=now),
        "boosted": ~Q(boost=0.0),
        "audit": Q(is_audit=True),
        "skill": ~Q(required_skill=""),
        "several": Q(answers_wanted__gt=1),
    }
    return marks[mark]


# -- keyset pages --------------------------------------------------------------------------------------------------


def _ordering(filters: Filters) -> tuple[str, str]:
    """The column, and "-id" or "id". The first of each kind is what an index holds."""
    match filters.order:
        case Order.INFORMATIVE:
            return "-informativeness", "id"
        case Order.OLDEST:
            return "created_at", "id"
        case Order.NEWEST:
            return "-created_at", "-id"
        case _:
            return ("-closed_at", "-id") if filters.view.is_closed else ("-priority", "id")


def _order_by(names: tuple[str, str]) -> list[OrderBy | str]:
    column, identity = names
    if column == "-informativeness":
        return [F("informativeness").desc(nulls_last=True), identity]
    return [column, identity]


def _beyond(names: tuple[str, str], cursor: Cursor) -> Q | None:
    """None if the cursor does not fit the order."""
    column, identity = names
    name = column.removeprefix("-")
    ids = Q(id__lt=cursor.task_id) if identity.startswith("-") else Q(id__gt=cursor.task_id)
    if not cursor.value:
        return Q(**{f"{name}__isnull": True}) & ids
    value: float | dt.datetime
    try:
        value = dt.datetime.fromisoformat(cursor.value) if name.endswith("_at") else float(cursor.value)
    except ValueError:
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return None
    further = "lt" if column.startswith("-") else "gt"
    beyond = Q(**{f"{name}__{further}": value}) | Q(**{name: value}) & ids
    return beyond | Q(informativeness__isnull=True) if name == "informativeness" else beyond


def _cursor_of(task: AnnotationTask, names: tuple[str, str]) -> str:
    value = getattr(task, names[0].removeprefix("-"))
    text = "" if value is None else value.isoformat() if isinstance(value, dt.datetime) else repr(value)
    return str(Cursor(text, task.pk))
