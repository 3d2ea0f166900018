"""Private questions: the widget says the truth only with a known chance, so that no single answer is to be believed.

k-ary randomised response reports the true one of k alternatives with probability p = e^ε / (e^ε + k - 1) and each other
with q = 1 / (e^ε + k - 1); ε = ln(p / q). The service learns only what was reported. See docs/feedback.md.
"""

import math
from typing import Final, Literal

import msgspec

from labeling.questions.base import Question, QuestionError
from labeling.schema import JSONValue

MOST_ALTERNATIVES: Final = 5
LARGEST_EPSILON: Final = 8.0
_PRIVATE_KINDS: Final = frozenset({"thumbs", "single_choice", "rating"})


class Randomised(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the widget says it did to the answer."""

    mechanism: Literal["krr"]
    epsilon: float
    k: int


def check_private(question: Question, epsilon: float) -> None:
    """Raise `QuestionError` "not_private" unless the question can be asked privately with this budget."""
    if question.kind not in _PRIVATE_KINDS:
        raise QuestionError("not_private", f"only {', '.join(sorted(_PRIVATE_KINDS))} can be private")
    if len(question.alternatives) > MOST_ALTERNATIVES:
        raise QuestionError("not_private", f"a private question has at most {MOST_ALTERNATIVES} alternatives")
    if question.comment:
        raise QuestionError("not_private", "a private question has no comment box: a comment would tell on the answer")
    if not (math.isfinite(epsilon) and 0 < epsilon <= LARGEST_EPSILON):
        raise QuestionError("not_private", f"epsilon lies above 0 and at most at {LARGEST_EPSILON:g}")


def split_answer(answer: JSONValue) -> tuple[JSONValue, JSONValue]:
    """The answer, and what stands in it under "randomised", if anything."""
    if not isinstance(answer, dict) or "randomised" not in answer:
        return answer, None
    rest = dict(answer)
    return rest, rest.pop("randomised")


def check_randomised(question: Question, epsilon: float, claim: JSONValue) -> None:
    """Raise `QuestionError` "not_randomised" unless the answer was randomised as the question demands."""
    try:
        done = msgspec.convert(claim, Randomised)
    except msgspec.ValidationError:
        raise QuestionError("not_randomised", "an answer to a private question says how it was randomised") from None
    k = len(question.alternatives)
    if done.k != k or not math.isclose(done.epsilon, epsilon, rel_tol=1e-9):
        raise QuestionError("not_randomised", f"this question is answered with epsilon {epsilon:g} among {k}")


def truth_probability(epsilon: float, k: int) -> float:
    """p, the chance that the reported alternative is the true one.

    >>> round(truth_probability(1.0, 3), 6)
    0.576117
    """
    return 1.0 / (1.0 + (k - 1) * math.exp(-epsilon))
