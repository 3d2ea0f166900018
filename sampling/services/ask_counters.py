"""Counters of asks in Redis: how many were made in a budget period, of which segments, and what the next one must be worth.

PostgreSQL is the truth: what is counted are the rows of asks. Redis only counts faster, and must never count too few. So
a counter that is gone, or that a restarted Redis read back from an old file, is no counter (`Missing`): nobody is asked
until it was rebuilt, under a lock that waits for every ask that is being made. See docs/adr/0011-ask-counters.md.
"""

import datetime as dt
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import redis
from django.conf import settings
from django.db import OperationalError, connection, transaction

from labeling.locks import LockKind, hold_until_commit
from sampling import pacing
from sampling.asking.policy import Policy

logger = logging.getLogger(__name__)

_SEGMENT: Final = "segment:"
_KEEP_SECONDS: Final = 2 * 86_400
"""A counter outlives its period by so long; without it one would have to be rebuilt, no more."""
_REBUILD_SECONDS: Final = 5
_LOCK_TIMEOUT: Final = "2s"

# A counter carries the run of the Redis server that it was made in. A server that restarted has another one.
_RUN: Final = """
local function run()
    local info = redis.pcall('INFO', 'server')
    return type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
end
"""

_READ: Final = (
    _RUN
    + """
local names = {'epoch', 'run', 'spent', 'price', 'moved', 'error'}
for index = 1, #ARGV do names[index + 6] = ARGV[index] end
local found = redis.call('HMGET', KEYS[1], unpack(names))
if not found[1] or found[2] ~= run() then return false end
return found"""
)

_RESERVE: Final = (
    _RUN
    + """
local found = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'spent', ARGV[2])
if not found[1] or found[2] ~= run() then return {'missing', ''} end
local allowed, quota = tonumber(ARGV[1]), tonumber(ARGV[3])
if allowed >= 0 and tonumber(found[3]) >= allowed then return {'budget', ''} end
if quota >= 0 and tonumber(found[4] or '0') >= quota then return {'quota', ''} end
redis.call('HINCRBY', KEYS[1], 'spent', 1)
if ARGV[2] ~= '' then redis.call('HINCRBY', KEYS[1], ARGV[2], 1) end
return {'reserved', found[1]}"""
)

_RELEASE: Final = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HINCRBY', KEYS[1], 'spent', -1)
if ARGV[2] ~= '' then redis.call('HINCRBY', KEYS[1], ARGV[2], -1) end
return 1"""

# Only the first of those who found the same price old moves it.
_MOVE_PRICE: Final = """
if redis.call('HGET', KEYS[1], 'moved') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'moved', ARGV[2], 'price', ARGV[3], 'error', ARGV[4])
return 1"""

_REBUILD: Final = (
    _RUN
    + """
