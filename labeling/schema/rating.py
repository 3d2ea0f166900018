"""Rating: one level of an ordered scale."""

from collections.abc import Sequence
from typing import ClassVar

from labeling.schema.base import (
    LONGEST_TITLE,
    Answer,
    JSONValue,
    LabelClass,
    PredictionForm,
    Schema,
    SchemaError,
    converted,
    require_text,
)

_MOST_LEVELS = 20


class RatingAnswer(Answer, frozen=True, forbid_unknown_fields=True):
    rating: int

    @property
    def label(self) -> str:
        return str(self.rating)

    @property
    def value(self) -> JSONValue:
        return self.rating


class Rating(Schema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A whole number from `minimum` to `maximum`, 2 to 20 levels; the titles say what the ends of the scale mean."""

    kind: ClassVar[str] = "rating"
    prediction_form: ClassVar[PredictionForm] = "distribution"

    minimum: int = 1
    maximum: int = 5
    minimum_title: str = ""
    maximum_title: str = ""

    def __post_init__(self) -> None:
        Schema.__post_init__(self)
        require_text("minimum_title", self.minimum_title, LONGEST_TITLE)
        require_text("maximum_title", self.maximum_title, LONGEST_TITLE)
        if not (abs(self.minimum) <= 1_000 and 2 <= self.maximum - self.minimum + 1 <= _MOST_LEVELS):
            raise ValueError(f"a rating has 2 to {_MOST_LEVELS} levels, from minimum to maximum")

    @property
    def levels(self) -> range:
        return range(self.minimum, self.maximum + 1)

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        titles = {self.minimum: self.minimum_title, self.maximum: self.maximum_title}
        return tuple(LabelClass(key=str(level), description=titles.get(level, "")) for level in self.levels)

    @property
    def class_keys(self) -> tuple[str, ...]:
        return tuple(str(level) for level in self.levels)

    def parse_answer(self, value: JSONValue) -> RatingAnswer:
        answer = converted(value, RatingAnswer)
        if answer.rating not in self.levels:
            raise SchemaError("invalid_answer", f"a rating is from {self.minimum} to {self.maximum}")
        return answer

    def answer_from(self, scores: Sequence[float]) -> JSONValue:
        """The likeliest level."""
        return {"rating": self.levels[max(range(len(scores)), key=scores.__getitem__)]}
