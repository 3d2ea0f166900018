"""Rows made of columns: JSON lines, CSV, Parquet and folders of them.

A row in the form of the API (`key`, `payload`, `segments`, `prediction`) is taken as it is. Of any other row each column
has one part: the key, a segment, the label, something of a prediction, or else a field of the payload.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from labeling.file_formats import labels, predicted
from labeling.file_formats.options import DEFAULT_KEY, DEFAULT_LABEL, Options
from labeling.file_formats.rows import ImportedAnswer, MappedRow, RawRow
from labeling.schema import AnySchema
from labeling.wire import RowError

PROBABILITY_PREFIX: Final = "prob."
SEGMENT_PREFIX: Final = "segment."
LABEL_IMPORT_KEY: Final = "label"
IMAGE_COLUMN: Final = "image"
_ROW_FIELDS: Final = frozenset({"key", "payload", "segments", "prediction"})
_PREDICTION_FIELDS: Final = (
    "model_version",
    "probabilities",
    "prediction",
    "confidence",
    "answer",
    "context",
    "respondent",
)
_IMAGE_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp")

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class ColumnsMapper:
    """`class_names` tells what integers in a column stand for, `has_image` which paths name an image that came along
    (None where none can)."""

    def __init__(
        self,
        schema: AnySchema,
        options: Options,
        *,
        class_names: Mapping[str, tuple[str, ...]] | None = None,
        has_image: Callable[[str], bool] | None = None,
    ) -> None:
        self._schema = schema
        self._options = options
        self._class_names = class_names if class_names is not None else {}
        self._has_image = has_image
        self._key = options.key or DEFAULT_KEY

    def map(self, row: RawRow) -> MappedRow:
        """Raises RowError, with the row's key if it could be read."""
        if isinstance(row.value, RowError):
            raise row.value
        fields = row.value
        try:
            if isinstance(fields.get("payload"), dict) and not self._options.payload:
                return self._ready(row, dict(fields))
            if "payload" not in fields and fields.keys() >= {"key", "model_version"} and self._is_prediction(fields):
                alone = MappedRow(row.number, str(fields["key"]), predictions=[fields])
                alone.note_version(fields)
                return alone
            return self._flat(row, dict(fields))
        except RowError as error:
            error.key = error.key or _key_or_none(fields.get(self._key))
            raise

    def _is_prediction(self, fields: Mapping[str, object]) -> bool:
        return "probabilities" in fields and fields.keys() <= {"key", *_PREDICTION_FIELDS}

    def _ready(self, row: RawRow, fields: dict[str, object]) -> MappedRow:
        """A row as the API takes it, perhaps with a label."""
        payload = fields["payload"]
        assert isinstance(payload, dict)  # noqa: S101 - asked by the caller
        label = fields.pop(self._options.label, None) if self._options.label else None
        key, has_own_key = self._key_of(fields.pop(self._key, None), payload)
        mapped = MappedRow(row.number, key, has_own_key)
        is_as_sent = row.raw and self._key == DEFAULT_KEY and has_own_key and row.value.keys() <= _ROW_FIELDS  # type: ignore[union-attr]
        mapped.item = row.raw if is_as_sent else {"key": key, **fields}
        mapped.note_version(fields.get("prediction"))
        self._add_label(mapped, label, payload)
        return mapped

    def _flat(self, row: RawRow, fields: dict[str, object]) -> MappedRow:
        options = self._options
        own_key = fields.pop(self._key, None)
        segments = {**row.segments, **self._segments(fields)}
        label = fields.pop(options.label, None) if options.label else None
        label = self._named(options.label or DEFAULT_LABEL, label)
        given = self._prediction(fields)
        names = options.payload or tuple(fields)
        if missing := next((name for name in names if name not in fields), None):
            raise RowError("missing_column", f"The row has no column “{missing[:100]}”.")
        mapped = MappedRow(row.number, "")
        payload: dict[str, object] = {}
        for name in names:
            value = self._named(name, fields[name])
            if value is not None:
                payload[options.rename.get(name, name)] = value
        self._take_images(payload, mapped)
        if not payload:
            raise RowError("empty_row", "The row has nothing to show.")
        hashed = {name: _digest(each) if isinstance(each, bytes) else each for name, each in mapped.images.items()}
        mapped.key, mapped.has_own_key = self._key_of(own_key, {**payload, **hashed})
        mapped.item = {"key": mapped.key, "payload": payload, "segments": segments}
        if given is not None:
            mapped.item["prediction"] = part = self._prediction_part(given, payload)
            mapped.note_version(part)
        self._add_label(mapped, label, payload)
        return mapped

    def _key_of(self, own: object, content: Mapping[str, object]) -> tuple[str, bool]:
        if own is not None and own != "":
            return _text_key(own), True
        if self._options.key:
            raise RowError("missing_key", f"The row has no value for its key “{self._options.key}”.")
        try:
            return f"row-{_digest(_encode(content))[:32]}", False
        except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as error:
            raise RowError("invalid_payload", f"The row cannot be written as JSON: {error}.") from None

    def _segments(self, fields: dict[str, object]) -> dict[str, str]:
        """Take the segments out of the columns."""
        whole = fields.pop("segments", None)
        if isinstance(whole, str):
            whole = json_or_none(whole) if whole.strip() else None
            if whole is None and fields.get("segments"):
                raise RowError("invalid_segments", "The column “segments” holds a JSON object.")
        segments = {str(name): _segment(value) for name, value in whole.items()} if isinstance(whole, dict) else {}
        for name in [name for name in fields if name.startswith(SEGMENT_PREFIX)]:
            segments[name.removeprefix(SEGMENT_PREFIX)] = _segment(self._named(name, fields.pop(name)))
        for name in self._options.segments:
            segments[name] = _segment(self._named(name, fields.pop(name, None)))
        return {name: value for name, value in segments.items() if value}

    def _prediction(self, fields: dict[str, object]) -> dict[str, object] | None:
        """Take what belongs to a prediction out of the columns; None if the row has none."""
        by_class = {
            name.removeprefix(PROBABILITY_PREFIX): fields.pop(name)
            for name in [name for name in fields if name.startswith(PROBABILITY_PREFIX)]
        }
        if "prediction" not in fields and "probabilities" not in fields and not by_class:
            return None
        given: dict[str, object] = {name: fields.pop(name) for name in _PREDICTION_FIELDS if name in fields}
        if by_class and any(value not in (None, "") for value in by_class.values()):
            given["probabilities"] = {name: _number(value, name) for name, value in by_class.items()}
        said = [given.get("prediction"), given.get("probabilities")]
        return given if any(value not in (None, "") for value in said) else None

    def _prediction_part(self, given: dict[str, object], payload: Mapping[str, object]) -> dict[str, object]:
        options, schema = self._options, self._schema
        whole = given.get("prediction")
        whole = json_or_none(whole) or whole if isinstance(whole, str) else whole
        if isinstance(whole, dict) and "model_version" in whole:
            return whole
        version = str(given.get("model_version") or options.model_version)
        probabilities = given.get("probabilities")
        if isinstance(probabilities, str) and probabilities:
            probabilities = json_or_none(probabilities)
            if probabilities is None:
                raise RowError("invalid_probabilities", "The column “probabilities” holds JSON.")
        if isinstance(probabilities, dict):
            probabilities = {
                labels.class_key(schema, name, options.classes): value for name, value in probabilities.items()
            }
        if probabilities not in (None, ""):
            part: dict[str, object] = {"model_version": version, "probabilities": probabilities}
        else:
            value = self._named("prediction", whole)
            answer = labels.checked(schema, labels.answer_of(schema, value, options.classes), payload)
            confidence = given.get("confidence")
            score = None if confidence in (None, "") else _number(confidence, "confidence")
            part = predicted.prediction(schema, model_version=version, answer=answer, score=score)
        return part | {name: given[name] for name in ("context", "respondent") if given.get(name)}

    def _add_label(self, mapped: MappedRow, label: object, payload: Mapping[str, object]) -> None:
        if label is None or label == "":
            return
        answer = labels.checked(
            self._schema, labels.answer_of(self._schema, label, self._options.classes), {**payload, **mapped.images}
        )
        mapped.answers.append(ImportedAnswer(LABEL_IMPORT_KEY, answer))

    def _named(self, column: str, value: object) -> object:
        """Class names instead of integers, where the file knows them; -1 is how unlabelled rows are marked."""
        names = self._class_names.get(column)
        if not names or value is None:
            return value
        if isinstance(value, list):
            return [self._named(column, each) for each in value]
        if isinstance(value, str) and value.lstrip("-").isdigit():
            value = int(value)
        if not isinstance(value, int):
            return value
        if value == -1:
            return None
        if not 0 <= value < len(names):
            raise RowError("unknown_class", f"The column “{column}” has no class number {value}.")
        return names[value]

    def _take_images(self, payload: dict[str, object], mapped: MappedRow) -> None:
        """Note the fields whose image came along; what is drawn from elsewhere by its address stays as it is."""
        for name, value in list(payload.items()):
            if isinstance(value, dict) and value.keys() == {"bytes", "path"}:
                content, path = value["bytes"], value["path"]
                if isinstance(content, bytes) and content:
                    mapped.images[name] = content
                elif isinstance(path, str):
                    mapped.images[name] = path
                payload[name] = path if isinstance(path, str) else "image"
            elif isinstance(value, str) and self._is_image(name, value):
                mapped.images[name] = value

    def _is_image(self, column: str, text: str) -> bool:
        """A path of the archive; of the column for images also one that the archive turns out to lack."""
        if self._has_image is None or not _is_image_path(text):
            return False
        return column == IMAGE_COLUMN or self._has_image(text)


def _is_image_path(text: str) -> bool:
    return text.lower().endswith(_IMAGE_ENDINGS) and "://" not in text and "\n" not in text and len(text) < 1_000


def json_or_none(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _text_key(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowError("invalid_key", "A key is a text or a whole number.")
    return str(value)


def _key_or_none(value: object) -> str | None:
    return str(value)[:200] if isinstance(value, str | int) and value != "" else None


def _segment(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise RowError("invalid_segments", "The value of a segment is a text.")
    return str(value)


def _number(value: object, column: str) -> float:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise RowError("invalid_probabilities", f"“{column[:100]}” is no number in this row.")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
