"""Reads the pool a block at a time: PostgreSQL's binary COPY format is, with care, a numpy record array."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from psycopg import sql
from psycopg.abc import Buffer

from labeling.models import ModelVersion
from labeling.probability import STORED_DTYPE
from labeling.splitting import AUDIT_RESERVE_END

# The signature, flags and the length of the extension area, which PostgreSQL sends empty.
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
# Large enough to make the work per block in Python negligible, small enough to stay a few megabytes.
_BYTES_PER_BLOCK: Final = 1 << 22

# An entry that the champion did not score is sent as NaN of the same width, so that all records have one size and one
# statement, hence one view of the data, gives the whole pool.
_SCORED_POOL = sql.SQL("""
COPY (SELECT item_id, bucket,
        CASE WHEN model_version_id = {version} AND octet_length(probabilities) = {width} THEN probabilities ELSE {nothing} END
    FROM labeling_poolentry WHERE project_id = {project} AND state = 0) TO STDOUT (FORMAT binary)""")
_UNSCORED_POOL = sql.SQL("""
COPY (SELECT item_id, bucket FROM labeling_poolentry WHERE project_id = {project} AND state = 0)
TO STDOUT (FORMAT binary)""")


@dataclass(frozen=True, slots=True, eq=False)
class PoolBlock:
    """Some available items, in no particular order.

    item_ids
        Shape (n,), int64.
    in_reserve
        Shape (n,), True for items of the audit reserve.
    probabilities
        Shape (n, C), float32, in the order of the model version's classes; rows of NaN where it made no prediction.
        C = 0 without a model version.
    """

    item_ids: NDArray[np.int64]
    in_reserve: NDArray[np.bool_]
    probabilities: NDArray[np.float32]


def blocks(project_id: int, model_version: ModelVersion | None) -> Iterator[PoolBlock]:
    """Yield the available items of the project, with what the version says of them.

    One statement, so one consistent view. Memory is a few blocks, whatever the size of the pool. Raises ValueError
    when the server sends something else than the records asked for.
    """
    n_classes = len(model_version.classes) if model_version else 0
    record = _record(n_classes)
    statement = _statement(project_id, model_version, n_classes)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        pieces = _pieces(copy, max(1, _BYTES_PER_BLOCK // record.itemsize))
        unread = _without_header(next(pieces, b""))
        for piece in pieces:
            # Messages are whole records today, but the format does not promise it.
            count = len(unread) // record.itemsize
            yield _block(unread[: count * record.itemsize], record, n_classes)
            unread = unread[count * record.itemsize :] + piece
        if not unread.endswith(_TRAILER):
            raise ValueError("the pool was not read to its end")
        yield _block(unread.removesuffix(_TRAILER), record, n_classes)


def _pieces(copy: Iterable[Buffer], count: int) -> Iterator[bytes]:
    """Join every `count` messages. Each is copied as it comes: kept, a million of them keep the garbage collector busy."""
    messages = iter(copy)
    while True:
        piece = BytesIO()
        piece.writelines(islice(messages, count))
        if not piece.tell():
            return
        yield piece.getvalue()


def _record(n_classes: int) -> np.dtype[np.void]:
    """One tuple of the format: the number of columns, then for each its length in bytes and its value."""
    columns = [
        *[("columns", ">i2"), ("item_id_bytes", ">i4"), ("item_id", ">i8")],
        *[("bucket_bytes", ">i4"), ("bucket", ">i2")],
    ]
    if not n_classes:
        return np.dtype(columns)
    return np.dtype([*columns, ("probabilities_bytes", ">i4"), ("probabilities", STORED_DTYPE, (n_classes,))])


def _statement(project_id: int, model_version: ModelVersion | None, n_classes: int) -> sql.Composed:
    if model_version is None:
        return _UNSCORED_POOL.format(project=project_id)
    nothing = np.full(n_classes, np.nan, dtype=STORED_DTYPE).tobytes()
    return _SCORED_POOL.format(version=model_version.pk, width=len(nothing), nothing=nothing, project=project_id)


def _without_header(data: bytes) -> bytes:
    if not data.startswith(_HEADER):
        raise ValueError("this is not PostgreSQL's binary COPY format")
    return data[len(_HEADER) :]


def _block(data: bytes, record: np.dtype[np.void], n_classes: int) -> PoolBlock:
    if len(data) % record.itemsize:
        raise ValueError(f"{len(data)} bytes are not a whole number of records of {record.itemsize} bytes")
    rows = np.frombuffer(data, dtype=record)
    expected = {"columns": 3 if n_classes else 2, "item_id_bytes": 8, "bucket_bytes": 2}
    if n_classes:
        expected["probabilities_bytes"] = STORED_DTYPE.itemsize * n_classes
    for field, value in expected.items():
        if (rows[field] != value).any():
            raise ValueError(f"a record of the pool does not have {field} = {value}")
    probabilities = rows["probabilities"] if n_classes else np.empty((len(rows), 0))
    return PoolBlock(
        item_ids=rows["item_id"].astype(np.int64),
        in_reserve=rows["bucket"] < AUDIT_RESERVE_END,
        probabilities=probabilities.astype(np.float32, copy=False),
    )
