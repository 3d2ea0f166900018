"""Numeric value: a number within bounds."""

import math
from typing import ClassVar

from labeling.schema.base import Answer, JSONValue, PredictionForm, Schema, SchemaError, converted, require_text

_LONGEST_UNIT = 50
_STEP_TOLERANCE = 1e-6


class NumberAnswer(Answer, frozen=True, forbid_unknown_fields=True):
    number: float

    @property
    def value(self) -> JSONValue:
        return self.number


class Numeric(Schema, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """A number from `minimum` to `maximum`; with a `step`, a multiple of it above the minimum.

    The bounds are required: they say how far off a model can be, hence what its spread means.
    """

    kind: ClassVar[str] = "numeric"
    prediction_form: ClassVar[PredictionForm] = "confidence"

    minimum: float
    maximum: float
    unit: str = ""
    step: float | None = None

    def __post_init__(self) -> None:
        Schema.__post_init__(self)
        require_text("unit", self.unit, _LONGEST_UNIT)
        width = self.maximum - self.minimum
        if not (math.isfinite(width) and width > 0):
            raise ValueError("minimum and maximum must be finite numbers, in order")
        if self.step is not None and not 0 < self.step <= width:
            raise ValueError("step must be above 0 and at most maximum - minimum")

    def parse_answer(self, value: JSONValue) -> NumberAnswer:
        answer = converted(value, NumberAnswer)
        if not self.minimum <= answer.number <= self.maximum:
            raise SchemaError("invalid_answer", f"the number must be from {self.minimum:g} to {self.maximum:g}")
        if self.step is not None:
            steps = (answer.number - self.minimum) / self.step
            if abs(steps - round(steps)) > _STEP_TOLERANCE * max(1.0, abs(steps)):
                raise SchemaError(
                    "invalid_answer", f"the number must be {self.minimum:g} and whole steps of {self.step:g}"
                )
        return answer

    def confidence_from_std(self, std: float) -> float:
        r"""How sure a model is whose prediction has the standard deviation `std`: 1 - 2 std / (maximum - minimum).

        No distribution on the range has a standard deviation beyond half its width (Popoviciu, 1935), so the result is in
        [0, 1] for all that are possible; beyond, it is 0. Raises ValueError for a negative or infinite `std`.
        """
        if not (math.isfinite(std) and std >= 0):
            raise ValueError("a standard deviation is a finite number, at least 0")
        return max(0.0, 1.0 - 2.0 * std / (self.maximum - self.minimum))
