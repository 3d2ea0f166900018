"""Reads the pool a block at a time: PostgreSQL's binary COPY format is, with care, a numpy record array."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice, pairwise
from typing import Any, Final

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray
from psycopg import sql
from psycopg.abc import Buffer

from labeling.models import EmbeddingSpace, ModelVersion
from labeling.probability import STORED_DTYPE
from labeling.splitting import AUDIT_RESERVE_END
from sampling.batch_rules.tallies import IDS_A_BLOCK

# The signature, flags and the length of the extension area, which PostgreSQL sends empty.
_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
# Large enough to make the work per block in Python negligible, small enough to stay a few megabytes.
_BYTES_PER_BLOCK: Final = 1 << 22
_IDS_A_PIECE: Final = 65_536
_BEYOND: Final = 2**63 - 1

# A row without a value is sent as NaN of the same width, so that all records have one size and one statement, hence one
# view of the data, gives the whole pool.
_POOL = sql.SQL("COPY (SELECT p.item_id, p.bucket{stratum}{value} FROM {rows}{join}) TO STDOUT (FORMAT binary)")
_VALUE = sql.SQL(", CASE WHEN {is_known} AND octet_length({column}) = {width} THEN {column} ELSE {nothing} END")
_NONE: Final = sql.SQL("")
_BIT16: Final = np.dtype("<f2")


@dataclass(frozen=True, slots=True)
class IdRange:
    """Item ids from `first` up to, not including, `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Strata:
    """Items by the value of a segment: one stratum for each of the values, in their order, and the last for all others."""

    segment: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which items are read, as a relation named p; `joins_predictions`: their predictions are in another table."""

    relation: sql.Composable
    joins_predictions: bool = False
    has_strata: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """What is read of every item: `width` numbers of the type."""

    dtype: np.dtype[np.floating]
    width: int
    is_known: sql.Composable
    expression: sql.Composable
    join: sql.Composable | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PoolBlock:
    """Some items, in no particular order.

    item_ids
        Shape (n,), int64.
    in_reserve
        Shape (n,), True for items of the audit reserve.
    values
        Shape (n, width), float32 or float16; rows of NaN where there is nothing. Width 0 without a column.
    strata
        Shape (n,), the number of each item's stratum; None where the rows have none.
    """

    item_ids: NDArray[np.int64]
    in_reserve: NDArray[np.bool_]
    values: NDArray[np.floating]
    strata: NDArray[np.int64] | None = None


def available(project_id: int, within: IdRange | None = None, strata: Strata | None = None) -> Rows:
    """The items that may be drawn now."""
    limits = sql.SQL(" AND e.item_id >= {} AND e.item_id < {}").format(within.first, within.end) if within else _NONE
    relation = sql.SQL(
        "(SELECT e.*{stratum} FROM labeling_poolentry e{join} WHERE e.project_id = {project} AND e.state = 0{limits}) p"
    ).format(
        stratum=_stratum(strata) if strata else _NONE,
        join=sql.SQL(" JOIN labeling_item i ON i.id = e.item_id") if strata else _NONE,
        project=project_id,
        limits=limits,
    )
    return Rows(relation, has_strata=strata is not None)


@contextmanager
def recorded(item_ids: NDArray[np.int64], strata: Strata | None = None) -> Iterator[Rows]:
    """These items, whatever their state, while the block lasts; those deleted since are left out."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE replayed_pool (item_id bigint) ON COMMIT DROP")
        with cursor.copy("COPY replayed_pool FROM STDIN") as copy:
            for begin in range(0, len(item_ids), _IDS_A_PIECE):
                piece = item_ids[begin : begin + _IDS_A_PIECE].tolist()
                copy.write("\n".join(map(str, piece)) + "\n")
        cursor.execute("ANALYZE replayed_pool")
        relation = sql.SQL(
            "(SELECT i.id AS item_id, i.bucket{} FROM replayed_pool JOIN labeling_item i ON i.id = item_id) p"
        ).format(_stratum(strata) if strata else _NONE)
        yield Rows(relation, joins_predictions=True, has_strata=strata is not None)
        cursor.execute("DROP TABLE replayed_pool")


def _stratum(strata: Strata) -> sql.Composed:
    place = sql.SQL(
        ", coalesce(array_position({values}::text[], i.segments ->> {segment}) - 1, {rest})::smallint AS stratum"
    )
    return place.format(values=list(strata.values), segment=strata.segment, rest=len(strata.values))


def probabilities(version: ModelVersion, rows: Rows) -> Column:
    """What the model version says of the items, in the order of its classes."""
    if not rows.joins_predictions:
        is_known = sql.SQL("p.model_version_id = {}").format(version.pk)
        return Column(STORED_DTYPE, len(version.classes), is_known, sql.SQL("p.probabilities"))
    join = sql.SQL(" LEFT JOIN labeling_prediction q ON q.item_id = p.item_id AND q.model_version_id = {}").format(
        version.pk
    )
    return Column(STORED_DTYPE, len(version.classes), sql.SQL("true"), sql.SQL("q.probabilities"), join)


def vectors(space: EmbeddingSpace) -> Column:
    """The items' vectors in the space."""
    join = sql.SQL(" LEFT JOIN labeling_embedding e ON e.item_id = p.item_id AND e.space_id = {}").format(space.pk)
    return Column(_BIT16, space.width, sql.SQL("true"), sql.SQL("e.vector"), join)


def blocks(rows: Rows, column: Column | None) -> Iterator[PoolBlock]:
    """Yield the items with what the column holds of them.

    One statement, so one consistent view. Memory is a few blocks, whatever the size of the pool. Raises ValueError
    when the server sends something else than the records asked for.
    """
    record = _record(rows, column)
    statement = _statement(rows, column)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        pieces = _pieces(copy, max(1, _BYTES_PER_BLOCK // record.itemsize))
        unread = _without_header(next(pieces, b""))
        for piece in pieces:
            # Messages are whole records today, but the format does not promise it.
            count = len(unread) // record.itemsize
            yield _block(unread[: count * record.itemsize], record, rows, column)
            unread = unread[count * record.itemsize :] + piece
        if not unread.endswith(_TRAILER):
            raise ValueError("the pool was not read to its end")
        yield _block(unread.removesuffix(_TRAILER), record, rows, column)


def ranges(project_id: int, *, items_a_range: int) -> list[IdRange]:
    """Cut the available items into ranges of ids of about that many items: whole blocks of ids, in order.

    One range where the project's ids span no more than that, without counting. The ranges cover all ids, so items that
    become available meanwhile belong to one of them as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(item_id), max(item_id) FROM labeling_poolentry WHERE project_id = %s AND state = 0",
            [project_id],
        )
        smallest, largest = cursor.fetchone()
        if smallest is None or largest - smallest < items_a_range:
            return [IdRange(0, _BEYOND)]
        cursor.execute(
            "SELECT item_id / %s, count(*) FROM labeling_poolentry WHERE project_id = %s AND state = 0 GROUP BY 1"
            " ORDER BY 1",
            [IDS_A_BLOCK, project_id],
        )
        counts: list[tuple[int, int]] = cursor.fetchall()
    begins, filled = [0], 0
    for block, count in counts:
        if filled and filled + count > items_a_range:
            begins.append(block * IDS_A_BLOCK)
            filled = 0
        filled += count
    return [IdRange(begin, end) for begin, end in pairwise([*begins, _BEYOND])]


def _pieces(copy: Iterable[Buffer], count: int) -> Iterator[bytes]:
    """Join every `count` messages. Each is copied as it comes: kept, a million of them keep the garbage collector busy."""
    messages = iter(copy)
    while True:
        piece = BytesIO()
        piece.writelines(islice(messages, count))
        if not piece.tell():
            return
        yield piece.getvalue()


def _record(rows: Rows, column: Column | None) -> np.dtype[np.void]:
    """One tuple of the format: the number of columns, then for each its length in bytes and its value."""
    fields: list[Any] = [
        *[("columns", ">i2"), ("item_id_bytes", ">i4"), ("item_id", ">i8")],
        *[("bucket_bytes", ">i4"), ("bucket", ">i2")],
    ]
    if rows.has_strata:
        fields += [("stratum_bytes", ">i4"), ("stratum", ">i2")]
    if column is not None:
        fields += [("value_bytes", ">i4"), ("value", column.dtype, (column.width,))]
    return np.dtype(fields)


def _statement(rows: Rows, column: Column | None) -> sql.Composed:
    stratum = sql.SQL(", p.stratum") if rows.has_strata else _NONE
    if column is None:
        return _POOL.format(stratum=stratum, value=_NONE, rows=rows.relation, join=_NONE)
    nothing = np.full(column.width, np.nan, dtype=column.dtype).tobytes()
    value = _VALUE.format(is_known=column.is_known, column=column.expression, width=len(nothing), nothing=nothing)
    return _POOL.format(stratum=stratum, value=value, rows=rows.relation, join=column.join or _NONE)


def _without_header(data: bytes) -> bytes:
    if not data.startswith(_HEADER):
        raise ValueError("this is not PostgreSQL's binary COPY format")
    return data[len(_HEADER) :]


def _block(data: bytes, record: np.dtype[np.void], source: Rows, column: Column | None) -> PoolBlock:
    if len(data) % record.itemsize:
        raise ValueError(f"{len(data)} bytes are not a whole number of records of {record.itemsize} bytes")
    rows = np.frombuffer(data, dtype=record)
    expected = {"columns": 2 + source.has_strata + (column is not None), "item_id_bytes": 8, "bucket_bytes": 2}
    if source.has_strata:
        expected["stratum_bytes"] = 2
    if column is not None:
        expected["value_bytes"] = column.dtype.itemsize * column.width
    for field, value in expected.items():
        if (rows[field] != value).any():
            raise ValueError(f"a record of the pool does not have {field} = {value}")
    values: NDArray[np.floating] = np.empty((len(rows), 0), dtype=np.float32) if column is None else rows["value"]
    return PoolBlock(
        item_ids=rows["item_id"].astype(np.int64),
        in_reserve=rows["bucket"] < AUDIT_RESERVE_END,
        values=values.astype(values.dtype.newbyteorder("="), copy=False),
        strata=rows["stratum"].astype(np.int64) if source.has_strata else None,
    )
