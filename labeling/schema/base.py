"""What all label schemas share: their classes, their answers, and how a refusal is told."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar
from unicodedata import category

import msgspec

from labeling.form_faults import fault_of

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"
ErrorCode = Literal["invalid_schema", "invalid_answer", "unknown_class"]
PredictionForm = Literal["distribution", "independent", "confidence"]
"""What a model says: probabilities of classes that exclude each other; a probability for each class on its own; or an
answer with the probability that it is right."""

LARGEST_CLASS_COUNT: Final = 1_000
LONGEST_KEY: Final = 100
LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 20_000
CORRECT: Final = "correct"
"""The one column of predictions whose form is "confidence"."""

AnswerType = TypeVar("AnswerType", bound="Answer")


class SchemaError(ValueError):
    """A schema or an answer that is refused. `code` is stable and for programs, the message is for people."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code


class LabelClass(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One class: the key stands in answers, predictions and datasets, the rest is for the annotation page."""

    key: str
    title: str = ""
    description: str = ""
    hotkey: str = ""

    def __post_init__(self) -> None:
        _require_key(self.key)
        require_text("title", self.title, LONGEST_TITLE)
        require_text("description", self.description, LONGEST_TEXT)
        if self.hotkey and (len(self.hotkey) != 1 or not self.hotkey.isprintable() or self.hotkey.isspace()):
            raise ValueError(f"hotkey of class {self.key!r} must be one visible character")

    @property
    def label(self) -> str:
        return self.title or self.key


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer that was checked against its schema. `msgspec.to_builtins` gives its JSON form."""

    @property
    def label(self) -> str:
        """The key of the class, where the answer is one class; else empty."""
        return ""

    @property
    def value(self) -> JSONValue:
        """The label as a dataset holds it: a key, a list of keys, a number, a text, a list of spans or boxes."""
        raise NotImplementedError


class Schema(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """What may be answered about an item. Equal schemas have equal definitions."""

    kind: ClassVar[str]
    prediction_form: ClassVar[PredictionForm]
    needs_payload: ClassVar[bool] = False
    """Whether `check_against` looks at the item, so that whoever records an answer must read it."""

    guidelines: str = ""

    def __post_init__(self) -> None:
        require_text("guidelines", self.guidelines, LONGEST_TEXT)

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        """The classes with what the annotation page shows of them; none where an answer does not consist of classes."""
        return ()

    @property
    def class_keys(self) -> tuple[str, ...]:
        """The columns of a prediction."""
        return (CORRECT,)

    def parse_answer(self, value: JSONValue) -> Answer:
        """Read an answer in its JSON form.

        Raises `SchemaError` "invalid_answer" if it is none, "unknown_class" if the schema lacks a class it names.
        """
        raise NotImplementedError

    def parse_prediction(self, value: JSONValue) -> tuple[Answer, float | None]:
        """Read what a model answered, and how sure it is of that, if the answer says so. Raises as `parse_answer`."""
        return self.parse_answer(value), None

    def check_against(self, answer: Answer, payload: JSONValue) -> None:
        """Raise `SchemaError` "invalid_answer" if the answer cannot be about an item with this payload."""

    def label_of(self, answer: Answer) -> str:
        return answer.label

    def value_of(self, answer: Answer) -> JSONValue:
        return answer.value

    def summary_of(self, value: JSONValue) -> str:
        """A stored answer in a few words for people, with the titles of its classes; its JSON if it is no answer."""
        try:
            answer = self.parse_answer(value)
        except SchemaError:
            return msgspec.json.encode(value).decode()
        titles = {each.key: each.label for each in self.label_classes}
        said = answer.value
        if answer.label:
            return titles.get(answer.label, answer.label)
        if isinstance(said, list):
            named = [str(part.get("class", "")) if isinstance(part, dict) else str(part) for part in said]
            return ", ".join(titles.get(name, name) for name in named) or "none"
        return str(said)

    def answer_from(self, scores: Sequence[float]) -> JSONValue:
        """The answer that a prediction amounts to, in the order of `class_keys`; None where scores do not tell it."""
        return None


class ClassSchema(Schema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A schema whose answers name classes out of a list."""

    fewest_classes: ClassVar[int] = 1

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        Schema.__post_init__(self)
        if not self.fewest_classes <= len(self.classes) <= LARGEST_CLASS_COUNT:
            what = self.kind.replace("_", " ")
            raise ValueError(
                f"a {what} has {self.fewest_classes} to {LARGEST_CLASS_COUNT} classes, not {len(self.classes)}"
            )
        _require_unique("key", [label_class.key for label_class in self.classes])
        _require_unique("hotkey", [label_class.hotkey for label_class in self.classes if label_class.hotkey])

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        return self.classes

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return tuple(label_class.key for label_class in self.classes)

    @property
    def class_keys(self) -> tuple[str, ...]:
        return self._keys if self.prediction_form != "confidence" else (CORRECT,)

    @cached_property
    def index_by_key(self) -> Mapping[str, int]:
        return MappingProxyType({key: index for index, key in enumerate(self._keys)})

    def class_index(self, key: str) -> int:
        """Return the position of a class; `SchemaError` "unknown_class" if there is none of that key."""
        try:
            return self.index_by_key[key]
        except KeyError:
            raise SchemaError("unknown_class", f"unknown class {shortened(key)!r}") from None


def converted(value: Any, answer_type: type[AnswerType]) -> AnswerType:
    """Read JSON as an answer; `SchemaError` "invalid_answer" with the path of what is wrong."""
    try:
        return msgspec.convert(value, answer_type)
    except msgspec.ValidationError as error:
        raise SchemaError("invalid_answer", fault_of(error, answer_type).about("the answer")) from None


def own(answer: Answer, answer_type: type[AnswerType]) -> AnswerType:
    """The answer as one of the schema's own; a TypeError says that a caller mixed schemas up."""
    if not isinstance(answer, answer_type):
        raise TypeError(f"{type(answer).__name__} is no answer of this schema, {answer_type.__name__} is")
    return answer


def field_of(payload: JSONValue, name: str) -> JSONValue:
    """A field of the payload; `SchemaError` "invalid_answer" if the item has none of that name."""
    if not isinstance(payload, dict) or name not in payload:
        raise SchemaError("invalid_answer", f"the item has no field {name!r} that this could be about")
    return payload[name]


def text_of(payload: JSONValue, name: str) -> str:
    """A field of the payload that is a text; `SchemaError` "invalid_answer" if it is none."""
    text = field_of(payload, name)
    if not isinstance(text, str):
        raise SchemaError("invalid_answer", f"the field {name!r} of the item is no text")
    return text


def require_field_name(name: str, field: str) -> None:
    if not field.strip() or len(field) > LONGEST_KEY:
        raise ValueError(f"{name} names a field of the payload, in 1 to {LONGEST_KEY} characters")
    require_text(name, field, LONGEST_KEY)


def require_text(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueError(f"{name} has {len(text)} characters, at most {longest} are allowed")
    # PostgreSQL cannot store NUL or half of a surrogate pair, and nobody means the other control characters.
    if any(category(character) in {"Cc", "Cs"} and character not in "\t\n\r" for character in text):
        raise ValueError(f"{name} contains a control character")


def shortened(text: str) -> str:
    return text if len(text) <= LONGEST_KEY else text[:LONGEST_KEY] + "..."


def _require_key(key: str) -> None:
    if not key.strip():
        raise ValueError("a class key must not be empty")
    if key != key.strip():
        raise ValueError(f"class key {shortened(key)!r} must not begin or end with space")
    require_text("class key", key, LONGEST_KEY)
    if any(character in key for character in "\t\n\r"):
        raise ValueError(f"class key {shortened(key)!r} must be one line without tabs")


def _require_unique(name: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name} {shortened(value)!r} is used twice")
        seen.add(value)
