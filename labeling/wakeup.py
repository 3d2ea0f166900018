"""Wake a Celery task at most once until it starts, however often there is news for it."""

import logging
import threading
import time
from typing import Final

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from labeling.redis_client import redis_client

logger = logging.getLogger(__name__)

_HOLD_SECONDS = 30
"""How long a wake-up that never arrived may hold back the next one; the sweep is slower than this."""


def _name(task_name: str, project_id: int) -> str:
    return f"wakeup:{task_name}:{project_id}"


def wake(task_name: str, project_id: int) -> bool:
    """Enqueue the task of that name with `project_id` unless the same call is already waiting. Return whether it was enqueued.

    The task must call `awake` before it reads the state: news that arrives later then enqueues it again, so
    nothing is missed. With Redis down the wake-up is dropped with a warning; a sweep makes up for it.
    """
    try:
        if not redis_client().set(_name(task_name, project_id), 1, nx=True, ex=_HOLD_SECONDS):
            return False
        current_app.send_task(task_name, args=(project_id,), retry=False)
    except (redis.RedisError, OperationalError):
        logger.warning("could not wake %s for project %s; the sweep will", task_name, project_id)
        return False
    return True


def wake_soon(task_name: str, project_id: int) -> None:
    """`wake`, for news that comes many times a second: from each process at most once in WAKEUP_SECONDS.

    The first news wakes at once. What follows sooner waits together, and one wake-up after the last of it is sent for
    all; so nothing is missed here either.
    """
    news = task_name, project_id
    with _lock:
        if news in _waiting:
            return
        delay = _woken_at.get(news, -float("inf")) + settings.WAKEUP_SECONDS - time.monotonic()
        if delay > 0:
            _waiting.add(news)
            later = threading.Timer(delay, _wake_after_waiting, news)
            later.daemon = True
            later.start()
            return
        _woken_at[news] = time.monotonic()
    wake(*news)


def _wake_after_waiting(task_name: str, project_id: int) -> None:
    news = task_name, project_id
    with _lock:
        _waiting.discard(news)
        _woken_at[news] = time.monotonic()
    wake(*news)


_lock: Final = threading.Lock()
_waiting: Final[set[tuple[str, int]]] = set()
_woken_at: Final[dict[tuple[str, int], float]] = {}


def awake(task_name: str, project_id: int) -> None:
    """Say that the task has started and reads the state now."""
    try:
        redis_client().delete(_name(task_name, project_id))
    except redis.RedisError:
        logger.warning("could not clear the wake-up of %s for project %s", task_name, project_id)
