"""The strategies by the name that policies store. A new one is one file and one line here."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from labeling.schema import KINDS, PredictionForm
from sampling.strategies import (
    bald,
    confidence,
    consensus_entropy,
    entropy,
    expected_model_change,
    kl_disagreement,
    least_confidence,
    margin,
    multi_label_entropy,
    multi_label_margin,
    multi_label_worst_margin,
    preference_probability,
    rating_variance,
    uniform,
    vote_entropy,
)
from sampling.strategies.committee_blocks import mean_over_members
from sampling.strategies.inputs import NEEDS, Inputs, Need

Scorer: TypeAlias = Callable[[Inputs], NDArray[np.float32]]


class Informativeness(Protocol):
    """Predictions (n, C) -> how much a label of each row would teach: (n,), in [0, 1], higher = ask first.

    What every strategy promises (tests/unit/sampling/strategies/test_contract.py holds them to it): the score of a row
    depends on that row alone, and not on the order of the classes unless they are levels of a scale; a row that is not
    of the strategy's form is refused by its number; the argument is not changed; n = 0 and C = 1 are answered.
    """

    def __call__(self, probabilities: NDArray[np.float32], /) -> NDArray[np.float32]: ...


_PROBABILITIES: Final[frozenset[Need]] = frozenset({"probabilities"})
_COMMITTEE: Final[frozenset[Need]] = frozenset({"committee"})
_FORMS: Final[tuple[PredictionForm, ...]] = ("distribution", "independent", "confidence")


@dataclass(frozen=True)
class Strategy:
    """The score for each form of prediction that the strategy takes.

    scores
        Each takes the arrays that the strategy needs, in the order of `NEEDS`, and promises what `Informativeness` does.
    needs
        What it reads of a pool.
    kinds
        The kinds of label schema whose columns it can tell apart, as levels of a scale or sides of a pair; empty: all of
        the form.
    """

    scores: Mapping[PredictionForm, Callable[..., NDArray[np.float32]]]
    needs: frozenset[Need] = _PROBABILITIES
    kinds: frozenset[str] = frozenset()

    def fits(self, kind: str) -> bool:
        """Whether it can score what models say in projects with a label schema of this kind."""
        return KINDS[kind].prediction_form in self.scores and (not self.kinds or kind in self.kinds)


STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {
        "margin": Strategy({"distribution": margin.informativeness}),
        "entropy": Strategy({"distribution": entropy.informativeness}),
        "least_confidence": Strategy({"distribution": least_confidence.informativeness}),
        "rating_variance": Strategy({"distribution": rating_variance.informativeness}, kinds=frozenset({"rating"})),
        "preference_probability": Strategy(
            {"distribution": preference_probability.informativeness}, kinds=frozenset({"preference"})
        ),
        "multi_label_margin": Strategy({"independent": multi_label_margin.informativeness}),
        "multi_label_worst_margin": Strategy({"independent": multi_label_worst_margin.informativeness}),
        "multi_label_entropy": Strategy({"independent": multi_label_entropy.informativeness}),
        "confidence": Strategy({"confidence": confidence.informativeness}),
        "uniform": Strategy({form: partial(uniform.informativeness, form=form) for form in _FORMS}),
        "vote_entropy": Strategy({"distribution": vote_entropy.informativeness}, _COMMITTEE),
        "consensus_entropy": Strategy({"distribution": consensus_entropy.informativeness}, _COMMITTEE),
        "kl_disagreement": Strategy({"distribution": kl_disagreement.informativeness}, _COMMITTEE),
        "bald": Strategy({"distribution": bald.informativeness}, _COMMITTEE),
        "expected_model_change": Strategy(
            {"distribution": expected_model_change.informativeness}, frozenset({"probabilities", "embeddings"})
        ),
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
    """Return the score of that name for label schemas of that kind, for strategies that need probabilities alone.

    ValueError if there is none of that name, or if it does not fit; it lists those that would do.
    """
    return _strategy(name, kind, _PROBABILITIES).scores[KINDS[kind].prediction_form]


def scorer(name: str, kind: str = "single_choice") -> Scorer:
    """Return the score of that name for label schemas of that kind, whatever it needs.

    Where a pool has no probabilities but a committee, the mean over its members stands for them. ValueError as by `find`;
    the score itself raises it too if what it needs is not given.
    """
    strategy, form = _strategy(name, kind, frozenset(NEEDS)), KINDS[kind].prediction_form
    needed = [need for need in NEEDS if need in strategy.needs]

    def score(inputs: Inputs) -> NDArray[np.float32]:
        return strategy.scores[form](*(_given(inputs, need, form) for need in needed))

    return score


def fitting(kind: str, available: Set[Need] = _PROBABILITIES) -> list[str]:
    """The names of the strategies for label schemas of that kind that need no more than is available, in alphabetic order.

    >>> fitting("spans")
    ['confidence', 'uniform']
    >>> fitting("rating", available={"committee"})
    ['bald', 'consensus_entropy', 'kl_disagreement', 'vote_entropy']
    """
    return sorted(name for name, strategy in STRATEGIES.items() if strategy.fits(kind) and strategy.needs <= available)


def _strategy(name: str, kind: str, available: Set[Need]) -> Strategy:
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy {name!r}; known: {', '.join(sorted(STRATEGIES))}")
    strategy = STRATEGIES[name]
    others = ", ".join(fitting(kind, available))
    if not strategy.fits(kind):
        raise ValueError(f"strategy {name!r} does not fit a {kind} label schema; these do: {others}")
    if missing := strategy.needs - available:
        raise ValueError(f"strategy {name!r} needs {' and '.join(sorted(missing))}; these do not: {others}")
    return strategy


def _given(inputs: Inputs, need: Need, form: PredictionForm) -> NDArray[np.floating]:
    array: NDArray[np.floating] | None = getattr(inputs, need)
    if array is None and need == "probabilities" and inputs.committee is not None:
        return mean_over_members(inputs.committee, form)
    if array is None:
        raise ValueError(f"this strategy needs {need}")
    return array


def default_for(kind: str) -> str:
    """The strategy of a new project.

    >>> default_for("multi_label"), default_for("boxes")
    ('multi_label_margin', 'confidence')
    """
    return _DEFAULTS.get(kind, "confidence")
