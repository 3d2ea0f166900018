"""After a rotation of RESPONDENT_KEY: who was known by an earlier key is moved to the present one when they are seen again.

Their ids are known to nobody here, so hashes cannot be computed anew beforehand. What decides whether somebody may be asked
moves at first sight (`move`), the rest within minutes (`follow`), and the log that has no index of respondents with it once
a day or so (`finish`). Until a respondent is seen again they stay under their earlier hash.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from django.conf import settings
from django.db import IntegrityError, connection, models, transaction

from labeling import respondent_hash
from labeling.models import Ask, Respondent, RespondentMove
from labeling.services import respondents

MOST_AT_ONCE: Final = 20_000

# The ledgers and counts of all hashes add up, the longest "don't ask again" and any block stay.
_MERGE: Final = """
WITH gone AS (
    DELETE FROM labeling_respondent WHERE project_id = %(project)s AND respondent_hash = ANY(%(earlier)s)
    RETURNING opted_out_until, is_blocked, epsilon_spent, right_count, wrong_count, created_at
)
INSERT INTO labeling_respondent AS present (project_id, respondent_hash, opted_out_until, is_blocked, epsilon_spent,
    right_count, wrong_count, created_at)
SELECT %(project)s, %(current)s, max(opted_out_until), bool_or(is_blocked), sum(epsilon_spent), sum(right_count),
    sum(wrong_count), min(created_at)
FROM gone HAVING count(*) > 0
ON CONFLICT (project_id, respondent_hash) DO UPDATE
    SET opted_out_until = greatest(present.opted_out_until, excluded.opted_out_until),
        is_blocked = present.is_blocked OR excluded.is_blocked,
        epsilon_spent = present.epsilon_spent + excluded.epsilon_spent,
        right_count = present.right_count + excluded.right_count,
        wrong_count = present.wrong_count + excluded.wrong_count,
        created_at = least(present.created_at, excluded.created_at)"""

_KNOWN: Final = """
SELECT DISTINCT respondent_hash FROM labeling_respondent WHERE project_id = %s AND respondent_hash = ANY(%s)"""


@transaction.atomic
def move(
    project_id: int,
    *,
    earlier: Sequence[str],
    current: str,
    sessions: Mapping[str, str] | None = None,
    now: dt.datetime,
) -> None:
    """Have the respondent known by `current` what was known of the hashes `earlier`: opt-out, block, ledger, past asks.

    `sessions` are the present hashes of sessions by their earlier ones. Safe to run twice and by several at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MERGE, {"project": project_id, "earlier": list(earlier), "current": current})
    asks = Ask.objects.filter(project=project_id, respondent_hash__in=earlier)
    for before, after in (sessions or {}).items():
        asks.filter(session_hash=before).update(session_hash=after)
    asks.update(respondent_hash=current)
    _move_records(project_id, dict.fromkeys(earlier, current))
    RespondentMove.objects.bulk_create(
        [
            RespondentMove(project_id=project_id, earlier_hash=each, current_hash=current, moved_at=now)
            for each in earlier
        ],
        update_conflicts=True,
        unique_fields=["project", "earlier_hash"],
        update_fields=["current_hash", "moved_at", "followed_at"],
    )


def move_known(project_id: int, names: Iterable[str], *, now: dt.datetime) -> None:
    """Move those of the named respondents who are known by an earlier key; one statement where nobody is."""
    earlier_keys = respondent_hash.earlier_keys(project_id, settings.RESPONDENT_KEY, settings.RESPONDENT_KEY_FALLBACKS)
    if not earlier_keys:
        return
    keys = respondent_hash.keys_of(project_id, settings.RESPONDENT_KEY)
    current = {
        respondent_hash.keyed_hash(each.respondent, name): respondent_hash.keyed_hash(keys.respondent, name)
        for name in set(names) - {""}
        for each in earlier_keys
    }
    if not current:
        return
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [project_id, sorted(current)])
        known = [before for (before,) in cursor.fetchall()]
    for before in sorted(known):
        move(project_id, earlier=[before], current=current[before], now=now)


