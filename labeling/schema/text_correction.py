"""Text correction: the model's output, edited until it is right."""

from typing import ClassVar

from labeling.schema.base import (
    Answer,
    JSONValue,
    PredictionForm,
    Schema,
    SchemaError,
    converted,
    require_field_name,
    require_text,
    text_of,
)

LONGEST_CORRECTION = 100_000


class CorrectedText(Answer, frozen=True, forbid_unknown_fields=True):
    text: str

    @property
    def value(self) -> JSONValue:
        return self.text


class TextCorrection(Schema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A text as it should be. `source` names the payload field with the text to begin with; an item without it, or with
    a prediction, begins with what the model answered."""

    kind: ClassVar[str] = "text_correction"
    prediction_form: ClassVar[PredictionForm] = "confidence"

    source: str = "output"

    def __post_init__(self) -> None:
        Schema.__post_init__(self)
        require_field_name("source", self.source)

    def parse_answer(self, value: JSONValue) -> CorrectedText:
        answer = converted(value, CorrectedText)
        try:
            require_text("text", answer.text, LONGEST_CORRECTION)
        except ValueError as error:
            raise SchemaError("invalid_answer", str(error)) from None
        return answer

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        if isinstance(payload, dict) and self.source in payload:
            text_of(payload, self.source)
