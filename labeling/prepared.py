"""Prepared statements, for the few queries that every request of an annotator begins or ends with.

To plan such a query takes PostgreSQL longer than to execute it. Django's own cursors send the values inside the text, so
they cannot prepare; hence a cursor of psycopg's, on the connection that Django has opened and checked. A connection whose
OPTIONS say `prepare_threshold: None`, as a pooler may need it, prepares nothing and works all the same.
"""

import datetime as dt
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from django.db import connection
from psycopg import RawCursor
from psycopg.types.numeric import Int8

Value: TypeAlias = "int | float | str | bool | dt.date | list[str] | None"

_BIGINT: Final = 2**63
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


def fetch(statement: str, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
    """Execute the statement, whose parameters stand as %(name)s, and return its rows.

    The text of the statement must not vary with the values: each text is prepared on its own.
    """
    text, names = _numbered(statement)
    parameters = [_typed(values[name]) for name in names]
    # What Django does for a cursor of its own, without making one.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors, RawCursor(connection.connection) as cursor:
        return cursor.execute(text, parameters, prepare=True).fetchall()


@lru_cache(maxsize=256)
def _numbered(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with $1, $2, ... as PostgreSQL takes it, and the names they stand for.

    psycopg would do this anew at every execution of a long statement.
    """
    names: dict[str, int] = {}
    text = _PARAMETER.sub(lambda match: f"${names.setdefault(match[1], len(names) + 1)}", statement)
    return text.encode(), tuple(names)


def _typed(value: Value) -> Value:
    """Integers always as bigint: psycopg chooses by size, and each choice would be prepared and planned on its own."""
    return Int8(value) if type(value) is int and -_BIGINT <= value < _BIGINT else value
