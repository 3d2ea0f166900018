"""Multi-label: any number of classes, within bounds."""

from collections.abc import Sequence
from typing import ClassVar

from labeling.schema.base import Answer, ClassSchema, JSONValue, PredictionForm, SchemaError, converted, shortened

_LIKELY = 0.5


class Choices(Answer, frozen=True, forbid_unknown_fields=True):
    """The keys of the classes that apply, in the order of the schema."""

    choices: tuple[str, ...]

    @property
    def value(self) -> JSONValue:
        return list(self.choices)


class MultiLabel(ClassSchema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """The classes that apply, each judged on its own; none is an answer, too, unless `min_choices` says otherwise."""

    kind: ClassVar[str] = "multi_label"
    prediction_form: ClassVar[PredictionForm] = "independent"

    min_choices: int = 0
    max_choices: int | None = None

    def __post_init__(self) -> None:
        ClassSchema.__post_init__(self)
        most = len(self.classes) if self.max_choices is None else self.max_choices
        if not 0 <= self.min_choices <= most <= len(self.classes) or most == 0:
            raise ValueError("min_choices and max_choices must be in order, from 0 to the number of classes")

    def parse_answer(self, value: JSONValue) -> Choices:
        given = converted(value, Choices).choices
        indexes = sorted({self.class_index(key) for key in given})
        if len(indexes) != len(given):
            twice = next(key for key in given if given.count(key) > 1)
            raise SchemaError("invalid_answer", f"class {shortened(twice)!r} is named twice")
        if len(indexes) < self.min_choices:
            raise SchemaError("invalid_answer", f"choose at least {self.min_choices} classes, not {len(indexes)}")
        if self.max_choices is not None and len(indexes) > self.max_choices:
            raise SchemaError("invalid_answer", f"choose at most {self.max_choices} classes, not {len(indexes)}")
        return Choices(tuple(self.class_keys[index] for index in indexes))

    def answer_from(self, scores: Sequence[float]) -> JSONValue:
        """Every class that is at least as likely as not; None if the schema does not allow so many or so few."""
        likely = tuple(key for key, score in zip(self.class_keys, scores, strict=True) if score >= _LIKELY)
        try:
            return {"choices": list(self.parse_answer({"choices": list(likely)}).choices)}
        except SchemaError:
            return None