local kept = redis.call('HMGET', KEYS[1], 'moved', 'price', 'error')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'run', run(), 'moved', kept[1] or ARGV[3], 'price', kept[2] or ARGV[4],
    'error', kept[3] or '0', unpack(ARGV, 5))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1"""
)

_COUNT: Final = """
SELECT segment, count(*) FROM labeling_ask
WHERE project_id = %s AND created_at >= %s AND created_at < %s GROUP BY segment"""

_LAST_PRICE: Final = """
SELECT (terms->'situation'->'spending'->>'price')::float8 FROM sampling_askdecision
WHERE project_id = %s AND created_at < %s ORDER BY created_at DESC LIMIT 1"""


class CountersDown(Exception):
    """Redis cannot be reached, or has lost the counter and it could not be rebuilt now."""


@dataclass(frozen=True)
class Window:
    """A budget period of a project."""

    project_id: int
    start: float
    seconds: int

    @property
    def key(self) -> str:
        return f"asks:{self.project_id}:{self.start:.0f}:{self.seconds}"

    def elapsed(self, now: dt.datetime) -> float:
        return now.timestamp() - self.start


def window_of(project_id: int, policy: Policy, *, anchor: float, now: dt.datetime) -> Window:
    """The period that `now` is in; periods follow each other from `anchor`, when the budget came in force."""
    seconds = policy.budget_period_seconds
    return Window(project_id, pacing.window_start(anchor=anchor, period_seconds=seconds, now=now.timestamp()), seconds)


@dataclass(frozen=True)
class Counts:
    """`segments` has those that were asked for."""

    spent: int
    price: float
    segments: Mapping[str, int]


@dataclass(frozen=True)
class Ticket:
    """A reserved ask. Released at most once, and only while the counter it was taken from lives."""

    window: Window
    epoch: str
    segment: str


Refused = Literal["budget", "quota", "missing"]


def read(
    window: Window, policy: Policy, segments: Sequence[str], *, now: dt.datetime, may_rebuild: bool = True
) -> Counts:
    """What was spent, and the price, moved if it was time. Rebuilds a counter that is missing, unless the caller holds
    the lock that a rebuild waits for. Raises CountersDown."""
    names = [_SEGMENT + segment for segment in segments]
    found = _call(_READ, window, *names)
    if not found and may_rebuild:
        rebuild_if_missing(window, now=now)
        found = _call(_READ, window, *names)
    if not found:
        raise CountersDown("the counter is missing")
    _, _, spent, price, moved, error, *counted = found
    counts = Counts(
        int(spent), float(price), {name: int(count or 0) for name, count in zip(segments, counted, strict=True)}
    )
    if policy.budget_asks is None:
        return Counts(counts.spent, 0.0, counts.segments)
    since = now.timestamp() - float(moved)
    if since < pacing.PRICE_SECONDS:
        return counts
    overspend = pacing.overspend(
        budget=policy.budget_asks or 1,
        spent=counts.spent,
        elapsed_seconds=window.elapsed(now),
        period_seconds=window.seconds,
    )
    price_now = pacing.next_price(counts.price, error=overspend, last_error=float(error), seconds=since)
    _call(_MOVE_PRICE, window, moved, repr(now.timestamp()), repr(price_now), repr(overspend))
    return Counts(counts.spent, price_now, counts.segments)


def recent(window: Window, policy: Policy, segments: Sequence[str], *, now: dt.datetime) -> Counts:
    """`read`, as of at most ASK_COUNTS_SECONDS ago: most requests end with a no, whose counts need not be of this moment."""
    known = _recent.get(window.key)
    at = now.timestamp()
    if known is not None and 0 <= at - known[0] < settings.ASK_COUNTS_SECONDS:
        counts = known[1]
        if set(segments) <= counts.segments.keys():
            return counts
    counts = read(window, policy, segments, now=now)
    if len(_recent) >= _MOST_WINDOWS:
        _recent.clear()
    _recent[window.key] = at, counts
    return counts


def reserve(window: Window, policy: Policy, segment: str, *, now: dt.datetime) -> Ticket | Refused:
    """Count one ask, if budget, pace and quota admit it; atomic. Raises CountersDown.

    The caller holds the project's lock of counters, shared, and keeps it until the ask is committed: so a rebuild
    either waits for the ask, or was over before.
    """
    allowed = -1
    if policy.budget_asks is not None:
        allowed = pacing.allowed(
            budget=policy.budget_asks, elapsed_seconds=window.elapsed(now), period_seconds=window.seconds
        )
    quota = policy.segment_quotas.get(segment, -1) if segment else -1
    name = _SEGMENT + segment if segment else ""
    status, epoch = (part.decode() for part in _call(_RESERVE, window, allowed, name, quota))
    if status == "reserved":
        return Ticket(window, epoch, segment)
    return "budget" if status == "budget" else "quota" if status == "quota" else "missing"


def release(ticket: Ticket) -> None:
    """Give back what a failed transaction had reserved. With Redis down it stays counted: too few asks, not too many."""
    name = _SEGMENT + ticket.segment if ticket.segment else ""
    try:
        _call(_RELEASE, ticket.window, ticket.epoch, name)
    except CountersDown:
        logger.warning("a reserved ask of project %s could not be given back", ticket.window.project_id)


def rebuild_if_missing(window: Window, *, now: dt.datetime) -> None:
    """Let one of those who miss the counter rebuild it. Raises CountersDown where that is not possible now."""
    try:
        is_first = _client().set(f"{window.key}:rebuild", 1, nx=True, ex=_REBUILD_SECONDS)
    except redis.RedisError as error:
        raise _down(error) from error
    if not is_first:
        raise CountersDown("somebody else rebuilds the counter")
    try:
        rebuild(window, now=now)
    except OperationalError as error:
        raise CountersDown("asks in flight could not be waited for") from error
    finally:
        try:
            _client().delete(f"{window.key}:rebuild")
        except redis.RedisError:
            logger.warning("the mark of a rebuild stays for %s seconds", _REBUILD_SECONDS)


@transaction.atomic
def rebuild(window: Window, *, now: dt.datetime) -> None:
    """Count the asks in PostgreSQL and set the counter to that. Waits until no ask is being made.

    Takes the project's lock of counters, exclusive, until commit. A price that is there is kept; else it is the last
    one in the log. Safe to run twice. Raises CountersDown, or OperationalError after two seconds of waiting.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
        hold_until_commit(LockKind.ASK_COUNTERS, window.project_id)
        start = dt.datetime.fromtimestamp(window.start, dt.UTC)
        cursor.execute(_COUNT, [window.project_id, start, start + dt.timedelta(seconds=window.seconds)])
        by_segment = dict(cursor.fetchall())
        cursor.execute(_LAST_PRICE, [window.project_id, now])
        last = cursor.fetchone()
    fields: list[str | int] = ["spent", sum(by_segment.values())]
    for segment, count in by_segment.items():
        if segment:
            fields += [_SEGMENT + segment, count]
    price = last[0] if last and last[0] is not None else 0.0
    _call(
        _REBUILD,
        window,
        secrets.token_hex(8),
        window.seconds + _KEEP_SECONDS,
        repr(now.timestamp()),
        repr(price),
        *fields,
    )


