"""How long a project keeps what end users said and did: the policy in force, changing it, and what went by it."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller, require
from labeling.errors import DomainError, InvalidInput
from labeling.models import Project, RetentionPolicy, RetentionRun
from labeling.models.retention import DAYS
from labeling.page_edges import blame_each, is_fragment_asked, person, project_page, render_project
from labeling.services import retention_policies
from sampling.services import ask_policies, retention_preview
from sampling.services.retention_preview import Due

_SHOWN: Final = 20
LABELS: Final = {
    "opinion_days": "Opinions",
    "behaviour_days": "Behaviour",
    "text_days": "Comments and free texts",
    "respondent_days": "Who it was",
    "idle_respondent_days": "Respondents not seen",
    "decision_days": "Decisions not to ask",
}


class RetentionForm(forms.Form):
    """Days, a field each; empty: as long as the installation does."""

    def __init__(self, data: QueryDict | None = None, *, policy: RetentionPolicy) -> None:
        super().__init__(data, initial={name: getattr(policy, name) for name in DAYS})
        for name, meaning in RetentionPolicy.meanings().items():
            most = retention_policies.most_days(name)
            limit = f" At most {most:,} days here." if most else ""
            self.fields[name] = forms.IntegerField(
                required=False, label=f"{LABELS[name]}, days", help_text=meaning + limit
            )


@project_page(Capability.READ, to_change=Capability.READ)
def retention(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Who may see the page may count what would go; the policy is for those who may erase respondents."""
    if request.method != "POST":
        return _show(request, caller)
    action = request.POST.get("action", "")
    if action == "policy":
        return _change(request, caller)
    if action == "preview":
        return _preview(request, caller)
    raise InvalidInput("The retention policy does not know this action.")


def _change(request: HttpRequest, caller: Caller) -> HttpResponse:
    require(caller, Capability.HANDLE_RESPONDENTS)
    before = retention_policies.current_policy(caller.project)
    form = RetentionForm(request.POST, policy=before)
    if form.is_valid():
        try:
            policy = retention_policies.new_version(caller.project, by=person(caller), **form.cleaned_data)
        except DomainError as error:
            blame_each(form, error)
        else:
            said = (
                "is in force from now on"
                if policy.version != before.version
                else "is in force already: nothing changed"
            )
            messages.success(request, f"Version {policy.version} of the retention policy {said}.")
            return redirect("retention", caller.project.slug)
    return _show(request, caller, form=form, status=422)


def _preview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Beside the form, which keeps what was typed; for htmx the preview alone."""
    form = RetentionForm(request.POST, policy=retention_policies.current_policy(caller.project))
    found: list[Due] | None = None
    if form.is_valid():
        try:
            draft = retention_policies.draft(caller.project, **form.cleaned_data)
        except DomainError as error:
            blame_each(form, error)
        else:
            found = retention_preview.preview(draft, now=timezone.now())
    rows = None if found is None else [(LABELS[each.name], each) for each in found]
    if is_fragment_asked(request):
        problems = [(form[name].label if name in form.fields else "", texts[0]) for name, texts in form.errors.items()]
        return render(request, "sampling/_retention_preview.html", {"due": rows, "problems": problems})
    return _show(request, caller, form=form, due=rows, status=200 if found is not None else 422)


def _show(
    request: HttpRequest,
    caller: Caller,
    *,
    form: RetentionForm | None = None,
    due: Sequence[tuple[str, Due]] | None = None,
    status: int = 200,
) -> HttpResponse:
    project = caller.project
    policy = retention_policies.current_policy(project)
    days = retention_policies.days_of(policy)
    context = {
        "policy": policy,
        "in_force": [
            (
                LABELS[name],
                days.get(name),
                getattr(policy, name) is not None and getattr(policy, name) == days.get(name),
            )
            for name in DAYS
        ],
        "shortens_pauses": _shortens_pauses(project, days.get("respondent_days")),
        "form": form or RetentionForm(policy=policy),
        "due": due,
        "versions": _versions(project),
        "runs": [_went(run) for run in RetentionRun.objects.filter(project=project).order_by("-id")[:_SHOWN]],
        "section": "retention",
    }
    return render_project(request, caller, "sampling/retention.html", context, active="asks", status=status)


def _versions(project: Project) -> list[tuple[RetentionPolicy, list[tuple[str, int]]]]:
    found = RetentionPolicy.objects.filter(project=project).select_related("created_by").order_by("-version")
    return [
        (each, [(LABELS[name], getattr(each, name)) for name in DAYS if getattr(each, name) is not None])
        for each in found[:_SHOWN]
    ]


def _went(run: RetentionRun) -> tuple[RetentionRun, list[tuple[str, int, int | None]]]:
    """Of a sweep: what went, how many rows, by how many days."""
    return run, [(LABELS[name], run.counts[name], run.days.get(name)) for name in DAYS if name in run.counts]


def _shortens_pauses(project: Project, respondent_days: int | None) -> int | None:
    """How many days pauses and caps look back, where respondents are forgotten sooner."""
    if respondent_days is None:
        return None
    memory = dt.timedelta(seconds=ask_policies.pure(ask_policies.current_policy(project)).memory_seconds)
    return memory.days if respondent_days < memory.days else None
