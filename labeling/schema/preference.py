"""Pairwise preference: which of two is better."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from labeling.schema.base import (
    Answer,
    JSONValue,
    LabelClass,
    PredictionForm,
    Schema,
    SchemaError,
    converted,
    field_of,
    require_field_name,
)

Preferred = Literal["a", "b", "tie", "both_bad"]
_TITLES = {"a": "A is better", "b": "B is better", "tie": "Tie", "both_bad": "Both are bad"}


class PreferenceAnswer(Answer, frozen=True, forbid_unknown_fields=True):
    preference: Preferred

    @property
    def label(self) -> str:
        return self.preference

    @property
    def value(self) -> JSONValue:
        return self.preference


class Preference(Schema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A or B, and where allowed a tie or both bad; `a` and `b` name the payload fields that are compared."""

    kind: ClassVar[str] = "preference"
    prediction_form: ClassVar[PredictionForm] = "distribution"
    needs_payload: ClassVar[bool] = True

    a: str = "a"
    b: str = "b"
    allows_tie: bool = True
    allows_both_bad: bool = True

    def __post_init__(self) -> None:
        Schema.__post_init__(self)
        require_field_name("a", self.a)
        require_field_name("b", self.b)
        if self.a == self.b:
            raise ValueError("a and b must name different fields of the payload")

    @property
    def class_keys(self) -> tuple[str, ...]:
        allowed = {"a": True, "b": True, "tie": self.allows_tie, "both_bad": self.allows_both_bad}
        return tuple(key for key, is_allowed in allowed.items() if is_allowed)

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        return tuple(LabelClass(key=key, title=_TITLES[key]) for key in self.class_keys)

    def parse_answer(self, value: JSONValue) -> PreferenceAnswer:
        answer = converted(value, PreferenceAnswer)
        if answer.preference not in self.class_keys:
            raise SchemaError("unknown_class", f"{answer.preference!r} is not offered here")
        return answer

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        field_of(payload, self.a)
        field_of(payload, self.b)

    def answer_from(self, scores: Sequence[float]) -> JSONValue:
        return {"preference": self.class_keys[max(range(len(scores)), key=scores.__getitem__)]}
