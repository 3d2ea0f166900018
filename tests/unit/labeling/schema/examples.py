"""One schema of each kind, with strategies that make answers of it as people would give them."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from labeling.schema import AnySchema, JSONValue, parse_definition

CLASSES: Final[list[JSONValue]] = [{"key": "a", "title": "Alpha"}, {"key": "b"}, {"key": "c", "hotkey": "3"}]
KEYS: Final = ["a", "b", "c"]
TEXT: Final = "Ein Kilo Mehl 👩‍👩‍👧 und עברית, bitte."

DEFINITIONS: Final[dict[str, dict[str, JSONValue]]] = {
    "single_choice": {"kind": "single_choice", "classes": CLASSES, "guidelines": "Choose."},
    "multi_label": {"kind": "multi_label", "classes": CLASSES},
    "rating": {"kind": "rating", "minimum": -1, "maximum": 3, "minimum_title": "Awful"},
    "text_correction": {"kind": "text_correction", "source": "draft"},
    "preference": {"kind": "preference", "a": "left", "b": "right"},
    "spans": {"kind": "spans", "classes": CLASSES, "field": "body"},
    "numeric": {"kind": "numeric", "minimum": -2.5, "maximum": 10.0, "unit": "kg"},
    "boxes": {"kind": "boxes", "classes": CLASSES, "field": "photo"},
}
PAYLOAD: Final[dict[str, JSONValue]] = {
    "draft": "some text", "left": "A", "right": "B", "body": TEXT, "photo": "https://images.example.org/1.png",
}  # fmt: skip


def schema_of(kind: str, **changes: JSONValue) -> AnySchema:
    return parse_definition({**DEFINITIONS[kind], **changes})


@st.composite
def _span_lists(draw: st.DrawFn) -> dict[str, Any]:
    edges = sorted(draw(st.sets(st.integers(0, len(TEXT)), max_size=8)))
    spans = [
        {"start": start, "end": end, "class": draw(st.sampled_from(KEYS))}
        for start, end in zip(edges[::2], edges[1::2], strict=False)
    ]
    return {"spans": draw(st.permutations(spans))}


@st.composite
def _boxes(draw: st.DrawFn) -> dict[str, Any]:
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    width, height = draw(st.floats(0.001, 1 - x)), draw(st.floats(0.001, 1 - y))
    return {"x": x, "y": y, "width": width, "height": height, "class": draw(st.sampled_from(KEYS))}


ANSWERS: Final[dict[str, st.SearchStrategy[dict[str, Any]]]] = {
    "single_choice": st.sampled_from(KEYS).map(lambda key: {"choice": key}),
    "multi_label": st.lists(st.sampled_from(KEYS), unique=True).map(lambda keys: {"choices": keys}),
    "rating": st.integers(-1, 3).map(lambda level: {"rating": level}),
    "text_correction": st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])).map(
        lambda text: {"text": text}
    ),
    "preference": st.sampled_from(["a", "b", "tie", "both_bad"]).map(lambda side: {"preference": side}),
    "spans": _span_lists(),
    "numeric": st.floats(-2.5, 10).map(lambda number: {"number": number}),
    "boxes": st.lists(_boxes(), max_size=4).map(lambda boxes: {"boxes": boxes}),
}

NATURAL: Final[dict[str, Callable[[dict[str, Any]], JSONValue]]] = {
    "single_choice": lambda answer: answer["choice"],
    "multi_label": lambda answer: sorted(answer["choices"]),
    "rating": lambda answer: answer["rating"],
    "text_correction": lambda answer: answer["text"],
    "preference": lambda answer: answer["preference"],
    "spans": lambda answer: sorted(answer["spans"], key=lambda span: span["start"]),
    "numeric": lambda answer: answer["number"],
    "boxes": lambda answer: answer["boxes"],
}
