"""The SQL under the intake: a chunk of rows goes by COPY into a temporary table and from there where it belongs.

Callers hold the transaction. Locks are taken in one order by everybody: model versions by id, items by key, pool
entries by item id. So two imports, or an import and a promotion, never wait for each other in a circle.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from django.db import connection

from labeling.models import ModelVersion, Project


class StagedRow(NamedTuple):
    """One row as the temporary table holds it; without a prediction, `version_id` and what belongs to it are None."""

    position: int
    key: str
    bucket: int
    payload: bytes | None
    segments: bytes | None
    version_id: int | None
    probabilities: bytes | None
    predicted_class: str | None
    confidence: float | None
    respondent_hash: str
    context: bytes
    answer: bytes | None = None


# Ids are drawn while rows are staged, so that items are numbered as they arrive though they are inserted by key.
_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_row (
    item_id bigint DEFAULT nextval('labeling_item_id_seq'),
    position integer, key text COLLATE "C", bucket smallint, payload jsonb, segments jsonb, version_id bigint,
    probabilities bytea, predicted_class text, confidence double precision, respondent_hash text, context jsonb,
    answer jsonb
) ON COMMIT DROP;
TRUNCATE staged_row"""

# JSON columns get their binary form from `jsonb`, so that psycopg need not know them.
_COPY: Final = f"COPY staged_row ({', '.join(StagedRow._fields)}) FROM STDIN (FORMAT binary)"
_COLUMN_TYPES: Final = (
    *("int4", "text", "int2", "bytea", "bytea", "int8"),
    *("bytea", "text", "float8", "text", "bytea", "bytea"),
)

_SAID: Final = "probabilities, predicted_class, answer, confidence, respondent_hash, context"
"""The columns of a prediction that its row fills."""

_CREATE_ITEMS: Final = f"""
WITH created AS (
    INSERT INTO labeling_item (id, project_id, key, payload, segments, bucket, created_at, updated_at)
    SELECT item_id, %(project)s, key, payload, segments, bucket, %(now)s, %(now)s FROM staged_row ORDER BY key
    ON CONFLICT (project_id, key) DO NOTHING
    RETURNING id
), fresh AS MATERIALIZED (
    SELECT created.id, position, bucket, version_id, {_SAID}
    FROM created JOIN staged_row ON item_id = id
), pooled AS (
    INSERT INTO labeling_poolentry (item_id, project_id, state, bucket, model_version_id, probabilities, scored_at)
    SELECT id, %(project)s, 0, bucket,
           CASE WHEN version_id = %(champion)s THEN version_id END,
           CASE WHEN version_id = %(champion)s THEN probabilities END,
           CASE WHEN version_id = %(champion)s THEN %(now)s END
    FROM fresh
), predicted AS (
    INSERT INTO labeling_prediction
        (item_id, model_version_id, {_SAID}, created_at)
    SELECT id, version_id, {_SAID}, %(now)s
    FROM fresh WHERE version_id IS NOT NULL
)
SELECT position FROM fresh"""  # noqa: S608 - constants only

_UNSTAGE: Final = "DELETE FROM staged_row WHERE position = ANY(%s)"

_UPDATE_ITEMS: Final = """
WITH existing AS (
    SELECT item.id, staged.payload, staged.segments
    FROM labeling_item item JOIN staged_row staged ON item.project_id = %(project)s AND item.key = staged.key
    ORDER BY item.key FOR NO KEY UPDATE OF item)
UPDATE labeling_item item SET payload = existing.payload, segments = existing.segments, updated_at = %(now)s
FROM existing WHERE item.id = existing.id"""

_STORE_PREDICTIONS: Final = f"""
WITH matched AS MATERIALIZED (
    SELECT position, item.id AS item_id, version_id, {_SAID}
    FROM staged_row staged JOIN labeling_item item ON item.project_id = %(project)s AND item.key = staged.key
), stored AS (
    INSERT INTO labeling_prediction
        (item_id, model_version_id, {_SAID}, created_at)
    SELECT item_id, version_id, {_SAID}, %(now)s
    FROM matched WHERE version_id IS NOT NULL ORDER BY item_id, version_id
    ON CONFLICT (item_id, model_version_id) {{on_conflict}}
    RETURNING item_id, model_version_id, probabilities, xmax = 0 AS is_new
), locked AS (
    SELECT entry.item_id, stored.probabilities
    FROM labeling_poolentry entry JOIN stored ON stored.item_id = entry.item_id
    WHERE stored.model_version_id = %(champion)s ORDER BY entry.item_id FOR NO KEY UPDATE OF entry
), scored AS (
    UPDATE labeling_poolentry entry
    SET model_version_id = %(champion)s, probabilities = locked.probabilities, scored_at = %(now)s
    FROM locked WHERE entry.item_id = locked.item_id
)
SELECT matched.position, stored.is_new FROM matched
LEFT JOIN stored ON stored.item_id = matched.item_id AND stored.model_version_id = matched.version_id"""  # noqa: S608

_KEEP_OLD: Final = "DO NOTHING"
_TAKE_NEW: Final = """DO UPDATE SET
    probabilities = excluded.probabilities, predicted_class = excluded.predicted_class,
    answer = excluded.answer, confidence = excluded.confidence, respondent_hash = excluded.respondent_hash,
    context = excluded.context, created_at = excluded.created_at"""


def jsonb(text: bytes) -> bytes:
    """JSON as it travels in a binary COPY."""
    return b"\x01" + text


def lock_versions(project: Project, names: Iterable[str]) -> dict[str, ModelVersion]:
    """The project's model versions of these names, by name; their stages stay as they are until the transaction ends.

    Several importers may hold this at once; a promotion waits for them, and they for it.
    """
    versions = ModelVersion.objects.raw(
        "SELECT * FROM labeling_modelversion WHERE project_id = %s AND name = ANY(%s) ORDER BY id FOR SHARE",
        [project.pk, list(names)],
    )
    return {version.name: version for version in versions}


class Chunk:
    """Rows on their way in, all of one project, each key (with its model version) once."""

    def __init__(self, project: Project, *, champion_id: int | None, now: dt.datetime) -> None:
        self._values: dict[str, int | dt.datetime | None] = {
            "project": project.pk,
            "champion": champion_id,
            "now": now,
        }

    def stage(self, rows: Iterable[StagedRow]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_STAGE)
            with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
                copy.set_types(_COLUMN_TYPES)
                for row in rows:
                    copy.write_row(row)

    def create_items(self) -> list[int]:
        """Store the staged rows whose key is new, with pool entry and prediction; returns their positions."""
        with connection.cursor() as cursor:
            cursor.execute(_CREATE_ITEMS, self._values)
            return [position for (position,) in cursor.fetchall()]

    def unstage(self, positions: Sequence[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_UNSTAGE, [list(positions)])

    def update_items(self) -> None:
        """Give existing items the payload and segments of their staged row."""
        with connection.cursor() as cursor:
            cursor.execute(_UPDATE_ITEMS, self._values)

    def store_predictions(self, *, replace: bool) -> dict[int, bool | None]:
        """Store the predictions of staged rows whose item exists, and score the pool where they are the champion's.

        Returns, by position of the rows with an item: True for a new prediction, False for one replaced, None where
        nothing was written.
        """
        statement = _STORE_PREDICTIONS.format(on_conflict=_TAKE_NEW if replace else _KEEP_OLD)
        with connection.cursor() as cursor:
            cursor.execute(statement, self._values)
            return dict(cursor.fetchall())
