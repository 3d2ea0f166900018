"""The one daemon thread that takes rows from the app to the service."""

import random
import threading
import time
from collections.abc import Callable

from feedback_client.batches import Batch
from feedback_client.lanes import Lane
from feedback_client.options import Options
from feedback_client.outcomes import Outcome, Refused, Unavailable
from feedback_client.reports import Reports, logger
from feedback_client.rows import Route, Row
from feedback_client.transport import Transport, described

_LANE_COUNTS = ("accepted", "delivered", "repeated", "failed", "lost", "pending", "dropped", "batches", "retries")


class Sender:
    """`put` costs microseconds and waits for nothing but another `put`; everything slow happens in the thread.

    The thread starts with the first row, so that servers may make a client, then fork. A child begins with empty queues and
    a thread of its own; the rows of the parent stay the parent's.
    """

    def __init__(self, transport: Transport, options: Options, reports: Reports) -> None:
        self._transport = transport
        self._options = options
        self._reports = reports
        self._is_closed = False
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child: without rows, without thread, with locks that nobody holds."""
        lock = threading.Lock()
        self._lock = lock
        self._news = threading.Condition(lock)
        self._settled = threading.Condition(lock)
        self._lanes: dict[Route, Lane] = {route: Lane(route, self._options) for route in Route}
        self._thread: threading.Thread | None = None

    def put(self, route: Route, row: Row) -> bool:
        """Queue a row; False if it was dropped."""
        with self._lock:
            lane = self._lanes[route]
            if self._is_closed:
                lane.dropped += 1
                return False
            is_news = lane.admit(row, time.monotonic())
            if is_news:
                if self._thread is None or not self._thread.is_alive():
                    self._start()
                self._news.notify()
        if is_news is None:
            self._reports.limited("queue_full", f"The queue of {route.value} is full: rows are dropped.")
            return False
        return True

    def flush(self, timeout: float) -> bool:
        """Send all that was queued before the call without waiting for more; False if that took too long.

        Done with are also rows that the service refused. A pause that the service asked for is kept.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            lanes = list(self._lanes.values())
            goals = [(lane, lane.hurry(time.monotonic())) for lane in lanes]

            def is_done() -> bool:
                return all(lane.is_settled(number) for lane, number in goals)

            if is_done():
                return True
            if self._thread is not None or self._start():
                self._news.notify()
                return self._settled.wait_for(is_done, timeout)
        self._send_here(is_done, deadline)
        return is_done()

    def close(self, timeout: float) -> bool:
        """Flush, then end for good; what could not be sent by then is lost, and counted so."""
        deadline = time.monotonic() + timeout
        is_flushed = self.flush(timeout)
        with self._lock:
            self._is_closed = True
            lost = sum(lane.give_up() for lane in self._lanes.values())
            self._news.notify()
            thread = self._thread
        if lost:
            self._reports.limited("closed", f"Shut down with {lost} rows unsent.")
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
        if thread is None or not thread.is_alive():
            self._transport.close()
        return is_flushed

    def counts(self) -> dict[str, int]:
        with self._lock:
            return {name: sum(getattr(lane, name) for lane in self._lanes.values()) for name in _LANE_COUNTS}

    def _start(self) -> bool:
        """Whether there is a thread now; a process that is ending may not start one any more."""
        thread = threading.Thread(target=self._run, name="feedback-client", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while (lane := self._next_lane()) is not None:
            self._send(lane, self._options.timeout_seconds)

    def _next_lane(self) -> Lane | None:
        """Wait until a lane has something to send; None once closed."""
        with self._lock:
            while not self._is_closed:
                now = time.monotonic()
                waits = {lane: lane.due_in(now) for lane in self._lanes.values()}
                lane = min(waits, key=waits.__getitem__)
                if waits[lane] <= 0.0:
                    lane.collect()
                    return lane
                self._news.wait(min(waits[lane], threading.TIMEOUT_MAX))
        return None

    def _send(self, lane: Lane, timeout: float) -> None:
        batch = lane.form_batch()
        try:
            outcome: Outcome = self._transport.post_batch(batch, timeout)
        except Exception as error:  # the thread has to live on, whatever it is
            logger.exception("Sending %s failed in a way nobody thought of", lane.route.value)
            outcome = Refused("client_error", described(error))
        self._report(batch, outcome)
        with self._lock:
            lane.settle(batch, outcome, time.monotonic(), draw=random.random())  # noqa: S311  jitter is no secret
            self._settled.notify_all()

    def _send_here(self, is_done: Callable[[], bool], deadline: float) -> None:
        """Send in the calling thread, where no other can be started: at the end of the process."""
        while not is_done():
            now = time.monotonic()
            with self._lock:
                lane = min(self._lanes.values(), key=lambda lane: lane.due_in(now))
                pause = lane.due_in(now)
                lane.collect()
            if now + pause >= deadline:
                return
            if pause > 0.0:
                time.sleep(pause)
            else:
                self._send(lane, deadline - now)

    def _report(self, batch: Batch, outcome: Outcome) -> None:
        name = batch.route.value
        if isinstance(outcome, Unavailable):
            self._reports.limited(
                "unavailable", f"The feedback service takes no {name} now: {outcome.why}; trying again."
            )
        elif isinstance(outcome, Refused):
            message = f"A batch of {batch.sent_rows} {name} was refused: {outcome.message}"
            self._reports.limited(f"refused:{outcome.code}", message)
        else:
            for failure in outcome.failures:
                message = f"The service refused a row of {name}, key {failure.key!r}: {failure.message}"
                self._reports.limited(f"row:{failure.code}", message)
