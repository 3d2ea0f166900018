"""Rows of feedback as they come over the wire: bytes in, checked rows or a reason out.

A row says what an end user said or did (`kind`, `value`) of one thing (its target), and when. Ground-truth records in
SageMaker's form are rows too. What needs the database, such as whether the target exists, is asked later, of many rows
at once. See docs/feedback.md.
"""

import base64
import binascii
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from labeling.form_faults import FormFault, fault_of
from labeling.wire import JSON_EMPTY, LONGEST_KEY, LONGEST_MODEL_VERSION, RowError, encoded, refuse_nul

LONGEST_COMMENT: Final = 2_000
LONGEST_ID: Final = 150
"""Room is left for what tells the ids of browsers and of asks from those of servers."""
LONGEST_TARGET: Final = 200
LONGEST_RESPONDENT: Final = 500
LONGEST_VALUE_TEXT: Final = 10_000
MOST_CHOICES: Final = 100
LONGEST_WAIT: Final = dt.timedelta(days=30)
"""So long a client may have kept a row before it could send it; a longer wait is taken for a broken clock."""

CORRECTION: Final = "correction"
_LARGEST_ID: Final = 2**63 - 1
_EARLIEST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST: Final = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
_PREFERENCES: Final = {"a": 1.0, "tie": 0.5, "b": 0.0}

Time = Annotated[dt.datetime, Meta(tz=True)]
RowId = Annotated[int, Meta(ge=1, le=_LARGEST_ID)]


class _GroundTruth(msgspec.Struct):
    data: str
    encoding: str = "CSV"


class _EventMetadata(msgspec.Struct):
    eventId: str  # SageMaker's spelling
    inferenceId: str | None = None


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    id: str = ""
    kind: str = ""
    value: Any = None
    comment: str = ""
    token: str = ""
    ask_id: RowId | None = None
    prediction_id: RowId | None = None
    request_id: str = ""
    key: str = ""
    model_version: str = ""
    respondent: str = ""
    occurred_at: Time | None = None
    sent_at: Time | None = None
    context: dict[str, Any] = {}
    supersedes: str = ""
    groundTruthData: _GroundTruth | None = None
    eventMetadata: _EventMetadata | None = None
    eventVersion: str | int = ""


class _IdOnly(msgspec.Struct):
    id: object = None


class FeedbackRow(msgspec.Struct, gc=False, kw_only=True):
    """A checked row. `key` is its id, empty where the client named none. `value` and `context` are JSON.

    A correction has its answer in `answer`, still to be checked against the label schema. If `is_natural`, the answer
    may be the bare label, such as the key of a class.
    """

    key: str
    kind: str
    value: bytes | None = None
    score: float | None = None
    answer: Any = None
    is_natural: bool = False
    comment: str = ""
    token: str = ""
    ask_id: int | None = None
    prediction_id: int | None = None
    request_id: str = ""
    item_key: str = ""
    model_version: str = ""
    respondent: str = ""
    context: bytes = JSON_EMPTY
    supersedes: str = ""
    occurred_at: dt.datetime | None = None
    sent_at: dt.datetime | None = None


_decoder: Final = msgspec.json.Decoder(_Line)
_encode: Final = msgspec.json.Encoder().encode

Score = float | None
_Reader = Callable[[Any, Mapping[str, Any]], Score]
"""Checks a value, given the context of the row, and returns it as one number where there is one."""


def parse(raw: bytes, *, largest_bytes: int) -> FeedbackRow:
    """Read {"id"?, "kind", "value"?, "comment"?, <one target>, "respondent"?, "occurred_at"?, "sent_at"?, "context"?,
    "supersedes"?} or a ground-truth record of SageMaker.

    >>> row = parse(b'{"id": "f-1", "kind": "thumb", "value": "up", "key": "item-7"}', largest_bytes=1000)
    >>> row.value, row.score, row.item_key
    (b'"up"', 1.0, 'item-7')
    """
    line = _decode(raw, largest_bytes)
    try:
        if b"\\u0000" in raw:
            refuse_nul(line)
        if line.groundTruthData is not None or line.eventMetadata is not None:
            return _ground_truth(line)
        return _row(line)
    except RowError as error:
        error.key = line.id[:LONGEST_ID] or None
        raise


