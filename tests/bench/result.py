"""One measured figure and the bar it is held against."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Result:
    name: str
    value: float
    unit: str
    bar: float | None
    """The figure to reach; None where a figure is only for comparison."""
    direction: Literal["at_least", "at_most"] = "at_least"

    @property
    def is_reached(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.direction == "at_least" else self.value <= self.bar
