"""API keys: making one, which shows it once, and revoking."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import ApiKey
from labeling.page_edges import person, project_page, render_project
from labeling.services import api_keys


class KeyForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="Where it will be used, e.g. “production backend”.")
    kind = forms.ChoiceField(choices=ApiKey.Kind.choices, initial=ApiKey.Kind.SECRET)


@project_page(Capability.ADMINISTER, to_change=Capability.ADMINISTER)
def keys(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    form = KeyForm()
    made: api_keys.NewApiKey | None = None
    if request.method == "POST":
        if "revoke" in request.POST:
            api_key = get_object_or_404(project.api_keys, pk=_number(request.POST["revoke"]))
            api_keys.revoke(api_key, now=timezone.now())
            messages.success(request, f"“{api_key.name}” is revoked. Apps that use it are refused from now on.")
            return redirect("keys", project.slug)
        form = KeyForm(request.POST)
        if form.is_valid():
            # No redirect: the key exists only in this answer, and must not be parked in a session to survive one.
            made = api_keys.create(
                project, name=form.cleaned_data["name"], kind=ApiKey.Kind(form.cleaned_data["kind"]), by=person(caller)
            )
            form = KeyForm()
    context = {
        "form": form,
        "made": made,
        "api_keys": project.api_keys.select_related("created_by").order_by("revoked_at", "-created_at"),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }
    status = 422 if form.errors else 200
    return render_project(request, caller, "labeling/keys.html", context, active="keys", status=status)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
