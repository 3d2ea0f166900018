"""Advisory locks: who works on a row now, known to PostgreSQL alone.

Such a lock ends with the session that took it, so a killed worker leaves none behind and no clock is needed to
tell a slow worker from a dead one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class LockKind(IntEnum):
    """Name spaces of the locked ids; the numbers are part of the protocol between running workers."""

    TRAINING_RUN = 1
    SNAPSHOT = 2
    IDEMPOTENT_REQUEST = 3
    ACCEPTANCE = 4
    IMPORT_JOB = 5
    FEATURES = 6
    SURROGATE = 7
    CONTROL_ARM = 8
    BELIEFS = 9
    EXAMINATION = 31
    GOLD = 32
    LABEL_CHECK = 33
    ASK_COUNTERS = 20
    ASKED_RESPONDENT = 21


def key_of(kind: LockKind, object_id: int) -> int:
    """What PostgreSQL knows the lock by, for statements that take it among other things; ids are below 2**48."""
    return (kind << 48) | object_id


@contextmanager
def held(kind: LockKind, object_id: int) -> Iterator[bool]:
    """Hold the lock for the block, if nobody else does; yields whether it was taken. Never waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key_of(kind, object_id)])
        taken = bool(cursor.fetchone()[0])
    try:
        yield taken
    finally:
        if taken and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key_of(kind, object_id)])


def hold_until_commit(kind: LockKind, object_id: int) -> None:
    """Wait for the lock and hold it until the current transaction ends: work on one object takes turns.

    What the holder before committed is visible to the next statement (at READ COMMITTED, which we use throughout).
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a lock until commit needs a transaction")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key_of(kind, object_id)])


def is_held(kind: LockKind, object_id: int) -> bool:
    """Whether any session holds the lock now."""
    with held(kind, object_id) as taken:
        return not taken
