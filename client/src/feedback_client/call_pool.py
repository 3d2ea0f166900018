"""Calls with an end: run in a daemon thread, and left alone when they take too long.

Timeouts of sockets are for each read, and name resolution has none; an app that asks in the middle of a request needs one
for all of it. A thread that hangs is not waited for. When all of them hang, a call waits for one to come free, out of its own
time: it fails when that is over, not sooner, and is then never made. The breaker of asks is what keeps such calls from coming.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MOST_THREADS: Final = 16


class CallTimeout(Exception):
    """The call has no result in time."""


class _Call(Generic[T]):
    __slots__ = ("call", "done", "error", "is_abandoned", "result")

    def __init__(self, call: Callable[[], T]) -> None:
        self.call = call
        self.done = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None
        self.is_abandoned = False

    def run(self) -> None:
        try:
            if not self.is_abandoned:
                self.result = self.call()
        except BaseException as error:  # it is the caller's
            self.error = error


class CallPool(Generic[T]):
    def __init__(self, *, threads: int = MOST_THREADS) -> None:
        self._most = threads
        self.forget()

    def forget(self) -> None:
        """In a forked child, which has none of the threads."""
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call[T] | None] = SimpleQueue()
        self._threads = self._unfinished = 0

    def run(self, function: Callable[[], T], *, timeout: float) -> T:
        """What the function returns or raises; raises CallTimeout after the given seconds."""
        call = _Call(function)
        with self._lock:
            self._unfinished += 1
            if self._unfinished > self._threads and self._threads < self._most:
                self._start()
        self._calls.put(call)
        if not call.done.wait(timeout):
            call.is_abandoned = True
            raise CallTimeout
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]  # without an error, it is what the function returned

    def close(self) -> None:
        """Let the threads end when they are done."""
        with self._lock:
            for _ in range(self._threads):
                self._calls.put(None)
            self._threads = 0

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, args=(self._calls,), name="feedback-ask", daemon=True).start()
        except RuntimeError:  # the process is ending; what no thread takes up times out
            return
        self._threads += 1

    def _work(self, calls: "SimpleQueue[_Call[T] | None]") -> None:
        while (call := calls.get()) is not None:
            call.run()
            with self._lock:
                self._unfinished -= 1
            call.done.set()
            del call  # what its caller gave is not kept until the next one
