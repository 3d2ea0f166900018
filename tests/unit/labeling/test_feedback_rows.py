"""Rows of feedback: any bytes are a row or a reason, and times are corrected within bounds."""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeling.feedback_rows import IMPLICIT_KINDS, KINDS, LONGEST_WAIT, FeedbackRow, corrected_times, parse
from labeling.models import Feedback
from labeling.wire import RowError

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
FIELDS = ["id", "kind", "value", "comment", "token", "ask_id", "key", "request_id", "context", "sent_at", "supersedes"]
SAGEMAKER = ["groundTruthData", "eventMetadata", "eventVersion"]

garbage = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("aé\x00{", max_size=5)
    | st.sampled_from([*KINDS]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "eventId"]), inner, max_size=2)
    ),
    max_leaves=6,
)
times = st.integers(0, 200_000_000_000).map(lambda seconds: EPOCH + dt.timedelta(seconds=seconds))


def outcome(raw: bytes) -> FeedbackRow | RowError:
    try:
        return parse(raw, largest_bytes=10_000)
    except RowError as error:
        return error


def test_the_kinds_are_those_that_the_table_takes() -> None:
    """But for surveys, which are answered by token only."""
    assert set(KINDS) | {"survey"} == set(Feedback.Kind.values)
    assert set(KINDS) > IMPLICIT_KINDS


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(fields=st.dictionaries(st.sampled_from([*FIELDS, *SAGEMAKER]), garbage, max_size=6))
def test_any_object_is_a_row_or_a_reason(fields: dict[str, Any]) -> None:
    found = outcome(json.dumps(fields).encode())
    if isinstance(found, FeedbackRow):
        assert found.kind
        assert b"\\u0000" not in msgspec.json.encode(found)
    else:
        assert found.code
        assert found.message


@given(raw=st.binary(max_size=30))
def test_any_bytes_are_refused_with_a_reason(raw: bytes) -> None:
    assert isinstance(outcome(raw), RowError)


def test_deep_nesting_is_refused() -> None:
    for depth in (100, 100_000):
        nested = b'{"kind":"click","key":"a","context":{"a":' + b"[" * depth + b"]" * depth + b"}}"
        with pytest.raises(RowError) as refused:
            parse(nested, largest_bytes=10**6)
        assert refused.value.code == "too_deeply_nested"


def test_the_id_is_told_where_it_can_be_read() -> None:
    for raw in (b'{"id":"f-1","kind":"click"}', b'{"id":"f-1","kind":7}'):
        found = outcome(raw)
        assert isinstance(found, RowError)
        assert found.key == "f-1"


@given(occurred=times, sent=times, received=times)
def test_a_corrected_time_lies_within_its_bounds(
    occurred: dt.datetime, sent: dt.datetime, received: dt.datetime
) -> None:
    corrected = corrected_times(occurred, sent, received_at=received)
    assert received - LONGEST_WAIT <= corrected <= received


@given(off=st.timedeltas(dt.timedelta(days=-400), dt.timedelta(days=400)), waited=st.integers(0, 86_400))
def test_how_far_a_clock_is_off_makes_no_difference(off: dt.timedelta, waited: int) -> None:
    happened = NOON - dt.timedelta(seconds=waited)
    assert corrected_times(happened + off, NOON + off, received_at=NOON) == happened


def test_without_sent_at_a_time_is_taken_but_never_of_the_future() -> None:
    early = NOON - dt.timedelta(days=1000)
    assert corrected_times(early, None, received_at=NOON) == early
    assert corrected_times(NOON + dt.timedelta(days=1), None, received_at=NOON) == NOON
    assert corrected_times(None, NOON, received_at=NOON) == NOON
