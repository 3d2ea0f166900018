"""Spans or boxes that several people drew on one item, merged into an answer that the schema admits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from datasets.consensus.merging import Drawing, Merged, merge
from labeling.schema import Answer, ClassSchema, JSONValue
from labeling.schema.base import own
from labeling.schema.boxes import Boxes, BoxesAnswer
from labeling.schema.spans import Spans, SpansAnswer

MOST_MARKS: Final = 1_000
"""In one answer. Matching more takes gigabytes."""
_DECIMALS: Final = 12


@dataclass(frozen=True)
class Marks:
    """The answer in its JSON form, how much the marks are supported on average, and who drew any of them.

    Without marks, the share of those who drew none, and who they are.
    """

    value: JSONValue
    share: float
    supporting: frozenset[int]


def merged(schema: Spans | Boxes, answers: Sequence[Answer]) -> Marks | None:
    """Merge what was drawn, see `merge`; None where somebody drew more than 1,000 marks.

    Spans that may not overlap but do once they are merged give way to the better supported, then to the tighter one.
    """
    is_spans = isinstance(schema, Spans)
    drawings = [_spans(schema, answer) if is_spans else _boxes(schema, answer) for answer in answers]
    if max(len(drawing.classes) for drawing in drawings) > MOST_MARKS:
        return None
    agreed, _ = merge(drawings, shape="span" if is_spans else "box")
    if isinstance(schema, Spans):
        agreed = _compatible(agreed, allows_overlap=schema.allows_overlap)
    marks: list[JSONValue] = [
        {**_extent(mark, is_spans=is_spans), "class": schema.classes[mark.label_class].key} for mark in agreed
    ]
    empty = frozenset(place for place, drawing in enumerate(drawings) if not len(drawing.classes))
    supporting = frozenset(source for mark in agreed for source in mark.sources) if agreed else empty
    share = sum(mark.support for mark in agreed) / len(agreed) if agreed else len(empty) / len(answers)
    return Marks({"spans" if is_spans else "boxes": marks}, share, supporting)


def _spans(schema: ClassSchema, answer: Answer) -> Drawing:
    spans = own(answer, SpansAnswer).spans
    extents = [(span.start, span.end) for span in spans]
    return _drawing(schema, extents, [span.label_class for span in spans], width=2)


def _boxes(schema: ClassSchema, answer: Answer) -> Drawing:
    # A box too thin for the precision of floats has no area to compare.
    boxes = [box for box in own(answer, BoxesAnswer).boxes if box.x + box.width > box.x and box.y + box.height > box.y]
    extents = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
    return _drawing(schema, extents, [box.label_class for box in boxes], width=4)


def _drawing(schema: ClassSchema, extents: Sequence[tuple[float, ...]], keys: Sequence[str], *, width: int) -> Drawing:
    classes = np.array([schema.class_index(key) for key in keys], dtype=np.int64)
    return Drawing(np.array(extents, dtype=np.float64).reshape(len(extents), width), classes)


def _extent(mark: Merged, *, is_spans: bool) -> dict[str, JSONValue]:
    if is_spans:
        return {"start": int(mark.extent[0]), "end": int(mark.extent[1])}
    left, top, right, bottom = mark.extent
    # 0.6 - 0.1 is meant to be 0.5.
    width, height = round(right - left, _DECIMALS) or right - left, round(bottom - top, _DECIMALS) or bottom - top
    return {"x": left, "y": top, "width": width, "height": height}


def _compatible(marks: Sequence[Merged], *, allows_overlap: bool) -> list[Merged]:
    kept: list[Merged] = []
    for mark in sorted(marks, key=lambda each: (-each.support, -each.tightness, each.extent, each.label_class)):
        if not any(_excludes(other, mark, allows_overlap=allows_overlap) for other in kept):
            kept.append(mark)
    return sorted(kept, key=lambda each: (each.extent, each.label_class))


def _excludes(kept: Merged, mark: Merged, *, allows_overlap: bool) -> bool:
    if allows_overlap:
        return (kept.extent, kept.label_class) == (mark.extent, mark.label_class)
    return mark.extent[0] < kept.extent[1] and kept.extent[0] < mark.extent[1]
