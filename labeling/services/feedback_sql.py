"""The SQL under feedback: rows are joined to what they are about and stored, all of a batch in one statement.

A few rows travel as one JSON parameter of a prepared statement, many by COPY through a temporary table; from there on
they go the same way. Callers hold the transaction. Rows are stored in the order of their ids by everybody, so two
senders of the same rows never wait for each other in a circle.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from django.db import connection

from labeling import prepared
from labeling.services.bulk import jsonb

FEW_ROWS: Final = 50
"""Up to so many rows one statement with a parameter is faster than a temporary table."""

Table = Literal["feedback", "correction"]


class StagedFeedback(NamedTuple):
    """One row on its way in. JSON stands as bytes."""

    position: int
    client_id: str
    channel: str
    kind: str
    value: bytes | None
    score: float | None
    answer: bytes | None
    comment: str
    context: bytes
    request_id: str
    item_key: str
    model_version_name: str
    ask_id: int | None
    prediction_id: int | None
    respondent_hash: str
    occurred_at: dt.datetime
    stated_at: dt.datetime | None
    supersedes_id: int | None


class Stored(NamedTuple):
    position: int
    problem: str | None
    is_new: bool


_COLUMN_TYPES: Final = (
    *("int4", "text", "text", "text", "jsonb", "float8", "jsonb", "text", "jsonb"),
    *("text", "text", "text", "int8", "int8", "text", "timestamptz", "timestamptz", "int8"),
)
# psycopg need not know jsonb: it gets bytes that begin with the format's version.
_COPY_TYPES: Final = tuple("bytea" if name == "jsonb" else name for name in _COLUMN_TYPES)
_DECLARED: Final = ", ".join(f"{name} {kind}" for name, kind in zip(StagedFeedback._fields, _COLUMN_TYPES, strict=True))
_STAGE: Final = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS staged_feedback ({_DECLARED}) ON COMMIT DROP;
TRUNCATE staged_feedback"""
_COPY: Final = f"COPY staged_feedback ({', '.join(StagedFeedback._fields)}) FROM STDIN (FORMAT binary)"
_FROM_TABLE: Final = "staged_feedback AS staged"
_FROM_PARAMETER: Final = f"jsonb_to_recordset(%(rows)s::jsonb) AS staged ({_DECLARED})"

# What a row names is found row by row, by index: a lateral join with a limit never becomes a scan of a whole table.
TARGETS: Final = """
    LEFT JOIN LATERAL (
        SELECT ask.id, ask.item_id, ask.prediction_id, ask.question_version_id, ask.respondent_hash, ask.is_blind,
            version.epsilon IS NOT NULL AS is_private
        FROM labeling_ask ask JOIN labeling_questionversion version ON version.id = ask.question_version_id
        WHERE ask.id = staged.ask_id AND ask.project_id = %(project)s LIMIT 1
    ) asked ON true
    LEFT JOIN LATERAL (
        SELECT prediction.id, prediction.item_id
        FROM labeling_prediction prediction JOIN labeling_item item ON item.id = prediction.item_id
        WHERE prediction.id = staged.prediction_id AND item.project_id = %(project)s LIMIT 1
    ) named ON true
    LEFT JOIN LATERAL (
        SELECT prediction.id, prediction.item_id
        FROM labeling_prediction prediction JOIN labeling_item item ON item.id = prediction.item_id
        WHERE staged.request_id <> '' AND left(prediction.context ->> 'request_id', 200) = staged.request_id
            AND prediction.context ? 'request_id' AND item.project_id = %(project)s
        ORDER BY prediction.context -> 'position' IS NOT DISTINCT FROM staged.context -> 'position' DESC,
            prediction.id DESC LIMIT 1
    ) requested ON true
    LEFT JOIN LATERAL (
        SELECT item.id FROM labeling_item item
        WHERE staged.item_key <> '' AND item.project_id = %(project)s AND item.key = staged.item_key LIMIT 1
    ) keyed ON true
    LEFT JOIN LATERAL (
        SELECT prediction.id
        FROM labeling_modelversion version JOIN labeling_prediction prediction
            ON prediction.model_version_id = version.id AND prediction.item_id = keyed.id
        WHERE staged.model_version_name <> '' AND version.project_id = %(project)s
            AND version.name = staged.model_version_name LIMIT 1
    ) predicted ON true"""

FOUND_ITEM: Final = "coalesce(asked.item_id, named.item_id, requested.item_id, keyed.id)"
FOUND_PREDICTION: Final = "coalesce(asked.prediction_id, named.id, requested.id, predicted.id)"
IS_WAITING: Final = f"""(({FOUND_ITEM}) IS NULL
        OR (staged.model_version_name <> '' AND predicted.id IS NULL))"""

