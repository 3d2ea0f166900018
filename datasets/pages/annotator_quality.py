"""How good each annotator's work is, and who is in training."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from datasets import annotator_quality as figures
from datasets.annotator_quality import LOOKED_AT, MOST_PEOPLE, AnnotatorQuality
from datasets.models import GoldItem
from datasets.services import gold_mixing
from datasets.services.gold_mixing import Record
from labeling import selectors as facts
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import DomainError
from labeling.models import LabelSchema, Membership, Project
from labeling.page_edges import person, project_page, render_project
from labeling.services import projects

_MOST_CLASSES = 12
"""A matrix of more classes is no picture any more."""
_VERDICTS = {
    "honest": "has shown to be good",
    "not_honest": "does not do better than guessing",
    "undecided": "not decided yet",
}


@project_page(Capability.REVIEW)
def annotator_quality(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.method == "POST":
        return _set_stage(request, caller)
    project, now = caller.project, timezone.now()
    schema = facts.parsed_schema(project)
    is_choice = schema.kind == LabelSchema.Kind.SINGLE_CHOICE
    classes = [(each.key, each.label) for each in schema.label_classes] if is_choice else []
    text = request.GET.get("from", "")
    offset = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    page = figures.annotator_quality(project, classes, now=now, offset=offset)
    context = {
        "people": [(each, _trend(each)) for each in page.people],
        "total": page.total,
        "next_offset": offset + MOST_PEOPLE if offset + MOST_PEOPLE < page.total else None,
        "training": _training(project, page.people),
        "titles": [title for _, title in classes],
        "has_matrix": is_choice and len(classes) <= _MOST_CLASSES,
        "is_choice": is_choice,
        "gold_count": GoldItem.objects.filter(project=project, is_active=True).count(),
        "looked_at": LOOKED_AT,
    }
    return render_project(request, caller, "datasets/annotator_quality.html", context, active="annotators")


def _trend(each: AnnotatorQuality) -> SafeString:
    return mark_safe(each.trend)  # noqa: S308 - drawn from figures


def _training(project: Project, people: list[AnnotatorQuality]) -> dict[int, tuple[Record, str]]:
    """By person in training: their record in it, and what it says."""
    learners = [each.person_id for each in people if each.stage == Membership.Stage.TRAINING]
    if not learners:
        return {}
    found, test = gold_mixing.records(project, learners, in_training=True), gold_mixing.test_of(project)
    known = {person_id: found.get(person_id, Record()) for person_id in learners}
    return {
        person_id: (record, _VERDICTS[test.verdict(record.hits, record.misses)]) for person_id, record in known.items()
    }


def _set_stage(request: HttpRequest, caller: Caller) -> HttpResponse:
    username, stage = request.POST.get("username", ""), request.POST.get("stage", "")
    try:
        projects.set_stage(caller.project, username=username, stage=stage, by=person(caller), now=timezone.now())
    except DomainError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{username} is {'in training' if stage == 'training' else 'at work'} now.")
    return redirect("annotator_quality", caller.project.slug)