def corrected_times(
    occurred_at: dt.datetime | None, sent_at: dt.datetime | None, *, received_at: dt.datetime
) -> dt.datetime:
    """When it happened, by our clock: occurred_at + (received_at - sent_at).

    Both of the client's times are by the client's clock, so that it does not matter how far that is off. What cannot be
    is bounded: nothing happens after it was sent, and nothing waits longer than `LONGEST_WAIT`. Without `sent_at` the
    time is taken as it is, but never later than it was received.

    >>> noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    >>> tomorrow = noon + dt.timedelta(days=1)
    >>> corrected_times(tomorrow - dt.timedelta(minutes=5), tomorrow, received_at=noon).isoformat()
    '2026-03-01T11:55:00+00:00'
    """
    if occurred_at is None:
        return received_at
    if sent_at is None:
        return min(occurred_at, received_at)
    waited = min(max(sent_at - occurred_at, dt.timedelta()), LONGEST_WAIT)
    return received_at - waited


def require_comment(comment: str) -> None:
    if len(comment) > LONGEST_COMMENT:
        raise RowError("comment_too_long", f"A comment has at most {LONGEST_COMMENT:,} characters.")


def require_time(time: dt.datetime | None) -> None:
    if time is not None and not _EARLIEST <= time < _LATEST:
        raise RowError("invalid_time", "A time lies between the years 1970 and 9000.")


# -- reading a line ------------------------------------------------------------------------------------------------

_PLACE: Final = re.compile(r"\w+")
_CODE_BY_FIELD: Final = {
    "id": "invalid_id",
    "kind": "unknown_kind",
    "value": "invalid_value",
    "comment": "invalid_comment",
    "token": "invalid_token",
    "ask_id": "unknown_ask",
    "prediction_id": "unknown_prediction",
    "request_id": "invalid_target",
    "key": "invalid_target",
    "model_version": "invalid_target",
    "respondent": "invalid_respondent",
    "occurred_at": "invalid_time",
    "sent_at": "invalid_time",
    "context": "invalid_context",
    "supersedes": "invalid_id",
    "groundTruthData": "invalid_ground_truth",
    "eventMetadata": "invalid_ground_truth",
}


def _decode(raw: bytes, largest_bytes: int) -> _Line:
    if len(raw) > largest_bytes:
        raise RowError("row_too_large", f"A row has at most {largest_bytes} bytes.")
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError as error:
        fault = fault_of(error, _Line)
        raise RowError(_code_of(fault), f"{fault.about('The row')}.", _id_of(raw)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RowError("invalid_json", f"This is not JSON: {error}.") from None
    except RecursionError:
        raise RowError("too_deeply_nested", "The JSON is nested too deeply.") from None


def _code_of(fault: FormFault) -> str:
    if fault.kind == "unknown":
        return "unknown_field"
    place = _PLACE.match(fault.field)
    return _CODE_BY_FIELD.get(place[0], "invalid_row") if place else "invalid_row"


def _id_of(raw: bytes) -> str | None:
    try:
        found = msgspec.json.decode(raw, type=_IdOnly).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, str) and len(found) <= LONGEST_ID else None


