"""The strategies by the name that policies store. A new one is one file and one line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sampling.strategies import entropy, least_confidence, margin, uniform


class Informativeness(Protocol):
    """Class probabilities (n, C) -> how much a label of each row would teach: (n,), in [0, 1], higher = ask first.

    What every strategy promises (tests/unit/sampling/strategies/test_contract.py holds them to it): the score of a row
    depends on that row alone, not on the order of the classes; a row that is no distribution is refused by its number;
    the argument is not changed; n = 0 and C = 1 are answered.
    """

    def __call__(self, probabilities: NDArray[np.float32], /) -> NDArray[np.float32]: ...


STRATEGIES: Final[Mapping[str, Informativeness]] = MappingProxyType(
    {
        "margin": margin.informativeness,
        "entropy": entropy.informativeness,
        "least_confidence": least_confidence.informativeness,
        "uniform": uniform.informativeness,
    }
)


def find(name: str) -> Informativeness:
    """Return the strategy of that name; ValueError listing the known ones otherwise."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ValueError(f"unknown strategy {name!r}; known: {', '.join(sorted(STRATEGIES))}") from None
