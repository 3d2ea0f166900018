"""Label Studio tasks: one task becomes one item with its predictions, annotations and skips.

What a task's `result` says depends on the kind of the project's label schema; see docs/imports.md for the table.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from labeling.file_formats import label_studio_results as results
from labeling.file_formats import labels, predicted
from labeling.file_formats.options import DEFAULT_MODEL_VERSION, Options
from labeling.file_formats.rows import ImportedAnswer, MappedRow, RawRow
from labeling.schema import AnySchema, JSONValue
from labeling.schema.boxes import Boxes
from labeling.schema.confidences import combined
from labeling.schema.spans import Spans
from labeling.wire import RowError

DEFAULT_VERSION: Final = "label-studio"
_LONGEST_ID: Final = 80
_LONGEST_DURATION_MS: Final = 2_147_483_647
# Of a task that is written without `data` around its fields.
_TASK_FIELDS: Final = frozenset({"id", "meta", "annotations", "predictions", "completions", "drafts"})

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class LabelStudioMapper:
    def __init__(self, schema: AnySchema, options: Options) -> None:
        self._schema = schema
        self._options = options
        given = options.model_version
        self._version = DEFAULT_VERSION if given == DEFAULT_MODEL_VERSION else given

    def map(self, row: RawRow) -> MappedRow:
        """Raises RowError, with the row's key if it could be read."""
        if isinstance(row.value, RowError):
            raise row.value
        task = row.value
        data = task.get("data") if "data" in task else _without(task, _TASK_FIELDS)
        if not isinstance(data, dict) or not data:
            raise RowError("invalid_payload", "The task has no data.")
        key, has_own_key = self._key(task, data)
        try:
            rename = self._options.rename
            payload: dict[str, object] = {
                rename.get(str(name), str(name)): value for name, value in data.items() if value is not None
            }
            item: dict[str, object] = {"key": key, "payload": payload}
            if segments := self._segments(task, data):
                item["segments"] = segments
            mapped = MappedRow(row.number, key, has_own_key, item=item)
            predictions = self._predictions(_objects(task, "predictions"), payload)
            if predictions:
                item["prediction"], *others = predictions
                mapped.predictions = [{"key": key, **part} for part in others]
                for part in predictions:
                    mapped.note_version(part)
            annotations = _objects(task, "annotations") or _objects(task, "completions")
            mapped.answers = list(self._answers(annotations, payload))
        except RowError as error:
            error.key = error.key or key
            raise
        return mapped

    def _key(self, task: Mapping[str, object], data: Mapping[str, object]) -> tuple[str, bool]:
        name = self._options.key
        meta = task.get("meta")
        if name:
            places = (data, meta if isinstance(meta, dict) else {}, task)
            value = next((place[name] for place in places if place.get(name) not in (None, "")), None)
            if value is None:
                raise RowError("missing_key", f"The task has no “{name[:100]}” in its data or meta.")
        else:
            value = task.get("id")
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value), True
        if value is not None:
            raise RowError("invalid_key", "A key is a text or a whole number.")
        return f"row-{hashlib.sha256(_encode(data)).hexdigest()[:32]}", False

    def _segments(self, task: Mapping[str, object], data: Mapping[str, object]) -> dict[str, str]:
        meta = task.get("meta")
        places = (data, meta if isinstance(meta, dict) else {})
        found = {
            name: next((place[name] for place in places if place.get(name) is not None), None)
            for name in self._options.segments
        }
        return {name: str(value) for name, value in found.items() if isinstance(value, str | int | float)}

    # -- predictions ------------------------------------------------------------------------------------------------

    def _predictions(
        self, given: Sequence[Mapping[str, object]], payload: Mapping[str, object]
    ) -> list[dict[str, object]]:
        """One for each model version, the first of it."""
        by_version: dict[str, dict[str, object]] = {}
        for each in given:
            version = str(each.get("model_version") or self._version)
            if version in by_version:
                continue
            answer = self._answer(each, payload)
            if answer is None:
                continue  # the model said nothing
            by_version[version] = predicted.prediction(
                self._schema, model_version=version, answer=answer, score=_score(each, self._schema)
            )
        return list(by_version.values())

    def _answer(self, said: Mapping[str, object], payload: Mapping[str, object]) -> JSONValue:
        """The answer in a `result`, checked; None if there is none."""
        answer = results.answer_of(self._schema, _objects(said, "result"), payload, self._options)
        return None if answer is None else labels.checked(self._schema, answer, payload)

    # -- annotations ------------------------------------------------------------------------------------------------

    def _answers(
        self, annotations: Sequence[Mapping[str, object]], payload: Mapping[str, object]
    ) -> Iterator[ImportedAnswer]:
        for each in annotations:
            is_skip = each.get("was_cancelled") is True
            answer = None if is_skip else self._answer(each, payload)
            if answer is None and not is_skip:
                raise RowError("empty_annotation", "An annotation of the task holds no answer.")
            yield ImportedAnswer(
                _import_key(each),
                answer,
                email=_email(each.get("completed_by")),
                is_skip=is_skip,
                is_ground_truth=each.get("ground_truth") is True,
                created_at=_time(each.get("created_at")),
                duration_ms=_milliseconds(each.get("lead_time")),
            )


