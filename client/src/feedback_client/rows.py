"""Rows as the service takes them: arguments in, checked JSON out.

Only what would make a row useless or the batch unsendable is checked here; whether the class names fit or the item exists,
the service says for each row. A field that is None is left out.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias
from uuid import uuid4

from feedback_client.errors import InvalidArgument
from feedback_client.json_text import Array, encode
from feedback_client.request_ids import current_request_id

LONGEST_KEY: Final = 200
LONGEST_MODEL_VERSION: Final = 100
LONGEST_FEEDBACK_ID: Final = 150
LARGEST_ROW_BYTES: Final = 900_000
"""Below what the service takes (1 MiB), and so that a batch of one row is always possible."""

Probabilities: TypeAlias = Sequence[float] | Mapping[str, float] | Array
Vector: TypeAlias = Sequence[float] | Array


class Route(Enum):
    """The intake of one kind of row; the value is the last part of its address."""

    ITEMS = "items"
    PREDICTIONS = "predictions"
    FEEDBACK = "feedback"


class Row(NamedTuple):
    body: bytes
    identity: str
    """What the service takes only once in a request."""
    version: str = ""
    """With the same identity *and* version, a later row says nothing new to the service."""


@dataclass(frozen=True)
class Candidate:
    """One thing of a ranked list, in shown order: what it is, and what the model said of it."""

    key: str
    model_version: str | None = None
    probabilities: Probabilities | None = None
    answer: object = None
    confidence: float | None = None
    std: float | None = None
    payload: Mapping[str, object] | None = None
    segments: Mapping[str, str] | None = None
    context: Mapping[str, object] | None = None


def checked_key(key: object) -> str:
    if not isinstance(key, str) or not key or key.isspace():
        raise InvalidArgument("invalid_key", f"A key is a text that is not empty, not {key!r:.100}.")
    if len(key) > LONGEST_KEY:
        raise InvalidArgument("invalid_key", f"A key has at most {LONGEST_KEY} characters.")
    return key


def prediction_part(
    *,
    model_version: str | None,
    probabilities: Probabilities | None,
    answer: object,
    confidence: float | None,
    std: float | None,
    context: Mapping[str, object],
    respondent: str | None,
) -> dict[str, object]:
    """What a model version said; raises InvalidArgument `invalid_model_version`, `nothing_predicted`."""
    if not isinstance(model_version, str) or not 0 < len(model_version) <= LONGEST_MODEL_VERSION:
        raise InvalidArgument(
            "invalid_model_version", f"A model version's name is a text of 1 to {LONGEST_MODEL_VERSION} characters."
        )
    if probabilities is None and answer is None:
        raise InvalidArgument("nothing_predicted", "A prediction needs probabilities or an answer.")
    part: dict[str, object] = {"model_version": model_version}
    if probabilities is not None:
        part["probabilities"] = probabilities
    if answer is not None:
        part["answer"] = answer
    if confidence is not None:
        part["confidence"] = confidence
    if std is not None:
        part["std"] = std
    if context:
        part["context"] = context
    if respondent is not None:
        part["respondent"] = respondent
    return part


def context_of(
    context: Mapping[str, object] | None, *, request_id: str | None, latency_ms: float | None
) -> dict[str, object]:
    """The app's fields, with the id of the request that is being served and the latency; what the app gave wins."""
    made: dict[str, object] = {}
    request_id = request_id or current_request_id()
    if request_id is not None:
        made["request_id"] = request_id
    if latency_ms is not None:
        made["latency_ms"] = latency_ms
    if context:
        made.update(context)
    return made


def prediction_row(
    key: str,
    prediction: dict[str, object],
    *,
    payload: Mapping[str, object] | None,
    segments: Mapping[str, str] | None,
    embedding: Vector | None,
) -> tuple[Route, Row]:
    """With a payload the row makes its item if there is none yet; without, the service has to know the item."""
    checked_key(key)
    version = str(prediction["model_version"])
    if payload is None:
        if segments is not None or embedding is not None:
            raise InvalidArgument("payload_missing", "Segments and an embedding belong to an item: give its payload.")
        return Route.PREDICTIONS, Row(_bounded({"key": key, **prediction}), f"{key}\n{version}", version)
    if not isinstance(payload, Mapping):
        raise InvalidArgument("invalid_payload", f"A payload has named fields; it is no {type(payload).__name__}.")
    item: dict[str, object] = {"key": key, "payload": payload}
    if segments is not None:
        item["segments"] = segments
    if embedding is not None:
        item["embedding"] = embedding
    item["prediction"] = prediction
    return Route.ITEMS, Row(_bounded(item), key, version)


@dataclass(frozen=True)
class Target:
    """What a feedback row is about: one of these, `model_version` with the key only."""

    token: str | None = None
    ask_id: int | None = None
    prediction_id: int | None = None
    request_id: str | None = None
    key: str | None = None
    model_version: str | None = None

    def fields(self) -> dict[str, object]:
        """Raises InvalidArgument `invalid_target`. Without any, it is the request that is being served."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        named = [name for name in given if name != "model_version"]
        if not named and not given and (request_id := current_request_id()) is not None:
            return {"request_id": request_id}
        if len(named) != 1 or ("model_version" in given and named != ["key"]):
            raise InvalidArgument(
                "invalid_target",
                "Feedback is about one token, ask_id, prediction_id, request_id or key (that with a model_version).",
            )
        return given


def feedback_row(
    kind: str,
    value: object,
    target: Target,
    *,
    feedback_id: str | None,
    comment: str | None,
    respondent: str | None,
    occurred_at: dt.datetime | None,
    context: Mapping[str, object] | None,
    supersedes: str | None,
) -> Row:
    """A row with an id, so that it is stored once however often it is sent.

    There is no `sent_at`: the service corrects browsers' clocks by it, and a batch that waited for a retry would be taken for
    a clock that is wrong.
    """
    if not kind or not isinstance(kind, str):
        raise InvalidArgument("invalid_kind", f"The kind of feedback is a text, not {kind!r:.100}.")
    if occurred_at is None:
        occurred_at = dt.datetime.now(dt.timezone.utc)
    elif occurred_at.tzinfo is None:
        raise InvalidArgument("naive_time", "occurred_at needs a time zone.")
    row_id: object = uuid4().hex if feedback_id is None else feedback_id
    if not isinstance(row_id, str) or not 0 < len(row_id) <= LONGEST_FEEDBACK_ID:
        raise InvalidArgument("invalid_id", f"The id of feedback is a text of 1 to {LONGEST_FEEDBACK_ID} characters.")
    row: dict[str, object] = {"id": row_id, "kind": kind, **target.fields(), "occurred_at": occurred_at.isoformat()}
    if value is not None:
        row["value"] = value
    optional = {"comment": comment, "respondent": respondent, "context": context, "supersedes": supersedes}
    row.update((name, given) for name, given in optional.items() if given is not None)
    return Row(_bounded(row), row_id)


def _bounded(row: dict[str, object]) -> bytes:
    body = encode(row)
    if len(body) > LARGEST_ROW_BYTES:
        raise InvalidArgument("row_too_large", f"A row has at most {LARGEST_ROW_BYTES:,} bytes.")
    return body
