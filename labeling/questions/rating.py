"""Rating: a level of a scale, as stars or numbers."""

from typing import ClassVar, Final, Literal

import msgspec

from labeling.questions.base import Asked, Question, QuestionError, Stated, Texts, converted, require_texts
from labeling.questions.locales import in_locale
from labeling.schema import JSONValue

_MOST_LEVELS: Final = 11
_FARTHEST: Final = 1_000


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    rating: int


class Rating(Question, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Answered {"rating": 4}: a whole number from `minimum` to `maximum`, 2 to 11 levels.

    `low` and `high` say what the ends of the scale mean.
    """

    kind: ClassVar[str] = "rating"

    minimum: int = 1
    maximum: int = 5
    style: Literal["stars", "numbers"] = "stars"
    low: Texts = {}
    high: Texts = {}

    def __post_init__(self) -> None:
        Question.__post_init__(self)
        if not 2 <= self.maximum - self.minimum + 1 <= _MOST_LEVELS:
            raise ValueError(f"a rating has 2 to {_MOST_LEVELS} levels")
        if max(abs(self.minimum), abs(self.maximum)) > _FARTHEST:
            raise ValueError(f"the levels of a rating lie between -{_FARTHEST} and {_FARTHEST}")
        require_texts("low", self.low)
        require_texts("high", self.high)

    @property
    def alternatives(self) -> tuple[JSONValue, ...]:
        return tuple(range(self.minimum, self.maximum + 1))

    def read(self, answer: JSONValue, asked: Asked) -> Stated:
        rating = converted(answer, _Answer).rating
        if not self.minimum <= rating <= self.maximum:
            raise QuestionError("invalid_answer", f"a rating lies between {self.minimum} and {self.maximum}")
        return Stated("rating", rating, (rating - self.minimum) / (self.maximum - self.minimum))

    def rendered(self, locale: str, asked: Asked) -> dict[str, JSONValue]:
        return {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "style": self.style,
            "low": in_locale(self.low, locale),
            "high": in_locale(self.high, locale),
        }
