"""Several sessions of the database at once, each in a thread of its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def _in_a_session(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()


def at_once(works: Sequence[Callable[[], T]]) -> list[T]:
    """Run all at the same time and return what they return; an exception of one is raised here."""
    barrier = Barrier(len(works))

    def start(work: Callable[[], T]) -> T:
        connection.ensure_connection()
        barrier.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(_in_a_session, lambda work=work: start(work)) for work in works]
        return [future.result(timeout=60) for future in futures]


def in_another_session(work: Callable[[], T]) -> T:
    """Run in a session of its own and wait for it."""
    with ThreadPoolExecutor(1) as pool:
        future: Future[T] = pool.submit(_in_a_session, work)
        return future.result(timeout=60)
