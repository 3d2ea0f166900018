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
from labeling.page_edges import blame
from labeling.pages import class_lines
from labeling.services import projects


class ProjectForm(forms.Form):
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
    definition = forms.CharField(
        label="Classes",
        widget=forms.Textarea(attrs={"rows": 6, "placeholder": "spam | Spam | Nobody asked for it\nham | Not spam"}),
        help_text="One a line: key | title | description. Title and description may be left out.",
    )
    guidelines = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="What annotators should know about hard cases. They can open it on the labeling page.",
    )


@never_cache
@login_required
def project_list(request: HttpRequest) -> HttpResponse:
    cards = selectors.project_cards(_person(request))
    return render(request, "labeling/projects.html", {"cards": cards})


@never_cache
@login_required
def new_project(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        definition = {"classes": class_lines.parse(data["definition"]), "guidelines": data["guidelines"]}
        try:
            project = projects.create(
                slug=data["slug"] or slugify(data["name"])[:64].strip("-"),
                name=data["name"],
                objective=data["objective"],
                definition=definition,
                by=_person(request),
            )
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"“{project.name}” is ready. Next, send it some items.")
            return redirect("overview", project.slug)
    status = 422 if form.errors else 200
    return render(request, "labeling/new_project.html", {"form": form}, status=status)


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):  # pragma: no cover - login_required lets no one else in
        raise TypeError("a page was called without a person")
    return request.user
