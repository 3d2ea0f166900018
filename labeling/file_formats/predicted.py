"""Predictions of other tools: an answer and a score, turned into what this service keeps of a model."""

from collections.abc import Sequence
from typing import Final

from labeling.schema import AnySchema, JSONValue
from labeling.wire import RowError

ALMOST_HALF: Final = 0.49
"""For classes that were not chosen, however low the score: from 0.5 on a class counts as predicted."""


def prediction(schema: AnySchema, *, model_version: str, answer: JSONValue, score: float | None) -> dict[str, object]:
    """The prediction part of a row. `answer` has been checked; without a score the model is taken to be sure.

    One class with score s: s for it, the rest spread evenly over the others. Several classes: max(s, 0.5) for each that
    was chosen, at most 1 - s for each that was not, so that the same classes stay chosen. Other kinds: the answer
    itself, with confidence s.
    """
    if score is not None and not 0 <= score <= 1:
        raise RowError("invalid_score", f"The score {score:g} of a prediction does not lie between 0 and 1.")
    sure = 1.0 if score is None else score
    form = schema.prediction_form
    if form == "distribution":
        label = schema.label_of(schema.parse_answer(answer))
        return {"model_version": model_version, "probabilities": spread(schema.class_keys, label, sure)}
    if form == "independent":
        chosen = set(_chosen(answer))
        return {
            "model_version": model_version,
            "probabilities": {
                key: max(sure, 0.5) if key in chosen else min(1 - sure, ALMOST_HALF) for key in schema.class_keys
            },
        }
    return {"model_version": model_version, "answer": answer, "confidence": sure}


def spread(classes: Sequence[str], label: str, score: float) -> dict[str, float]:
    """`score` for `label`, the rest evenly over the other classes.

    >>> spread(["a", "b", "c"], "b", 0.5)
    {'a': 0.25, 'b': 0.5, 'c': 0.25}
    """
    rest = (1 - score) / max(len(classes) - 1, 1)
    return {key: score if key == label else rest for key in classes}


def _chosen(answer: JSONValue) -> list[str]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return [str(choice) for choice in choices] if isinstance(choices, list) else []
