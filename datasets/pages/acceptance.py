"""The acceptance policy: the version in force, changing it, and what the label model makes of the evidence."""

from typing import Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone

from datasets.models import AcceptancePolicy, ReviewCase
from datasets.services import acceptance_policies
from datasets.services.acceptance_report import report
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.page_edges import blame_each, person, project_page, render_project

_VERSIONS_SHOWN: Final = 20
_NAMES: Final = list(acceptance_policies.AcceptancePolicyChanges.__annotations__)
_LABELS: Final = {
    "method": "Labels follow",
    "threshold": "Accept from a probability of",
    "least_evidence": "Sources at least",
    "least_annotations": "Annotators among them",
    "most_answers": "Review after answers",
    "draws_first": "First answers before second ones",
    "uses_corrections": "Corrections by users count",
    "uses_thumbs": "Thumbs and ratings count",
    "uses_implicit": "Clicks, copies and retries count",
    "uses_model": "The model's own word counts",
    "review_accuracy": "A reviewer is right, share",
}
_KIND_NAMES: Final = {
    "annotation": "Annotations",
    "correction": "Corrections",
    "thumb": "Thumbs and ratings",
    "implicit": "Clicks and other behaviour",
    "gold": "Known answers",
    "review": "Reviews",
}
_DUE_NAMES: Final = {
    "first": "the first one is on its way",
    "policy": "the policy has changed",
    "standing": "a source is trusted differently",
    "gold": "there are new known answers",
    "growth": "there is much new evidence",
    "time": "the last one is an hour old",
}


class ThresholdsField(forms.CharField):
    """Thresholds by class, a line each: `spam = 0.95`."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: object) -> object:
        return "\n".join(f"{key} = {least:g}" for key, least in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: object) -> dict[str, float]:  # type: ignore[override]  # a field of another type
        thresholds: dict[str, float] = {}
        for line in str(value or "").splitlines():
            if not line.strip():
                continue
            key, _, least = (part.strip() for part in line.rpartition("="))
            if key in thresholds:
                raise forms.ValidationError(f"“{key}” has two thresholds: name each class once.")
            try:
                thresholds[key] = float(least)
            except ValueError:
                raise forms.ValidationError(f"“{line.strip()}” is not of the form: class = 0.95") from None
        return thresholds


class AcceptancePolicyForm(forms.Form):
    """All that a version says. What is valid is for the service to say, not for the table's constraints."""

    based_on = forms.IntegerField(widget=forms.HiddenInput)
    thresholds_by_class = ThresholdsField(
        required=False, label="Other thresholds by class", help_text="A line each, as “spam = 0.95”."
    )

    def __init__(self, data: QueryDict | None = None, *, policy: AcceptancePolicy) -> None:
        initial = {name: getattr(policy, name) for name in _NAMES}
        super().__init__(data, initial={**initial, "based_on": policy.version})
        others = forms.fields_for_model(
            AcceptancePolicy, fields=[name for name in _NAMES if name not in self.fields], labels=_LABELS
        )
        self.fields = {**others, **self.fields}

    @property
    def shown(self) -> list[forms.BoundField]:
        return [self[name] for name in _NAMES]


@project_page(Capability.READ)
def acceptance(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method != "POST":
        return _show(request, caller)
    before = acceptance_policies.current_policy(caller.project)
    form = AcceptancePolicyForm(request.POST, policy=before)
    if form.is_valid():
        try:
            policy = acceptance_policies.new_version(caller.project, by=person(caller), **form.cleaned_data)
        except DomainError as error:
            blame_each(form, error)
        else:
            said = (
                "is in force; labels follow in a moment" if policy.version != before.version else "is in force already"
            )
            messages.success(request, f"Version {policy.version} of the acceptance policy {said}.")
            return redirect("acceptance", caller.project.slug)
    return _show(request, caller, form=form, status=422)


def _show(
    request: HttpRequest, caller: Caller, *, form: AcceptancePolicyForm | None = None, status: int = 200
) -> HttpResponse:
    project = caller.project
    found = report(project, now=timezone.now())
    by_kind = found.run.evidence_by_kind if found.run else {}
    versions = AcceptancePolicy.objects.filter(project=project).select_related("created_by").order_by("-version")
    context = {
        "report": found,
        "policy": found.policy,
        "goes_by_label_model": found.policy.method == AcceptancePolicy.Method.LABEL_MODEL,
        "due": _DUE_NAMES.get(found.due, ""),
        "evidence": [(_KIND_NAMES.get(kind, kind), count) for kind, count in by_kind.items()],
        "most_evidence": max(by_kind.values(), default=0),
        "item_count": sum(found.items.values()),
        "open_case_count": ReviewCase.objects.filter(project=project, state=ReviewCase.State.OPEN).count(),
        "form": form or AcceptancePolicyForm(policy=found.policy),
        "versions": versions[:_VERSIONS_SHOWN],
    }
    return render_project(request, caller, "datasets/acceptance.html", context, active="quality", status=status)
