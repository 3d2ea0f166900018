"""Correction: "is this right? If not, what is?", about what the model said."""

from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

from labeling.questions.base import Asked, Question, QuestionError, Stated, Texts, converted, require_texts
from labeling.questions.locales import best_locale
from labeling.schema import AnySchema, ClassSchema, JSONValue, Numeric, SchemaError
from labeling.schema import Rating as RatingSchema
from labeling.schema.base import LONGEST_TEXT

FITTING: Final = frozenset({"single_choice", "rating", "multi_label", "text_correction", "numeric"})
"""Kinds of label schemas whose answers a respondent can give in the widget."""

_WHAT_IS_IT: Final[Mapping[str, str]] = {
    "en": "What is it?",
    "ar": "ما هو؟",
    "de": "Was ist es?",
    "es": "¿Qué es?",
    "fr": "Qu’est-ce que c’est ?",
    "he": "מה זה?",
    "it": "Che cos’è?",
    "ja": "これは何ですか？",
    "nl": "Wat is het?",
    "pl": "Co to jest?",
    "pt": "O que é?",
    "ru": "Что это?",
    "tr": "Bu nedir?",
    "zh": "这是什么？",
}


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    is_right: bool | UnsetType = UNSET
    correction: object = UNSET


class Correction(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"is_right": true}, {"is_right": false, "correction": <answer>} or, not knowing better, {"is_right": false}.

    The correction is in the form of the project's label schema. A blind ask hides what the model said, and of some items no
    model has said anything: then there is nothing to be right about, the question reads "What is it?" (or `blind_text`)
    and is answered {"correction": <answer>}.
    """

    kind: ClassVar[str] = "correction"

    blind_text: Texts = {}

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        require_texts("blind_text", self.blind_text)

    def check_fits(self, label_schema: AnySchema) -> None:
        if label_schema.kind not in FITTING:
            what = label_schema.kind.replace("_", " ")
            raise QuestionError("invalid_question", f"a correction cannot be asked in a project of kind {what}")

    def texts(self, locale: str, asked: Asked) -> Mapping[str, str]:
        """What is read: the text, or what stands for it where no answer of the model is shown."""
        if asked.shown_answer is not None:
            return self.text
        if self.blind_text:
            return self.blind_text
        # The built-in words only in a language that the question itself is asked in; else in English.
        language = best_locale(self.text, locale).replace("_", "-").partition("-")[0].lower()
        return {language: _WHAT_IS_IT[language]} if language in _WHAT_IS_IT else {"en": _WHAT_IS_IT["en"]}

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        given = converted(answer, _Answer)
        # Of an answer of the model that was shown and fits a newer label schema no more, both may be said.
        is_outdated = asked.shown_answer is None and not asked.is_blind and asked.predicted_answer is not None
        if asked.shown_answer is None and not (is_outdated and given.is_right is not UNSET):
            if given.is_right is not UNSET or given.correction is UNSET:
                why = "hides what the model said" if asked.is_blind else "is about nothing that a model said"
                raise QuestionError("invalid_answer", f'an ask that {why} is answered {{"correction": ...}}')
            return Stated(correction=_truth(given.correction, asked))
        if given.is_right is UNSET:
            raise QuestionError("invalid_answer", "is_right is missing")
        if given.is_right:
            if given.correction is not UNSET:
                raise QuestionError("invalid_answer", "what is right needs no correction")
            return Stated("thumb", "up", 1.0, asked.shown_answer)
        if given.correction is UNSET:
            return Stated("thumb", "down", 0.0)
        correction = _truth(given.correction, asked)
        if correction == asked.shown_answer:
            raise QuestionError("invalid_answer", "the correction is what the model said")
        return Stated("thumb", "down", 0.0, correction)

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        schema = asked.label_schema
        if schema is None or schema.kind not in FITTING:
            return {"answer_kind": None, "options": []}
        form: dict[str, JSONValue] = {"answer_kind": schema.kind, "options": []}
        if isinstance(schema, ClassSchema):
            form["options"] = [{"key": each.key, "text": each.label} for each in schema.label_classes]
            if schema.kind == "multi_label":
                form |= {"least": getattr(schema, "min_choices", 0), "most": getattr(schema, "max_choices", None)}
        elif isinstance(schema, RatingSchema):
            form |= {"minimum": schema.minimum, "maximum": schema.maximum, "style": "numbers"}
            form |= {"low": schema.minimum_title, "high": schema.maximum_title}
        elif isinstance(schema, Numeric):
            form |= {"minimum": schema.minimum, "maximum": schema.maximum, "step": schema.step, "unit": schema.unit}
        else:
            form["longest"] = LONGEST_TEXT
        return form


def _truth(correction: object, asked: Asked) -> JSONValue:
    if asked.label_schema is None:
        raise QuestionError("invalid_answer", "the project has no label schema")
    try:
        answer = asked.label_schema.parse_answer(correction)  # type: ignore[arg-type]  # JSON, as it was decoded
    except SchemaError as error:
        raise QuestionError(
            "unknown_class" if error.code == "unknown_class" else "invalid_answer", str(error)
        ) from None
    built: JSONValue = msgspec.to_builtins(answer)
    if "\x00" in str(built):
        raise QuestionError("invalid_answer", "the correction contains a NUL character")
    return built