def _row(line: _Line) -> FeedbackRow:
    is_correction = line.kind == CORRECTION
    if not is_correction and line.kind not in KINDS:
        raise RowError("unknown_kind", f"The kind is {', '.join(KINDS)} or {CORRECTION}.")
    _check_target(line)
    _check_texts(line)
    require_time(line.occurred_at)
    require_time(line.sent_at)
    context = encoded("context", line.context) if line.context else JSON_EMPTY
    score, value, answer = None, None, None
    if is_correction:
        answer = line.value
        if not isinstance(answer, dict):
            raise RowError("invalid_answer", 'A correction is an answer of the label schema, such as {"choice": "7"}.')
    else:
        score = KINDS[line.kind](line.value, line.context)
        value = None if line.value is None else _encode(line.value)
    return FeedbackRow(
        key=line.id,
        kind=line.kind,
        value=value,
        score=score,
        answer=answer,
        comment=line.comment,
        token=line.token,
        ask_id=line.ask_id,
        prediction_id=line.prediction_id,
        request_id=line.request_id,
        item_key=line.key,
        model_version=line.model_version,
        respondent=line.respondent,
        context=context,
        supersedes=line.supersedes,
        occurred_at=line.occurred_at,
        sent_at=line.sent_at,
    )


def _check_target(line: _Line) -> None:
    count = (
        bool(line.token)
        + (line.ask_id is not None)
        + (line.prediction_id is not None)
        + bool(line.request_id)
        + bool(line.key)
    )
    if count == 0:
        raise RowError(
            "missing_target", "A row names what it is about: token, ask_id, prediction_id, request_id or key."
        )
    if count > 1:
        raise RowError("several_targets", "A row names one target: token, ask_id, prediction_id, request_id or key.")
    if line.model_version and not line.key:
        raise RowError("several_targets", "A model version goes with the key of an item only.")
    if len(line.key) > LONGEST_KEY or len(line.request_id) > LONGEST_TARGET:
        raise RowError("invalid_target", f"The name of a target has at most {LONGEST_TARGET} characters.")
    if len(line.model_version) > LONGEST_MODEL_VERSION:
        raise RowError("invalid_target", f"The name of a model version has at most {LONGEST_MODEL_VERSION} characters.")


def _check_texts(line: _Line) -> None:
    if len(line.id) > LONGEST_ID or len(line.supersedes) > LONGEST_ID:
        raise RowError("invalid_id", f"An id has at most {LONGEST_ID} characters.")
    if line.supersedes and line.supersedes == line.id:
        raise RowError("invalid_id", "A row does not supersede itself.")
    if len(line.respondent) > LONGEST_RESPONDENT:
        raise RowError("invalid_respondent", f"A respondent's id has at most {LONGEST_RESPONDENT} characters.")
    require_comment(line.comment)


# -- values, kind by kind --------------------------------------------------------------------------------------------


def _invalid(message: str) -> RowError:
    return RowError("invalid_value", message)


