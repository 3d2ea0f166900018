"""What both clients share: everything that only queues a row, and how an ask ends."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence

from feedback_client import asks, decisions, process_hooks, rows
from feedback_client.asks import Ask, Occasion
from feedback_client.breaker import Breaker
from feedback_client.counters import CallCounters, Stats
from feedback_client.decisions import Decision, LocalReason
from feedback_client.errors import InvalidArgument
from feedback_client.options import Options
from feedback_client.outcomes import Refused, Unavailable
from feedback_client.reports import Reports, logger
from feedback_client.rows import Candidate, Probabilities, Target, Vector
from feedback_client.sender import Sender
from feedback_client.transport import Address, AskReply, Transport, described


class Recording:
    """The part of a client that never waits. See `Client`."""

    def __init__(
        self,
        endpoint: str | None,
        project: str | None,
        key: str | None,
        *,
        strict: bool = False,
        enabled: bool = True,
        options: Options | None = None,
    ) -> None:
        self._strict = strict
        self._options = options or Options()
        self._reports = Reports()
        self._counters = CallCounters()
        self._breaker = Breaker()
        self._address = self._checked_address(endpoint, project, key) if enabled else None
        self._transport = Transport(self._address or Address("http://disabled.invalid", "-", "-"))
        self._sender = Sender(self._transport, self._options, self._reports)
        self._is_open = self._address is not None
        process_hooks.watch(self)

    @property
    def stats(self) -> Stats:
        """Counts since the client was made, in this process."""
        counts = self._sender.counts()
        calls = self._counters.snapshot()
        counts["dropped"] += calls.pop("dropped")
        return Stats(**counts, **calls)

    def log_prediction(
        self,
        key: str,
        *,
        model_version: str,
        probabilities: Probabilities | None = None,
        answer: object = None,
        confidence: float | None = None,
        std: float | None = None,
        payload: Mapping[str, object] | None = None,
        segments: Mapping[str, str] | None = None,
        embedding: Vector | None = None,
        context: Mapping[str, object] | None = None,
        respondent: str | None = None,
        request_id: str | None = None,
        latency_ms: float | None = None,
    ) -> bool:
        """Queue what a model version said of the item `key`; True if it was queued. Does not wait, does not raise.

        Give `probabilities` (of the model version's classes in their order, or by class), or an `answer` with its
        `confidence` (and `std`). With a `payload` the item is made if the service does not know it. `segments` and
        `embedding` are the item's; `context` is the inference's, free to the app.
        """
        try:
            part = rows.prediction_part(
                model_version=model_version,
                probabilities=probabilities,
                answer=answer,
                confidence=confidence,
                std=std,
                context=rows.context_of(context, request_id=request_id, latency_ms=latency_ms),
                respondent=respondent,
            )
            route, row = rows.prediction_row(key, part, payload=payload, segments=segments, embedding=embedding)
            return self._put(route, row)
        except Exception as error:
            self.refuse(error)
            return False

    def feedback(
        self,
        kind: str,
        value: object = None,
        *,
        token: str | None = None,
        ask_id: int | None = None,
        prediction_id: int | None = None,
        request_id: str | None = None,
        key: str | None = None,
        model_version: str | None = None,
        comment: str | None = None,
        respondent: str | None = None,
        id: str | None = None,
        occurred_at: dt.datetime | None = None,
        context: Mapping[str, object] | None = None,
        supersedes: str | None = None,
    ) -> str | None:
        """Queue what a user thought or did; returns the id of the feedback, None if it was not queued.

        It is about one of token, ask_id, prediction_id, request_id and key (with a model_version, if it matters which);
        without any, about the request being served. The id can be given as `supersedes` later.
        """
        try:
            row = rows.feedback_row(
                kind,
                value,
                Target(token, ask_id, prediction_id, request_id, key, model_version),
                feedback_id=id,
                comment=comment,
                respondent=respondent,
                occurred_at=occurred_at,
                context=context,
                supersedes=supersedes,
            )
            return row.identity if self._put(rows.Route.FEEDBACK, row) else None
        except Exception as error:
            self.refuse(error)
            return None

    def refuse(self, error: Exception) -> None:
        """Count and log a call that cannot be done; raise it if strict. For wrappers of a client."""
        self._counters.add("invalid")
        code = error.code if isinstance(error, InvalidArgument) else type(error).__name__
        self._reports.once(f"invalid:{code}", f"A call was passed over: {error}")
        if self._strict:
            raise error

    @property
    def exit_seconds(self) -> float:
        return self._options.exit_seconds

    def after_fork(self) -> None:
        """The child of a fork starts empty; what the parent queued is the parent's."""
        for part in (self._transport, self._reports, self._counters, self._breaker, self._sender):
            part.forget()

    def at_exit(self, seconds: float) -> None:
        if not self._sender.flush(seconds):
            self._reports.limited("exit", f"The process ends with {self.stats.pending} rows unsent.")

    def _put(self, route: rows.Route, row: rows.Row) -> bool:
        if not self._is_open:
            self._counters.add("dropped")
            return False
        return self._sender.put(route, row)

    def _prepared(
        self,
        candidate: Candidate | None,
        candidates: Sequence[Candidate] | None,
        occasion: Occasion,
        *,
        request_id: str | None,
        is_dry_run: bool,
    ) -> Ask | Decision:
        """What to send; or the decision, where nothing can be sent."""
        self._counters.add("asks")
        try:
            ask = asks.written(candidate, candidates, occasion, request_id=request_id, is_dry_run=is_dry_run)
        except Exception as error:
            self._counters.add("asks_unanswered")
            self.refuse(error)
            return decisions.no("invalid", opportunity_id=occasion.opportunity_id)
        if not self._is_open:
            return self._unanswered(ask, "disabled")
        if not self._breaker.admits(time.monotonic()):
            return self._unanswered(ask, "unreachable")
        return ask

    def _decided(self, ask: Ask, reply: AskReply) -> Decision:
        if isinstance(reply, Decision):
            self._breaker.succeeded()
            if reply.ask:
                self._counters.add("asks_selected")
            return reply
        if isinstance(reply, Refused):
            self._breaker.succeeded()  # it is there, and did answer
            self._reports.limited(f"ask:{reply.code}", f"The feedback service refused an ask: {reply.message}")
            return self._unanswered(ask, "refused")
        self._breaker.failed(time.monotonic(), retry_after=reply.retry_after)
        self._reports.limited(
            "ask:unreachable", f"The feedback service did not decide an ask: {reply.why}; not asking."
        )
        return self._unanswered(ask, "unreachable")

    def _unanswered(self, ask: Ask, reason: LocalReason) -> Decision:
        self._counters.add("asks_unanswered")
        if reason == "unreachable":
            # Decided by nobody, but predicted all the same. If the service did store it, it skips the row.
            for route, row in ask.rows:
                self._put(route, row)
        return decisions.no(reason, opportunity_id=ask.opportunity_id, key=ask.key)

    def _unforeseen(self, error: Exception) -> Unavailable:
        logger.exception("Asking failed in a way nobody thought of")
        return Unavailable(described(error))

    def _end(self) -> None:
        self._is_open = False
        process_hooks.unwatch(self)

    def _checked_address(self, endpoint: str | None, project: str | None, key: str | None) -> Address | None:
        """None, logged, for what cannot be an address: a missing setting must not keep the app from starting."""
        try:
            return checked_address(endpoint, project, key)
        except InvalidArgument as error:
            self._reports.once("disabled", f"{error} Nothing will be logged or asked.")
            if self._strict:
                raise
            return None


def checked_address(endpoint: str | None, project: str | None, key: str | None) -> Address:
    if not endpoint or not endpoint.startswith(("http://", "https://")):
        raise InvalidArgument("invalid_endpoint", f"The endpoint is a URL with http or https, not {endpoint!r}.")
    if not project:
        raise InvalidArgument("invalid_project", "The project is missing.")
    if not key or not key.isascii() or not key.isprintable():
        raise InvalidArgument("invalid_api_key", "The API key is missing, or has characters that no key has.")
    return Address(endpoint, project, key)
