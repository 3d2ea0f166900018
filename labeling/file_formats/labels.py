"""Labels in the natural form of other tools ("spam", 4, ["a", "b"], ...), turned into answers of a label schema."""

import json
from collections.abc import Callable, Mapping
from typing import Final, cast

import msgspec

from labeling.schema import AnySchema, JSONValue, SchemaError
from labeling.wire import RowError

MULTI_LABEL_DELIMITERS: Final = ("|", ";", ",")


def class_key(schema: AnySchema, name: object, renamed: Mapping[str, str]) -> str:
    """The key of the class that a file calls `name`: renamed, a key itself, or the title of exactly one class."""
    text = str(name)
    text = renamed.get(text, text)
    classes = schema.label_classes
    if any(text == each.key for each in classes):
        return text
    titled = [each.key for each in classes if each.title == text]
    return titled[0] if len(titled) == 1 else text


def checked(schema: AnySchema, answer: JSONValue, payload: Mapping[str, object]) -> JSONValue:
    """The answer in its stored form. Raises RowError `invalid_answer` or `unknown_class`."""
    try:
        parsed = schema.parse_answer(answer)
        if schema.needs_payload:
            schema.check_against(parsed, cast("JSONValue", payload))
    except SchemaError as error:
        raise RowError(error.code, f"The answer does not fit the project's labels: {error}.") from None
    value: JSONValue = msgspec.json.decode(msgspec.json.encode(parsed))  # lists, as when it is read back
    return value


def answer_of(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    """The answer whose natural form is `value`; a whole answer as an object is taken as it is.

    Texts are read as the kind needs it, because cells of a CSV file are nothing else. Raises RowError `invalid_answer`.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        value = _json(value)
    if isinstance(value, dict):
        return value
    return _BY_KIND[schema.kind](schema, value, renamed)


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _choice(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    if isinstance(value, list):
        raise RowError("invalid_answer", "The label is one class, not a list.")
    return {"choice": class_key(schema, value, renamed)}


def _choices(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    if isinstance(value, str):
        delimiter = next((each for each in MULTI_LABEL_DELIMITERS if each in value), None)
        parts: list[object] = [part.strip() for part in (value.split(delimiter) if delimiter else [value])]
        value = [part for part in parts if part]
    names = value if isinstance(value, list) else [value]
    return {"choices": [class_key(schema, name, renamed) for name in names]}


def _rating(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    number = _number_of(value)
    return {"rating": int(number) if number == int(number) else number}


def _number(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    return {"number": _number_of(value)}


def _number_of(value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else float("nan")
    except ValueError:
        number = float("nan")
    if not -1e300 < number < 1e300:
        raise RowError("invalid_answer", f"The label “{str(value)[:100]}” is no number.")
    return number


def _text(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise RowError("invalid_answer", "The label is a text.")
    return {"text": value}


def _preference(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
    text = str(value)
    return {"preference": renamed.get(text, text)}


def _regions(name: str) -> Callable[[AnySchema, object, Mapping[str, str]], JSONValue]:
    def read(schema: AnySchema, value: object, renamed: Mapping[str, str]) -> JSONValue:
        if not isinstance(value, list):
            raise RowError("invalid_answer", f"The label is a list of {name}.")
        return {name: [_region(schema, region, renamed) for region in value]}

    return read


def _region(schema: AnySchema, region: object, renamed: Mapping[str, str]) -> JSONValue:
    if not isinstance(region, dict):
        raise RowError("invalid_answer", "Each part of the label is an object.")
    fields = dict(region)
    named = fields.pop("label", fields.pop("class", ""))
    fields.pop("class", None)
    return {**fields, "class": class_key(schema, named, renamed)}


_BY_KIND: Final[Mapping[str, Callable[[AnySchema, object, Mapping[str, str]], JSONValue]]] = {
    "single_choice": _choice,
    "multi_label": _choices,
    "rating": _rating,
    "text_correction": _text,
    "preference": _preference,
    "spans": _regions("spans"),
    "numeric": _number,
    "boxes": _regions("boxes"),
}
