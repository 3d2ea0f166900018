"""API keys: making one, which shows it once; where a publishable one may be used; and revoking."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone

from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.feedback_rows import IMPLICIT_KINDS
from labeling.models import ApiKey, Feedback
from labeling.page_edges import blame, person, project_page, render_project
from labeling.services import api_keys


class OriginsField(forms.CharField):
    """Origins, one a line."""

    widget = forms.Textarea(attrs={"rows": 2, "class": "mono", "placeholder": "https://app.example.org"})

    def prepare_value(self, value: object) -> object:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: object) -> list[str]:  # type: ignore[override]  # a field of another type
        return str(value or "").split()


class BrowserForm(forms.Form):
    """What a publishable key may be used for."""

    origins = OriginsField(
        required=False,
        help_text="Of the pages that may use a publishable key, one a line. None: no page can use it.",
    )
    implicit_kinds = forms.MultipleChoiceField(
        required=False,
        label="Implicit feedback",
        choices=[(kind, Feedback.Kind(kind).label) for kind in Feedback.Kind.values if kind in IMPLICIT_KINDS],
        widget=forms.CheckboxSelectMultiple,
        help_text="What pages may send with a publishable key without having asked. Answers come by the token of an ask.",
    )


class KeyForm(BrowserForm):
    name = forms.CharField(max_length=100, help_text="Where it will be used, e.g. “production backend”.")
    kind = forms.ChoiceField(choices=ApiKey.Kind.choices, initial=ApiKey.Kind.SECRET)
    field_order = ["name", "kind"]


@project_page(Capability.ADMINISTER, to_change=Capability.ADMINISTER)
def keys(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    if "revoke" in request.POST:
        api_key = get_object_or_404(project.api_keys, pk=_number(request.POST["revoke"]))
        api_keys.revoke(api_key, now=timezone.now())
        messages.success(request, f"“{api_key.name}” is revoked. Apps that use it are refused from now on.")
        return redirect("keys", project.slug)
    if "change" in request.POST:
        return _change(request, caller)
    form = KeyForm(initial={"kind": request.GET.get("kind", ApiKey.Kind.SECRET)})
    made: api_keys.NewApiKey | None = None
    if request.method == "POST":
        form = KeyForm(request.POST)
        # No redirect: the key exists only in this answer, and must not be parked in a session to survive one.
        made = _made(caller, form)
        form = KeyForm() if made else form
    return _show(request, caller, form=form, made=made)


def _made(caller: Caller, form: KeyForm) -> api_keys.NewApiKey | None:
    if not form.is_valid():
        return None
    said = form.cleaned_data
    try:
        return api_keys.create(
            caller.project,
            name=said["name"],
            kind=ApiKey.Kind(said["kind"]),
            by=person(caller),
            origins=said["origins"],
            implicit_kinds=said["implicit_kinds"],
        )
    except DomainError as error:
        blame(form, error)
        return None


def _change(request: HttpRequest, caller: Caller) -> HttpResponse:
    api_key = get_object_or_404(
        caller.project.api_keys, pk=_number(request.POST["change"]), kind=ApiKey.Kind.PUBLISHABLE
    )
    form = _browser_form(api_key, request)
    if form.is_valid():
        try:
            api_keys.change(api_key, **form.cleaned_data)
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"“{api_key.name}” is changed.")
            return redirect("keys", caller.project.slug)
    return _show(request, caller, form=KeyForm(), changing=(api_key.pk, form))


def _show(
    request: HttpRequest,
    caller: Caller,
    *,
    form: KeyForm,
    made: api_keys.NewApiKey | None = None,
    changing: tuple[int, BrowserForm] | None = None,
) -> HttpResponse:
    """`changing` is the key whose form was refused, which is shown open."""
    project = caller.project
    rows = [
        (key, _form_of(key, changing), changing is not None and changing[0] == key.pk)
        for key in project.api_keys.select_related("created_by").order_by("revoked_at", "-created_at")
    ]
    context = {"form": form, "made": made, "rows": rows, "base_url": request.build_absolute_uri("/").rstrip("/")}
    status = 422 if form.errors or changing else 200
    return render_project(request, caller, "labeling/keys.html", context, active="keys", status=status)


def _form_of(api_key: ApiKey, changing: tuple[int, BrowserForm] | None) -> BrowserForm | None:
    if api_key.kind != ApiKey.Kind.PUBLISHABLE or api_key.revoked_at is not None:
        return None
    return changing[1] if changing and changing[0] == api_key.pk else _browser_form(api_key)


def _browser_form(api_key: ApiKey, request: HttpRequest | None = None) -> BrowserForm:
    return BrowserForm(
        request.POST if request else None,
        initial={"origins": api_key.origins, "implicit_kinds": api_key.implicit_kinds},
        auto_id=f"id_{api_key.pk}_%s",
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
