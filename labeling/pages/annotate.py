"""The labeling page. Tasks come and answers go over the JSON API; this view gives it what stays the same."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone

from labeling import markdown, selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.errors import NotFound
from labeling.models import Annotation
from labeling.page_edges import EDITOR_SCRIPTS, person, project_page, render_project
from labeling.schema import JSONValue, definition_of

_SCRIPTS = [
    *EDITOR_SCRIPTS,
    *(
        f"feedbackproject/js/{name}.js"
        for name in (
            *("annotate/api", "annotate/outbox", "annotate/drafts", "annotate/refused", "annotate/skip_menu"),
            *("annotate/remarks", "annotate/keyboard", "annotate/lessons", "annotate"),
        )
    ),
]
"""In the order in which they build on each other."""

_NOTHING = {
    "empty": {
        "title": "All done for now",
        "text": "Nothing is waiting for a label. When the queue is filled again, items appear here by themselves.",
    },
    "all_leased": {
        "title": "Others have the last items",
        "text": "Everything in the queue is being labelled right now. The first is free at {time} at the latest, and "
        "appears here by itself.",
    },
    "later": {
        "title": "Only what you put off is left",
        "text": "The first of these items comes back at {time}. New ones appear here by themselves.",
    },
    "kept_for_others": {
        "title": "Nothing for you at the moment",
        "text": "What is left are second opinions that somebody else is asked for first. If nobody gives them by {time}, they appear "
        "here by themselves, and so do new items.",
    },
    "not_eligible": {
        "title": "Nothing here is for you",
        "text": "What is waiting is assigned to others, or needs a skill that you are not listed with. Whoever manages "
        "this project can change that.",
    },
    "nothing_left_for_you": {
        "title": "You have seen everything in the queue",
        "text": "What is left are items that you answered or skipped. New ones appear here by themselves.",
    },
    "training": {
        "title": "No training item at the moment",
        "text": "You are in training, and get items whose right answer is known. The next ones appear here by themselves; if "
        "none come, whoever manages this project can add some.",
    },
    "paused": {
        "title": "The queue is paused",
        "text": "Somebody who manages this project has paused it. This page goes on by itself when it is resumed.",
    },
}


@project_page(Capability.ANNOTATE)
def annotate(request: HttpRequest, caller: Caller) -> HttpResponse:
    project = caller.project
    label_schema = selectors.current_schema(project)
    schema = selectors.parsed(label_schema)
    counts = selectors.queue_counts(project, annotator=person(caller), now=timezone.now())
    config = {
        "api_url": reverse("api:project", args=[project.slug]) + "/",
        "history_url": reverse("history", args=[project.slug]),
        "csrf_token": get_token(request),
        "project": project.slug,
        "person": person(caller).pk,
        "lease_seconds": settings.LEASE_SECONDS,
        "counts": {"open": counts.open, "answered_today": counts.answered_today},
        "label_schema_version": label_schema.version,
        "schema": definition_of(schema),
        "shows_suggestions": project.shows_suggestions,
        "nothing": _NOTHING,
        "edit": _edited(request, caller),
    }
    context = {
        "config": config,
        "scripts": _SCRIPTS,
        "schema": schema,
        "undo_minutes": settings.UNDO_SECONDS // 60,
        "described": [each for each in schema.label_classes if each.description],
    }
    return render_project(request, caller, "labeling/annotate.html", context, active="annotate")


def _edited(request: HttpRequest, caller: Caller) -> dict[str, JSONValue] | None:
    """The answer that the page is opened to change; one's own, or anybody's for those who may read everything."""
    asked = request.GET.get("edit", "")
    if not asked:
        return None
    found = Annotation.objects.filter(item__project=caller.project, withdrawn_at__isnull=True)
    if not caller.may(Capability.READ):
        found = found.filter(annotator=person(caller))
    annotation = found.select_related("item").filter(pk=int(asked)).first() if _is_id(asked) else None
    if annotation is None:
        raise NotFound("There is no such answer that could be changed.", code="annotation_not_found")
    item = annotation.item
    return {
        "annotation_id": annotation.pk,
        "item": {
            "key": item.key,
            "payload": item.payload,
            "segments": item.segments,
            "rendered": dict(markdown.rendered_fields(item.payload)),
        },
        "answer": annotation.answer,
        "comment": annotation.comment,
        "is_flagged": annotation.is_flagged,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
