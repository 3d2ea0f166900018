"""Stops asking a service that does not answer, so that its outage costs the app's users nothing; pure.

After `FAILURES` asks in a row without an answer, asks are answered "no" at once for a pause; then a single one may try.
Each try that fails doubles the pause, up to a bound.
"""

import threading
from typing import Final

FAILURES: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0


class Breaker:
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child."""
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until = 0.0

    def admits(self, now: float) -> bool:
        with self._lock:
            if self._failures < FAILURES and now >= self._closed_until:
                return True
            if now < self._closed_until:
                return False
            # One tries; the others wait for how it goes.
            self._closed_until = now + self._pause()
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._closed_until = 0, 0.0

    def failed(self, now: float, *, retry_after: float | None = None) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= FAILURES:
                self._closed_until = max(self._closed_until, now + self._pause())
            if retry_after is not None:
                self._closed_until = max(self._closed_until, now + retry_after)

    def _pause(self) -> float:
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures - FAILURES, 10))
