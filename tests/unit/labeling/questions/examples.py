"""One question of each kind, what may be answered to it and what that states. A new kind is tested by standing here."""

from typing import Any, Final

from labeling.questions import Asked, Question, Stated, parse_question
from labeling.schema import parse_definition

SCHEMA: Final = parse_definition(
    {"kind": "single_choice", "classes": [{"key": "1", "title": "One"}, {"key": "7", "title": "Seven"}]}
)
ASKED: Final = Asked(SCHEMA, {"choice": "7"})
BLIND: Final = Asked(SCHEMA, {"choice": "7"}, is_blind=True)

OPTIONS: Final = [{"key": "a", "text": {"en": "Apple"}}, {"key": "b", "text": {"en": "Pear", "de": "Birne"}}]
DEFINITIONS: Final[dict[str, dict[str, Any]]] = {
    "thumbs": {"text": {"en": "Was this helpful?", "de": "War das hilfreich?"}, "comment": True},
    "rating": {"text": {"en": "How good is it?"}, "maximum": 3, "low": {"en": "Bad"}, "high": {"en": "Good"}},
    "single_choice": {"text": {"en": "Which one?"}, "options": OPTIONS},
    "multiple_choice": {"text": {"en": "Which ones?"}, "options": OPTIONS, "least": 1},
    "correction": {"text": {"en": "Is this right?", "ar": "هل هذا صحيح؟"}},
    "text": {"text": {"en": "What went wrong?"}, "longest": 20, "help": {"en": "A few words."}},
    "preference": {"text": {"en": "Which is better?"}, "a": {"en": "Left"}, "b": {"en": "Right"}},
    "survey": {
        "text": {"en": "Three quick questions"},
        "thanks": {"en": "Thank you!"},
        "steps": [
            {"key": "s1", "kind": "rating", "text": {"en": "How was it?"}},
            {"key": "s2", "kind": "text", "text": {"en": "Why?"}, "longest": 5},
        ],
    },
}
ANSWERS: Final[dict[str, list[tuple[Any, Stated]]]] = {
    "thumbs": [({"thumb": "up"}, Stated("thumb", "up", 1.0)), ({"thumb": "down"}, Stated("thumb", "down", 0.0))],
    "rating": [({"rating": 1}, Stated("rating", 1, 0.0)), ({"rating": 2}, Stated("rating", 2, 0.5))],
    "single_choice": [({"choice": "b"}, Stated("choice", "b"))],
    "multiple_choice": [
        ({"choices": ["b", "a"]}, Stated("choice", ["a", "b"])),
        ({"choices": ["b"]}, Stated("choice", ["b"])),
    ],
    "correction": [
        ({"is_right": True}, Stated("thumb", "up", 1.0, {"choice": "7"})),
        ({"is_right": False}, Stated("thumb", "down", 0.0)),
        ({"is_right": False, "correction": {"choice": "1"}}, Stated("thumb", "down", 0.0, {"choice": "1"})),
    ],
    "text": [({"text": "<b>It is wrong</b>"}, Stated("text", "<b>It is wrong</b>"))],
    "preference": [
        ({"preferred": "a"}, Stated("preference", "a", 1.0)),
        ({"preferred": "tie"}, Stated("preference", "tie", 0.5)),
    ],
    "survey": [
        ({"answers": {"s1": {"rating": 4}}}, Stated("survey", {"s1": {"rating": 4}})),
        (
            {"answers": {"s2": {"text": "so"}, "s1": {"rating": 1}}},
            Stated("survey", {"s1": {"rating": 1}, "s2": {"text": "so"}}),
        ),
    ],
}
REFUSED: Final[dict[str, list[Any]]] = {
    "thumbs": [{"thumb": "sideways"}],
    "rating": [{"rating": 0}, {"rating": 4}, {"rating": 1.5}, {"rating": "2"}, {"rating": True}],
    "single_choice": [{"choice": "c"}, {"choice": ["a"]}],
    "multiple_choice": [{"choices": []}, {"choices": ["a", "a"]}, {"choices": ["c"]}, {"choices": "a"}],
    "correction": [
        {"is_right": True, "correction": {"choice": "1"}},
        {"is_right": False, "correction": {"choice": "7"}},
        {"is_right": False, "correction": {"rating": 7}},
        {"correction": {"choice": "1"}},
    ],
    "text": [{"text": " \n"}, {"text": "x" * 21}, {"text": "a\x00b"}],
    "preference": [{"preferred": "c"}],
    "survey": [
        {"answers": {}},
        {"answers": {"s3": {"rating": 4}}},
        {"answers": {"s1": {"rating": 9}}},
        {"answers": {"s2": {"text": "too long"}}},
    ],
}


def question(kind: str, **changes: Any) -> Question:
    return parse_question(kind, {**DEFINITIONS[kind], **changes})
