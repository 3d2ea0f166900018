"""Multiple choice: any of several options."""

from typing import ClassVar

import msgspec

from labeling.questions.base import Asked, Option, Question, QuestionError, Stated, converted, require_options
from labeling.questions.single_choice import MOST_OPTIONS
from labeling.schema import JSONValue


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    choices: list[str]


class MultipleChoice(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"choices": ["a", "b"]}: at least `least` and at most `most` (None: all) of 2 to 20 options."""

    kind: ClassVar[str] = "multiple_choice"

    options: tuple[Option, ...]
    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        require_options(self.options, most=MOST_OPTIONS)
        most = len(self.options) if self.most is None else self.most
        if not 0 <= self.least <= most <= len(self.options) or most == 0:
            raise ValueError("least and most must be in order, and not more than there are options")

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        chosen = converted(answer, _Answer).choices
        keys = [option.key for option in self.options]
        if unknown := [key for key in chosen if key not in keys]:
            raise QuestionError("invalid_answer", f"there is no option {unknown[0][:50]!r}")
        if len(set(chosen)) < len(chosen):
            raise QuestionError("invalid_answer", "an option is chosen twice")
        most = len(keys) if self.most is None else self.most
        if not self.least <= len(chosen) <= most:
            raise QuestionError("invalid_answer", f"{self.least} to {most} options are chosen, not {len(chosen)}")
        in_order: list[JSONValue] = [key for key in keys if key in chosen]
        return Stated("choice", in_order)

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        options: list[JSONValue] = [option.rendered(locale) for option in self.options]
        return {"options": options, "least": self.least, "most": self.most}
