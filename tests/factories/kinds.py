"""A project of each task type, with items to label."""

from typing import Any, Final

from django.contrib.auth.models import User

from labeling.models import Item, Membership, PoolEntry, Project
from labeling.services import projects, queue_management
from labeling.splitting import bucket_of
from tests.factories.sampling import NOW

CLASSES: Final[list[Any]] = [{"key": "person", "title": "Person"}, {"key": "place", "title": "Place"}]
# A picture of 8 x 6 pixels, as a browser may load it under our content security policy.
IMAGE: Final = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGCAIAAABxZ0isAAAAEklEQVR42mNgKF+PFTEMjAQAhcdTwa4IjuEAAAAASUVORK5CYII="

DEFINITIONS: Final[dict[str, dict[str, Any]]] = {
    "single_choice": {"classes": CLASSES},
    "multi_label": {"classes": CLASSES},
    "rating": {"minimum": 1, "maximum": 5, "minimum_title": "Useless", "maximum_title": "Perfect"},
    "text_correction": {"source": "output"},
    "preference": {},
    "spans": {"classes": CLASSES},
    "numeric": {"minimum": 0, "maximum": 120, "unit": "years"},
    "boxes": {"classes": CLASSES},
}
PAYLOADS: Final[dict[str, list[dict[str, Any]]]] = {
    "single_choice": [{"text": "Ada lived in London."}, {"text": "Paris is large."}],
    "multi_label": [{"text": "Ada lived in London."}, {"text": "It rains."}],
    "rating": [{"text": "Restart it."}, {"markdown": "**Hold** the button for *five* seconds."}],
    "text_correction": [
        {"input": "Guten Tag", "output": "Good day, how is you?"},
        {"input": "Gute Nacht", "output": "Good night"},
    ],
    "preference": [
        {"prompt": "Say hello.", "a": "Hello!", "b": "What do you want?"},
        {"prompt": "Count to two.", "a": "One, two.", "b": "One, three."},
    ],
    "spans": [{"text": "😀 Ada met Bob in Paris."}, {"text": "עדה גרה בחיפה"}],
    "numeric": [{"text": "Born in 1990, asked in 2026."}, {"text": "A newborn."}],
    "boxes": [{"image": {"url": IMAGE, "alt": "Eight by six pixels", "width": 8, "height": 6}}, {"image": IMAGE}],
}


def project(kind: str, *, annotator: User, payloads: list[dict[str, Any]] | None = None, **definition: Any) -> Project:
    """A project of this kind, whose queue holds the payloads in their order, for one annotator."""
    created = projects.create(
        slug=kind.replace("_", "-"), name=kind, kind=kind, definition=definition or DEFINITIONS[kind], by=None
    )
    projects.describe(created, blind_share=0.0)
    Membership.objects.create(project=created, user=annotator, role=Membership.Role.ANNOTATOR)
    items = [
        Item.objects.create(
            project=created, key=f"item-{number}", payload=payload, bucket=bucket_of(created.pk, f"item-{number}")
        )
        for number, payload in enumerate(PAYLOADS[kind] if payloads is None else payloads)
    ]
    PoolEntry.objects.bulk_create(PoolEntry(item=item, project=created, bucket=item.bucket) for item in items)
    queue_management.requeue(created, [item.pk for item in items], by=None, now=NOW)
    return created
