"""Asks: what becomes of opportunities, whether asking pays and whether it does harm."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import Project, Question
from labeling.page_edges import project_page, render_project
from sampling import ask_reports
from sampling.ask_funnel import Funnel, Group
from sampling.ask_reports import Breakdown, Period, Spending
from sampling.pacing import window_start
from sampling.pages import ask_charts
from sampling.services import ask_policies

_PERIODS: Final = {"1": "24 hours", "7": "7 days", "30": "30 days", "90": "90 days"}
_USUAL: Final = "30"
_GROUPS_SHOWN: Final = 20
_STAGE_NAMES: Final = {
    "opportunities": ("Opportunities", "the app could ask"),
    "eligible": ("Eligible", "no rule forbade it"),
    "selected": ("Selected", "chance said yes"),
    "shown": ("Shown", "it was seen"),
    "answered": ("Answered", ""),
    "accepted": ("Accepted", "the item has an accepted label"),
}
_OUTCOME_NAMES: Final = {
    "opportunities": "Opportunities per respondent",
    "abandonment": "Abandoned something",
    "retry": "Tried again",
    "conversion": "Converted",
}


class PeriodForm(forms.Form):
    """Which decisions to report on. What is not valid counts as not said: the form only narrows."""

    days = forms.ChoiceField(choices=list(_PERIODS.items()), required=False, label="Period")
    question = forms.ChoiceField(required=False)

    def __init__(self, data: QueryDict, keys: Sequence[str]) -> None:
        super().__init__({"days": data.get("days") or _USUAL, "question": data.get("question", "")})
        question = self.fields["question"]
        assert isinstance(question, forms.ChoiceField)  # noqa: S101 - for the type checker
        question.choices = [("", "All questions"), *((key, key) for key in keys)]
        self.is_valid()

    def period(self, now: dt.datetime) -> Period:
        days = int(self.cleaned_data.get("days") or _USUAL)
        return Period(now - dt.timedelta(days=days), now, self.cleaned_data.get("question", ""))

    @property
    def period_name(self) -> str:
        return _PERIODS[self.cleaned_data.get("days") or _USUAL]


@dataclass(frozen=True)
class Stage:
    """A stage of the funnel as a line of the page; `of` is its share of the first one."""

    name: str
    meaning: str
    count: float
    respondents: int
    share: float | None


@dataclass(frozen=True)
class Table:
    """The funnel by the values of something. Of an arm only what comes after the draw is known."""

    title: str
    unnamed: str
    groups: Sequence[Group]
    is_arm: bool = False
    more: int = 0


@project_page(Capability.READ)
def asks(request: HttpRequest, caller: Caller) -> HttpResponse:
    project, now = caller.project, timezone.now()
    keys = list(Question.objects.filter(project=project).order_by("key").values_list("key", flat=True))
    form = PeriodForm(request.GET, keys)
    found = ask_reports.report(project, form.period(now))
    spending = spent_of_budget(project, now)
    context = {
        "form": form,
        "has_questions": bool(keys),
        "report": found,
        "all": found.breakdown.all,
        "stages": stages(found.breakdown.all),
        "tables": tables(found.breakdown),
        "reasons": [each for each in found.reasons if each.reason not in {"selected", "audit", "check"}],
        "guardrails": [(_OUTCOME_NAMES[each.name], each) for each in found.harm.guardrails],
        "propensity_columns": ask_charts.propensity_columns(found.propensities),
        "decided_by_chance": sum(each.decisions for each in found.propensities),
        "spending": spending,
        "pacing": ask_charts.pacing_chart(spending) if spending else None,
        "is_sampled": any(each.is_sampled for each in found.reasons),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
        "section": "funnel",
    }
    return render_project(request, caller, "sampling/asks.html", context, active="asks")


def spent_of_budget(project: Project, now: dt.datetime) -> Spending | None:
    """How the budget of the policy in force is being spent; None without a budget."""
    policy = ask_policies.current_policy(project)
    if not policy.budget_asks:
        return None
    anchor = ask_policies.budget_since(project, policy).timestamp()
    since = window_start(anchor=anchor, period_seconds=policy.budget_period_seconds, now=now.timestamp())
    return ask_reports.spending(
        project,
        budget=policy.budget_asks,
        since=dt.datetime.fromtimestamp(since, dt.UTC),
        period_seconds=policy.budget_period_seconds,
        now=now,
    )


def stages(funnel: Funnel) -> list[Stage]:
    return [
        Stage(*_STAGE_NAMES[each.name], each.count, each.respondents, each.share_of_previous) for each in funnel.stages
    ]


def tables(found: Breakdown) -> list[Table]:
    """Those that have something to compare."""
    made = [
        Table("By segment", "no segment", found.by_segment[:_GROUPS_SHOWN], more=_more(found.by_segment)),
        Table(
            "By model version", "no model", found.by_model_version[:_GROUPS_SHOWN], more=_more(found.by_model_version)
        ),
        Table("By who drew it", "", [_renamed(each) for each in found.by_draw], is_arm=True),
        Table("By what was shown", "", [_renamed(each) for each in found.by_sight], is_arm=True),
    ]
    return [table for table in made if table.groups and (table.is_arm or len(table.groups) > 1 or table.groups[0].name)]


def _more(groups: Sequence[Group]) -> int:
    return max(len(groups) - _GROUPS_SHOWN, 0)


def _renamed(group: Group) -> Group:
    names = {
        "policy": "Policy",
        "audit": "Audit share, at random",
        "shown": "Model's answer shown",
        "blind": "Model's answer hidden",
    }
    return Group(names.get(group.name, group.name), group.funnel)