def _objects(parent: Mapping[str, object], name: str) -> list[dict[str, object]]:
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise RowError("invalid_row", f"“{name}” is a list of objects.")
    if name == "predictions":  # some exports hold only ids here
        value = [each for each in value if not isinstance(each, int)]
    if not all(isinstance(each, dict) for each in value):
        raise RowError("invalid_row", f"“{name}” is a list of objects.")
    return value


def _without(task: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in task.items() if name not in names}


def _score(prediction: Mapping[str, object], label_schema: AnySchema) -> float | None:
    """Of the prediction, else what the schema makes of its parts': without a rule of its own that of the weakest."""
    score = prediction.get("score")
    if score is None:
        scores = [part["score"] for part in _objects(prediction, "result") if part.get("score") is not None]
        if any(isinstance(each, bool) or not isinstance(each, int | float) for each in scores):
            raise RowError("invalid_score", "The score of a prediction is a number.")
        if not scores:
            return None
        numbers = [float(each) for each in scores if isinstance(each, int | float)]
        rule = label_schema.confidence_rule if isinstance(label_schema, Spans | Boxes) else "least"
        if rule != "least" and not all(0 <= each <= 1 for each in numbers):
            raise RowError("invalid_score", "The score of a part is a number from 0 to 1.")
        return combined(numbers, rule)
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise RowError("invalid_score", "The score of a prediction is a number.")
    return float(score)


def _import_key(annotation: Mapping[str, object]) -> str:
    """The annotation's own name, or a hash of what it says."""
    for name in ("unique_id", "id"):
        value = annotation.get(name)
        if isinstance(value, str | int) and value != "" and len(str(value)) <= _LONGEST_ID:
            return f"label-studio:{value}"
    said = {name: annotation.get(name) for name in ("completed_by", "result", "was_cancelled", "created_at")}
    return f"label-studio:{hashlib.sha256(_encode(said)).hexdigest()[:40]}"


def _email(completed_by: object) -> str:
    """Whoever is known by a number only is unknown here."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email")
    return completed_by.strip() if isinstance(completed_by, str) and "@" in completed_by else ""


def _time(text: object) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RowError("invalid_time", f"“{text[:40]}” is no time.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _milliseconds(lead_time: object) -> int | None:
    """From seconds; what is no sensible time is not known."""
    if isinstance(lead_time, bool) or not isinstance(lead_time, int | float) or not lead_time >= 0:
        return None
    milliseconds = lead_time * 1000
    return round(milliseconds) if milliseconds <= _LONGEST_DURATION_MS else None
