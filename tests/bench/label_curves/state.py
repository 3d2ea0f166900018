"""What a selection arm is: a function from what may be looked at to the items whose labels are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class State:
    """What an arm may look at: everything but the labels of the pool it has not asked for."""

    probabilities: NDArray[np.float32]
    geometry: NDArray[np.float32]
    labelled: NDArray[np.int64]
    labels: NDArray[np.int64]
    unlabelled: NDArray[np.int64]
    classes: int
    size: int
    seed: int


Arm: TypeAlias = Callable[[State], NDArray[np.int64]]
"""Returns `size` positions of `unlabelled` items."""
