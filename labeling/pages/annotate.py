"""The labeling page. Tasks come and answers go over the JSON API; this view gives it what stays the same."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone

from labeling import selectors
from labeling.access import Capability
from labeling.edges import Caller
from labeling.page_edges import person, project_page, render_project
from labeling.schema import AnySchema

_MOST_WITHOUT_SEARCH = 10
"""So many classes have a key each."""

_NOTHING = {
    "empty": {
        "title": "All done for now",
        "text": "Nothing is waiting for a label. When the queue is filled again, items appear here by themselves.",
    },
    "all_leased": {
        "title": "Others have the last items",
        "text": "Everything in the queue is being labelled right now. What they leave appears here by itself.",
    },
    "nothing_left_for_you": {
        "title": "You have seen everything in the queue",
        "text": "What is left are items that you answered or skipped. New ones appear here by themselves.",
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
    has_search = len(schema.label_classes) > _MOST_WITHOUT_SEARCH
    config = {
        "tasks_url": reverse("api:tasks", args=[project.slug]) + "/",
        "csrf_token": get_token(request),
        "lease_seconds": settings.LEASE_SECONDS,
        "undo_minutes": settings.UNDO_SECONDS // 60,
        "counts": {"open": counts.open, "answered_today": counts.answered_today},
        "label_schema_version": label_schema.version,
        "classes": _classes(schema),
        "has_search": has_search,
        "has_hotkeys": any(each.hotkey for each in schema.label_classes),
        # Among many classes, “12” must find class 12 rather than choose the first and the second.
        "digits_search": has_search
        and any(character.isdigit() for each in schema.label_classes for character in each.label),
        "nothing": _NOTHING,
    }
    context = {"config": config, "guidelines": schema.guidelines}
    return render_project(request, caller, "labeling/annotate.html", context, active="annotate")


def _classes(schema: AnySchema) -> list[dict[str, str]]:
    return [
        {"key": each.key, "label": each.label, "description": each.description, "hotkey": each.hotkey}
        for each in schema.label_classes
    ]