def _number(value: Any) -> float | None:
    """The value as a number; None if it is none that can be stored."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def _thumb(value: Any, context: Mapping[str, Any]) -> Score:
    if value not in ("up", "down") or not isinstance(value, str):
        raise _invalid('A thumb is "up" or "down".')
    return float(value == "up")


def _rating(value: Any, context: Mapping[str, Any]) -> Score:
    number, low, high = _number(value), _number(context.get("min", 1)), _number(context.get("max", 5))
    if number is None or low is None or high is None or not low < high or not low <= number <= high:
        raise _invalid(
            "A rating is a number from min to max of the context, which are 1 and 5 unless it says otherwise."
        )
    return (number - low) / (high - low)


def _choice(value: Any, context: Mapping[str, Any]) -> Score:
    choices = value if isinstance(value, list) else [value]
    if len(choices) > MOST_CHOICES or not all(isinstance(each, str) and len(each) <= LONGEST_KEY for each in choices):
        raise _invalid(f"A choice is a text, or a list of up to {MOST_CHOICES} texts.")
    return None


def _text(value: Any, context: Mapping[str, Any]) -> Score:
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_VALUE_TEXT:
        raise _invalid(f"A text has 1 to {LONGEST_VALUE_TEXT:,} characters.")
    return None


def _preference(value: Any, context: Mapping[str, Any]) -> Score:
    if not isinstance(value, str) or value not in _PREFERENCES:
        raise _invalid('A preference is "a", "b" or "tie".')
    return _PREFERENCES[value]


def _nothing(value: Any, context: Mapping[str, Any]) -> Score:
    if value is not None:
        raise _invalid("This kind has no value.")
    return None


def _dwell(value: Any, context: Mapping[str, Any]) -> Score:
    seconds = _number(value)
    if seconds is None or seconds < 0:
        raise _invalid("Dwell is a number of seconds, at least 0.")
    return seconds


def _edit(value: Any, context: Mapping[str, Any]) -> Score:
    distance = _number(value)
    if distance is None or not 0 <= distance <= 1:
        raise _invalid("An edit is the share that was changed, from 0 to 1.")
    return distance


def _conversion(value: Any, context: Mapping[str, Any]) -> Score:
    if value is None:
        return None
    worth = _number(value)
    if worth is None:
        raise _invalid("A conversion has no value, or what it is worth as a number.")
    return worth


_EXPLICIT: Final[Mapping[str, _Reader]] = {
    "thumb": _thumb,
    "rating": _rating,
    "choice": _choice,
    "text": _text,
    "preference": _preference,
}
_IMPLICIT: Final[Mapping[str, _Reader]] = {
    "impression": _nothing,
    "click": _nothing,
    "dwell": _dwell,
    "copy": _nothing,
    "retry": _nothing,
    "edit": _edit,
    "abandonment": _nothing,
    "conversion": _conversion,
}
KINDS: Final[Mapping[str, _Reader]] = MappingProxyType({**_EXPLICIT, **_IMPLICIT})
IMPLICIT_KINDS: Final = frozenset(_IMPLICIT)
"""Behaviour, as opposed to what somebody was asked for: what a publishable key may be allowed to send without a token."""


# -- SageMaker -------------------------------------------------------------------------------------------------------


def _ground_truth(line: _Line) -> FeedbackRow:
    """A record {"groundTruthData": {"data", "encoding"}, "eventMetadata": {"eventId", "inferenceId"?}, "eventVersion"}.

    It is joined by the id that the caller gave the inference, else by SageMaker's own.
    """
    if line.groundTruthData is None or line.eventMetadata is None:
        raise RowError("invalid_ground_truth", "A ground-truth record has groundTruthData and eventMetadata.")
    if line.kind or line.value is not None:
        raise RowError("invalid_ground_truth", "A ground-truth record has no kind and no value of ours.")
    event, data = line.eventMetadata, line.groundTruthData
    request_id = event.inferenceId or event.eventId
    if not request_id or len(request_id) > LONGEST_TARGET or len(event.eventId) > LONGEST_ID:
        raise RowError("invalid_ground_truth", "eventId and inferenceId have 1 to 150 characters.")
    return FeedbackRow(
        key=line.id or event.eventId,
        kind=CORRECTION,
        answer=_ground_truth_data(data.data, data.encoding.upper()),
        is_natural=True,
        request_id=request_id,
        occurred_at=None,
    )


def _ground_truth_data(data: str, encoding: str) -> str:
    if encoding == "BASE64":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RowError("invalid_ground_truth", "The ground truth is no text encoded as BASE64.") from None
        if "\x00" in data:
            raise RowError("nul_character", "The NUL character cannot be stored.")
    elif encoding not in ("CSV", "JSON"):
        raise RowError("invalid_ground_truth", "The encoding of ground truth is CSV, JSON or BASE64.")
    text = data.strip()
    if not text:
        raise RowError("invalid_ground_truth", "The ground truth is empty.")
    if encoding != "JSON":
        return text.strip('"') if "," not in text else text
    return _json_scalar(text)


def _json_scalar(text: str) -> str:
    """JSON of an object or a list as it is; of a text or a number, what it says."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise RowError("invalid_ground_truth", "The ground truth is not JSON.") from None
    return value if isinstance(value, str) else text
