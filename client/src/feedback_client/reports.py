"""Log lines about trouble: the first of each kind at once, then at most one a minute."""

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("feedback_client")

INTERVAL_SECONDS = 60.0


class Reports:
    """A failing service must not fill the app's log with one line for each row."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child."""
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def once(self, code: str, message: str) -> None:
        """For mistakes in the app's code, which every call repeats."""
        with self._lock:
            is_new = code not in self._last
            self._last[code] = self._clock()
        if is_new:
            logger.warning("%s (%s; more of these are only counted)", message, code)

    def limited(self, code: str, message: str) -> None:
        """For trouble on the way or at the service."""
        with self._lock:
            now = self._clock()
            if code in self._last and now - self._last[code] < INTERVAL_SECONDS:
                self._suppressed[code] = self._suppressed.get(code, 0) + 1
                return
            self._last[code] = now
            suppressed = self._suppressed.pop(code, 0)
        more = f"; {suppressed} more since the last such line" if suppressed else ""
        logger.warning("%s (%s%s)", message, code, more)
