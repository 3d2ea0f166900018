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


class _Call(Generic[Wanted, Found]):
    """What one thread wants. It sleeps on `turn` until it was served, or is to serve."""

    __slots__ = ("error", "found", "is_done", "turn", "wanted")

    found: Found

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.turn = threading.Lock()
        self.turn.acquire()
        self.is_done = False
        self.error: BaseException | None = None

    def result(self) -> Found:
        if self.error is not None:
            raise self.error
        return self.found


class Combiner(Generic[Wanted, Found]):
    """`work` does several calls at once, at most `most`, on the database connection of one of the threads, and returns what each
    wanted, in order. It must be atomic: where it fails for several, each is tried alone, and only who then fails gets the error.

    `names` are those of what a call is about: two calls that share one are never done together.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Wanted]], Sequence[Found]],
        *,
        most: int,
        names: Callable[[Wanted], Iterable[Hashable]] = lambda wanted: (),
    ) -> None:
        self._work, self._most, self._names = work, most, names
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
            is_leader, self._is_led = not self._is_led, True
        if not is_leader:
            call.turn.acquire()
        if not call.is_done:
            self._lead()
        return call.result()

    def _lead(self) -> None:
        """Serve who waits, whoever leads among them, and wake the next leader before the others."""
        with self._lock:
            taken = self._take()
        try:
            self._serve(taken)
        except BaseException as error:
            # The thread is being stopped. Its company must not sleep forever.
            for call in taken:
                if not call.is_done:
                    call.error, call.is_done = error, True
            raise
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_led = following is not None
            if following is not None:
                following.turn.release()
            for call in taken[1:]:
                call.turn.release()

    def _take(self) -> list[_Call[Wanted, Found]]:
        taken: list[_Call[Wanted, Found]] = []
        left: list[_Call[Wanted, Found]] = []
        named: set[Hashable] = set()
        for call in self._waiting:
            names = set(self._names(call.wanted))
            if len(taken) < self._most and named.isdisjoint(names):
                taken.append(call)
                named |= names
            else:
                left.append(call)
        self._waiting = left
        return taken

    def _serve(self, calls: Sequence[_Call[Wanted, Found]]) -> None:
        try:
            found = self._work([call.wanted for call in calls])
        except Exception as error:
            if len(calls) > 1:
                for call in calls:
                    self._serve([call])
            else:
                calls[0].error, calls[0].is_done = error, True
            return
        for call, each in zip(calls, found, strict=True):
            call.found, call.is_done = each, True
