"""The ask policy: the version in force, changing it, and what another one would have done with what was logged."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError, InvalidInput
from labeling.models import Project
from labeling.page_edges import blame, person, project_page, render_project
from sampling.models import AskPolicy
from sampling.pages import ask_policy_form
from sampling.pages.ask_policy_form import AskPolicyForm, written_span
from sampling.services import ask_policies

_VERSIONS_SHOWN: Final = 20


@project_page(Capability.READ)
def ask_policy(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method != "POST":
        return _show(request, caller)
    action = request.POST.get("action", "")
    if action != "policy":
        raise InvalidInput("The policy does not know this action.")
    return _change(request, caller)


def _change(request: HttpRequest, caller: Caller) -> HttpResponse:
    before = ask_policies.current_policy(caller.project)
    form = ask_policy_form.next_version(caller.project, request.POST)
    if form.is_valid():
        try:
            policy = ask_policies.new_version(caller.project, by=person(caller), **form.cleaned_data)
        except DomainError as error:
            blame(form, error)
        else:
            said = "is in force from now on" if policy != before else "is in force already: nothing changed"
            messages.success(request, f"Version {policy.version} of the ask policy {said}.")
            return redirect("ask_policy", caller.project.slug)
    return _show(request, caller, form=form, status=422)


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
        **extra,
    }
    return render_project(request, caller, "sampling/ask_policy.html", context, active="asks", status=status)


def _versions(project: Project) -> list[AskPolicy]:
    found = AskPolicy.objects.filter(project=project).select_related("created_by")
    return list(found.order_by("-version")[:_VERSIONS_SHOWN])
