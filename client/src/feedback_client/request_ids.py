"""The id of the request that is being served, known to everything logged meanwhile.

A web server's middleware sets it; what the model said and what the user later did then meet by it, also when the app
never sees an id of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import uuid4

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DEFAULT_HEADER: Final = "X-Request-ID"
LONGEST_REQUEST_ID: Final = 200

# ASGI's own names; its messages are mappings of whatever their type says.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_request_id: ContextVar[str | None] = ContextVar("feedback_request_id", default=None)


def current_request_id() -> str | None:
    return _request_id.get()


@contextmanager
def request_id_scope(request_id: str | None = None) -> Iterator[str]:
    """For work outside a web request, such as a job; makes an id where none is given."""
    own = request_id or made_request_id()
    token = _request_id.set(own)
    try:
        yield own
    finally:
        _request_id.reset(token)


def made_request_id() -> str:
    return uuid4().hex


def usable_request_id(sent: str | None) -> str:
    """The caller's id if it can be one, else a new one.

    >>> usable_request_id("r-1")
    'r-1'
    >>> len(usable_request_id("two\\nlines"))
    32
    """
    if sent and len(sent) <= LONGEST_REQUEST_ID and sent.isascii() and sent.isprintable():
        return sent
    return made_request_id()


class WSGIRequestIdMiddleware:
    """Takes the id from the header, or makes one, and gives it back in the same header of the response.

    `header=None` trusts no caller: every id is made here, and goes back as X-Request-ID.
    """

    def __init__(self, app: WSGIApplication, *, header: str | None = DEFAULT_HEADER) -> None:
        self._app = app
        self._variable = None if header is None else "HTTP_" + header.upper().replace("-", "_")
        self._answer_header = header or DEFAULT_HEADER

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        own = usable_request_id(environ.get(self._variable) if self._variable else None)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            known = any(name.lower() == self._answer_header.lower() for name, _ in headers)
            return start_response(status, headers if known else [*headers, (self._answer_header, own)], *rest)

        previous = _request_id.get()
        _request_id.set(own)
        try:
            body = self._app(environ, start)
        except BaseException:
            _request_id.set(previous)
            raise
        return _Body(body, previous)


class _Body:
    """The response of the app. Its id stays until the server closes it, since a body may be made while it is sent."""

    def __init__(self, body: Iterable[bytes], previous: str | None) -> None:
        self._body = body
        self._previous = previous

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            # Not by a token: servers may close in another context than they called in.
            _request_id.set(self._previous)


class ASGIRequestIdMiddleware:
    """The same for ASGI: requests and websockets."""

    def __init__(self, app: ASGIApplication, *, header: str | None = DEFAULT_HEADER) -> None:
        self._app = app
        self._header = None if header is None else header.lower().encode("latin-1")
        self._answer_header = (header or DEFAULT_HEADER).lower().encode("latin-1")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        sent = next((value for name, value in scope["headers"] if name.lower() == self._header), None)
        own = usable_request_id(None if sent is None else sent.decode("latin-1"))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name.lower() == self._answer_header for name, _ in headers):
                    message = {**message, "headers": [*headers, (self._answer_header, own.encode("ascii"))]}
            await send(message)

        with request_id_scope(own):
            await self._app(scope, receive, answer)
