"""Single choice: exactly one class."""

from collections.abc import Sequence
from typing import ClassVar

from labeling.schema.base import Answer, ClassSchema, JSONValue, PredictionForm, converted


class Choice(Answer, frozen=True, forbid_unknown_fields=True):
    """The key of one class."""

    choice: str

    @property
    def label(self) -> str:
        return self.choice

    @property
    def value(self) -> JSONValue:
        return self.choice


class SingleChoice(ClassSchema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Exactly one class out of 2 to 1,000. The order of the classes is the order of the stored probabilities."""

    kind: ClassVar[str] = "single_choice"
    prediction_form: ClassVar[PredictionForm] = "distribution"
    fewest_classes: ClassVar[int] = 2

    def parse_answer(self, value: JSONValue) -> Choice:
        answer = converted(value, Choice)
        self.class_index(answer.choice)
        return answer

    def answer_from(self, scores: Sequence[float]) -> JSONValue:
        return {"choice": self.class_keys[max(range(len(scores)), key=scores.__getitem__)]}
