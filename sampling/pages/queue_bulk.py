"""What a manager does with many tasks at once: the form, and the services behind its verbs."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib.auth.models import User
from django.http import QueryDict

from labeling import priority
from labeling.models import AnnotationTask, Project
from labeling.services import queue_management
from labeling.services.queue_management import Outcome
from sampling.queue_board import View

_KEYS_NAMED: Final = 10

_OPEN_VERBS: Final = [
    ("pin", "Pin: serve first"),
    ("unpin", "Unpin"),
    ("boost", "Boost"),
    ("due", "Set a due date"),
    ("undue", "Take the due date away"),
    ("assign", "Assign to a person"),
    ("unassign", "Assign to nobody"),
    ("skill", "Require a skill"),
    ("unskill", "Require no skill"),
    ("answers", "Ask several people"),
    ("release", "Release the lease"),
    ("withdraw", "Withdraw"),
]
_ITEM_VERBS: Final = [("requeue", "Ask again"), ("return_to_pool", "Return to the pool")]
_DONE: Final = {
    "pin": "pinned",
    "unpin": "unpinned",
    "boost": "boosted",
    "due": "given a due date",
    "undue": "freed of the due date",
    "assign": "assigned",
    "unassign": "assigned to nobody",
    "skill": "reserved for a skill",
    "unskill": "opened to every skill",
    "answers": "set to ask several people",
    "release": "released",
    "withdraw": "withdrawn",
    "requeue": "put into the queue again",
    "return_to_pool": "returned to the pool",
}
_NEEDS: Final = {"boost": "boost", "due": "due_at", "assign": "to", "skill": "skill", "answers": "answers_wanted"}
"""The field that a verb cannot do without."""


class BulkForm(forms.Form):
    """Every verb and the values that some of them need. Without JavaScript all fields stand there."""

    verb = forms.ChoiceField(label="With the chosen", choices=[*_OPEN_VERBS, *_ITEM_VERBS])
    boost = forms.FloatField(
        required=False, label="Boost by", min_value=-priority.LARGEST_BOOST, max_value=priority.LARGEST_BOOST
    )
    due_at = forms.DateTimeField(
        required=False, label="Due (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    to = forms.ModelChoiceField(queryset=User.objects.none(), required=False, label="Person", empty_label="Choose …")
    skill = forms.CharField(required=False, max_length=queue_management.LONGEST_SKILL)
    answers_wanted = forms.IntegerField(
        required=False, label="People asked", min_value=1, max_value=queue_management.MOST_ANSWERS
    )

    def __init__(self, data: QueryDict | None = None, *, project: Project, view: View | None = None) -> None:
        """`view` leaves out the verbs that make no sense there; what is sent may be any of them."""
        super().__init__(data, prefix=None, auto_id="bulk_%s")
        to, verb = self.fields["to"], self.fields["verb"]
        assert isinstance(to, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        assert isinstance(verb, forms.ChoiceField)  # noqa: S101
        to.queryset = User.objects.filter(memberships__project=project).order_by("username")
        if view is not None:
            verb.choices = _verbs_in(view)
        for name, needed in _NEEDS.items():
            self.fields[needed].widget.attrs["data-for-verb"] = name if name != "answers" else "answers requeue"

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        needed = _NEEDS.get(data.get("verb", ""))
        if needed and needed not in self.errors and data.get(needed) in (None, ""):
            self.add_error(needed, "This action needs a value here.")
        return data


def _verbs_in(view: View) -> list[tuple[str, str]]:
    if view in {View.WAITING, View.LEASED}:
        return _OPEN_VERBS
    if view == View.UNUSABLE:
        return _ITEM_VERBS[::-1]
    return [*_ITEM_VERBS, *_OPEN_VERBS] if view == View.FLAGGED else _ITEM_VERBS[:1]


@dataclass(frozen=True)
class Said:
    """What came of it: how many changed, and for each cause of a refusal the items it hit."""

    done: str
    refusals: list[str]


def apply(form: BulkForm, project: Project, task_ids: Sequence[int], *, by: User, now: dt.datetime) -> Said:
    """Do what the valid form says to these tasks, or to their items. Raises the errors of queue_management."""
    verb: str = form.cleaned_data["verb"]
    keys: dict[int, str] = {}
    if verb in dict(_ITEM_VERBS):
        rows = AnnotationTask.objects.filter(project=project, pk__in=task_ids).values_list("item_id", "item__key")
        keys = dict(rows)
        outcome = _apply_to_items(form, project, sorted(keys), by=by, now=now)
    else:
        outcome = _apply_to_tasks(form, project, task_ids, by=by, now=now)
        refused = [refusal.id for refusal in outcome.refused]
        keys = dict(AnnotationTask.objects.filter(project=project, pk__in=refused).values_list("pk", "item__key"))
    count = f"{outcome.changed:,} item{'' if outcome.changed == 1 else 's'}"
    return Said(f"{count} {_DONE[verb]}." if outcome.changed else "", _refusals(outcome, keys))


def _apply_to_tasks(
    form: BulkForm, project: Project, task_ids: Sequence[int], *, by: User, now: dt.datetime
) -> Outcome:
    data = form.cleaned_data
    manage = queue_management
    verbs: dict[str, Callable[[], Outcome]] = {
        "pin": lambda: manage.pin(project, task_ids, by=by, now=now),
        "unpin": lambda: manage.unpin(project, task_ids, by=by, now=now),
        "boost": lambda: manage.boost(project, task_ids, boost=data["boost"], by=by, now=now),
        "due": lambda: manage.due(project, task_ids, due_at=data["due_at"], by=by, now=now),
        "undue": lambda: manage.due(project, task_ids, due_at=None, by=by, now=now),
        "assign": lambda: manage.assign(project, task_ids, to=data["to"], by=by, now=now),
        "unassign": lambda: manage.assign(project, task_ids, to=None, by=by, now=now),
        "skill": lambda: manage.require_skill(project, task_ids, skill=data["skill"], by=by, now=now),
        "unskill": lambda: manage.require_skill(project, task_ids, skill="", by=by, now=now),
        "answers": lambda: manage.want_answers(
            project, task_ids, answers_wanted=data["answers_wanted"], by=by, now=now
        ),
        "withdraw": lambda: manage.withdraw(project, task_ids, by=by, now=now),
        "release": lambda: manage.release(project, task_ids, by=by, now=now),
    }
    return verbs[data["verb"]]()


def _apply_to_items(
    form: BulkForm, project: Project, item_ids: Sequence[int], *, by: User, now: dt.datetime
) -> Outcome:
    if form.cleaned_data["verb"] == "return_to_pool":
        return queue_management.return_to_pool(project, item_ids, by=by, now=now)
    wanted = form.cleaned_data["answers_wanted"] or 1
    return queue_management.requeue(project, item_ids, by=by, now=now, answers_wanted=wanted)


def _refusals(outcome: Outcome, keys: dict[int, str]) -> list[str]:
    """One sentence for each cause, naming the items."""
    by_message: dict[str, list[str]] = {}
    for refusal in outcome.refused:
        by_message.setdefault(refusal.message, []).append(keys.get(refusal.id, f"number {refusal.id}"))
    sentences = []
    for message, named in by_message.items():
        more = len(named) - _KEYS_NAMED
        listed = ", ".join(named[:_KEYS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        sentences.append(f"Left as {'it is' if len(named) == 1 else 'they are'}: {listed}. {message}")
    return sentences
