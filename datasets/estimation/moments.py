"""Count, mean and variance of numbers that were counted elsewhere, such as in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moments:
    """Of `count` numbers: their mean, and their variance divided by `count` (not by one less). All 0 of none."""

    count: int
    mean: float = 0.0
    variance: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 0 or not self.variance >= 0 or not np.isfinite([self.mean, self.variance]).all():
            raise ValueError(f"no moments of numbers: {self.count}, {self.mean}, {self.variance}")

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Self:
        return cls(len(values), float(values.mean()), float(values.var())) if len(values) else cls(0)


def together(parts: Sequence[Moments]) -> Moments:
    """The moments of all the numbers: of means that differ, the spread between them counts too.

    >>> together([Moments(2, 1.0, 0.0), Moments(2, 3.0, 0.0)])
    Moments(count=4, mean=2.0, variance=1.0)
    """
    kept = [part for part in parts if part.count]
    if len(kept) <= 1:
        return kept[0] if kept else Moments(0)
    counts = np.array([part.count for part in kept])
    means = np.array([part.mean for part in kept])
    mean = float(np.average(means, weights=counts))
    within = np.array([part.variance for part in kept])
    return Moments(int(counts.sum()), mean, float(np.average(within + (means - mean) ** 2, weights=counts)))
