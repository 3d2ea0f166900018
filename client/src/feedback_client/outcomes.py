"""What became of a request, read from the service's answer; pure."""

import json
from dataclasses import dataclass
from typing import Final, TypeAlias

from feedback_client.retries import TRANSIENT_STATUSES

LISTED_FAILURES: Final = 20


@dataclass(frozen=True)
class RowFailure:
    index: int
    key: str
    code: str
    message: str


@dataclass(frozen=True)
class Stored:
    """The service has taken the batch, but for `failed` rows, of which the first few are listed."""

    failed: int = 0
    failures: tuple[RowFailure, ...] = ()


@dataclass(frozen=True)
class Unavailable:
    """Worth another try: nobody answered, or the service said later."""

    why: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Refused:
    """The request as a whole can never succeed as it is."""

    code: str
    message: str


Outcome: TypeAlias = Stored | Unavailable | Refused


def batch_outcome(status: int, body: bytes, *, retry_after: float | None) -> Outcome:
    if status in (200, 207):
        return _stored(body)
    failure = failure_outcome(status, body, retry_after=retry_after)
    if isinstance(failure, Refused) and failure.code == "request_in_flight":
        # An earlier try whose answer never came is still being worked on.
        return Unavailable("the same batch is being worked on")
    return failure


def failure_outcome(status: int, body: bytes, *, retry_after: float | None) -> Unavailable | Refused:
    if status in TRANSIENT_STATUSES:
        return Unavailable(f"HTTP {status}", retry_after)
    answer = _json_object(body)
    code = str(answer.get("code") or f"http_{status}")[:100]
    message = str(answer.get("message") or f"The service answered HTTP {status}.")[:500]
    return Refused(code, message)


def _stored(body: bytes) -> Stored | Refused:
    answer = _json_object(body)
    failed = answer.get("failed")
    if not isinstance(failed, int):
        # Such as the login page of a proxy: nothing says that the rows arrived.
        return Refused("not_the_service", "The answer is not one of the feedback service; is the endpoint right?")
    results = answer.get("results")
    listed = results if isinstance(results, list) else []
    failures = tuple(
        RowFailure(
            int(result.get("index") or 0),
            str(result.get("key") or result.get("id") or ""),
            str(result.get("code") or "failed"),
            str(result.get("message") or ""),
        )
        for result in listed
        if isinstance(result, dict) and result.get("status") == "failed"
    )
    return Stored(failed, failures[:LISTED_FAILURES])


def _json_object(body: bytes) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
