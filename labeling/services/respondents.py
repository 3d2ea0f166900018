"""What is known of an end user: exported and erased. What is forgotten with age: labeling.services.retention.

A respondent is known by a keyed hash. Every table of any app that has a column `respondent_hash` takes part, so that a
new one cannot be forgotten here. Rows of a model that says `exists_only_for_respondent` are deleted, others blanked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q

from labeling.models import Correction, Feedback, Project, Respondent, RespondentMove
from labeling.respondent_hash import keyed_hash, respondent_key

_HASH: Final = "respondent_hash"
_SESSION: Final = "session_hash"
_DELETED: Final[tuple[type[models.Model], ...]] = (Feedback, Correction, Respondent)
"""What exists only because of the respondent; of other rows only the hash is blanked, they are part of the statistics."""


@dataclass(frozen=True)
class Erased:
    """How many rows were deleted, and of how many the respondent was blanked, by table."""

    deleted: Mapping[str, int]
    blanked: Mapping[str, int]


def hashes_of(project: Project, respondent: str) -> list[str]:
    """The hash of the app's own id, and what it was under earlier keys that are still named in the settings."""
    secrets = (settings.RESPONDENT_KEY, *settings.RESPONDENT_KEY_FALLBACKS)
    return [keyed_hash(respondent_key(project.pk, secret), respondent) for secret in secrets]


def export(project: Project, respondent: str) -> dict[str, list[dict[str, Any]]]:
    """All rows about the respondent, by table."""
    hashes = hashes_of(project, respondent)
    found: dict[str, list[dict[str, Any]]] = {}
    for model in tables():
        rows = model._default_manager.filter(respondent_hash__in=hashes).order_by("pk")
        names = [field.attname for field in model._meta.concrete_fields if not isinstance(field, models.BinaryField)]
        found[_name(model)] = [
            {name: value for name, value in row.items() if name not in (_HASH, _SESSION)} for row in rows.values(*names)
        ]
    return found


@transaction.atomic
def erase(project: Project, respondent: str) -> Erased:
    """Forget the respondent: what they said is deleted, and elsewhere nothing tells any more that it was them.

    That they were asked, and with which chance, stays, without them: estimates rest on it. Safe to run twice.
    """
    hashes = hashes_of(project, respondent)
    deleted: dict[str, int] = {}
    blanked: dict[str, int] = {}
    for model in tables():
        rows = model._default_manager.filter(respondent_hash__in=hashes)
        if model in _DELETED:
            deleted[_name(model)] = delete_said(model, list(rows.values_list("pk", flat=True)))
        elif is_theirs(model):
            deleted[_name(model)] = rows.count()
            rows.delete()
        else:
            blanked[_name(model)] = rows.update(**blank(model))
    RespondentMove.objects.filter(Q(earlier_hash__in=hashes) | Q(current_hash__in=hashes), project=project).delete()
    return Erased(deleted, blanked)


def tables() -> list[type[models.Model]]:
    """The models that know of respondents, in all apps."""
    return [model for model in apps.get_models() if any(field.name == _HASH for field in model._meta.concrete_fields)]


def is_theirs(model: type[models.Model]) -> bool:
    """Whether its rows exist only for a respondent, at most one for each."""
    return getattr(model, "exists_only_for_respondent", False)


def _name(model: type[models.Model]) -> str:
    return str(model._meta.model_name)


def blank(model: type[models.Model]) -> dict[str, str]:
    """What a row says when it does not say any more who it is about."""
    names = {field.name for field in model._meta.concrete_fields}
    return {name: "" for name in (_HASH, _SESSION) if name in names}


def delete_said(model: type[models.Model], ids: list[int]) -> int:
    """Delete rows; those that superseded them, or were by them, stay and point at nothing. Returns how many."""
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        if any(field.name == "supersedes" for field in model._meta.concrete_fields):
            cursor.execute(f"UPDATE {table} SET supersedes_id = NULL WHERE supersedes_id = ANY(%s)", [ids])  # noqa: S608
        cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s)", [ids])  # noqa: S608 - the model's own table
        return int(cursor.rowcount)
