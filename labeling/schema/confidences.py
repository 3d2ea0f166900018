"""Confidences that a model gives part by part, as of spans and boxes."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from labeling.schema.base import JSONValue, SchemaError

PartRule: TypeAlias = Literal["least", "mean", "geometric_mean"]
"""How the confidences of an answer's parts make one; see `combined`."""


def combined(confidences: Sequence[float], rule: PartRule) -> float:
    """How sure a model is of an answer, from how sure it is of each part.

    "least": an answer is right if all of it is. "mean": how much of it is probably right; one doubtful part in a long answer
    hardly counts. "geometric_mean": the chance that all is right were the parts independent, normalised by length, without
    which long answers are always asked first. At least one confidence, each in [0, 1]; so is the result, and for one answer
    least <= geometric_mean <= mean. `sampling.strategies.sequence_confidence` is the same for many answers at once.

    >>> [combined([1.0, 0.25], rule) for rule in ("least", "mean", "geometric_mean")]
    [0.25, 0.625, 0.5]
    """
    least = min(confidences)
    if rule == "least" or least == max(confidences):
        return least
    if rule == "mean":
        return math.fsum(confidences) / len(confidences)
    if least == 0.0:
        return 0.0
    # Logarithms, since the product of a long answer vanishes.
    return math.exp(math.fsum(math.log(each) for each in confidences) / len(confidences))


def split_off_confidences(value: JSONValue, name: str, rule: PartRule) -> tuple[JSONValue, float | None]:
    """Return the answer without its parts' confidences, and what the rule makes of those.

    None if no part has one, or there is no part; what is no list of objects is left for `parse_answer` to refuse. Raises
    `SchemaError` "invalid_answer" for a confidence that is no number from 0 to 1.
    """
    parts = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(parts, list):
        return value, None
    plain: list[JSONValue] = []
    confidences: list[float] = []
    for part in parts:
        if not isinstance(part, dict) or "confidence" not in part:
            plain.append(part)
            continue
        confidence = part["confidence"]
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
            raise SchemaError("invalid_answer", f"{name}: a confidence is a number from 0 to 1")
        confidences.append(float(confidence))
        plain.append({key: each for key, each in part.items() if key != "confidence"})
    return {**value, name: plain}, combined(confidences, rule) if confidences else None