def follow(*, now: dt.datetime) -> int:
    """Let the rows of tables with an index of respondents follow; returns the number of moves. Safe to run twice."""
    moves = list(RespondentMove.objects.filter(followed_at__isnull=True).order_by("pk")[:MOST_AT_ONCE])
    _let_follow(moves, [model for model in respondents.tables() if _is_indexed(model)])
    RespondentMove.objects.filter(pk__in=[each.pk for each in moves]).update(followed_at=now)
    return len(moves)


def finish(*, now: dt.datetime) -> int:
    """Let the rest follow, in one pass over each table for MOST_AT_ONCE moves, and forget what links the hashes.

    Returns the number of moves. Killed at any time, the next one goes on.
    """
    while follow(now=now) == MOST_AT_ONCE:
        pass
    unindexed = [model for model in respondents.tables() if not _is_indexed(model)]
    finished, after = 0, 0
    # By id, so that it ends: a move that is made anew meanwhile has to follow again, and is left for the next time.
    while moves := list(
        RespondentMove.objects.filter(followed_at__isnull=False, pk__gt=after).order_by("pk")[:MOST_AT_ONCE]
    ):
        _let_follow(moves, unindexed)
        RespondentMove.objects.filter(pk__in=[each.pk for each in moves], followed_at__isnull=False).delete()
        finished, after = finished + len(moves), moves[-1].pk
    return finished


def _let_follow(moves: Sequence[RespondentMove], tables: Iterable[type[models.Model]]) -> None:
    if not moves:
        return
    ids = [each.pk for each in moves]
    for model in tables:
        if model is Respondent:
            continue  # what came under an earlier hash since then moves when they are seen again
        if respondents.is_theirs(model):
            by_project: dict[int, dict[str, str]] = {}
            for each in moves:
                by_project.setdefault(each.project_id, {})[each.earlier_hash] = each.current_hash
            for project_id, hashes in by_project.items():
                with transaction.atomic():
                    _move_records(project_id, hashes, [model])
            continue
        # A hash is of one project; where the table knows the project, its index begins with that.
        names = {field.name for field in model._meta.concrete_fields}
        same_project = "AND said.project_id = move.project_id" if "project" in names else ""
        table = connection.ops.quote_name(model._meta.db_table)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {table} said SET respondent_hash = move.current_hash FROM labeling_respondentmove move "  # noqa: S608
                f"WHERE said.respondent_hash = move.earlier_hash {same_project} AND move.id = ANY(%s)",
                [ids],
            )


def _move_records(
    project_id: int, hashes: Mapping[str, str], tables: Iterable[type[models.Model]] | None = None
) -> None:
    """Of tables that have one row for a respondent: the oldest row stays, for it has the record, and is the present one's."""
    for model in tables or [each for each in respondents.tables() if respondents.is_theirs(each)]:
        rows = model._default_manager.filter(project=project_id)
        found = rows.filter(respondent_hash__in=hashes).values_list("respondent_hash", flat=True)
        for current in sorted({hashes[each] for each in found}):
            names = [before for before, after in hashes.items() if after == current]
            try:
                with transaction.atomic():
                    of_them = rows.filter(respondent_hash__in=[*names, current])
                    oldest = of_them.order_by("pk").values_list("pk", flat=True).first()
                    of_them.exclude(pk=oldest).delete()
                    of_them.update(respondent_hash=current)
            except IntegrityError:
                continue  # somebody made a row for the present hash meanwhile; those that follow later meet it


def _is_indexed(model: type[models.Model]) -> bool:
    constraints = [each for each in model._meta.constraints if isinstance(each, models.UniqueConstraint)]
    return any("respondent_hash" in each.fields for each in (*model._meta.indexes, *constraints))
