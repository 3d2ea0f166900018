"""Label schemas: what may be answered about an item, and answers checked against them.

A schema is a JSON object told apart by its `kind`. Its stored form is what `definition_of` returns; `parse_definition`
reads it back. A new kind is one class for the schema with its `parse_answer`, one for its answer, and a line in `KINDS`.
"""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias
from unicodedata import category

import msgspec

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"
ErrorCode = Literal["invalid_schema", "invalid_answer", "unknown_class"]

LARGEST_CLASS_COUNT: Final = 1_000
LONGEST_KEY: Final = 100
LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 20_000


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
        _require_text("title", self.title, LONGEST_TITLE)
        _require_text("description", self.description, LONGEST_TEXT)
        if self.hotkey and (len(self.hotkey) != 1 or not self.hotkey.isprintable() or self.hotkey.isspace()):
            raise ValueError(f"hotkey of class {self.key!r} must be one visible character")

    @property
    def label(self) -> str:
        return self.title or self.key


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to a single choice: the key of one class."""

    choice: str


class SingleChoice(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, dict=True):
    """Exactly one class out of 2 to 1,000. The order of the classes is the order of the stored probabilities."""

    kind: ClassVar[str] = "single_choice"

    classes: tuple[LabelClass, ...]
    guidelines: str = ""

    def __post_init__(self) -> None:
        _require_text("guidelines", self.guidelines, LONGEST_TEXT)
        if not 2 <= len(self.classes) <= LARGEST_CLASS_COUNT:
            raise ValueError(f"a single choice has 2 to {LARGEST_CLASS_COUNT} classes, not {len(self.classes)}")
        _require_unique("key", [label_class.key for label_class in self.classes])
        _require_unique("hotkey", [label_class.hotkey for label_class in self.classes if label_class.hotkey])

    @cached_property
    def class_keys(self) -> tuple[str, ...]:
        return tuple(label_class.key for label_class in self.classes)

    @cached_property
    def index_by_key(self) -> Mapping[str, int]:
        return MappingProxyType({key: index for index, key in enumerate(self.class_keys)})

    def class_index(self, key: str) -> int:
        """Return the position of a class; `SchemaError` "unknown_class" if there is none of that key."""
        try:
            return self.index_by_key[key]
        except KeyError:
            raise SchemaError("unknown_class", f"unknown class {_shortened(key)!r}") from None

    def parse_answer(self, value: JSONValue) -> Choice:
        """Read an answer such as {"choice": "7"}.

        Raises `SchemaError` "invalid_answer" if it is no such object, "unknown_class" if the schema lacks the class.
        """
        try:
            answer = msgspec.convert(value, Choice)
        except msgspec.ValidationError as error:
            raise SchemaError("invalid_answer", str(error)) from None
        self.class_index(answer.choice)
        return answer


# Unions once there are more: multi_label, rating, text_correction, preference, spans, numeric, boxes.
AnySchema: TypeAlias = SingleChoice
Answer: TypeAlias = Choice

KINDS: Final[Mapping[str, type[AnySchema]]] = MappingProxyType({SingleChoice.kind: SingleChoice})


def parse_definition(value: JSONValue) -> AnySchema:
    """Read a schema such as {"kind": "single_choice", "classes": [{"key": "spam"}, {"key": "ham"}]}.

    Raises `SchemaError` "invalid_schema", with the path of what is wrong.

    >>> parse_definition({"kind": "single_choice", "classes": [{"key": "spam"}, {"key": "ham"}]}).class_keys
    ('spam', 'ham')
    """
    if not isinstance(value, dict):
        raise SchemaError("invalid_schema", "a label schema is an object")
    fields = dict(value)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise SchemaError("invalid_schema", f"kind must be one of: {', '.join(sorted(KINDS))} - at `$.kind`")
    try:
        return msgspec.convert(fields, KINDS[kind])
    except msgspec.ValidationError as error:
        raise SchemaError("invalid_schema", str(error)) from None


def definition_of(schema: AnySchema) -> dict[str, JSONValue]:
    """Return the JSON form of a schema, without fields left at their defaults; equal schemas give equal forms."""
    # Through JSON, because that is what reading it back from the database gives: lists, not tuples.
    fields: dict[str, JSONValue] = msgspec.json.decode(msgspec.json.encode(schema))
    return {"kind": schema.kind, **fields}


def _require_key(key: str) -> None:
    if not key.strip():
        raise ValueError("a class key must not be empty")
    if key != key.strip():
        raise ValueError(f"class key {_shortened(key)!r} must not begin or end with space")
    _require_text("class key", key, LONGEST_KEY)
    if any(character in key for character in "\t\n\r"):
        raise ValueError(f"class key {_shortened(key)!r} must be one line without tabs")


def _require_text(name: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise ValueError(f"{name} has {len(text)} characters, at most {longest} are allowed")
    # PostgreSQL cannot store NUL or half of a surrogate pair, and nobody means the other control characters.
    if any(category(character) in {"Cc", "Cs"} and character not in "\t\n\r" for character in text):
        raise ValueError(f"{name} contains a control character")


def _require_unique(name: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name} {_shortened(value)!r} is used twice")
        seen.add(value)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_KEY else text[:LONGEST_KEY] + "..."
