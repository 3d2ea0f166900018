"""HTTP to one project of the service. Nothing here raises on trouble: it is part of the answer."""

import datetime as dt
import threading
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import quote

import httpx

from feedback_client.batches import Batch
from feedback_client.decisions import Decision, read
from feedback_client.outcomes import Outcome, Refused, Unavailable, batch_outcome, failure_outcome
from feedback_client.retries import retry_after_seconds

AskReply = Decision | Unavailable | Refused

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
        self.headers = {"Authorization": f"Bearer {key}", "User-Agent": _user_agent()}

    def intake(self, route: str) -> str:
        return f"{self._base}/{route}?results=errors"

    def asks(self, *, is_dry_run: bool) -> str:
        return f"{self._base}/asks{'?dry_run=1' if is_dry_run else ''}"


class Transport:
    """Connections are opened when first needed: making a client costs no TLS set-up, and a fork before that is harmless."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.forget()

    def forget(self) -> None:
        """In a forked child: the connections are the parent's, so they are neither used nor closed."""
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def close(self) -> None:
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def post_batch(self, batch: Batch, timeout: float) -> Outcome:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": batch.idempotency_key}
        if batch.is_compressed:
            headers["Content-Encoding"] = "gzip"
        try:
            response = self._client().post(
                self.address.intake(batch.route.value),
                content=batch.body,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            )
        except httpx.RequestError as error:
            return Unavailable(described(error))
        return batch_outcome(response.status_code, response.content, retry_after=_retry_after(response))

    def post_ask(self, body: bytes, timeout: float, *, is_dry_run: bool) -> AskReply:
        url = self.address.asks(is_dry_run=is_dry_run)
        for is_last in (False, True):
            try:
                response = self._client().post(url, content=body, headers=JSON_HEADERS, timeout=timeout)
                return ask_reply(response)
            except httpx.RequestError as error:
                if is_last or not may_have_been_stale(error):
                    return Unavailable(described(error))
        raise AssertionError("the last try returns")

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = httpx.Client(headers=self.address.headers, limits=_LIMITS)
            return self._opened


JSON_HEADERS = {"Content-Type": "application/json"}


def asyncio_connections(address: Address) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=address.headers, limits=_LIMITS)


def ask_reply(response: httpx.Response) -> AskReply:
    if response.status_code == 200:
        decision = read(response.content)
        return decision or Refused("not_the_service", "The answer is not a decision; is the endpoint right?")
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
