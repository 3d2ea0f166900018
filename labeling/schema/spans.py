"""Text spans: passages of a text, each with a class, as in named entity recognition."""

from itertools import pairwise
from typing import ClassVar

import msgspec

from labeling.schema.base import (
    Answer,
    ClassSchema,
    JSONValue,
    PredictionForm,
    SchemaError,
    converted,
    own,
    require_field_name,
    text_of,
)
from labeling.schema.confidences import PartRule, split_off_confidences

MOST_SPANS = 5_000


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True, rename={"label_class": "class"}):
    """`start` and `end` (exclusive) count Unicode code points, as Python does."""

    start: int
    end: int
    label_class: str


class SpansAnswer(Answer, frozen=True, forbid_unknown_fields=True):
    """Sorted by start, end and class; none at all is an answer, too."""

    spans: tuple[Span, ...]

    @property
    def value(self) -> JSONValue:
        return [msgspec.to_builtins(span) for span in self.spans]


class Spans(ClassSchema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Passages of the payload field `field`; whether they may overlap is the schema's to say.

    `confidence_rule`: how sure a model is of all of them, where it says so of each.
    """

    kind: ClassVar[str] = "spans"
    prediction_form: ClassVar[PredictionForm] = "confidence"
    needs_payload: ClassVar[bool] = True

    field: str = "text"
    allows_overlap: bool = False
    confidence_rule: PartRule = "least"

    def __post_init__(self) -> None:
        ClassSchema.__post_init__(self)
        require_field_name("field", self.field)

    def parse_answer(self, value: JSONValue) -> SpansAnswer:
        spans = sorted(converted(value, SpansAnswer).spans)
        if len(spans) > MOST_SPANS:
            raise SchemaError("invalid_answer", f"at most {MOST_SPANS} spans, not {len(spans)}")
        for span in spans:
            self.class_index(span.label_class)
            if not 0 <= span.start < span.end:
                raise SchemaError("invalid_answer", f"a span from {span.start} to {span.end} holds no text")
        for before, after in pairwise(spans):
            if before == after:
                raise SchemaError("invalid_answer", f"the span from {after.start} to {after.end} is there twice")
            if not self.allows_overlap and after.start < before.end:
                raise SchemaError(
                    "invalid_answer", f"spans {before.start}-{before.end} and {after.start}-{after.end} overlap"
                )
        return SpansAnswer(tuple(spans))

    def parse_prediction(self, value: JSONValue) -> tuple[SpansAnswer, float | None]:
        plain, confidence = split_off_confidences(value, "spans", self.confidence_rule)
        return self.parse_answer(plain), confidence

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        length = len(text_of(payload, self.field))
        for span in own(answer, SpansAnswer).spans:
            if span.end > length:
                raise SchemaError("invalid_answer", f"a span ends at {span.end}, the text at {length}")
