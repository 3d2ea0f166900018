"""Accepted labels in figures, and the snapshots frozen from them."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from datasets import selectors
from datasets.errors import NothingToSnapshot
from datasets.formats import registry
from datasets.models import PendingEvidence, Snapshot
from datasets.services import snapshot
from labeling import selectors as labeling_selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.models import Project
from labeling.page_edges import person, project_page, render_project

_SNAPSHOTS_PER_PAGE = 20
_FEW_CLASSES = 12


class SnapshotForm(forms.Form):
    note = forms.CharField(
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "e.g. after the first week"}),
    )


@dataclass(frozen=True)
class ClassCount:
    title: str
    count: int


@project_page(Capability.READ)
def datasets(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    form = SnapshotForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            taken = snapshot.take(project, by=person(caller), now=timezone.now(), note=form.cleaned_data["note"])
        except NothingToSnapshot as error:
            messages.error(request, error.message)
        else:
            messages.success(request, f"Snapshot {taken.number} is taken: {taken.row_count:,} labels, frozen for good.")
        return redirect("datasets", project.slug)
    counts = _class_counts(project)
    snapshots = Snapshot.objects.filter(project=project).select_related("label_schema", "created_by")
    page = Paginator(snapshots.order_by("-number"), _SNAPSHOTS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "class_counts": counts[:_FEW_CLASSES],
        "other_class_counts": counts[_FEW_CLASSES:],
        "most": max((each.count for each in counts), default=0),
        "label_count": sum(each.count for each in counts),
        "audit_count": selectors.audit_labels(project).count(),
        "page": page,
        "formats": list(registry.FORMATS),
        "pending_count": PendingEvidence.objects.filter(project=project).count(),
    }
    return render_project(request, caller, "datasets/datasets.html", context, active="datasets")


def _class_counts(project: Project) -> list[ClassCount]:
    """Every class of the schema, most labels first: a class without labels is what one most wants to see."""
    counts = selectors.class_counts(project)
    schema = labeling_selectors.parsed_schema(project)
    titles = {each.key: each.label for each in schema.label_classes}
    keys = [*titles, *(key for key in counts if key not in titles)]
    every = [ClassCount(titles.get(key, key), counts.get(key, 0)) for key in keys]
    return sorted(every, key=lambda each: -each.count)
