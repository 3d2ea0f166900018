"""A model's own probabilities as a weak prior of the truth: off unless asked for, and capped.

Letting the model vote on the labels it is trained with closes a loop: it teaches itself its own errors. It does help where people
say little (a thumb up about one of twenty classes). So it is an explicit argument, its weight is below 1, and the odds it can
move are bounded: one answer of an ordinary annotator can outweigh it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

WEIGHT: Final = 0.5
LARGEST_ODDS: Final = 4.0


@dataclass(frozen=True, eq=False)
class ModelPrior:
    """What a model says of the items.

    probabilities
        Shape (n_items, K); rows sum to 1, or are NaN where the model said nothing.
    weight
        In (0, 1]; the model's log-odds are multiplied by it.
    largest_odds
        > 1; however sure it is, the model multiplies the odds of one class against another by no more.
    """

    probabilities: NDArray[np.float32] | NDArray[np.float64]
    weight: float = WEIGHT
    largest_odds: float = LARGEST_ODDS

    def __post_init__(self) -> None:
        if not (0 < self.weight <= 1 and self.largest_odds > 1):
            raise ValueError("the weight is above 0 and at most 1, the largest odds above 1")

    def log_odds(self, n_items: int, n_classes: int) -> NDArray[np.float64]:
        """What is added to the log posterior: max(weight (log p_k - max log p), -log(largest odds)); 0 in NaN rows.

        Shape (n_items, K), from -log(largest_odds) to 0. Raises ValueError naming the row that is no distribution.

        >>> ModelPrior(np.array([[0.8, 0.2], [1.0, 0.0]])).log_odds(2, 2).round(3).tolist()
        [[0.0, -0.693], [0.0, -1.386]]
        """
        p = np.asarray(self.probabilities, dtype=np.float64)
        if p.shape != (n_items, n_classes):
            raise ValueError(f"the model's probabilities must have the shape ({n_items}, {n_classes}), not {p.shape}")
        is_silent = np.asarray(np.isnan(p).all(axis=1))
        is_distribution = (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) <= 1e-3)
        is_fine = np.asarray(is_silent | is_distribution)
        if not is_fine.all():
            raise ValueError(f"row {int(np.argmin(is_fine))} of the model's probabilities is none")
        p = np.where(is_silent[:, None], 1.0 / n_classes, p)
        with np.errstate(divide="ignore"):
            relative = self.weight * (np.log(p) - np.log(p.max(axis=1, keepdims=True)))
        bounded: NDArray[np.float64] = np.maximum(relative, -np.log(self.largest_odds))
        return bounded
