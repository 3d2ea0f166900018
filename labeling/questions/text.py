"""Text: in the respondent's own words."""

from typing import ClassVar, Final

import msgspec

from labeling.questions.base import Asked, Question, QuestionError, Stated, converted
from labeling.schema import JSONValue

LONGEST: Final = 10_000


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class Text(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"text": "..."}, with at most `longest` characters. Kept as it is typed: it is text, never markup."""

    kind: ClassVar[str] = "text"

    longest: int = 2_000

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        if not 1 <= self.longest <= LONGEST:
            raise ValueError(f"longest lies between 1 and {LONGEST}")

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        text = converted(answer, _Answer).text
        if not text.strip():
            raise QuestionError("invalid_answer", "the text is empty")
        if len(text) > self.longest:
            raise QuestionError("invalid_answer", f"the text has {len(text)} characters, at most {self.longest} fit")
        if "\x00" in text:
            raise QuestionError("invalid_answer", "the text contains a NUL character")
        return Stated("text", text)

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        return {"longest": self.longest}
