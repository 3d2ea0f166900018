"""Calls that threads make at the same time, done as one.

A statement about twenty rows costs PostgreSQL and us little more than a statement about one. So whoever comes while nobody is
at work does its own call at once; whoever comes meanwhile waits, and the next one of these does the calls of all who wait.
Nobody waits for company: alone, a call costs what it always did. This is flat combining (Hendler, Incze, Shavit and Tzafrir,
SPAA 2010), and the group commit of databases.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from django.db import connection

Wanted = TypeVar("Wanted")
Found = TypeVar("Found")


PATIENCE_SECONDS: Final = 0.05
"""Longer than any statement takes that does not wait for a lock."""


class _Call(Generic[Wanted, Found]):
    """What one thread wants. It sleeps on `turn` until it was served, or is to lead, or to help itself."""

    __slots__ = ("found", "is_served", "leads", "turn", "wanted")

    found: Found

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.turn = threading.Lock()
        self.turn.acquire()
        self.leads = self.is_served = False


class Combiner(Generic[Wanted, Found]):
    """`work` does several calls at once, at most `most`, on the database connection of one of the threads, and returns what each
    wanted, in order. It must be atomic.

    Only calls of the same `group` are done together, and of those no two that share one of their `names`, which are those of what
    a call is about. Nobody suffers from others: where the work fails for several, each does its own, on its own connection; and so
    does whoever has waited for PATIENCE_SECONDS, since the work of others may be waiting for a lock.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Wanted]], Sequence[Found]],
        *,
        most: int,
        group: Callable[[Wanted], Hashable] = lambda wanted: None,
        names: Callable[[Wanted], Iterable[Hashable]] = lambda wanted: (),
    ) -> None:
        self._work, self._most, self._group, self._names = work, most, group, names
        self._lock: Final = threading.Lock()
        self._waiting: list[_Call[Wanted, Found]] = []
        self._is_led = False

    def __call__(self, wanted: Wanted) -> Found:
        """What `work` returns for it, or the error that it raises.

        In a transaction it is done alone: what others want must not be part of that, nor be hidden by it.
        """
        if connection.in_atomic_block:
            return self._work([wanted])[0]
        call: _Call[Wanted, Found] = _Call(wanted)
        with self._lock:
            self._waiting.append(call)
            call.leads, self._is_led = not self._is_led, True
        if not call.leads:
            self._wait(call)
        if call.leads:
            self._lead()
        return call.found if call.is_served else self._work([wanted])[0]

    def _wait(self, call: _Call[Wanted, Found]) -> None:
        if call.turn.acquire(timeout=PATIENCE_SECONDS):
            return
        with self._lock:
            if call in self._waiting and not call.leads:
                self._waiting.remove(call)
                return
        call.turn.acquire()  # it is being served, or about to lead

    def _lead(self) -> None:
        """Serve who waits, the leader first among them, and wake the next leader before the others."""
        with self._lock:
            taken = self._take()
        try:
            found = self._work([call.wanted for call in taken])
            for call, each in zip(taken, found, strict=True):
                call.found, call.is_served = each, True
        except Exception:
            if len(taken) == 1:
                raise
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_led = following is not None
                if following is not None:
                    following.leads = True
            if following is not None:
                following.turn.release()
            for call in taken[1:]:
                call.turn.release()

    def _take(self) -> list[_Call[Wanted, Found]]:
        taken: list[_Call[Wanted, Found]] = []
        left: list[_Call[Wanted, Found]] = []
        group = self._group(self._waiting[0].wanted)
        named: set[Hashable] = set()
        for call in self._waiting:
            names = set(self._names(call.wanted))
            if len(taken) < self._most and self._group(call.wanted) == group and named.isdisjoint(names):
                taken.append(call)
                named |= names
            else:
                left.append(call)
        self._waiting = left
        return taken
