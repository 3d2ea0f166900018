"""Questions to respondents: how they are worded, how they are shown, and what their answers state.

A question is a JSON object whose form depends on its kind; each kind has a file of its own here. Its stored form is what
`definition_of` returns; `parse_question` reads it back. See docs/feedback.md.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from labeling.form_faults import fault_of
from labeling.questions.base import Asked, Question, QuestionError, Stated
from labeling.questions.correction import Correction
from labeling.questions.locales import best_locale, direction_of, in_locale
from labeling.questions.multiple_choice import MultipleChoice
from labeling.questions.preference import Preference
from labeling.questions.private import check_private, check_randomised, split_answer
from labeling.questions.rating import Rating
from labeling.questions.single_choice import SingleChoice
from labeling.questions.survey import Survey
from labeling.questions.text import Text
from labeling.questions.thumbs import Thumbs
from labeling.schema import JSONValue

__all__ = [
    "KINDS",
    "Asked",
    "Question",
    "QuestionError",
    "Stated",
    "check_private",
    "definition_of",
    "parse_question",
    "read_answer",
    "rendered",
]

KINDS: Final[Mapping[str, type[Question]]] = MappingProxyType(
    {each.kind: each for each in (Thumbs, Rating, SingleChoice, MultipleChoice, Correction, Text, Preference, Survey)}
)


def parse_question(kind: str, definition: JSONValue) -> Question:
    """Read a question such as {"text": {"en": "Was this helpful?"}}. Raises `QuestionError` "invalid_question".

    >>> parse_question("rating", {"text": {"en": "How good is it?"}, "maximum": 3}).alternatives
    (1, 2, 3)
    """
    if kind not in KINDS:
        raise QuestionError("invalid_question", f"kind must be one of: {', '.join(sorted(KINDS))}")
    try:
        return msgspec.convert(definition, KINDS[kind])
    except msgspec.ValidationError as error:
        raise QuestionError("invalid_question", fault_of(error, KINDS[kind]).about("the definition")) from None


def definition_of(question: Question) -> dict[str, JSONValue]:
    """Return the JSON form of a question, without fields left at their defaults; equal questions give equal forms."""
    fields: dict[str, JSONValue] = msgspec.json.decode(msgspec.json.encode(question))
    defaults = {field.name: field.default for field in msgspec.structs.fields(question)}
    return {name: value for name, value in fields.items() if value not in (defaults[name], {})}


def read_answer(
    question: Question, answer: JSONValue, *, asked: Asked, epsilon: float | None = None, randomised: JSONValue = None
) -> Stated:
    """What an answer states. `epsilon` is that of a private question, whose answer must say how it was randomised:
    under "randomised" in the answer itself, or beside it.

    Raises `QuestionError` "invalid_answer", "unknown_class" or "not_randomised".

    >>> read_answer(parse_question("thumbs", {"text": {"en": "Helpful?"}}), {"thumb": "up"}, asked=Asked()).score
    1.0
    """
    plain, claim = split_answer(answer)
    claim = randomised if claim is None else claim
    if epsilon is None and claim is not None:
        raise QuestionError("not_randomised", "this question is not private, its answers are not randomised")
    if epsilon is not None:
        check_randomised(question, epsilon, claim)
    return question.read(plain, asked)


def rendered(
    question: Question, *, key: str, version: int, locale: str, asked: Asked, epsilon: float | None = None
) -> dict[str, JSONValue]:
    """A question as the widget shows it, in the respondent's language as far as it is worded in it.

    `prediction` is what the model said, None where that is hidden, unknown or no answer of the label schema any more; a
    correction then asks what it is.
    """
    texts = question.texts(locale, asked) if isinstance(question, Correction) else question.text
    chosen = best_locale(texts, locale)
    shown = asked.shown_answer
    prediction: JSONValue = None
    if shown is not None and asked.label_schema is not None:
        prediction = {"answer": shown, "text": asked.label_schema.summary_of(shown)}
    return {
        "key": key,
        "version": version,
        "kind": question.kind,
        "text": texts.get(chosen, ""),
        "help": in_locale(question.help, locale),
        "thanks": in_locale(question.thanks, locale),
        "locale": chosen,
        "direction": direction_of(chosen),
        "comment": question.comment,
        "is_blind": asked.is_blind,
        **question.rendered(locale, asked),
        "prediction": prediction,
        "private": None if epsilon is None else {"epsilon": epsilon},
    }
