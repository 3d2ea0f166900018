"""Pauses between tries: growing, spread, bounded, and never shorter than the service asked for."""

import datetime as dt

from feedback_client import outcomes
from feedback_client.breaker import FAILURES, Breaker
from feedback_client.outcomes import Refused, RowFailure, Stored, Unavailable
from feedback_client.retries import LONGEST_RETRY_AFTER_SECONDS, retry_after_seconds, wait_seconds
from hypothesis import given
from hypothesis import strategies as st

NOW = dt.datetime(2026, 11, 28, 12, 0, 0, tzinfo=dt.UTC)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 3600))
def test_a_pause_stays_within_its_bounds(failures: int, draw: float, retry_after: float | None) -> None:
    pause = wait_seconds(failures, retry_after=retry_after, draw=draw)
    assert max(0.25, retry_after or 0.0) <= pause <= max(30.0, retry_after or 0.0)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_seconds("7", now=NOW) == 7.0
    assert retry_after_seconds(" 0 ", now=NOW) == 0.0
    assert retry_after_seconds("Sat, 28 Nov 2026 12:01:30 GMT", now=NOW) == 90.0
    assert retry_after_seconds("Sat, 28 Nov 2026 12:01:30 -0000", now=NOW) == 90.0
    assert retry_after_seconds("Sat, 28 Nov 2026 11:00:00 GMT", now=NOW) == 0.0
    assert retry_after_seconds("99999999", now=NOW) == LONGEST_RETRY_AFTER_SECONDS
    for unusable in (None, "", "soon", "-5", "1.5", "²"):
        assert retry_after_seconds(unusable, now=NOW) is None


def test_only_what_passes_by_itself_is_tried_again() -> None:
    for status in (408, 429, 500, 502, 503, 504):
        assert outcomes.batch_outcome(status, b"", retry_after=3.0) == Unavailable(f"HTTP {status}", 3.0)
    for status in (301, 400, 401, 403, 404, 413, 422, 501, 505):
        refused = outcomes.batch_outcome(status, b"<html>", retry_after=3.0)
        assert isinstance(refused, Refused)
        assert refused.code == f"http_{status}"


def test_the_reason_of_a_refusal_is_the_service_s_own() -> None:
    body = b'{"code": "revoked_api_key", "message": "This API key was revoked.", "fields": {}}'
    assert outcomes.batch_outcome(401, body, retry_after=None) == Refused(
        "revoked_api_key", "This API key was revoked."
    )


def test_a_batch_still_being_worked_on_is_asked_for_again() -> None:
    body = b'{"code": "request_in_flight", "message": "try again"}'
    assert isinstance(outcomes.batch_outcome(409, body, retry_after=None), Unavailable)
    assert isinstance(outcomes.batch_outcome(409, b'{"code": "conflict"}', retry_after=None), Refused)


def test_failed_rows_are_counted_all_and_listed_some() -> None:
    body = (
        b'{"failed": 30, "results": [{"index": 4, "key": "k", "status": "failed", "code": "unknown_item", "message": "No."},'
        b' {"index": 5, "key": "l", "status": "created"}, "x"]}'
    )
    assert outcomes.batch_outcome(207, body, retry_after=None) == Stored(
        30, (RowFailure(4, "k", "unknown_item", "No."),)
    )


def test_a_success_that_is_not_the_service_s_is_none() -> None:
    for body in (b"<html>Log in</html>", b"[]", b"{}", b'{"failed": "no"}', b"\xff"):
        outcome = outcomes.batch_outcome(200, body, retry_after=None)
        assert isinstance(outcome, Refused)
        assert outcome.code == "not_the_service"


def test_the_breaker_opens_after_failures_in_a_row_and_lets_single_tries_through() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    breaker.succeeded()
    for now in range(FAILURES):
        assert breaker.admits(float(now))
        breaker.failed(float(now))
    at = float(FAILURES - 1)
    assert not breaker.admits(at + 0.49)
    assert breaker.admits(at + 0.5)
    assert not breaker.admits(at + 0.5)  # one is trying
    breaker.failed(at + 0.6)
    assert not breaker.admits(at + 1.5)
    assert breaker.admits(at + 1.6)
    breaker.succeeded()
    assert breaker.admits(at + 1.6)
    assert breaker.admits(at + 1.6)


def test_the_breaker_s_pause_is_bounded_and_keeps_the_service_s_word() -> None:
    breaker = Breaker()
    for _ in range(1000):
        breaker.failed(100.0)
    assert breaker.admits(115.0)
    other = Breaker()
    other.failed(0.0, retry_after=40.0)
    assert not other.admits(39.0)
    assert other.admits(40.0)
