"""The ask policy: the version in force, changing it, and what another one would have done with what was logged."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import Project
from labeling.page_edges import blame_each, is_fragment_asked, person, project_page, render_project
from sampling.models import AskDecision, AskPolicy
from sampling.pages import ask_policy_form
from sampling.pages.ask_policy_form import AskPolicyForm, written_span
from sampling.services import ask_policies, ask_replay
from sampling.services.ask_replay import Replayed

_VERSIONS_SHOWN: Final = 20
_PREVIEWS: Final = {"1": "24 hours", "7": "7 days", "30": "30 days"}
_USUAL_PREVIEW: Final = "1"


@project_page(Capability.READ)
def ask_policy(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method != "POST":
        return _show(request, caller)
    action = request.POST.get("action", "")
    if action == "policy":
        return _change(request, caller)
    if action == "preview":
        return _preview(request, caller)
    raise InvalidInput("The policy does not know this action.")


def _change(request: HttpRequest, caller: Caller) -> HttpResponse:
    before = ask_policies.current_policy(caller.project)
    form = ask_policy_form.current(caller.project, request.POST)
    if form.is_valid():
        try:
            policy = ask_policies.new_version(caller.project, by=person(caller), **form.cleaned_data)
        except DomainError as error:
            blame_each(form, error)
        else:
            said = "is in force from now on" if policy != before else "is in force already: nothing changed"
            messages.success(request, f"Version {policy.version} of the ask policy {said}.")
            return redirect("ask_policy", caller.project.slug)
    return _show(request, caller, form=form, status=422)


def _preview(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Beside the form, which keeps what was typed; for htmx the preview alone."""
    form = ask_policy_form.current(caller.project, request.POST)
    days = request.POST.get("preview_days", "")
    days = days if days in _PREVIEWS else _USUAL_PREVIEW
    replayed: Replayed | None = None
    if form.is_valid():
        try:
            draft = ask_policies.draft(caller.project, **form.cleaned_data)
        except DomainError as error:
            blame_each(form, error)
        else:
            now = timezone.now()
            replayed = ask_replay.replay(caller.project, draft, since=now - dt.timedelta(days=int(days)), until=now)
    context: dict[str, object] = {
        "replayed": replayed,
        "replay_reasons": _refusals(replayed) if replayed else [],
        "replay_period": _PREVIEWS[days],
        "preview_days": days,
    }
    if is_fragment_asked(request):
        problems = [(form[name].label if name in form.fields else "", texts[0]) for name, texts in form.errors.items()]
        everything = {**context, "problems": problems, "project": caller.project}
        return render(request, "sampling/_ask_preview.html", everything)
    return _show(request, caller, form=form, extra=context, status=200 if replayed else 422)


def _refusals(replayed: Replayed) -> list[tuple[str, float]]:
    """Rules that would have refused, by name, the most frequent first."""
    names: dict[str, str] = dict(AskDecision.Reason.choices)
    return [(names[reason], count) for reason, count in replayed.reasons.items() if reason in names]


def _show(
    request: HttpRequest,
    caller: Caller,
    *,
    form: AskPolicyForm | None = None,
    extra: Mapping[str, object] = MappingProxyType({}),
    status: int = 200,
) -> HttpResponse:
    policy = ask_policies.current_policy(caller.project)
    context = {
        "policy": policy,
        "spans": {
            "shown": written_span(policy.cooldown_shown_seconds),
            "dismissed": written_span(policy.cooldown_dismissed_seconds),
            "answered": written_span(policy.cooldown_answered_seconds),
            "period": written_span(policy.budget_period_seconds),
        },
        "form": form or ask_policy_form.current(caller.project),
        "versions": _versions(caller.project),
        "section": "policy",
        "preview_periods": list(_PREVIEWS.items()),
        "preview_days": _USUAL_PREVIEW,
        **extra,
    }
    return render_project(request, caller, "sampling/ask_policy.html", context, active="asks", status=status)


def _versions(project: Project) -> list[AskPolicy]:
    found = AskPolicy.objects.filter(project=project).select_related("created_by")
    return list(found.order_by("-version")[:_VERSIONS_SHOWN])
