"""The list of one's projects, and making a new one."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.cache import never_cache

from labeling import selectors
from labeling.errors import DomainError
from labeling.models import LabelSchema
from labeling.page_edges import blame
from labeling.pages.schema_forms import KIND_MEANINGS, SchemaForm
from labeling.services import projects

_KINDS = [(kind.value, kind.label, KIND_MEANINGS[kind]) for kind in LabelSchema.Kind]


class ProjectForm(SchemaForm):
    name = forms.CharField(max_length=200, help_text="What your team calls it.")
    slug = forms.SlugField(
        max_length=64,
        required=False,
        label="Short name",
        help_text="Stands in addresses and API calls and never changes. Left empty, it is made from the name.",
    )
    objective = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Which decision does the model serve, and what is a good one?",
    )


@never_cache
@login_required
def project_list(request: HttpRequest) -> HttpResponse:
    cards = selectors.project_cards(_person(request))
    return render(request, "labeling/projects.html", {"cards": cards})


@never_cache
@login_required
def new_project(request: HttpRequest) -> HttpResponse:
    """The task type comes first, as an address of its own: it decides which fields the form has."""
    asked = request.POST.get("kind") or request.GET.get("kind") or ""
    kind = LabelSchema.Kind(asked) if asked in LabelSchema.Kind.values else LabelSchema.Kind.SINGLE_CHOICE
    form = ProjectForm(request.POST or None, kind=kind)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            project = projects.create(
                slug=data["slug"] or slugify(data["name"])[:64].strip("-"),
                name=data["name"],
                objective=data["objective"],
                kind=kind,
                definition=form.definition(),
                by=_person(request),
            )
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"“{project.name}” is ready. Next, send it some items.")
            return redirect("overview", project.slug)
    status = 422 if form.errors else 200
    return render(request, "labeling/new_project.html", {"form": form, "kind": kind, "kinds": _KINDS}, status=status)


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # pragma: no cover - login_required lets no one else in
        raise TypeError("a page was called without a person")
    return request.user
