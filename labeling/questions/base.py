"""What all kinds of questions share: their texts, what is asked about, and what an answer states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

import msgspec

from labeling.form_faults import fault_of
from labeling.questions.locales import in_locale, is_locale
from labeling.schema import AnySchema, JSONValue
from labeling.schema.base import require_text

Texts: TypeAlias = dict[str, str]
"""A text by locale."""

ErrorCode = Literal["invalid_question", "invalid_answer", "unknown_class", "not_private", "not_randomised"]

LONGEST_TEXT: Final = 2_000
LONGEST_KEY: Final = 64
MOST_LOCALES: Final = 100

Fields = TypeVar("Fields", bound=msgspec.Struct)


class QuestionError(ValueError):
    """A question or an answer that is refused. `code` is stable and for programs, the message is for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


@dataclass(frozen=True)
class Asked:
    """What a question is put about: the label schema of the project, and what the model said and whether it is hidden."""

    label_schema: AnySchema | None = None
    predicted_answer: JSONValue = None
    is_blind: bool = False

    @property
    def shown_answer(self) -> JSONValue:
        """What the model said, if the respondent may see it and it is still an answer of the label schema."""
        if self.is_blind or self.predicted_answer is None or self.label_schema is None:
            return None
        try:
            return _json(self.label_schema.parse_answer(self.predicted_answer))
        except ValueError:
            return None


@dataclass(frozen=True)
class Stated:
    """What an answer states: an opinion as a feedback of this kind, and the truth as an answer of the label schema.

    `kind` is empty where it states no opinion, `correction` None where it does not say what is true. `score` is the value
    as one number, where there is one.
    """

    kind: str = ""
    value: JSONValue = None
    score: float | None = None
    correction: JSONValue = None


class Question(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A wording of a question. Equal questions have equal definitions."""

    kind: ClassVar[str]

    text: Texts
    help: Texts = {}
    comment: bool = False
    """Whether a box for a comment is offered."""
    thanks: Texts = {}

    def __post_init__(self) -> None:
        require_texts("text", self.text, is_needed=True)
        require_texts("help", self.help)
        require_texts("thanks", self.thanks)

    @property
    def alternatives(self) -> tuple[JSONValue, ...]:
        """The values an answer may have, where they can be counted: what randomised response chooses from."""
        return ()

    def check_fits(self, label_schema: AnySchema) -> None:
        """Raise `QuestionError` "invalid_question" if it cannot be asked in a project with this label schema."""

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        """Read an answer in its JSON form. Raises `QuestionError` "invalid_answer" or "unknown_class"."""
        raise NotImplementedError

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        """The fields of its kind, as the widget shows them."""
        return {}


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several answers: the key stands in answers, the text is read."""

    key: str
    text: Texts

    def __post_init__(self) -> None:
        require_key("the key of an option", self.key)
        require_texts("the text of an option", self.text, is_needed=True)

    def rendered(self, locale: str) -> dict[str, JSONValue]:
        return {"key": self.key, "text": in_locale(self.text, locale)}


def require_options(options: tuple[Option, ...], *, most: int) -> None:
    if not 2 <= len(options) <= most:
        raise ValueError(f"there are 2 to {most} options, not {len(options)}")
    keys = [option.key for option in options]
    if len(set(keys)) < len(keys):
        raise ValueError("an option is named twice")


def require_key(name: str, key: str) -> None:
    if not key or key != key.strip() or len(key) > LONGEST_KEY:
        raise ValueError(f"{name} has 1 to {LONGEST_KEY} characters and neither begins nor ends with space")
    require_text(name, key, LONGEST_KEY)


def require_texts(name: str, texts: Mapping[str, str], *, is_needed: bool = False) -> None:
    if is_needed and not texts:
        raise ValueError(f"{name} needs at least one locale, as in {{'en': '...'}}")
    if len(texts) > MOST_LOCALES:
        raise ValueError(f"{name} has at most {MOST_LOCALES} locales")
    for locale, text in texts.items():
        if not is_locale(locale):
            raise ValueError(f"{name}: {locale[:50]!r} is no locale such as 'en' or 'pt-BR'")
        if not text.strip():
            raise ValueError(f"{name} is empty in {locale!r}")
        require_text(name, text, LONGEST_TEXT)


def converted(answer: JSONValue, form: type[Fields]) -> Fields:
    """Read JSON as the form of an answer; `QuestionError` "invalid_answer" with the path of what is wrong."""
    try:
        return msgspec.convert(answer, form)
    except msgspec.ValidationError as error:
        raise QuestionError("invalid_answer", fault_of(error, form).about("the answer")) from None


def _json(answer: Any) -> JSONValue:
    built: JSONValue = msgspec.to_builtins(answer)
    return built
