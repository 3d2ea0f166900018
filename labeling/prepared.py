"""Prepared statements, for the few queries that every request of an annotator begins or ends with.

To plan such a query takes PostgreSQL longer than to execute it. Django's own cursors send the values inside the text, so
they cannot prepare; hence a cursor of psycopg's, on the connection that Django has opened and checked. A connection whose
OPTIONS say `prepare_threshold: None`, as a pooler may need it, prepares nothing and works all the same.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

from django.db import connection
from psycopg import Cursor

Value: TypeAlias = "int | str | bool | dt.date | list[str] | None"


def fetch(statement: str, values: Mapping[str, Value]) -> list[tuple[Any, ...]]:
    """Execute the statement, whose parameters stand as %(name)s, and return its rows.

    The text of the statement must not vary with the values: each text is prepared on its own.
    """
    with connection.cursor() as checked, connection.wrap_database_errors, Cursor(checked.connection) as cursor:
        return cursor.execute(statement, values, prepare=True).fetchall()
