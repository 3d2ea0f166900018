"""The demo's digit reader: an app of its own, with a publishable key, that asks its readers about the demo model.

The key is in the page for everybody to see, as a publishable key may be. It is kept under var/, as the demo's logins are,
because the service itself knows only its hash.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from labeling import selectors
from labeling.models import ApiKey, Item, Project, Question
from labeling.probability import unpack
from labeling.schema import JSONValue
from labeling.services import api_keys, questions
from labeling.services.questions import Wording
from sampling.models import AskPolicy
from sampling.services import ask_policies
from sampling.services.ask_policies import AskPolicyChanges

QUESTION = "is_right"
OBJECTIVE = "Is the model good enough to read forms without a second look?"
DEFINITION: dict[str, JSONValue] = {
    "text": {"en": "Did we read this digit right?", "de": "Haben wir diese Ziffer richtig gelesen?"},
    "blind_text": {"en": "Which digit is this?", "de": "Welche Ziffer ist das?"},
    "thanks": {
        "en": "Thank you. We look at what people tell us.",
        "de": "Danke. Wir sehen uns an, was uns gesagt wird.",
    },
}
IMPLICIT_KINDS = ("click", "dwell", "impression", "retry")
# Whoever tries the demo is to see questions within a minute; the defaults would ask them twice a week.
POLICY: AskPolicyChanges = {
    "holdout_share": 0.0,
    "cooldown_shown_seconds": 15,
    "cooldown_dismissed_seconds": 60,
    "cooldown_answered_seconds": 15,
    "question_cooldown_seconds": 15,
    "most_per_session": 200,
    "most_per_7_days": 500,
    "most_per_30_days": 1_000,
    "threshold": 0.1,
    "audit_share": 0.2,
    # A question that is left alone keeps others back until it expires.
    "ask_lifetime_seconds": 60,
}


@dataclass(frozen=True)
class Reader:
    """What the page needs to know."""

    project: Project
    key: str


@dataclass(frozen=True)
class Reading:
    """A digit, and what the champion reads in it."""

    key: str
    pixels: Sequence[Sequence[int]]
    pixel_max: int
    answer: str
    confidence: float


def current() -> Reader | None:
    """The reader, while its project and its key are as they were made; None else."""
    try:
        kept = json.loads(_path().read_text())
    except FileNotFoundError:
        return None
    known = ApiKey.objects.filter(
        key_hash=api_keys.hash_key(kept["key"]), project_id=kept["project_id"], revoked_at__isnull=True
    )
    found = known.select_related("project").first()
    return None if found is None else Reader(found.project, kept["key"])


def is_about(project: Project) -> bool:
    reader = current()
    return reader is not None and reader.project == project


def ensure(project: Project, *, url: str, by: User) -> None:
    """Make what the reader needs and is not there yet: a question, a policy that asks often, and a key."""
    if not Question.objects.filter(project=project, key=QUESTION).exists():
        wording = Wording(definition=DEFINITION, objective=OBJECTIVE)
        questions.create(project, key=QUESTION, kind="correction", wording=wording, by=by)
    if not AskPolicy.objects.filter(project=project).exists():
        ask_policies.new_version(project, by=by, **POLICY)
    _ensure_key(project, url=url, by=by)


def _ensure_key(project: Project, *, url: str, by: User) -> None:
    """Make the page's key, bound to the addresses of the service at `url`, unless there is one for them."""
    origins = _origins(url)
    reader = current()
    if reader is not None and reader.project == project:
        known = ApiKey.objects.get(key_hash=api_keys.hash_key(reader.key))
        if set(origins) <= set(known.origins):
            return
        # The service has moved to another port.
        api_keys.revoke(known, now=timezone.now())
        origins = sorted({*origins, *known.origins})
    made = api_keys.create(
        project,
        name="digit reader",
        kind=ApiKey.Kind.PUBLISHABLE,
        by=by,
        origins=origins,
        implicit_kinds=IMPLICIT_KINDS,
    )
    path = _path()
    path.touch(mode=0o600)
    path.write_text(json.dumps({"project_id": project.pk, "key": made.key}))


def readings(project: Project, *, count: int, rng: random.Random) -> list[Reading]:
    """Digits drawn at random, with the champion's readings; none while no model has read any."""
    champion = selectors.champion(project)
    if champion is None:
        return []
    scored = Item.objects.filter(project=project, pool_entry__model_version=champion)
    ids = list(scored.values_list("pk", flat=True))
    drawn = Item.objects.filter(pk__in=rng.sample(ids, min(count, len(ids)))).select_related("pool_entry")
    return list(_read(drawn, champion.classes))


def _read(items: Iterable[Item], classes: Sequence[str]) -> Iterable[Reading]:
    for item in items:
        packed = item.pool_entry.probabilities
        if packed is None or not isinstance(item.payload, dict):
            continue
        probabilities = unpack(bytes(packed), len(classes))
        best = int(probabilities.argmax())
        payload = item.payload
        yield Reading(item.key, payload["pixels"], payload["pixel_max"], classes[best], float(probabilities[best]))


def _origins(url: str) -> list[str]:
    """The address itself, and its other names on the same machine."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    hosts = {
        parts.hostname or "",
        *(("localhost", "127.0.0.1") if parts.hostname in {"localhost", "127.0.0.1"} else ()),
    }
    return sorted(f"{parts.scheme}://{host}{port}" for host in hosts)


def _path() -> Path:
    return Path(settings.VAR_DIR) / "demo_reader.json"
