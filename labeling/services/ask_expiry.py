"""Asks whose time is over."""

import datetime as dt
from typing import Final

from django.db import connection

_BATCH: Final = 10_000
_EXPIRE: Final = """
UPDATE labeling_ask SET state = 'expired' WHERE id IN (
    SELECT id FROM labeling_ask WHERE state IN ('offered', 'shown') AND expires_at <= %s
    ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED) AND state IN ('offered', 'shown')"""


def expire_asks(*, now: dt.datetime) -> int:
    """End the asks that nobody answered in time, those that are being answered right now excepted. Safe to run twice."""
    expired, in_batch = 0, _BATCH
    while in_batch == _BATCH:
        with connection.cursor() as cursor:
            cursor.execute(_EXPIRE, [now, _BATCH])
            in_batch = int(cursor.rowcount)
        expired += in_batch
    return expired
