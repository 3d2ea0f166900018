"""The client for threads: WSGI apps, jobs, notebooks."""

from collections.abc import Mapping, Sequence
from types import TracebackType

from feedback_client.asks import Occasion
from feedback_client.call_pool import CallPool, CallTimeout
from feedback_client.decisions import Decision
from feedback_client.options import Options
from feedback_client.outcomes import Unavailable
from feedback_client.recording import Recording
from feedback_client.rows import Candidate, Probabilities
from feedback_client.transport import AskReply


class Client(Recording):
    """Logs predictions and feedback, and asks whether to ask a user; one for each app, shared by its threads.

    It never raises into the app and never blocks it: rows are queued in microseconds and sent by one background thread, and
    `ask` answers "no" when its time is up. Trouble is logged under "feedback_client" and counted in `stats`. With
    `strict=True`, for tests of the app, calls with unusable arguments raise `InvalidArgument`; with `enabled=False` nothing
    is sent.
    """

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
        super().__init__(endpoint, project, key, strict=strict, enabled=enabled, options=options)
        self._calls: CallPool[AskReply] = CallPool()

    def ask(
        self,
        key: str | None = None,
        *,
        model_version: str | None = None,
        probabilities: Probabilities | None = None,
        answer: object = None,
        confidence: float | None = None,
        std: float | None = None,
        payload: Mapping[str, object] | None = None,
        segments: Mapping[str, str] | None = None,
        context: Mapping[str, object] | None = None,
        candidates: Sequence[Candidate] | None = None,
        opportunity_id: str | None = None,
        respondent: str | None = None,
        session: str | None = None,
        consent: bool | None = None,
        quiet: bool | None = None,
        locale: str | None = None,
        question: str | None = None,
        request_id: str | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> Decision:
        """Log the prediction and decide in one request whether to ask this user about it now.

        Give a `key` with its prediction, or `candidates` in the order they are shown. Answers within the timeout, whatever
        happens: without an answer of the service, the decision is no, with reason "unreachable", and the prediction is
        logged in the background. The same `opportunity_id` is decided the same however often it is sent.
        """
        about = None
        if key is not None:
            about = Candidate(
                key, model_version, probabilities, answer, confidence, std, payload, segments=segments, context=context
            )
        occasion = Occasion(opportunity_id, respondent, session, consent, quiet, locale, question)
        ask = self._prepared(about, candidates, occasion, request_id=request_id, is_dry_run=dry_run)
        if isinstance(ask, Decision):
            return ask
        seconds = self._options.ask_timeout_seconds if timeout is None else timeout
        try:
            reply = self._calls.run(
                lambda: self._transport.post_ask(ask.body, seconds, is_dry_run=ask.is_dry_run), timeout=seconds
            )
        except CallTimeout:
            reply = Unavailable(f"no answer within {seconds:g} s")
        except Exception as error:
            reply = self._unforeseen(error)
        return self._decided(ask, reply)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was queued before is with the service (or refused by it); False if that took too long."""
        return self._sender.flush(timeout)

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Flush, stop the thread and close the connections. Later calls are counted as dropped."""
        self._end()
        self._calls.close()
        return self._sender.close(timeout)

    def after_fork(self) -> None:
        super().after_fork()
        self._calls.forget()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
