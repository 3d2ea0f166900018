"""From which pages browsers may call: the origins of a project's publishable keys."""

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings

from labeling import prepared
from labeling.models import ApiKey

_OF_SLUG: Final = """
SELECT DISTINCT unnest(api_key.origins)
FROM labeling_apikey api_key JOIN labeling_project project ON project.id = api_key.project_id
WHERE project.slug = %(project)s AND api_key.kind = 'publishable' AND api_key.revoked_at IS NULL"""
_OF_ID: Final = """
SELECT DISTINCT unnest(origins) FROM labeling_apikey
WHERE project_id = %(project)s AND kind = 'publishable' AND revoked_at IS NULL"""

_MOST_KNOWN: Final = 10_000
_known: Final[dict[int | str, tuple[float, frozenset[str]]]] = {}


def allows(api_key: ApiKey, origin: str) -> bool:
    """Whether pages of this origin may use the key: exactly as it stands, from the database."""
    return bool(origin) and origin.lower() in api_key.origins


def of_slug(slug: str) -> frozenset[str]:
    """Origins of any key in force of the project, as of at most ORIGINS_SECONDS ago: browsers ask with every request."""
    return _recent(slug, lambda: prepared.fetch(_OF_SLUG, {"project": slug}))


def of_project(project_id: int) -> frozenset[str]:
    """`of_slug`, by id."""
    return _recent(project_id, lambda: prepared.fetch(_OF_ID, {"project": project_id}))


def _recent(project: int | str, read: Callable[[], list[tuple[str]]]) -> frozenset[str]:
    known = _known.get(project)
    tick = time.monotonic()
    if known is None or tick >= known[0]:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = (tick + settings.ORIGINS_SECONDS, frozenset(origin for (origin,) in read()))
        _known[project] = known
    return known[1]
