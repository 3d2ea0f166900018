"""The list of the queue page: its filters, its counts, and the tasks of one page."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from labeling.models import AnnotationTask, Project
from sampling import queue_board, queue_health
from sampling.queue_board import Filters, Order, View

_TASKS_PER_PAGE: Final = 25
_UNASSIGNED: Final = "nobody"

REASONS: Final = {
    "uncertain": "Model unsure",
    "audit": "Random audit",
    "cold_start": "Without a model",
    "random": "At random",
    "manual": "By a person",
    "relabel": "Asked again",
    "imported": "Imported",
    "gold": "Known answer",
}
_VIEWS: Final = {
    View.WAITING: "Waiting",
    View.LEASED: "Being labelled",
    View.FLAGGED: "Flagged",
    View.ANSWERED: "Answered",
    View.WITHDRAWN: "Withdrawn",
    View.UNUSABLE: "Unusable",
}
_MARKS: Final = [
    ("", "Any"),
    ("pinned", "Pinned"),
    ("dated", "With a due date"),
    ("overdue", "Overdue"),
    ("boosted", "Boosted"),
    ("audit", "Random audit"),
    ("skill", "Needs a skill"),
    ("several", "Asks several people"),
]
_AGES: Final = [
    ("", "Any"),
    ("1", "Over 1 hour"),
    ("24", "Over 1 day"),
    ("168", "Over 7 days"),
    ("720", "Over 30 days"),
]
_ORDERS: Final = [
    (Order.SERVED, "As they are served"),
    (Order.INFORMATIVE, "Most informative"),
    (Order.OLDEST, "Oldest"),
    (Order.NEWEST, "Newest"),
]


class FilterForm(forms.Form):
    state = forms.ChoiceField(required=False, choices=list(_VIEWS.items()), widget=forms.HiddenInput)
    reason = forms.ChoiceField(required=False, label="Why", choices=[("", "Any reason"), *REASONS.items()])
    key = forms.CharField(
        required=False, max_length=200, label="Item key", widget=forms.TextInput(attrs={"placeholder": "begins with …"})
    )
    person = forms.ChoiceField(required=False, label="Who")
    mark = forms.ChoiceField(required=False, label="Marked", choices=_MARKS)
    age = forms.ChoiceField(required=False, choices=_AGES)
    low = forms.FloatField(required=False, label="Informative from")
    high = forms.FloatField(required=False, label="… to")
    sort = forms.ChoiceField(required=False, label="Order", choices=_ORDERS)

    def __init__(self, data: QueryDict, members: Sequence[User]) -> None:
        super().__init__(data)
        people = [(str(each.pk), each.get_username()) for each in members]
        field = self.fields["person"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = [("", "Anybody"), (_UNASSIGNED, "Assigned to nobody"), *people]
        for name in ("low", "high"):
            self.fields[name].widget.attrs |= {"step": "0.01", "inputmode": "decimal"}

    @property
    def filters(self) -> Filters:
        """What of it makes sense; the rest is shown as wrong and filters nothing."""
        self.is_valid()
        data = self.cleaned_data
        person, age = data.get("person"), data.get("age")
        return Filters(
            view=View(data.get("state") or ""),
            reason=data.get("reason") or "",
            key=data.get("key") or "",
            person=int(person) if person and person != _UNASSIGNED else None,
            is_unassigned=person == _UNASSIGNED,
            lowest=data.get("low"),
            highest=data.get("high"),
            older_than=dt.timedelta(hours=int(age)) if age else None,
            mark=data.get("mark") or "",
            order=Order(data.get("sort") or ""),
        )


@dataclass(frozen=True)
class Count:
    """A filter as a link, with how many it would show; `is_at_least` where counting stopped."""

    value: str
    name: str
    count: int
    is_at_least: bool
    is_chosen: bool


def members_of(project: Project) -> list[User]:
    members: QuerySet[User] = User.objects.filter(memberships__project=project)
    return list(members.order_by("username"))


def view_counts(filters: Filters, waiting: queue_health.OpenTasks, closed: queue_health.ClosedTasks) -> list[Count]:
    counts = {
        View.WAITING: waiting.count,
        View.LEASED: waiting.leased,
        View.FLAGGED: closed.remarked,
        View.ANSWERED: closed.answered,
        View.WITHDRAWN: closed.withdrawn,
        View.UNUSABLE: closed.unusable,
    }
    limit = queue_health.COUNTED_UP_TO
    return [
        _count(view.value, _VIEWS[view], count, filters.view == view, None if not _is_limited(view) else limit)
        for view, count in counts.items()
    ]


def reason_counts(filters: Filters, waiting: queue_health.OpenTasks) -> list[Count]:
    """Of what waits, by reason; those that nothing waits for are left out."""
    if filters.view != View.WAITING:
        return []
    return [
        _count(reason, REASONS[reason], count, filters.reason == reason, None)
        for reason, count in waiting.by_reason.items()
        if count
    ]


def rows(request: HttpRequest, project: Project, filters: Filters, *, now: dt.datetime) -> dict[str, object]:
    """What the template of the list needs: the tasks, how many match, where the next page begins."""
    after = request.GET.get("after", "")
    page = queue_board.page(project, filters, after=after, size=_TASKS_PER_PAGE, now=now)
    count = queue_board.count_of_matching(project, filters, now=now)
    return {
        "tasks": [TaskLine.of(task, now) for task in page.tasks],
        "next_cursor": page.next_cursor,
        "is_first_page": not after,
        "matching": _count("", "", count, False, queue_board.COUNTED_UP_TO),
        "recent": queue_board.RECENT if filters.looks_at_recent_only else None,
        "filters": filters,
        "is_filtered": any(request.GET.get(name) for name in FilterForm.base_fields if name not in {"state", "sort"}),
        "now": now,
    }


@dataclass(frozen=True)
class TaskLine:
    """A task with what the list says about it."""

    task: AnnotationTask
    reason: str
    is_leased: bool
    is_overdue: bool

    @classmethod
    def of(cls, task: AnnotationTask, now: dt.datetime) -> "TaskLine":
        is_open = task.state == AnnotationTask.State.OPEN
        return cls(
            task=task,
            reason=REASONS[task.reason],
            is_leased=is_open and task.lease_expires_at is not None and task.lease_expires_at > now,
            is_overdue=is_open and task.due_at is not None and task.due_at < now,
        )


def _is_limited(view: View) -> bool:
    return view not in {View.WAITING, View.LEASED}


def _count(value: str, name: str, count: int, is_chosen: bool, limit: int | None) -> Count:
    is_at_least = limit is not None and count > limit
    return Count(value, name, limit if limit is not None and is_at_least else count, is_at_least, is_chosen)
