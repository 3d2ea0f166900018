"""Counting what is sent to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg


@contextmanager
def statements_counted() -> Iterator[list[object]]:
    """Everything sent to PostgreSQL meanwhile: also what goes past Django's own count."""
    statements: list[object] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: Any, query: object, *args: Any, **kwargs: Any) -> Any:
        statements.append(query)
        return execute(cursor, query, *args, **kwargs)  # type: ignore[call-overload]  # handed through

    with patch.object(psycopg.Cursor, "execute", counting):
        yield statements
