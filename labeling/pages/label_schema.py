"""Classes and guidelines: seeing them, and putting a new version in force."""

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
from labeling.pages import class_lines
from labeling.services import projects


class SchemaForm(forms.Form):
    name = forms.CharField(max_length=200, label="Project name")
    objective = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Which decision does the model serve, and what is a good one?",
    )
    definition = forms.CharField(
        label="Classes",
        widget=forms.Textarea(attrs={"rows": 12, "class": "mono"}),
        help_text="One a line: key | title | description. Keys stand in predictions and datasets: add rather than rename.",
    )
    guidelines = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 10}),
        help_text="What annotators should know about hard cases. They open it with G while labeling.",
    )


@project_page(Capability.READ)
def label_schema(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    schema = selectors.parsed_schema(project)
    initial = {
        "name": project.name,
        "objective": project.objective,
        "definition": class_lines.written(schema),
        "guidelines": schema.guidelines,
    }
    form = SchemaForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        definition = {
            "classes": class_lines.parse(data["definition"], before=schema),
            "guidelines": data["guidelines"],
        }
        try:
            version = projects.new_schema_version(project, definition=definition, by=person(caller))
            projects.describe(project, name=data["name"], objective=data["objective"])
        except DomainError as error:
            blame(form, error)
        else:
            messages.success(request, f"Saved. Version {version.version} of the classes is in force.")
            return redirect("label_schema", project.slug)
    versions = LabelSchema.objects.filter(project=project).select_related("created_by").order_by("-version")[:20]
    context = {"form": form, "schema": schema, "versions": versions}
    status = 422 if form.errors else 200
    return render_project(request, caller, "labeling/label_schema.html", context, active="schema", status=status)
