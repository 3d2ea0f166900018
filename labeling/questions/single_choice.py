"""Single choice: one of several options."""

from typing import ClassVar, Final

import msgspec

from labeling.questions.base import Asked, Option, Question, QuestionError, Stated, converted, require_options
from labeling.schema import JSONValue

MOST_OPTIONS: Final = 20


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    choice: str


class SingleChoice(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"choice": "a"}: the key of one of 2 to 20 options."""

    kind: ClassVar[str] = "single_choice"

    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        require_options(self.options, most=MOST_OPTIONS)

    @property
    def alternatives(self) -> tuple[JSONValue, ...]:
        return tuple(option.key for option in self.options)

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        choice = converted(answer, _Answer).choice
        if choice not in self.alternatives:
            raise QuestionError("invalid_answer", f"there is no option {choice[:50]!r}")
        return Stated("choice", choice)

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        return {"options": [option.rendered(locale) for option in self.options]}
