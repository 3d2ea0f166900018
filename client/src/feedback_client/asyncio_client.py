"""The client for asyncio."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType

from feedback_client.asks import Occasion
from feedback_client.decisions import Decision
from feedback_client.outcomes import Unavailable
from feedback_client.recording import Recording
from feedback_client.rows import Candidate, Probabilities
from feedback_client.transport import AskReply, AsyncioTransport


class AsyncClient(Recording):
    """`Client` for asyncio: `ask`, `flush` and `shutdown` are awaited.

    `log_prediction` and `feedback` are plain calls here, too: they wait for nothing. Their rows are sent by the same kind of
    background thread, so that neither compressing nor an app's busy loop holds the other up.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _opened: AsyncioTransport | None = None

    async def ask(
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
        """Like `Client.ask`."""
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
        reply: AskReply
        try:
            reply = await asyncio.wait_for(
                self._connections().post_ask(ask.body, seconds, is_dry_run=ask.is_dry_run), seconds
            )
        except asyncio.TimeoutError:
            reply = Unavailable(f"no answer within {seconds:g} s")
        except Exception as error:
            reply = self._unforeseen(error)
        return self._decided(ask, reply)

    async def flush(self, timeout: float = 10.0) -> bool:
        """Like `Client.flush`."""
        return await asyncio.to_thread(self._sender.flush, timeout)

    async def shutdown(self, timeout: float = 10.0) -> bool:
        """Like `Client.shutdown`."""
        self._end()
        opened = self._opened if self._loop is asyncio.get_running_loop() else None
        self._loop = self._opened = None
        if opened is not None:
            await opened.close()
        return await asyncio.to_thread(self._sender.close, timeout)

    def after_fork(self) -> None:
        super().after_fork()
        self._loop = self._opened = None

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _connections(self) -> AsyncioTransport:
        """A program may run one loop after another."""
        loop = asyncio.get_running_loop()
        if self._opened is None or self._loop is not loop:
            self._loop, self._opened = loop, AsyncioTransport(self._transport.address)
        return self._opened
