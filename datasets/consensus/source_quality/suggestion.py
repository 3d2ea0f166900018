"""From findings about sources to a suggestion for each: let be, weigh less, quarantine, shadow-ignore or block, with reasons."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Family = Literal["agreement", "gold", "invariability", "speed", "collusion", "contradiction"]
FAMILIES: Final[tuple[Family, ...]] = ("agreement", "gold", "invariability", "speed", "collusion", "contradiction")
LARGEST_NATS: Final = 50.0
FALSE_ALARM: Final = 0.05
LEAST_WEIGHT: Final = 0.25


class Step(IntEnum):
    """What is suggested, from mild to strong. Nothing is ever deleted, and all but BLOCK are invisible to the source."""

    NONE = 0
    WEIGHT = 1
    QUARANTINE = 2
    SHADOW_IGNORE = 3
    BLOCK = 4


@dataclass(frozen=True)
class Reason:
    """Which family of detectors found something, how strong it is in nats (10 is about 1 in 20,000 by chance), and in words."""

    family: Family
    nats: float
    text: str


@dataclass(frozen=True)
class Suggestion:
    """What is suggested about one source.

    weight
        In [0, 1], what its evidence counts until somebody has looked: 1, then less, 0 from quarantine on.
    """

    source: int
    step: Step
    weight: float
    reasons: tuple[Reason, ...]

    @property
    def suspicion_nats(self) -> float:
        return max((reason.nats for reason in self.reasons), default=0.0)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the detectors found; one row per source in every array.

    nats
        By family, shape (n_sources,), >= 0: minus the log of a p-value, or a log Bayes factor less the prior odds. Families that were not
        looked at are absent.
    is_forged
        Whether the source sent answers with forged or replayed tokens: certain, no statistics needed.
    notes
        By family, one text per source; "" where there is nothing to say.
    """

    n_sources: int
    nats: dict[Family, NDArray[np.float64]]
    is_forged: NDArray[np.bool_] | None = None
    notes: dict[Family, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for family, values in self.nats.items():
            if values.shape != (self.n_sources,) or np.isnan(values).any():
                raise ValueError(f"{family}: one number for each of {self.n_sources} sources")


def nats_of(p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log p, at most 50.

    >>> nats_of(np.array([1.0, 0.01, 0.0])).round(2).tolist()
    [0.0, 4.61, 50.0]
    """
    nats: NDArray[np.float64] = -np.log(np.maximum(p_value, np.exp(-LARGEST_NATS)))
    return nats + 0.0


def bar_nats(n_sources: int, n_families: int, *, false_alarm: float = FALSE_ALARM) -> float:
    """Return how strong a finding must be so that all honest sources together raise a false alarm with chance `false_alarm`.

    log(sources x families / false alarm): the more one looks at, the more one must ask for (Bonferroni).

    >>> round(bar_nats(200, 5), 2)
    9.9
    """
    return float(np.log(max(1, n_sources) * max(1, n_families) / false_alarm))


def suggest(findings: Findings, *, false_alarm: float = FALSE_ALARM) -> list[Suggestion]:
    """Suggest a step for every source, in the order of the sources.

    =============  =================================================================================================
    WEIGHT         a finding above half of the bar: the weight falls from 1 to 0.25 on the way to the bar
    QUARANTINE     a finding above the bar: set aside until a person has looked
    SHADOW_IGNORE  two families above the bar, or gold among them: accepted with thanks, not counted
    BLOCK          gold and another family above the bar, or forged tokens
    =============  =================================================================================================

    Statistics alone never block: it takes gold, which is knowledge, or forgery, which is proof.

    >>> found = Findings(2, {"agreement": np.array([0.0, 20.0]), "gold": np.array([0.0, 12.0])})
    >>> [(each.step.name, each.weight) for each in suggest(found)]
    [('NONE', 1.0), ('BLOCK', 0.0)]
    """
    bar = bar_nats(findings.n_sources, len(findings.nats), false_alarm=false_alarm)
    return [_suggestion(findings, source, bar) for source in range(findings.n_sources)]


def _suggestion(findings: Findings, source: int, bar: float) -> Suggestion:
    strengths = {family: float(values[source]) for family, values in findings.nats.items()}
    over = [family for family, nats in strengths.items() if nats >= bar]
    is_forged = findings.is_forged is not None and bool(findings.is_forged[source])
    strongest = max(strengths.values(), default=0.0)
    if is_forged or ("gold" in over and len(over) > 1):
        step = Step.BLOCK
    elif "gold" in over or len(over) > 1:
        step = Step.SHADOW_IGNORE
    elif over:
        step = Step.QUARANTINE
    elif strongest > bar / 2.0:
        step = Step.WEIGHT
    else:
        step = Step.NONE
    weight = 0.0 if step >= Step.QUARANTINE else 1.0
    if step == Step.WEIGHT:
        weight = 1.0 - (1.0 - LEAST_WEIGHT) * (strongest - bar / 2.0) / (bar / 2.0)
    told = sorted((family for family in strengths if strengths[family] > bar / 2.0), key=lambda each: -strengths[each])
    reasons = tuple(Reason(family, strengths[family], _note(findings, family, source)) for family in told)
    return Suggestion(source, step, weight, reasons)


def _note(findings: Findings, family: Family, source: int) -> str:
    said = findings.notes.get(family)
    return said[source] if said else ""
