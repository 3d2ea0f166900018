"""Whether the engines answer and the background work runs."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import redis
from django.db import DatabaseError, InterfaceError, connection

from labeling.redis_client import redis_client

STALE_AFTER: Final = dt.timedelta(seconds=35)
"""Three missed beats and a little."""

_HEARTBEAT_KEY: Final = "heartbeat"


@dataclass(frozen=True)
class Part:
    """One thing the service needs. `latency_ms` is of the answer now, `age_seconds` of the last sign of life."""

    is_up: bool
    latency_ms: float | None = None
    age_seconds: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Health:
    postgres: Part
    redis: Part
    worker: Part
    """Worker and schedule together: the schedule sent the last heartbeat and the worker ran it."""

    @property
    def is_up(self) -> bool:
        return self.postgres.is_up and self.redis.is_up and self.worker.is_up


def beat(*, now: dt.datetime) -> None:
    """Leave a sign of life; the worker runs this every ten seconds because the schedule says so."""
    redis_client().set(_HEARTBEAT_KEY, now.timestamp())


def check(*, now: dt.datetime) -> Health:
    return Health(postgres=_timed(_ask_postgres), redis=_timed(_ask_redis), worker=_worker(now))


def _timed(ask: Callable[[], None]) -> Part:
    start = time.perf_counter()
    try:
        ask()
    except (DatabaseError, InterfaceError, redis.RedisError) as error:
        return Part(is_up=False, message=type(error).__name__)  # its text may name hosts and users
    return Part(is_up=True, latency_ms=round((time.perf_counter() - start) * 1000, 3))


def _ask_postgres() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_redis() -> None:
    redis_client().ping()


def _worker(now: dt.datetime) -> Part:
    try:
        stamp = redis_client().get(_HEARTBEAT_KEY)
    except redis.RedisError:
        return Part(is_up=False, message="unknown: its heartbeat is kept in Redis")
    if stamp is None:
        return Part(is_up=False, message="no heartbeat yet: start a Celery worker with beat")
    age = now.timestamp() - float(stamp)
    if age > STALE_AFTER.total_seconds():
        return Part(is_up=False, age_seconds=round(age, 1), message="the last heartbeat is old")
    return Part(is_up=True, age_seconds=round(max(age, 0.0), 1))
