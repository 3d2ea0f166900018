"""What became of all that was given to a client."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """accepted = delivered + repeated + failed + lost + pending; dropped and invalid rows were never accepted."""

    accepted: int = 0
    """Rows that were queued."""
    delivered: int = 0
    """Rows that the service has stored, or had already."""
    repeated: int = 0
    """Rows left out, because the same batch has a row that the service would have kept in their stead."""
    failed: int = 0
    """Rows that the service refused one by one (207); the first of each reason is logged every minute."""
    lost: int = 0
    """Rows of batches that were refused as a whole, or given up after retries, or still queued at shutdown."""
    pending: int = 0
    """Rows queued or under way."""
    dropped: int = 0
    """Rows turned away because the queue was full or the client shut down or disabled."""
    invalid: int = 0
    """Calls whose arguments could not be used."""
    batches: int = 0
    """Batches that the service answered."""
    retries: int = 0
    """Requests sent again."""
    asks: int = 0
    asks_selected: int = 0
    """Decisions that said yes."""
    asks_unanswered: int = 0
    """Asks that were decided here, with no, because the service could not be reached in time or refused."""


class CallCounters:
    """Counts of calls, from any thread. Rows are counted by their lanes."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child."""
        self._lock = threading.Lock()
        self._counts = {"invalid": 0, "dropped": 0, "asks": 0, "asks_selected": 0, "asks_unanswered": 0}

    def add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1

    def snapshot(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)
