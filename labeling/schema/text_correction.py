"""Text correction: the model's output, edited until it is right."""

import re
from typing import ClassVar, Final

from labeling.schema.base import (
    Answer,
    JSONValue,
    PredictionForm,
    Schema,
    SchemaError,
    converted,
    require_field_name,
    text_of,
)

LONGEST_CORRECTION: Final = 100_000
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
"""By PostgreSQL."""


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
        if len(answer.text) > LONGEST_CORRECTION:
            raise SchemaError("invalid_answer", f"a text has at most {LONGEST_CORRECTION} characters")
        # Other control characters pass: they may stand in the text to be corrected, where nobody sees them.
        if _UNSTORABLE.search(answer.text):
            raise SchemaError("invalid_answer", "the text contains a NUL character or half of a surrogate pair")
        return answer

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        if isinstance(payload, dict) and self.source in payload:
            text_of(payload, self.source)
