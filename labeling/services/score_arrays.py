"""The SQL under the scores that trainers compute: arrays go by binary COPY into a temporary table and on from there.

Callers hold the transaction. Pool entries are locked in the order of item ids, as everybody does who locks several,
so that two writers never wait for each other in a circle.
"""

import datetime as dt
from typing import Final

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper
from numpy.typing import NDArray

from labeling.models import ModelVersion
from labeling.probability import STORED_DTYPE

CHUNK_ROWS: Final = 20_000

_BINARY_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_BINARY_COPY_TRAILER: Final = b"\xff\xff"

_STAGE_ARRAYS = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_array
    (item_id bigint, class_index smallint, confidence double precision, probabilities bytea) ON COMMIT DROP;
TRUNCATE staged_array"""

_STORE_ARRAYS = """
INSERT INTO labeling_prediction AS prediction
    (item_id, model_version_id, probabilities, predicted_class, confidence, respondent_hash, context, created_at)
SELECT item.id, %(version)s, staged.probabilities, (%(classes)s::text[])[staged.class_index + 1], staged.confidence,
       '', '{}', %(now)s
FROM staged_array staged JOIN labeling_item item ON item.id = staged.item_id AND item.project_id = %(project)s
ORDER BY item.id
ON CONFLICT (item_id, model_version_id) DO UPDATE SET
    probabilities = excluded.probabilities, predicted_class = excluded.predicted_class,
    answer = NULL, confidence = excluded.confidence, created_at = excluded.created_at"""

_SCORE_POOL_FROM_ARRAYS = """
WITH locked AS (
    SELECT entry.item_id, staged.probabilities
    FROM labeling_poolentry entry JOIN staged_array staged USING (item_id)
    WHERE entry.project_id = %(project)s ORDER BY entry.item_id FOR NO KEY UPDATE OF entry)
UPDATE labeling_poolentry entry
SET model_version_id = %(version)s, probabilities = locked.probabilities, scored_at = %(now)s
FROM locked WHERE entry.item_id = locked.item_id"""

_REFRESH_POOL = """
WITH locked AS (
    SELECT entry.item_id FROM labeling_poolentry entry
    WHERE entry.project_id = %(project)s ORDER BY entry.item_id FOR NO KEY UPDATE)
UPDATE labeling_poolentry entry
SET model_version_id = prediction.model_version_id, probabilities = prediction.probabilities,
    scored_at = CASE WHEN prediction.probabilities IS NOT NULL THEN %(now)s END
FROM locked LEFT JOIN labeling_prediction prediction
    ON prediction.item_id = locked.item_id AND prediction.model_version_id = %(version)s
WHERE entry.item_id = locked.item_id"""


def store(
    model_version: ModelVersion, item_ids: NDArray[np.int64], probabilities: NDArray[np.float32], now: dt.datetime
) -> int:
    """Upsert one chunk of predictions, and score the pool if the version is the champion."""
    values: dict[str, int | list[str] | dt.datetime] = {
        "project": model_version.project_id,
        "version": model_version.pk,
        "classes": model_version.classes,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_STAGE_ARRAYS)
        with connection.wrap_database_errors, cursor.copy("COPY staged_array FROM STDIN (FORMAT binary)") as copy:
            copy.write(_binary_copy(item_ids, probabilities))
        cursor.execute(_STORE_ARRAYS, values)
        stored: int = cursor.rowcount
        if model_version.is_champion:
            cursor.execute(_SCORE_POOL_FROM_ARRAYS, values)
    return stored


def refresh_pool(project_id: int, version_id: int, now: dt.datetime) -> int:
    """Give the whole pool the version's probabilities, or none where it made no prediction."""
    values: dict[str, int | dt.datetime] = {"project": project_id, "version": version_id, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH_POOL, values)
        cursor.execute(
            "SELECT count(*) FROM labeling_poolentry WHERE project_id = %(project)s AND model_version_id = %(version)s",
            values,
        )
        return _single_int(cursor)


def _binary_copy(item_ids: NDArray[np.int64], probabilities: NDArray[np.float32]) -> bytes:
    """All columns are of fixed width, so PostgreSQL's binary COPY format is one numpy record array."""
    n_classes = probabilities.shape[1]
    record = np.dtype(
        [
            ("fields", ">i2"),
            *[("item_id_size", ">i4"), ("item_id", ">i8")],
            *[("class_index_size", ">i4"), ("class_index", ">i2")],
            *[("confidence_size", ">i4"), ("confidence", ">f8")],
            *[("probabilities_size", ">i4"), ("probabilities", STORED_DTYPE, (n_classes,))],
        ]
    )
    rows = np.empty(len(item_ids), dtype=record)
    rows["fields"] = 4
    rows["item_id_size"], rows["item_id"] = 8, item_ids
    rows["class_index_size"], rows["class_index"] = 2, probabilities.argmax(axis=1)
    rows["confidence_size"], rows["confidence"] = 8, np.minimum(probabilities.max(axis=1), 1.0)
    rows["probabilities_size"], rows["probabilities"] = 4 * n_classes, probabilities
    return _BINARY_COPY_HEADER + rows.tobytes() + _BINARY_COPY_TRAILER


def _single_int(cursor: CursorWrapper) -> int:
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a count returns one row")
    return int(row[0])
