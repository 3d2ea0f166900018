"""The id of a request holds while it is served, in whatever way the server runs the app, and not longer."""

import asyncio
from collections.abc import Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import pytest
from feedback_client.request_ids import (
    ASGIRequestIdMiddleware,
    WSGIRequestIdMiddleware,
    current_request_id,
    request_id_scope,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

UNUSABLE = ["", "a" * 201, "two\nlines", "naïve"]


def _call(app: WSGIRequestIdMiddleware, **headers: str) -> tuple[list[bytes], dict[str, str]]:
    environ: dict[str, Any] = dict(headers)
    setup_testing_defaults(environ)
    answered: dict[str, str] = {}

    def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        answered.update(headers)

    body = app(environ, start)
    try:
        return list(body), answered
    finally:
        body.close()  # type: ignore[attr-defined]  # as a server does


def _says_its_id(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    # A generator: this runs while the server sends.
    yield (current_request_id() or "none").encode()


def test_wsgi_takes_the_id_of_the_header_for_the_whole_response_and_gives_it_back() -> None:
    body, headers = _call(WSGIRequestIdMiddleware(_says_its_id), HTTP_X_REQUEST_ID="r-1")
    assert (body, headers["X-Request-ID"]) == ([b"r-1"], "r-1")
    assert current_request_id() is None


def test_wsgi_reads_another_header_if_told_so() -> None:
    body, headers = _call(
        WSGIRequestIdMiddleware(_says_its_id, header="X-Trace"), HTTP_X_TRACE="t", HTTP_X_REQUEST_ID="r"
    )
    assert (body, headers["X-Trace"]) == ([b"t"], "t")


@pytest.mark.parametrize("sent", UNUSABLE)
def test_wsgi_makes_an_id_where_the_callers_cannot_be_one(sent: str) -> None:
    (made,), headers = _call(WSGIRequestIdMiddleware(_says_its_id), HTTP_X_REQUEST_ID=sent)
    assert made.decode() == headers["X-Request-ID"] != sent
    assert len(made) == 32


def test_wsgi_trusts_no_caller_if_told_so() -> None:
    (made,), headers = _call(WSGIRequestIdMiddleware(_says_its_id, header=None), HTTP_X_REQUEST_ID="forged")
    assert made.decode() == headers["X-Request-ID"] != "forged"


def test_wsgi_leaves_a_header_of_the_app_alone() -> None:
    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("x-request-id", "the app's")])
        return []

    _, headers = _call(WSGIRequestIdMiddleware(app), HTTP_X_REQUEST_ID="r-1")
    assert headers == {"x-request-id": "the app's"}


def test_wsgi_forgets_the_id_when_the_app_fails_and_closes_what_the_app_returned() -> None:
    def broken(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        raise LookupError(current_request_id())

    with pytest.raises(LookupError, match="r-1"):
        _call(WSGIRequestIdMiddleware(broken), HTTP_X_REQUEST_ID="r-1")
    assert current_request_id() is None

    class Body(list[bytes]):
        closed_in: str | None = None

        def close(self) -> None:
            self.closed_in = current_request_id()

    body = Body([b"x"])
    _call(WSGIRequestIdMiddleware(lambda environ, start: body), HTTP_X_REQUEST_ID="r-2")
    assert body.closed_in == "r-2"
    assert current_request_id() is None


def test_asgi_keeps_requests_that_run_at_the_same_time_apart() -> None:
    arrived = {"r-1": asyncio.Event(), "r-2": asyncio.Event()}
    seen: list[tuple[str | None, str | None]] = []

    async def app(scope: MutableMapping[str, Any], receive: object, send: Any) -> None:
        before = current_request_id()
        arrived[str(before)].set()
        for event in arrived.values():  # until both are inside
            await event.wait()
        seen.append((before, current_request_id()))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})

    async def request(middleware: ASGIRequestIdMiddleware, sent: bytes) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            headers.extend(message["headers"])

        async def receive() -> MutableMapping[str, Any]:
            return {}

        await middleware({"type": "http", "headers": [(b"x-request-id", sent)]}, receive, send)
        return headers

    async def both() -> tuple[list[tuple[bytes, bytes]], ...]:
        middleware = ASGIRequestIdMiddleware(app)
        return await asyncio.gather(request(middleware, b"r-1"), request(middleware, b"r-2"))

    answers = asyncio.run(both())
    assert sorted(seen) == [("r-1", "r-1"), ("r-2", "r-2")]
    assert [dict(answer)[b"x-request-id"] for answer in answers] == [b"r-1", b"r-2"]


def test_asgi_passes_what_is_no_request_through() -> None:
    seen: list[str | None] = []

    async def app(scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        seen.append(current_request_id())

    async def nothing(*_: object) -> Any:
        return {}

    asyncio.run(ASGIRequestIdMiddleware(app)({"type": "lifespan"}, nothing, nothing))
    assert seen == [None]


def test_a_scope_ends_with_its_block_and_nests() -> None:
    with request_id_scope("outer"):
        with request_id_scope() as made:
            assert current_request_id() == made != "outer"
        assert current_request_id() == "outer"
    assert current_request_id() is None
