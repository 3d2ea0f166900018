"""Reads a statement's rows as one numpy record array.

The server joins the binary forms of all columns and of many rows to one value: sent row by row, each would cost the driver
about five microseconds. Not of all rows, for a value has a gigabyte at most.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

Columns = Mapping[str, str]
"""Name and numpy type of each column: `>i8` of a bigint, `>i2` of a smallint, `?` of a boolean, `>f8` of a double
precision, `S64` of a text of 64 ASCII characters."""

_SENT_BY: Final = {">i8": "int8send", ">i2": "int2send", "?": "boolsend", ">f8": "float8send"}
_PLACE: Final = "place_of_row"
MOST_BYTES: Final = 1 << 28
"""Of one joined value, far below PostgreSQL's limit; while one is enough, nothing is grouped on disk."""


def read(statement: str, values: Mapping[str, object], columns: Columns) -> NDArray[np.void]:
    """The rows that the SELECT gives, in its order. ValueError if a column is NULL or not of its width."""
    record, send = _record(tuple(columns.items()))
    names = ", ".join(f"column_{number}" for number in range(len(columns)))
    joined = (
        "SELECT count(*), string_agg(bytes || int8send(place), '') FROM ("  # noqa: S608 - no value in it
        f"SELECT {send} AS bytes, row_number() OVER () AS place FROM ({statement}) AS said ({names})) AS placed "
        "GROUP BY (place - 1) / %(most_in_a_block)s"
    )
    values = {**values, "most_in_a_block": max(MOST_BYTES // record.itemsize, 1)}
    blocks: list[bytes] = []
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        # COPY takes no parameters of its own; and a cursor that keeps its statements takes none for COPY.
        cursor.copy(cursor.mogrify(f"COPY ({joined}) TO STDOUT (FORMAT binary)", values)) as copy,
    ):
        copy.set_types(["int8", "bytea"])
        for count, block in copy.rows():
            # Of rows with a NULL alone the joined value is NULL.
            if len(block or b"") != count * record.itemsize:
                raise ValueError("a value is NULL, or has another width than its column")
            blocks.append(block)
    found = np.frombuffer(b"".join(blocks), dtype=record)
    places = found[_PLACE]
    # A plan may give blocks, and rows in them, in any order.
    if (places[1:] < places[:-1]).any():
        found = found[np.argsort(places, kind="stable")]
    return found[list(columns)]


@lru_cache(maxsize=64)
def _record(columns: tuple[tuple[str, str], ...]) -> tuple[np.dtype[np.void], str]:
    """A row as numpy sees it, with its place, and the expression that makes the bytes of its columns."""
    send = " || ".join(f"{_SENT_BY.get(kind, 'textsend')}(column_{number})" for number, (_, kind) in enumerate(columns))
    return np.dtype([*columns, (_PLACE, ">i8")]), send
