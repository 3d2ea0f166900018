"""Image boxes: rectangles on an image, each with a class."""

from typing import ClassVar

import msgspec

from labeling.schema.base import (
    Answer,
    ClassSchema,
    JSONValue,
    PredictionForm,
    SchemaError,
    converted,
    field_of,
    require_field_name,
)
from labeling.schema.confidences import PartRule, split_off_confidences

MOST_BOXES = 1_000
_TOLERANCE = 1e-6


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"label_class": "class"}):
    """Fractions of the image's width and height; the origin is its top left corner."""

    x: float
    y: float
    width: float
    height: float
    label_class: str


class BoxesAnswer(Answer, frozen=True, forbid_unknown_fields=True):
    """In the order in which they were drawn; none at all is an answer, too."""

    boxes: tuple[Box, ...]

    @property
    def value(self) -> JSONValue:
        return [msgspec.to_builtins(box) for box in self.boxes]


class Boxes(ClassSchema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Rectangles on the image in the payload field `field`.

    `confidence_rule`: how sure a model is of all of them, where it says so of each.
    """

    kind: ClassVar[str] = "boxes"
    prediction_form: ClassVar[PredictionForm] = "confidence"
    needs_payload: ClassVar[bool] = True

    field: str = "image"
    confidence_rule: PartRule = "least"

    def __post_init__(self) -> None:
        ClassSchema.__post_init__(self)
        require_field_name("field", self.field)

    def parse_answer(self, value: JSONValue) -> BoxesAnswer:
        answer = converted(value, BoxesAnswer)
        if len(answer.boxes) > MOST_BOXES:
            raise SchemaError("invalid_answer", f"at most {MOST_BOXES} boxes, not {len(answer.boxes)}")
        for box in answer.boxes:
            self.class_index(box.label_class)
            if not (box.width > 0 and box.height > 0):
                raise SchemaError("invalid_answer", "a box has a width and a height above 0")
            right, bottom = box.x + box.width, box.y + box.height
            # One by one, because min and max would lose a NaN, which compares false with everything.
            if not (
                box.x >= -_TOLERANCE and box.y >= -_TOLERANCE and right <= 1 + _TOLERANCE and bottom <= 1 + _TOLERANCE
            ):
                raise SchemaError("invalid_answer", "a box lies inside the image: fractions from 0 to 1")
        return answer

    def parse_prediction(self, value: JSONValue) -> tuple[BoxesAnswer, float | None]:
        plain, confidence = split_off_confidences(value, "boxes", self.confidence_rule)
        return self.parse_answer(plain), confidence

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        image = field_of(payload, self.field)
        if not (isinstance(image, str) and image) and not (isinstance(image, dict) and "url" in image):
            raise SchemaError("invalid_answer", f"the field {self.field!r} of the item is no image")
