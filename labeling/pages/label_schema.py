"""The label schema: seeing it, putting a new version in force, and how the project is labelled."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.models import LabelSchema
from labeling.page_edges import blame, person, project_page, render_project
from labeling.pages.schema_forms import KIND_MEANINGS, SchemaForm, initial_values
from labeling.services import projects


class ProjectSchemaForm(SchemaForm):
    name = forms.CharField(max_length=200, label="Project name")
    objective = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Which decision does the model serve, and what is a good one?",
    )


class SettingsForm(forms.Form):
    shows_suggestions = forms.BooleanField(
        required=False,
        label="Show what the model says",
        help_text="Faster to confirm, but it sways answers. Audit tasks never show it.",
    )
    blind_share = forms.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        label="Share of tasks that hide it all the same",
        widget=forms.NumberInput(attrs={"step": "0.01"}),
        help_text="From 0 to 1. Chance decides; the quality page compares both to tell how much people follow what they see.",
    )
    skill_segment = forms.CharField(
        max_length=100,
        required=False,
        label="Segment that says which skill is needed",
        help_text="E.g. language: items with language=de go to members with the skill de only. Empty: none is needed.",
    )
    image_origins = forms.CharField(
        required=False,
        label="Origins of images",
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "placeholder": "https://images.example.org"}),
        help_text="One a line. Browsers load images of items from these and from uploads only.",
    )


@project_page(Capability.READ)
def label_schema(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    current = selectors.current_schema(project)
    schema = selectors.parsed(current)
    is_settings = request.POST.get("action") == "settings"
    form = ProjectSchemaForm(
        request.POST if request.method == "POST" and not is_settings else None,
        kind=current.kind,
        initial={"name": project.name, "objective": project.objective, **initial_values(schema)},
    )
    settings_form = SettingsForm(
        request.POST if is_settings else None,
        initial={
            "shows_suggestions": project.shows_suggestions,
            "blind_share": project.blind_share,
            "skill_segment": project.skill_segment,
            "image_origins": "\n".join(project.image_origins),
        },
    )
    if is_settings and settings_form.is_valid():
        data = settings_form.cleaned_data
        try:
            projects.describe(project, **{**data, "image_origins": data["image_origins"].split()})
        except DomainError as error:
            blame(settings_form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("label_schema", project.slug)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            version = projects.new_schema_version(project, definition=form.definition(before=schema), by=person(caller))
            projects.describe(project, name=data["name"], objective=data["objective"])
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"Saved. Version {version.version} of the label schema is in force.")
            return redirect("label_schema", project.slug)
    context = {
        "form": form,
        "settings_form": settings_form,
        "schema": schema,
        "kind": current.get_kind_display(),
        "kind_meaning": KIND_MEANINGS[current.kind],
        "versions": LabelSchema.objects.filter(project=project).select_related("created_by").order_by("-version")[:20],
    }
    status = 422 if form.errors or settings_form.errors else 200
    return render_project(request, caller, "labeling/label_schema.html", context, active="schema", status=status)
