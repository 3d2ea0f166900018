"""Thumbs: up or down."""

from typing import ClassVar, Literal

import msgspec

from labeling.questions.base import Asked, Question, Stated, converted
from labeling.schema import JSONValue


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    thumb: Literal["up", "down"]


class Thumbs(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"thumb": "up"} or {"thumb": "down"}."""

    kind: ClassVar[str] = "thumbs"

    @property
    def alternatives(self) -> tuple[JSONValue, ...]:
        return ("down", "up")

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        thumb = converted(answer, _Answer).thumb
        return Stated("thumb", thumb, float(thumb == "up"))
