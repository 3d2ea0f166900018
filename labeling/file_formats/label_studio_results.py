"""The `result` of a Label Studio annotation or prediction, read as an answer of a label schema's kind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from labeling.file_formats import labels
from labeling.file_formats.options import Options
from labeling.schema import AnySchema, JSONValue
from labeling.wire import RowError

Result = Mapping[str, object]

_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "single_choice": ("choices",),
    "multi_label": ("choices",),
    "rating": ("rating",),
    "text_correction": ("textarea",),
    "preference": ("pairwise",),
    "spans": ("labels",),
    "numeric": ("number",),
    "boxes": ("rectanglelabels",),
}
_MAY_BE_EMPTY: Final[Mapping[str, JSONValue]] = {
    "multi_label": {"choices": []},
    "spans": {"spans": []},
    "boxes": {"boxes": []},
}
_SIDES: Final = {"left": "a", "right": "b"}


def answer_of(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    """The answer, not yet checked against the schema; None if the parts hold none.

    An empty result says “nothing there” where the kind knows such an answer. Raises RowError where the parts are of
    another kind, of several controls, or cannot be kept.
    """
    types = _TYPES[schema.kind]
    fitting = [part for part in parts if part.get("type") in types]
    if options.control:
        fitting = [part for part in fitting if part.get("from_name") == options.control]
    elif len({part.get("from_name") for part in fitting}) > 1:
        names = ", ".join(sorted({str(part.get("from_name"))[:50] for part in fitting}))
        raise RowError("several_controls", f"Several controls hold {types[0]}: {names}. Choose one (option “control”).")
    if not fitting:
        others = sorted({str(part.get("type"))[:50] for part in parts})
        if others and not options.control:
            raise RowError("other_task_type", f"The project needs {types[0]}, the task has {', '.join(others)}.")
        return _MAY_BE_EMPTY.get(schema.kind)
    return _BY_KIND[schema.kind](schema, fitting, payload, options)


def _value(part: Result) -> Mapping[str, object]:
    value = part.get("value")
    if not isinstance(value, dict):
        raise RowError("invalid_annotation", "A result has no value.")
    return value


def _only(parts: Sequence[Result]) -> Mapping[str, object]:
    if len(parts) > 1:
        raise RowError("several_answers", "A result holds one answer here, not several.")
    return _value(parts[0])


def _names(value: Mapping[str, object], field: str) -> list[str]:
    names = value.get(field)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowError("invalid_annotation", f"The value of a result has a list of names as “{field}”.")
    return names


def _choices(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    names = _names(_only(parts), "choices")
    keys: list[JSONValue] = [labels.class_key(schema, name, options.classes) for name in names]
    if schema.kind == "multi_label":
        return {"choices": keys}
    if len(keys) != 1:
        raise RowError("several_answers", f"The project takes one choice, the task has {len(keys)}.")
    return {"choice": keys[0]}


def _rating(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    return {"rating": _json_number(_only(parts), "rating")}


def _number(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    return {"number": _json_number(_only(parts), "number")}


def _json_number(value: Mapping[str, object], field: str) -> float:
    number = value.get(field)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise RowError("invalid_annotation", f"The value of a result has a number as “{field}”.")
    return number


def _text(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    text = _only(parts).get("text")
    given = text if isinstance(text, list) else [text]
    lines = [line for line in given if isinstance(line, str)]
    if not lines or len(lines) != len(given):
        raise RowError("invalid_annotation", "The value of a result has a text.")
    return {"text": "\n".join(lines)}


def _preference(
    schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options
) -> JSONValue:
    selected = _only(parts).get("selected")
    if not isinstance(selected, str):
        raise RowError("invalid_annotation", "The value of a pairwise result says which side was selected.")
    return {"preference": options.classes.get(selected, _SIDES.get(selected, selected))}


def _spans(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    text = payload.get(getattr(schema, "field", "text"))
    if not isinstance(text, str):
        raise RowError("invalid_annotation", "The task has no text that its spans could be about.")
    spans: list[JSONValue] = []
    for part in parts:
        value = _value(part)
        start, end = code_points(text, value)
        spans.append({"start": start, "end": end, "class": _single_label(schema, value, "labels", options)})
    return {"spans": spans}


def code_points(text: str, value: Mapping[str, object]) -> tuple[int, int]:
    """Start and end of a span in code points. Label Studio counts as JavaScript does, in UTF-16 units.

    Tools that write predictions in Python count code points; the span's own `text` tells which is meant.

    >>> code_points("😀 Parcel", {"start": 3, "end": 9, "text": "Parcel"})
    (2, 8)
    >>> code_points("😀 Parcel", {"start": 2, "end": 8, "text": "Parcel"})
    (2, 8)
    """
    start, end, said = value.get("start"), value.get("end"), value.get("text")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end:
        raise RowError("invalid_span", "A span has a start and a later end as whole numbers.")
    readings = [(start, end)] if text.isascii() else [_from_utf16(text, start, end), (start, end)]
    possible = [span for span in readings if span is not None and span[1] <= len(text)]
    if not possible:
        raise RowError("invalid_span", f"The span from {start} to {end} ends after the text.")
    if not isinstance(said, str):
        return possible[0]
    for first, last in possible:
        if _plain(text[first:last]) == _plain(said):
            return first, last
    raise RowError("span_text_mismatch", f"From {start} to {end} the text does not read “{said[:60]}”.")


def _from_utf16(text: str, start: int, end: int) -> tuple[int, int] | None:
    encoded = text.encode("utf-16-le", "surrogatepass")
    if 2 * end > len(encoded):
        return None
    try:
        first = len(encoded[: 2 * start].decode("utf-16-le"))
        return first, first + len(encoded[2 * start : 2 * end].decode("utf-16-le"))
    except UnicodeDecodeError:  # in the middle of a surrogate pair
        return None


def _plain(text: str) -> str:
    """Browsers and exports disagree on white space and on how a line break is written."""
    return " ".join(text.replace("\\n", "\n").split())


def _boxes(schema: AnySchema, parts: Sequence[Result], payload: Mapping[str, object], options: Options) -> JSONValue:
    boxes: list[JSONValue] = []
    for part in parts:
        value = _value(part)
        if value.get("rotation"):
            raise RowError("rotated_box", "A box is rotated; boxes here are upright.")
        x, y, width, height = (_json_number(value, name) / 100 for name in ("x", "y", "width", "height"))
        boxes.append(
            {
                **{"x": x, "y": y, "width": _within(x, width), "height": _within(y, height)},
                "class": _single_label(schema, value, "rectanglelabels", options),
            }
        )
    return {"boxes": boxes}


def _within(start: float, length: float) -> float:
    """Percentages are rounded where they come from, so a box at the edge may stick out by that much."""
    return 1 - start if 1 < start + length < 1 + 1e-3 else length


def _single_label(schema: AnySchema, value: Mapping[str, object], field: str, options: Options) -> str:
    names = _names(value, field)
    if len(names) != 1:
        raise RowError("several_answers", f"A region has one label here, not {len(names)}.")
    return labels.class_key(schema, names[0], options.classes)


_Read = Callable[[AnySchema, Sequence[Result], Mapping[str, object], Options], JSONValue]
_BY_KIND: Final[Mapping[str, _Read]] = {
    "single_choice": _choices,
    "multi_label": _choices,
    "rating": _rating,
    "text_correction": _text,
    "preference": _preference,
    "spans": _spans,
    "numeric": _number,
    "boxes": _boxes,
}
