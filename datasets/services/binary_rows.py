"""Reads a statement's rows as one numpy record array: PostgreSQL's binary COPY format is one where every column has a fixed width."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

Columns = Mapping[str, str]
"""Name and numpy type of each column: `>i8` of a bigint, `>i2` of a smallint, `?` of a boolean, `>f8` of a double
precision, `S64` of a text of 64 ASCII characters."""

# The signature, flags and the length of the extension area, which PostgreSQL sends empty.
_HEADER_BYTES: Final = 11 + 8
_TRAILER_BYTES: Final = 2


def read(statement: str, values: Mapping[str, object], columns: Columns) -> NDArray[np.void]:
    """The rows that the SELECT gives. ValueError if a column is NULL or not of its width."""
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        # COPY takes no parameters of its own; and a cursor that keeps its statements takes none for COPY.
        cursor.copy(cursor.mogrify(f"COPY ({statement}) TO STDOUT (FORMAT binary)", values)) as copy,
    ):
        content = b"".join(copy)
    record = _record(tuple(columns.items()))
    length = len(content) - _HEADER_BYTES - _TRAILER_BYTES
    if length % record.itemsize:
        raise ValueError("a row has another width than its columns")
    rows = np.frombuffer(content, dtype=record, count=length // record.itemsize, offset=_HEADER_BYTES)
    for name in columns if len(rows) else ():
        if (rows[f"{name}_size"] != record[name].itemsize).any():
            raise ValueError(f"a value of {name} has another width than its column")
    return rows


@lru_cache(maxsize=64)
def _record(columns: tuple[tuple[str, str], ...]) -> np.dtype[np.void]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_size", ">i4"), (name, kind)]
    return np.dtype(fields)
