"""HTTP to one project of the service. Nothing here raises on trouble: it is part of the answer.

httpx's transports are used without its client: that would write a line into the app's log for each request, and take as
long again for cookies and redirects, of which the service has none.
"""

import datetime as dt
import threading
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from feedback_client.batches import Batch
from feedback_client.decisions import Decision, read
from feedback_client.outcomes import Outcome, Refused, Unavailable, batch_outcome, failure_outcome
from feedback_client.retries import retry_after_seconds

AskReply = Decision | Unavailable | Refused

_LONGEST_CONNECT_SECONDS = 5.0
_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30.0)


def _user_agent() -> str:
    try:
        return f"feedback-client/{version('feedback-client')}"
    except PackageNotFoundError:  # used from a checkout
        return "feedback-client"


class Address:
    """Where the project is, and the key to it."""

    def __init__(self, endpoint: str, project: str, key: str) -> None:
        self._base = f"{endpoint.rstrip('/')}/api/v1/projects/{quote(project, safe='')}"
        self._headers = {
            "Authorization": f"Bearer {key}",
            "User-Agent": _user_agent(),
            "Accept": "application/json",
            "Connection": "keep-alive",
        }

    def batch(self, batch: Batch, timeout: float) -> httpx.Request:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": batch.idempotency_key}
        if batch.is_compressed:
            headers["Content-Encoding"] = "gzip"
        limits = httpx.Timeout(timeout, connect=min(timeout, _LONGEST_CONNECT_SECONDS))
        return self._post(f"{self._base}/{batch.route.value}?results=errors", batch.body, headers, limits)

    def ask(self, body: bytes, timeout: float, *, is_dry_run: bool) -> httpx.Request:
        url = f"{self._base}/asks{'?dry_run=1' if is_dry_run else ''}"
        return self._post(url, body, {"Content-Type": "application/json"}, httpx.Timeout(timeout))

    def proxy(self) -> str | None:
        """What the environment says of this host: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""
        parts = urlsplit(self._base)
        proxies = getproxies()
        if proxy_bypass(parts.hostname or ""):
            return None
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        return f"http://{proxy}" if proxy and "://" not in proxy else proxy

    def _post(self, url: str, body: bytes, headers: dict[str, str], timeout: httpx.Timeout) -> httpx.Request:
        extensions = {"timeout": timeout.as_dict()}
        return httpx.Request("POST", url, headers={**self._headers, **headers}, content=body, extensions=extensions)


class Transport:
    """Connections are opened when first needed: making a client costs no TLS set-up, and a fork before that is harmless."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.forget()

    def forget(self) -> None:
        """In a forked child: the connections are the parent's, so they are neither used nor closed."""
        self._lock = threading.Lock()
        self._opened: httpx.HTTPTransport | None = None

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def post_batch(self, batch: Batch, timeout: float) -> Outcome:
        try:
            response = self._sent(self.address.batch(batch, timeout))
        except httpx.RequestError as error:
            return Unavailable(described(error))
        return batch_outcome(response.status_code, response.content, retry_after=_retry_after(response))

    def post_ask(self, body: bytes, timeout: float, *, is_dry_run: bool) -> AskReply:
        for is_last in (False, True):
            try:
                return ask_reply(self._sent(self.address.ask(body, timeout, is_dry_run=is_dry_run)))
            except httpx.RequestError as error:
                if is_last or not may_have_been_stale(error):
                    return Unavailable(described(error))
        raise AssertionError("the last try returns")

    def _sent(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            if self._opened is None:
                self._opened = httpx.HTTPTransport(limits=_LIMITS, proxy=self.address.proxy())
            opened = self._opened
        response = opened.handle_request(request)
        try:
            response.read()
        finally:
            response.close()
        return response


class AsyncioTransport:
    """The same for asks of one event loop, to which connections belong."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._opened = httpx.AsyncHTTPTransport(limits=_LIMITS, proxy=address.proxy())

    async def post_ask(self, body: bytes, timeout: float, *, is_dry_run: bool) -> AskReply:
        for is_last in (False, True):
            try:
                return ask_reply(await self._sent(self._address.ask(body, timeout, is_dry_run=is_dry_run)))
            except httpx.RequestError as error:
                if is_last or not may_have_been_stale(error):
                    return Unavailable(described(error))
        raise AssertionError("the last try returns")

    async def close(self) -> None:
        await self._opened.aclose()

    async def _sent(self, request: httpx.Request) -> httpx.Response:
        response = await self._opened.handle_async_request(request)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return response


def ask_reply(response: httpx.Response) -> AskReply:
    if response.status_code == 200:
        decision = read(response.content)
        if decision is None:  # a decision that says no is false, too
            return Refused("not_the_service", "The answer is not a decision; is the endpoint right?")
        return decision
    return failure_outcome(response.status_code, response.content, retry_after=_retry_after(response))


def may_have_been_stale(error: httpx.RequestError) -> bool:
    """Whether the server may just have closed a kept connection; then another one is worth a try.

    An ask sent twice is decided once: both name the same opportunity.
    """
    return isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)


def described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _retry_after(response: httpx.Response) -> float | None:
    return retry_after_seconds(response.headers.get("Retry-After"), now=dt.datetime.now(dt.timezone.utc))
