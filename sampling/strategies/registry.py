"""The strategies by the name that policies store. A new one is one file and one line here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from labeling.schema import KINDS, PredictionForm
from sampling.strategies import (
    confidence,
    entropy,
    least_confidence,
    margin,
    multi_label_margin,
    multi_label_worst_margin,
    rating_variance,
    uniform,
)


class Informativeness(Protocol):
    """Predictions (n, C) -> how much a label of each row would teach: (n,), in [0, 1], higher = ask first.

    What every strategy promises (tests/unit/sampling/strategies/test_contract.py holds them to it): the score of a row
    depends on that row alone, and not on the order of the classes unless they are levels of a scale; a row that is not
    of the strategy's form is refused by its number; the argument is not changed; n = 0 and C = 1 are answered.
    """

    def __call__(self, probabilities: NDArray[np.float32], /) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Strategy:
    """The score for each form of prediction that the strategy takes.

    is_ordinal
        It reads the columns as levels of a scale, so it fits label schemas of the kind "rating" only.
    """

    scores: Mapping[PredictionForm, Informativeness]
    is_ordinal: bool = False

    def fits(self, kind: str) -> bool:
        """Whether it can score what models say in projects with a label schema of this kind."""
        return KINDS[kind].prediction_form in self.scores and (kind in _ORDINAL_KINDS or not self.is_ordinal)


_ORDINAL_KINDS: Final = frozenset({"rating"})
_FORMS: Final[tuple[PredictionForm, ...]] = ("distribution", "independent", "confidence")

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {
        "margin": Strategy({"distribution": margin.informativeness}),
        "entropy": Strategy({"distribution": entropy.informativeness}),
        "least_confidence": Strategy({"distribution": least_confidence.informativeness}),
        "rating_variance": Strategy({"distribution": rating_variance.informativeness}, is_ordinal=True),
        "multi_label_margin": Strategy({"independent": multi_label_margin.informativeness}),
        "multi_label_worst_margin": Strategy({"independent": multi_label_worst_margin.informativeness}),
        "confidence": Strategy({"confidence": confidence.informativeness}),
        "uniform": Strategy({form: partial(uniform.informativeness, form=form) for form in _FORMS}),
    }
)

_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "single_choice": "margin",
        "preference": "margin",
        "rating": "rating_variance",
        "multi_label": "multi_label_margin",
    }
)


def find(name: str, kind: str = "single_choice") -> Informativeness:
    """Return the score of that name for label schemas of that kind.

    ValueError if there is none of that name, or if it does not fit; it lists those that would do.
    """
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy {name!r}; known: {', '.join(sorted(STRATEGIES))}")
    if not STRATEGIES[name].fits(kind):
        raise ValueError(f"strategy {name!r} does not fit a {kind} label schema; these do: {', '.join(fitting(kind))}")
    return STRATEGIES[name].scores[KINDS[kind].prediction_form]


def fitting(kind: str) -> list[str]:
    """The names of the strategies for label schemas of that kind, in order of the alphabet.

    >>> fitting("spans")
    ['confidence', 'uniform']
    """
    return sorted(name for name, strategy in STRATEGIES.items() if strategy.fits(kind))


def default_for(kind: str) -> str:
    """The strategy of a new project.

    >>> default_for("multi_label"), default_for("boxes")
    ('multi_label_margin', 'confidence')
    """
    return _DEFAULTS.get(kind, "confidence")