def _call(script: str, window: Window, *arguments: Any) -> Any:
    """Run a script on the window's counter."""
    if time.monotonic() < _pause.until:
        raise CountersDown("Redis could not be reached a moment ago")
    try:
        return _evaluate(script, window.key, arguments)
    except redis.RedisError as error:
        raise _down(error) from error


def _evaluate(script: str, key: str, arguments: Sequence[Any]) -> Any:
    """As redis.commands.core.Script does, on the thread's connection and without the layers between: half the time.

    A connection that broke is made anew by the next call; nothing is sent twice, for a reservation must not count twice.
    """
    digest = _digest(script)
    line = _connection()
    line.send_command("EVALSHA", digest, 1, key, *arguments)
    try:
        return line.read_response()
    except redis.exceptions.NoScriptError:
        line.send_command("EVAL", script, 1, key, *arguments)
        return line.read_response()


@cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _down(error: redis.RedisError) -> CountersDown:
    # So that a Redis that hangs does not hold up every request for as long as one waits for it.
    _pause.until = time.monotonic() + settings.ASK_REDIS_PAUSE_SECONDS
    logger.warning("the counters of asks cannot be reached, nobody is asked: %s", error)
    return CountersDown(str(error))


class _Pause:
    until = 0.0


_MOST_WINDOWS: Final = 10_000
_recent: Final[dict[str, tuple[float, Counts]]] = {}


class _PerThread(threading.local):
    """A client with one connection for each thread."""

    client: "redis.Redis | None" = None


_pause: Final = _Pause()
_thread: Final = _PerThread()


def _client() -> "redis.Redis":
    """The thread's client. It connects at once, so with Redis down this raises."""
    if _thread.client is None:
        _thread.client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=settings.ASK_REDIS_SECONDS,
            socket_connect_timeout=settings.ASK_REDIS_SECONDS,
            single_connection_client=True,
        )
    return _thread.client


def _connection() -> Any:
    return _client().connection


def forget_connection() -> None:
    """Let this thread connect anew."""
    _thread.client, _pause.until = None, 0.0
