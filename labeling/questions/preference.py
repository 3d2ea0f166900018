"""Preference: which of two is better."""

from typing import ClassVar, Final, Literal

import msgspec

from labeling.questions.base import Asked, Question, QuestionError, Stated, Texts, converted, require_texts
from labeling.questions.locales import in_locale
from labeling.schema import JSONValue

_SCORES: Final = {"a": 1.0, "tie": 0.5, "b": 0.0}


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    preferred: Literal["a", "b", "tie"]


class Preference(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"preferred": "a"}, "b", or "tie" where `tie` allows it. `a` and `b` name the two."""

    kind: ClassVar[str] = "preference"

    a: Texts
    b: Texts
    tie: bool = True

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        require_texts("a", self.a, is_needed=True)
        require_texts("b", self.b, is_needed=True)

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        preferred = converted(answer, _Answer).preferred
        if preferred == "tie" and not self.tie:
            raise QuestionError("invalid_answer", "a tie is no answer here")
        return Stated("preference", preferred, _SCORES[preferred])

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        return {"a": in_locale(self.a, locale), "b": in_locale(self.b, locale), "tie": self.tie}
