"""New rows of a model by COPY: several times faster than INSERT where there are thousands. Triggers run as ever."""

from collections.abc import Sequence
from typing import Final

import msgspec
from django.db import connection, models

_encode: Final = msgspec.json.Encoder().encode


def draw_ids(instances: Sequence[models.Model]) -> None:
    """Give the instances their primary keys, rising in their order."""
    if not instances:
        return
    table = connection.ops.quote_name(instances[0]._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, len(instances)]
        )
        for instance, (drawn,) in zip(instances, cursor.fetchall(), strict=True):
            instance.pk = drawn


def insert(instances: Sequence[models.Model]) -> None:
    """Store instances of one model that have their primary keys. The caller holds the transaction."""
    if not instances:
        return
    meta = instances[0]._meta
    fields = meta.concrete_fields
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {quote(meta.db_table)} ({columns}) FROM STDIN") as copy,
    ):
        names = [(field.attname, isinstance(field, models.JSONField)) for field in fields]
        for instance in instances:
            copy.write_row(
                [
                    _encode(value).decode() if is_json and value is not None else value
                    for value, is_json in ((getattr(instance, name), is_json) for name, is_json in names)
                ]
            )
