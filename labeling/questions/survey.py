"""Survey: several questions after an interaction."""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from labeling.form_faults import fault_of
from labeling.questions.base import Asked, Question, QuestionError, Stated, converted, require_key
from labeling.questions.locales import in_locale
from labeling.questions.multiple_choice import MultipleChoice
from labeling.questions.preference import Preference
from labeling.questions.rating import Rating
from labeling.questions.single_choice import SingleChoice
from labeling.questions.text import Text
from labeling.questions.thumbs import Thumbs
from labeling.schema import JSONValue

MOST_STEPS: Final = 5
STEP_KINDS: Final[Mapping[str, type[Question]]] = MappingProxyType(
    {each.kind: each for each in (Thumbs, Rating, SingleChoice, MultipleChoice, Text, Preference)}
)


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    answers: dict[str, Any]


class Survey(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """1 to 5 steps, each {"key": ..., "kind": ..., and the definition of that kind}; no survey or correction among them.

    Answered {"answers": {"s1": {"rating": 4}}}. Steps may be skipped, but not all of them.
    """

    kind: ClassVar[str] = "survey"

    steps: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        if not 1 <= len(self.steps) <= MOST_STEPS:
            raise ValueError(f"a survey has 1 to {MOST_STEPS} steps, not {len(self.steps)}")
        if len(self.questions) < len(self.steps):
            raise ValueError("a step is named twice")

    @cached_property
    def questions(self) -> dict[str, Question]:
        return dict(_step(fields) for fields in self.steps)

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        given = converted(answer, _Answer).answers
        if not given:
            raise QuestionError("invalid_answer", "no step is answered")
        if unknown := [key for key in given if key not in self.questions]:
            raise QuestionError("invalid_answer", f"there is no step {unknown[0][:50]!r}")
        for key, part in given.items():
            try:
                self.questions[key].read(part, asked)
            except QuestionError as error:
                raise QuestionError(error.code, f"step {key}: {error}") from None
        return Stated("survey", {key: given[key] for key in self.questions if key in given})

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        steps: list[JSONValue] = [
            {
                "key": key,
                "kind": question.kind,
                "text": in_locale(question.text, locale),
                "help": in_locale(question.help, locale),
                **question.rendered(locale, asked),
            }
            for key, question in self.questions.items()
        ]
        return {"steps": steps}


def _step(fields: Mapping[str, Any]) -> tuple[str, Question]:
    form = dict(fields)
    key, kind = form.pop("key", None), form.pop("kind", None)
    if not isinstance(key, str):
        raise ValueError("a step needs a key")
    require_key("the key of a step", key)
    if not isinstance(kind, str) or kind not in STEP_KINDS:
        raise ValueError(f"the kind of step {key!r} must be one of: {', '.join(sorted(STEP_KINDS))}")
    try:
        question = msgspec.convert(form, STEP_KINDS[kind])
    except msgspec.ValidationError as error:
        raise ValueError(f"step {key!r}: {fault_of(error, STEP_KINDS[kind]).about('it')}") from None
    if question.comment:
        raise ValueError(f"step {key!r}: the survey has one comment box, its steps have none")
    return key, question
