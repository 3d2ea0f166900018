"""The SQL under feedback: rows are joined to what they are about and stored, all of a batch in one statement.

A few rows travel as one JSON parameter of a prepared statement, many by COPY through a temporary table; from there on
they go the same way. Callers hold the transaction. Rows are stored in the order of their ids by everybody, so two
senders of the same rows never wait for each other in a circle.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec
from django.db import connection

from labeling import prepared
from labeling.services.bulk import jsonb

FEW_ROWS: Final = 50
"""Up to so many rows one statement with a parameter is faster than a temporary table."""

Table = Literal["feedback", "correction"]
Target = Literal["asked", "named", "requested", "keyed", "predicted"]


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
_JOINS: Final[dict[Target, str]] = {
    "asked": """
        SELECT ask.id, ask.item_id, ask.prediction_id, ask.question_version_id, ask.respondent_hash, ask.is_blind,
            version.epsilon IS NOT NULL AS is_private
        FROM labeling_ask ask JOIN labeling_questionversion version ON version.id = ask.question_version_id
        WHERE ask.id = staged.ask_id AND ask.project_id = %(project)s LIMIT 1""",
    "named": """
        SELECT prediction.id, prediction.item_id
        FROM labeling_prediction prediction JOIN labeling_item item ON item.id = prediction.item_id
        WHERE prediction.id = staged.prediction_id AND item.project_id = %(project)s LIMIT 1""",
    "requested": """
        SELECT prediction.id, prediction.item_id
        FROM labeling_prediction prediction JOIN labeling_item item ON item.id = prediction.item_id
        WHERE staged.request_id <> '' AND left(prediction.context ->> 'request_id', 200) = staged.request_id
            AND prediction.context ? 'request_id' AND item.project_id = %(project)s
        ORDER BY prediction.context -> 'position' IS NOT DISTINCT FROM staged.context -> 'position' DESC,
            prediction.id DESC LIMIT 1""",
    "keyed": """
        SELECT item.id FROM labeling_item item
        WHERE staged.item_key <> '' AND item.project_id = %(project)s AND item.key = staged.item_key LIMIT 1""",
    "predicted": """
        SELECT prediction.id
        FROM labeling_modelversion version JOIN labeling_prediction prediction
            ON prediction.model_version_id = version.id AND prediction.item_id = keyed.id
        WHERE staged.model_version_name <> '' AND version.project_id = %(project)s
            AND version.name = staged.model_version_name LIMIT 1""",
}
_NOTHING: Final[dict[Target, str]] = {
    "asked": "SELECT NULL::bigint AS id, NULL::bigint AS item_id, NULL::bigint AS prediction_id, "
    "NULL::bigint AS question_version_id, NULL AS respondent_hash, NULL::bool AS is_blind, NULL::bool AS is_private",
    "named": "SELECT NULL::bigint AS id, NULL::bigint AS item_id",
    "requested": "SELECT NULL::bigint AS id, NULL::bigint AS item_id",
    "keyed": "SELECT NULL::bigint AS id",
    "predicted": "SELECT NULL::bigint AS id",
}


def _targets(wanted: Collection[Target]) -> str:
    """The joins to what rows name; of what no row names, nothing is looked for."""
    return "".join(
        f"LEFT JOIN LATERAL ({join if target in wanted else _NOTHING[target]}) {target} ON true\n"
        for target, join in _JOINS.items()
    )


TARGETS: Final = _targets(_JOINS)
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
    INSERT INTO labeling_respondent (project_id, respondent_hash, epsilon_spent, right_count, wrong_count,
        created_at)
    SELECT DISTINCT %(project)s::bigint, said_by, 0, 0, 0, %(now)s::timestamptz
    FROM resolved WHERE said_by <> '' AND problem IS NULL AND NOT kind = ANY (%(implicit)s)
        AND NOT EXISTS (SELECT FROM labeling_respondent respondent
            WHERE respondent.project_id = %(project)s AND respondent.respondent_hash = said_by)
    ORDER BY said_by ON CONFLICT DO NOTHING
)
SELECT position, problem, stored.client_id IS NOT NULL
FROM resolved LEFT JOIN stored ON stored.client_id = resolved.client_id COLLATE "C" """


@lru_cache(maxsize=128)
def _statement(table: Table, source: str, wanted: frozenset[Target]) -> str:
    return _RECORD.format(
        found_item=FOUND_ITEM,
        found_prediction=FOUND_PREDICTION,
        is_waiting=IS_WAITING,
        source=source,
        targets=_targets(wanted),
        table=table,
        own_columns=_OWN_COLUMNS[table],
        own_values=_OWN_VALUES[table],
    )


def _named_by(rows: Sequence[StagedFeedback]) -> frozenset[Target]:
    """What any of the rows names."""
    wanted: set[Target] = set()
    for row in rows:
        if row.request_id:
            wanted.add("requested")
        elif row.item_key:
            wanted.add("keyed")
            if row.model_version_name:
                wanted.add("predicted")
        elif row.ask_id is not None:
            wanted.add("asked")
        elif row.prediction_id is not None:
            wanted.add("named")
    return frozenset(wanted)


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
        return [Stored(*row) for row in prepared.fetch(_statement(table, _FROM_PARAMETER, _named_by(rows)), values)]
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
        cursor.execute(_statement(table, _FROM_TABLE, _named_by(rows)), values)
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
