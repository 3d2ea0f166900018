"""Reads a statement's rows as one numpy record array.

The server joins the binary forms of all columns and rows to one value: sent row by row, each would cost the driver about five
microseconds.
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
# COPY's signature, flags and the length of the extension area, which PostgreSQL sends empty; the number of columns.
_HEADER_BYTES: Final = 11 + 8 + 2
_LENGTH_BYTES: Final = 4
_COUNT_BYTES: Final = 8


def read(statement: str, values: Mapping[str, object], columns: Columns) -> NDArray[np.void]:
    """The rows that the SELECT gives, in its order; a gigabyte of them at most, which is PostgreSQL's limit for a value.

    ValueError if a column is NULL or not of its width.
    """
    record, send = _record(tuple(columns.items()))
    names = ", ".join(f"column_{number}" for number in range(len(columns)))
    joined = f"SELECT count(*), string_agg({send}, '') FROM ({statement}) AS said ({names})"  # noqa: S608 - no value in it
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        # COPY takes no parameters of its own; and a cursor that keeps its statements takes none for COPY.
        cursor.copy(cursor.mogrify(f"COPY ({joined}) TO STDOUT (FORMAT binary)", values)) as copy,
    ):
        content = b"".join(copy)
    begin = _HEADER_BYTES + _LENGTH_BYTES + _COUNT_BYTES
    count = int.from_bytes(content[begin - _COUNT_BYTES : begin], "big")
    # Of no rows at all the joined value is NULL, whose length is -1.
    length = max(int.from_bytes(content[begin : begin + _LENGTH_BYTES], "big", signed=True), 0)
    if length != count * record.itemsize:
        raise ValueError("a value is NULL, or has another width than its column")
    return np.frombuffer(content, dtype=record, count=count, offset=begin + _LENGTH_BYTES)


@lru_cache(maxsize=64)
def _record(columns: tuple[tuple[str, str], ...]) -> tuple[np.dtype[np.void], str]:
    """A row as numpy sees it, and the expression that makes its bytes."""
    send = " || ".join(f"{_SENT_BY.get(kind, 'textsend')}(column_{number})" for number, (_, kind) in enumerate(columns))
    return np.dtype(list(columns)), send
