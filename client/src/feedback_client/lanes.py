"""One lane for each kind of row: its queue, its batch under way, its retries. Knows no thread and no clock.

The sender guards it: whatever is called from more than one thread, it calls with its lock held. Only `form_batch` works
without, on `_waiting`, which belongs to the sending thread.
"""

import math
from collections import deque

from feedback_client.batches import Batch, Queued, take_batch
from feedback_client.options import Options
from feedback_client.outcomes import Outcome, Refused, Stored, Unavailable
from feedback_client.retries import wait_seconds
from feedback_client.rows import Route, Row


class Lane:
    def __init__(self, route: Route, options: Options) -> None:
        self.route = route
        self.accepted = self.delivered = self.repeated = self.failed = self.lost = self.dropped = 0
        self.batches = self.retries = 0
        self._options = options
        self._incoming: list[Queued] = []
        self._waiting: deque[Queued] = deque()
        self._batch: Batch | None = None
        self._pending_bytes = 0
        self._oldest: int | None = None
        """Number of the first row that is not settled."""
        self._hurried_through = 0
        """Rows up to this number do not wait for others."""
        self._waits_since = 0.0
        self._first_tried_at = self._not_before = 0.0
        self._failures = 0
        self._is_told_when = False
        """Whether `_not_before` is the service's word, which nothing may cut short."""
        self._is_given_up = False

    @property
    def pending(self) -> int:
        return self.accepted - self.delivered - self.repeated - self.failed - self.lost

    def admit(self, row: Row, now: float) -> bool | None:
        """Queue a row: None if there is no room, else whether that is news for the thread that sends."""
        size = len(row.body)
        if self.pending >= self._options.queue_rows or self._pending_bytes + size > self._options.queue_bytes:
            self.dropped += 1
            return None
        was_full = self._is_full
        self.accepted += 1
        self._incoming.append((self.accepted, row))
        if self._oldest is None:
            self._oldest = self.accepted
        self._pending_bytes += size
        if self._unbatched_rows == 1:
            self._waits_since = now
            return True
        return self._is_full and not was_full

    def hurry(self, now: float) -> int:
        """Send all that is queued now, and a failed batch at once; returns the number to give `is_settled`."""
        self._hurried_through = self.accepted
        if not self._is_told_when:
            self._not_before = min(self._not_before, now)
        return self.accepted

    def is_settled(self, number: int) -> bool:
        """Whether all rows up to the number are done with, one way or the other."""
        return self._oldest is None or self._oldest > number

    def due_in(self, now: float) -> float:
        """Seconds until there is something to send; infinite when nothing is queued."""
        if self._batch is not None:
            return max(0.0, self._not_before - now)
        if self._oldest is None:
            return math.inf
        if self._is_full or self._oldest <= self._hurried_through:
            return 0.0
        return max(0.0, self._waits_since + self._options.linger_seconds - now)

    def collect(self) -> None:
        """Hand what came in over to the thread that sends."""
        self._waiting.extend(self._incoming)
        self._incoming.clear()

    def form_batch(self) -> Batch:
        """The batch to send now: that of the last try, or a new one. After `collect`, and only when due."""
        if self._batch is not None:
            self.retries += 1
        else:
            options = self._options
            self._batch = take_batch(
                self.route, self._waiting, most_rows=options.batch_rows, most_bytes=options.batch_bytes
            )
        return self._batch

    def settle(self, batch: Batch, outcome: Outcome, now: float, *, draw: float) -> None:
        """Note what became of the batch: done with, or kept for another try."""
        if self._is_given_up:
            return
        if isinstance(outcome, Unavailable):
            if not self._failures:
                self._first_tried_at = now
            if now - self._first_tried_at < self._options.retry_for_seconds:
                self._failures += 1
                self._not_before = now + wait_seconds(self._failures, retry_after=outcome.retry_after, draw=draw)
                self._is_told_when = bool(outcome.retry_after)
                return
            outcome = Refused("given_up", outcome.why)
        if isinstance(outcome, Stored):
            failed = min(outcome.failed, batch.sent_rows)
            self.batches += 1
            self.failed += failed
            self.delivered += batch.sent_rows - failed
        else:
            self.lost += batch.sent_rows
        self.repeated += batch.repeated_rows
        self._forget_batch(batch, now)

    def give_up(self) -> int:
        """All that is left is lost; returns how many rows that are."""
        left = self.pending
        self.lost += left
        self._is_given_up = True
        # New ones: the sending thread may be at work on the old ones.
        self._incoming, self._waiting = [], deque()
        self._batch, self._oldest, self._pending_bytes = None, None, 0
        return left

    @property
    def _is_full(self) -> bool:
        options = self._options
        under_way = 0 if self._batch is None else self._batch.row_bytes
        return self._unbatched_rows >= options.batch_rows or self._pending_bytes - under_way >= options.batch_bytes

    @property
    def _unbatched_rows(self) -> int:
        return self.pending - (0 if self._batch is None else self._batch.row_count)

    def _forget_batch(self, batch: Batch, now: float) -> None:
        self._batch, self._failures = None, 0
        self._not_before, self._is_told_when = 0.0, False
        self._pending_bytes -= batch.row_bytes
        left = self._waiting or self._incoming
        self._oldest = left[0][0] if left else None
        self._waits_since = now
