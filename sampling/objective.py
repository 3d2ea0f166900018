"""What a question is asked for: how many answers that takes, how many asks those take, and when it has enough.

See docs/algorithms/ask_objectives.md.
"""

import datetime as dt
import math
from typing import NamedTuple

from scipy.special import ndtri


def answers_needed(
    half_width: float, *, share: float = 0.5, confidence: float = 0.95, epsilon: float | None = None, levels: int = 2
) -> int:
    r"""Answers after which the share of an answer has a confidence interval of that half width.

    n = ceil(z^2 p (1 - p) / h^2). With k-ary randomised response of budget epsilon, what is seen is the share
    p' = Q + (P - Q) p with P = e^eps / (e^eps + k - 1), Q = 1 / (e^eps + k - 1), and the estimate (p' - Q) / (P - Q):

    n = ceil(z^2 p' (1 - p') / (h (P - Q))^2)

    Parameters
    ----------
    half_width
        h in (0, 0.5).
    share
        p in [0, 1]; 0.5, the widest interval, promises the width whatever the answers are.
    epsilon, levels
        The question's privacy budget, None where answers come as they are, and how many answers there are, k >= 2.

    >>> answers_needed(0.05), answers_needed(0.1), answers_needed(0.05, share=0.1)
    (385, 97, 139)
    >>> answers_needed(0.1, epsilon=1.0)
    450

    References
    ----------
    Cochran: Sampling Techniques, 1977, section 4.4. Warner: Randomized Response, JASA 1965.
    """
    if not 0.0 < half_width < 0.5:
        raise ValueError(f"a half width lies in (0, 0.5), not at {half_width}")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share lies in [0, 1], not at {share}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence lies in (0, 1), not at {confidence}")
    seen, width = share, half_width
    if epsilon is not None:
        if epsilon <= 0.0 or levels < 2:
            raise ValueError("randomised response needs epsilon > 0 and at least two answers")
        lie = 1.0 / (math.exp(epsilon) + levels - 1.0)
        gap = lie * (math.exp(epsilon) - 1.0)
        seen, width = lie + gap * share, half_width * gap
    z = float(ndtri((1.0 + confidence) / 2.0))
    return max(1, math.ceil(z * z * seen * (1.0 - seen) / (width * width) - 1e-9))


def asks_needed(answers: int, *, answer_rate: float) -> int | None:
    """Asks that are expected to bring so many answers; None where nobody answers.

    >>> asks_needed(385, answer_rate=0.2), asks_needed(0, answer_rate=0.2), asks_needed(10, answer_rate=0.0)
    (1925, 0, None)
    """
    if not 0.0 <= answer_rate <= 1.0:
        raise ValueError(f"a rate lies in [0, 1], not at {answer_rate}")
    if answers <= 0:
        return 0
    return math.ceil(answers / answer_rate - 1e-9) if answer_rate > 0.0 else None


class Objective(NamedTuple):
    """What a question version declares; all None: it is asked for as long as it is live."""

    target_answers: int | None = None
    half_width: float | None = None
    deadline: dt.datetime | None = None
    epsilon: float | None = None
    levels: int = 2

    @property
    def wanted(self) -> int | None:
        """Answers that are wanted: as many as it says, else as many as the width takes."""
        if self.target_answers is not None:
            return self.target_answers
        if self.half_width is None:
            return None
        return answers_needed(self.half_width, epsilon=self.epsilon, levels=self.levels)


class Progress(NamedTuple):
    """How far a question is. `asks` are those still needed, None where that cannot be told."""

    answers: int
    wanted: int | None
    asks: int | None
    ended_because: str
    """Empty while it goes on."""


def progress(objective: Objective, *, answers: int, answer_rate: float, now: dt.datetime) -> Progress:
    """Where the question stands, and whether it has ended and why; the deadline counts before the target.

    >>> progress(Objective(target_answers=10), answers=10, answer_rate=0.2, now=dt.datetime(2026, 1, 1)).ended_because
    'The target of 10 answers is reached.'
    """
    wanted = objective.wanted
    left = None if wanted is None else max(wanted - answers, 0)
    asks = None if left is None else asks_needed(left, answer_rate=answer_rate)
    because = ""
    if objective.deadline is not None and now >= objective.deadline:
        because = f"The deadline, {objective.deadline:%Y-%m-%d %H:%M} UTC, has passed with {answers:,} answers."
    elif left == 0:
        because = f"The target of {wanted:,} answers is reached."
    return Progress(answers, wanted, asks, because)
