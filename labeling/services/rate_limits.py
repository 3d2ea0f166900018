"""How much browsers may send: token buckets in Redis, all of a request looked at and charged by one script."""

import datetime as dt
import hashlib
import ipaddress
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import redis
from django.conf import settings
from redis.commands.core import Script

from labeling.errors import RateLimited, Unavailable
from labeling.redis_client import redis_client

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bucket:
    """Holds `burst` at most and is refilled by `rate` a second."""

    name: str
    rate: float
    burst: float


PER_KEY: Final = (100.0, 200.0)
PER_ADDRESS: Final = (10.0, 60.0)
PER_PROJECT: Final = (1_000.0, 2_000.0)
_IPV6_PREFIX: Final = 64
"""What one household or phone gets; within it an address is changed at will."""

# All buckets are charged, or none is: a request refused by one of them costs nothing in the others. Redis keeps the clock.
_TAKE: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local cost, wait = tonumber(ARGV[1]), 0
local levels = {}
for place, name in ipairs(KEYS) do
    local rate, burst = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
    local bucket = redis.call('HMGET', name, 'level', 'at')
    local level, at = tonumber(bucket[1]) or burst, tonumber(bucket[2]) or now
    level = math.min(burst, level + math.max(0, now - at) * rate)
    levels[place] = level
    if level < cost then wait = math.max(wait, (cost - level) / rate) end
end
if wait > 0 then return tostring(wait) end
for place, name in ipairs(KEYS) do
    local rate, burst = tonumber(ARGV[2 * place]), tonumber(ARGV[2 * place + 1])
    redis.call('HSET', name, 'level', tostring(levels[place] - cost), 'at', string.format('%.6f', now))
    redis.call('EXPIRE', name, math.ceil(burst / rate) + 1)
end
return '0'"""


def check_browser(*, key_id: int, project_id: int, address: str, cost: int = 1, now: dt.datetime) -> None:
    """Charge a request by a publishable key. Raises RateLimited, and Unavailable while Redis is down: nothing that a
    stranger may send without end is taken unlimited."""
    buckets = (
        Bucket(f"rate:key:{key_id}", *PER_KEY),
        Bucket(f"rate:address:{hashed_address(address, now)}", *PER_ADDRESS),
        Bucket(f"rate:project:{project_id}", *PER_PROJECT),
    )
    try:
        take(buckets, cost=cost)
    except redis.RedisError:
        logger.warning("rate limits cannot be reached; a request by a publishable key was refused")
        raise Unavailable("Try again shortly.", code="rate_limits_unavailable") from None


def check_token(*, project_id: int, address: str, now: dt.datetime) -> None:
    """Charge a request by a token. Raises RateLimited. While Redis is down it passes: an answer must not be lost, and a
    token lets nobody say much."""
    buckets = (
        Bucket(f"rate:address:{hashed_address(address, now)}", *PER_ADDRESS),
        Bucket(f"rate:project:{project_id}", *PER_PROJECT),
    )
    try:
        take(buckets)
    except redis.RedisError:
        logger.warning("rate limits cannot be reached; a request by a token was let through")


def take(buckets: Sequence[Bucket], *, cost: int = 1) -> None:
    """Take `cost` out of every bucket, or raise RateLimited and take nothing. Lets redis.RedisError through."""
    arguments: list[int | float] = [cost]
    for bucket in buckets:
        arguments += [bucket.rate, bucket.burst]
    wait = float(_script()(keys=[bucket.name for bucket in buckets], args=arguments))
    if wait > 0:
        raise RateLimited("Too many requests; try again later.", retry_after_seconds=max(1, math.ceil(wait)))


def hashed_address(address: str, now: dt.datetime) -> str:
    """A name of the address for one day: SHA-256 with the day and the installation's secret."""
    salted = f"{now.astimezone(dt.UTC):%Y-%m-%d}:{settings.SECRET_KEY}:{_network(address)}"
    return hashlib.sha256(salted.encode()).hexdigest()[:32]


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)


@cache
def _script() -> Script:
    return redis_client().register_script(_TAKE)