_OWN_COLUMNS: Final[dict[Table, str]] = {"feedback": "kind, value, score", "correction": "answer, label_schema_id"}
_OWN_VALUES: Final[dict[Table, str]] = {"feedback": "kind, value, score", "correction": "answer, %(schema)s::bigint"}

_RECORD: Final = """
WITH resolved AS MATERIALIZED (
    SELECT staged.*, {found_item} AS found_item, {found_prediction} AS found_prediction, {is_waiting} AS is_waiting,
        asked.question_version_id, NOT asked.is_blind AS is_anchored,
        coalesce(nullif(staged.respondent_hash, ''), asked.respondent_hash, '') AS said_by,
        CASE WHEN staged.ask_id IS NOT NULL AND asked.id IS NULL THEN 'unknown_ask'
            WHEN staged.prediction_id IS NOT NULL AND named.id IS NULL THEN 'unknown_prediction'
            WHEN asked.is_private THEN 'private_question' END AS problem
    FROM {source} {targets}
), stored AS (
    INSERT INTO labeling_{table} (project_id, client_id, channel, item_id, prediction_id, ask_id, question_version_id,
        request_id, item_key, model_version_name, is_waiting, respondent_hash, comment, context, is_anchored,
        occurred_at, stated_at, received_at, supersedes_id, {own_columns})
    SELECT %(project)s, client_id, channel, found_item, found_prediction, ask_id, question_version_id,
        request_id, item_key, model_version_name, is_waiting, said_by, comment, context, is_anchored,
        occurred_at, stated_at, %(now)s, supersedes_id, {own_values}
    FROM resolved WHERE problem IS NULL ORDER BY client_id COLLATE "C"
    ON CONFLICT (project_id, client_id) DO NOTHING
    RETURNING client_id, supersedes_id
), replaced AS (
    UPDATE labeling_{table} older SET superseded_at = %(now)s
    FROM stored WHERE older.id = stored.supersedes_id AND older.superseded_at IS NULL
), known AS (
    INSERT INTO labeling_respondent (project_id, respondent_hash, epsilon_spent, randomised_questions, right_count,
        wrong_count, created_at)
    SELECT DISTINCT %(project)s::bigint, said_by, 0, '{{}}'::bigint[], 0, 0, %(now)s::timestamptz
    FROM resolved WHERE said_by <> '' AND problem IS NULL AND NOT kind = ANY (%(implicit)s)
        AND NOT EXISTS (SELECT FROM labeling_respondent respondent
            WHERE respondent.project_id = %(project)s AND respondent.respondent_hash = said_by)
    ORDER BY said_by ON CONFLICT DO NOTHING
)
SELECT position, problem, stored.client_id IS NOT NULL
FROM resolved LEFT JOIN stored ON stored.client_id = resolved.client_id COLLATE "C" """

_STATEMENTS: Final = {
    (table, source): _RECORD.format(
        found_item=FOUND_ITEM,
        found_prediction=FOUND_PREDICTION,
        is_waiting=IS_WAITING,
        source=source,
        targets=TARGETS,
        table=table,
        own_columns=_OWN_COLUMNS[table],
        own_values=_OWN_VALUES[table],
    )
    for table in _OWN_COLUMNS
    for source in (_FROM_TABLE, _FROM_PARAMETER)
}

_encode: Final = msgspec.json.Encoder().encode


def record(
    table: Table,
    rows: Sequence[StagedFeedback],
    *,
    project_id: int,
    label_schema_id: int | None,
    implicit_kinds: Sequence[str],
    now: dt.datetime,
) -> list[Stored]:
    """Join the rows to what they are about and store those whose id is new; tell of each what became of it."""
    values: dict[str, prepared.Value] = {"project": project_id, "now": now, "implicit": list(implicit_kinds)}
    if table == "correction":
        values["schema"] = label_schema_id
    if len(rows) <= FEW_ROWS:
        values["rows"] = _as_json(rows)
        return [Stored(*row) for row in prepared.fetch(_STATEMENTS[table, _FROM_PARAMETER], values)]
    with connection.cursor() as cursor:
        cursor.execute(_STAGE)
        with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            copy.set_types(_COPY_TYPES)
            for row in rows:
                copy.write_row(
                    row._replace(
                        value=None if row.value is None else jsonb(row.value),
                        answer=None if row.answer is None else jsonb(row.answer),
                        context=jsonb(row.context),
                    )
                )
        cursor.execute(_STATEMENTS[table, _FROM_TABLE], values)
        return [Stored(*row) for row in cursor.fetchall()]


def _as_json(rows: Sequence[StagedFeedback]) -> str:
    return _encode(
        [
            {
                **row._asdict(),
                "value": None if row.value is None else msgspec.Raw(row.value),
                "answer": None if row.answer is None else msgspec.Raw(row.answer),
                "context": msgspec.Raw(row.context),
            }
            for row in rows
        ]
    ).decode()
