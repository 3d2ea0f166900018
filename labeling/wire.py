"""Rows as they come over the wire: bytes in, checked rows or a reason out.

A row is checked here for everything that can be said of it alone; whether its model version and classes exist is
asked later, of many rows at once. What passes can be stored: JSON is encoded anew, so that PostgreSQL never meets a
number, a nesting or a character that it would refuse.
"""

import re
from typing import Final, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from labeling.form_faults import FormFault, fault_of

JSON_EMPTY: Final = b"{}"
LONGEST_KEY: Final = 200
LONGEST_MODEL_VERSION: Final = 100
LONGEST_RESPONDENT: Final = 500
LARGEST_SEGMENT_COUNT: Final = 50
LONGEST_SEGMENT: Final = 200
DEEPEST_JSON: Final = 64
WIDEST_EMBEDDING: Final = 4096
_LARGEST_HALF: Final = 65_504
"""What float16 can hold."""

Probabilities = list[float] | dict[str, float]


class RowError(Exception):
    """Why a row is refused: `code` for programs, `message` for people, `key` of the row if it could be read."""

    def __init__(self, code: str, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.key = key


class PredictionPart(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What a model version said of the item of the row: probabilities of classes, or an answer and how sure it is.

    Which of the two is needed, the project's label schema says; see labeling.services.prediction_rows.
    """

    model_version: str
    probabilities: Probabilities | UnsetType = UNSET
    answer: object = UNSET
    confidence: float | UnsetType = UNSET
    std: float | UnsetType = UNSET
    context: dict[str, object] = {}
    respondent: str = ""


class _ItemLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    key: str
    payload: dict[str, object]
    segments: dict[str, str] = {}
    prediction: PredictionPart | None = None
    embedding: list[float] | None = None


class _PredictionLine(PredictionPart, forbid_unknown_fields=True, gc=False, kw_only=True):
    key: str


Line = TypeVar("Line", _ItemLine, _PredictionLine)


class _KeyOnly(msgspec.Struct):
    key: object = None


class Row(msgspec.Struct, gc=False):
    """A checked row. `payload` and `segments` are JSON; an empty payload means that the row is a prediction only.

    `embedding` is float16, little endian; None where the row has none.
    """

    key: str
    payload: bytes
    segments: bytes
    prediction: PredictionPart | None
    context: bytes
    embedding: bytes | None = None


_item_decoder: Final = msgspec.json.Decoder(_ItemLine)
_prediction_decoder: Final = msgspec.json.Decoder(_PredictionLine)
_encode: Final = msgspec.json.Encoder().encode


def parse_item(raw: bytes, *, largest_bytes: int) -> Row:
    """Read {"key", "payload", "segments"?, "prediction"?, "embedding"?}; a prediction is as in `parse_prediction`, without the key.

    >>> parse_item(b'{"key": "a", "payload": {"text": "hello"}}', largest_bytes=1000).payload
    b'{"text":"hello"}'
    """
    line = _decode(_item_decoder, raw, largest_bytes)
    key = line.key
    try:
        _check_key(key)
        payload = encoded("payload", line.payload)
        segments = _segments(line.segments) if line.segments else JSON_EMPTY
        context = _context(line.prediction) if line.prediction is not None else JSON_EMPTY
        embedding = _embedding(line.embedding) if line.embedding is not None else None
        if b"\\u0000" in raw:
            refuse_nul(line)
    except RowError as error:
        error.key = key
        raise
    return Row(key, payload, segments, line.prediction, context, embedding)


def parse_prediction(raw: bytes, *, largest_bytes: int) -> Row:
    """Read {"key", "model_version", "probabilities"?, "answer"?, "confidence"?, "std"?, "context"?, "respondent"?}.

    >>> row = parse_prediction(b'{"key": "a", "model_version": "m", "probabilities": [0.5, 0.5]}', largest_bytes=1000)
    >>> row.prediction.probabilities
    [0.5, 0.5]
    """
    line = _decode(_prediction_decoder, raw, largest_bytes)
    try:
        _check_key(line.key)
        context = _context(line)
        if b"\\u0000" in raw:
            refuse_nul(line)
    except RowError as error:
        error.key = line.key
        raise
    return Row(line.key, b"", JSON_EMPTY, line, context)


def checked(
    key: str,
    *,
    payload: dict[str, object] | None = None,
    segments: dict[str, str] | None = None,
    prediction: PredictionPart | None = None,
) -> Row:
    """A row whose parts were decoded elsewhere, from JSON without NUL, checked as `parse_item` does. No payload: the item exists.

    >>> checked("a", payload={"text": "hello"}).payload
    b'{"text":"hello"}'
    """
    try:
        _check_key(key)
        return Row(
            key,
            b"" if payload is None else encoded("payload", payload),
            _segments(segments) if segments else JSON_EMPTY,
            prediction,
            _context(prediction) if prediction is not None else JSON_EMPTY,
        )
    except RowError as error:
        error.key = key
        raise


def _decode(decoder: "msgspec.json.Decoder[Line]", raw: bytes, largest_bytes: int) -> Line:
    if len(raw) > largest_bytes:
        raise RowError("row_too_large", f"A row has at most {largest_bytes} bytes.")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        fault = fault_of(error, decoder.type)
        raise RowError(_code_of(fault), f"{fault.about('The row')}.", _key_of(raw)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RowError("invalid_json", f"This is not JSON: {error}.") from None
    except RecursionError:
        raise RowError("too_deeply_nested", f"JSON is nested at most {DEEPEST_JSON} deep here.") from None


_PLACE: Final = re.compile(r"(?:prediction\.)?(\w+)")
_CODE_BY_FIELD: Final = {
    "key": "invalid_key",
    "payload": "invalid_payload",
    "segments": "invalid_segments",
    "model_version": "invalid_model_version",
    "probabilities": "invalid_probabilities",
    "confidence": "invalid_confidence",
    "std": "invalid_std",
    "context": "invalid_context",
    "embedding": "invalid_embedding",
    "respondent": "invalid_respondent",
}


def _code_of(fault: FormFault) -> str:
    if fault.kind in ("missing", "unknown"):
        return f"{fault.kind}_field"
    place = _PLACE.match(fault.field)
    return _CODE_BY_FIELD.get(place[1], "invalid_row") if place else "invalid_row"


def _key_of(raw: bytes) -> str | None:
    try:
        key = msgspec.json.decode(raw, type=_KeyOnly).key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return key if isinstance(key, str) and len(key) <= LONGEST_KEY else None


def _check_key(key: str) -> None:
    if not key or key.isspace():
        raise RowError("invalid_key", "A key must not be empty.")
    if len(key) > LONGEST_KEY:
        raise RowError("invalid_key", f"A key has at most {LONGEST_KEY} characters.")


def _segments(segments: dict[str, str]) -> bytes:
    if len(segments) > LARGEST_SEGMENT_COUNT:
        raise RowError("invalid_segments", f"An item belongs to at most {LARGEST_SEGMENT_COUNT} segments.")
    if any(not name or len(name) > LONGEST_SEGMENT or len(value) > LONGEST_SEGMENT for name, value in segments.items()):
        raise RowError("invalid_segments", f"Names and values of segments have 1 to {LONGEST_SEGMENT} characters.")
    return _encode(segments)


def _embedding(numbers: list[float]) -> bytes:
    if not 0 < len(numbers) <= WIDEST_EMBEDDING:
        raise RowError("invalid_embedding", f"An embedding has 1 to {WIDEST_EMBEDDING:,} numbers.")
    vector = np.array(numbers)
    # Written so that what is not finite, which compares false, falls on the refused side.
    if not np.abs(vector).max() <= _LARGEST_HALF:
        raise RowError(
            "invalid_embedding", f"The numbers of an embedding lie between -{_LARGEST_HALF} and {_LARGEST_HALF}."
        )
    return vector.astype("<f2").tobytes()


def _context(prediction: PredictionPart) -> bytes:
    if not 0 < len(prediction.model_version) <= LONGEST_MODEL_VERSION:
        raise RowError("invalid_model_version", f"A model version's name has 1 to {LONGEST_MODEL_VERSION} characters.")
    if len(prediction.respondent) > LONGEST_RESPONDENT:
        raise RowError("invalid_respondent", f"A respondent's id has at most {LONGEST_RESPONDENT} characters.")
    return encoded("context", prediction.context) if prediction.context else JSON_EMPTY


def encoded(field: str, value: dict[str, object]) -> bytes:
    try:
        encoded = _encode(value)
    except RecursionError:
        encoded = b"[" * (DEEPEST_JSON + 1)
    # Brackets that close and open at once cannot add depth, so this bounds it from above, also where they stand in
    # texts; only what exceeds the bound is walked through.
    opened = encoded.count(b"[") + encoded.count(b"{") - encoded.count(b"],[") - encoded.count(b"},{")
    if opened > DEEPEST_JSON and _depth_exceeds(value, DEEPEST_JSON):
        raise RowError("too_deeply_nested", f"The {field} is nested more than {DEEPEST_JSON} deep.")
    return encoded


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def refuse_nul(line: msgspec.Struct) -> None:
    """PostgreSQL stores every character but NUL. Escaped backslashes go first, so that the text "\\u0000" passes."""
    if b"\\u0000" in _encode(line).replace(b"\\\\", b""):
        raise RowError("nul_character", "The NUL character (\\u0000) cannot be stored.")
