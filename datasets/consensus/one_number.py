"""Ratings and numbers that several people gave one item, merged into one that the schema admits."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from datasets.consensus.rating import robust_mean
from labeling.schema import Answer, Numeric, Rating
from labeling.schema.base import own
from labeling.schema.numeric import NumberAnswer
from labeling.schema.rating import RatingAnswer

NUMERIC_TOLERANCE: Final = 0.05
"""Of the range from minimum to maximum."""
LEAST_LEVELS: Final = 5
"""Scales with so many levels or more count neighbouring levels as agreement, as graders of essays do."""
_HAIR: Final = 1e-9
_DIGITS: Final = 12


def middle(schema: Rating | Numeric, answers: Sequence[Answer]) -> float:
    """The robust mean at the nearest level or step, of two as near the lower; within the bounds. Depends on the order by a rounding error.

    >>> middle(Rating(), [RatingAnswer(3), RatingAnswer(4)])
    3.0
    """
    mean = robust_mean(np.array(_numbers(answers)))
    step = 1.0 if isinstance(schema, Rating) else schema.step
    if step is not None:
        steps = math.ceil((mean - schema.minimum) / step - 0.5 - _HAIR)
        most = math.floor((schema.maximum - schema.minimum) / step + _HAIR)
        mean = schema.minimum + min(max(steps, 0), most) * step
    # 0.1 + 0.2 is meant to be 0.3.
    return min(max(float(f"{mean:.{_DIGITS}g}"), float(schema.minimum)), float(schema.maximum))


def near(schema: Rating | Numeric, answers: Sequence[Answer], number: float) -> frozenset[int]:
    """Positions of the answers within the tolerance of a number: the next level where a scale has five or more; else one
    step, or a twentieth of the range if that is more.
    """
    width = schema.maximum - schema.minimum
    if isinstance(schema, Rating):
        tolerance = 1.0 if width + 1 >= LEAST_LEVELS else 0.0
    else:
        tolerance = max(schema.step or 0.0, NUMERIC_TOLERANCE * width)
    least = tolerance + _HAIR * width
    return frozenset(place for place, each in enumerate(_numbers(answers)) if abs(each - number) <= least)


def _numbers(answers: Sequence[Answer]) -> list[float]:
    return [
        float(answer.rating) if isinstance(answer, RatingAnswer) else own(answer, NumberAnswer).number
        for answer in answers
    ]
