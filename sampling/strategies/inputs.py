"""What a pool has to score items by."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Need: TypeAlias = Literal["probabilities", "committee", "embeddings"]
NEEDS: Final[tuple[Need, ...]] = ("probabilities", "committee", "embeddings")
"""In the order in which a strategy takes those that it needs."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The predictions and vectors of n items; one row per item in each array, at least one array.

    probabilities
        Shape (n, C): what one model says, or a committee on average.
    committee
        Shape (n, M, C): what each of M models says. Where only this is given, its mean serves as the probabilities.
    embeddings
        Shape (n, d): the vectors that the model is linear in.

    ValueError if nothing is given, or the arrays differ in length.
    """

    probabilities: NDArray[np.float32] | None = None
    committee: NDArray[np.float32] | None = None
    embeddings: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        lengths = {need: len(array) for need in NEEDS if (array := getattr(self, need)) is not None}
        if not lengths:
            raise ValueError(f"one of these must be given: {', '.join(NEEDS)}")
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{length} of {need}" for need, length in lengths.items())
            raise ValueError(f"every item must have one row in each array, not {said}")

    def __len__(self) -> int:
        return next(len(array) for need in NEEDS if (array := getattr(self, need)) is not None)
