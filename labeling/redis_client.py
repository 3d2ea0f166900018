"""The one connection pool to Redis of a process. Celery keeps its own."""

from functools import cache

import redis
from django.conf import settings


@cache
def redis_client() -> "redis.Redis":
    """A client that gives up after two seconds: whoever asks can do without or says that Redis is down."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
