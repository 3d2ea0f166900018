"""From counts of asks to what they say: stages, rates with intervals, anchoring, harm, and whom the answers stand for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from datasets.estimation.representativeness import RIndicator, r_indicator
from datasets.estimation.two_proportions import Difference, difference
from datasets.estimation.wilson import Estimate, proportion_interval

Stage: TypeAlias = Literal["opportunities", "eligible", "selected", "shown", "answered", "accepted"]
STAGES: Final[tuple[Stage, ...]] = ("opportunities", "eligible", "selected", "shown", "answered", "accepted")
PROPENSITY_STEPS: Final = 10
_SMALLEST_GROUP: Final = 30.0
"""Groups with fewer opportunities are put together: their rates are mostly chance."""
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Count:
    """How often, and how many different respondents. Decisions that the log keeps a sample of count by their weight."""

    count: float = 0.0
    respondents: int = 0


@dataclass(frozen=True, slots=True)
class StageOf:
    """A stage of a funnel; `share_of_previous` is None for the first, and where there was nothing before."""

    name: Stage
    count: float
    respondents: int
    share_of_previous: float | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the opportunities of one group, stage by stage; `dismissed` is a way out, not a stage."""

    opportunities: Count = Count()
    eligible: Count = Count()
    selected: Count = Count()
    shown: Count = Count()
    answered: Count = Count()
    accepted: Count = Count()
    dismissed: Count = Count()

    def stage(self, name: Stage) -> Count:
        found: Count = getattr(self, name)
        return found

    @property
    def stages(self) -> list[StageOf]:
        """All stages, in order."""
        return [
            StageOf(name, self.stage(name).count, self.stage(name).respondents, self.share(name)) for name in STAGES
        ]

    @property
    def response(self) -> Estimate:
        """Answered, of the asks that were shown."""
        return _rate(self.answered.count, self.shown.count)

    @property
    def dismissal(self) -> Estimate:
        """Dismissed, of the asks that were shown."""
        return _rate(self.dismissed.count, self.shown.count)

    @property
    def response_of_respondents(self) -> Estimate:
        """Respondents who answered at least once, of those who were shown an ask."""
        return _rate(self.answered.respondents, self.shown.respondents)

    @property
    def dismissal_of_respondents(self) -> Estimate:
        return _rate(self.dismissed.respondents, self.shown.respondents)

    @property
    def only_seen(self) -> float:
        """Shown, and neither answered nor dismissed so far."""
        return max(self.shown.count - self.answered.count - self.dismissed.count, 0.0)

    def share(self, name: Stage) -> float | None:
        """Of the stage before it; None for the first stage and where there was nothing before."""
        place = STAGES.index(name)
        before = self.stage(STAGES[place - 1]).count if place else 0.0
        return self.stage(name).count / before if before else None


@dataclass(frozen=True, slots=True)
class Group:
    """A value that the funnel is broken down by, and its funnel."""

    name: str
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class Bin:
    """Decisions whose propensity lies in (low, high], by weight: how many, how many asks they announce, how many came."""

    low: float
    high: float
    decisions: float
    expected: float
    asked: int

    @property
    def rate(self) -> float | None:
        return self.asked / self.decisions if self.decisions else None

    @property
    def gap(self) -> float:
        """Asks more or fewer than announced, in standard errors; 0 without decisions, or where chance had no say."""
        variance = self.expected * (1.0 - self.expected / self.decisions) if self.decisions else 0.0
        return (self.asked - self.expected) / math.sqrt(variance) if variance > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Anchoring:
    """How much more often respondents agree with the model when they see what it said."""

    shown: Estimate
    blind: Estimate
    effect: Difference


@dataclass(frozen=True, slots=True)
class Crowd:
    """Respondents of one side of the never-ask holdout: how many, how often they came, and what happened to them.

    `opportunities` and `squared` are the sum over respondents of their opportunities and of its square; `happened` counts
    respondents by outcome.
    """

    respondents: int
    opportunities: float
    squared: float
    asks: int
    happened: Mapping[str, int]

    @property
    def mean_opportunities(self) -> float | None:
        return self.opportunities / self.respondents if self.respondents else None


@dataclass(frozen=True, slots=True)
class Guardrail:
    """An outcome among those who may be asked beside the holdout. For shares in [0, 1], else means."""

    name: str
    asked: float | None
    holdout: float | None
    value: float | None
    low: float
    high: float
    is_share: bool = True

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves no difference out."""
        return self.value is not None and not self.low <= 0.0 <= self.high


@dataclass(frozen=True, slots=True)
class Part:
    """A group's share of the opportunities and of the answers; `partial` below 0: it is under-represented."""

    name: str
    opportunities: float
    answered: float
    partial: float


@dataclass(frozen=True, slots=True)
class Representation:
    """The R-indicator over groups, and each group's part in it, the most under-represented first."""

    indicator: RIndicator
    parts: tuple[Part, ...]


def anchoring(*, agree_shown: int, shown: int, agree_blind: int, blind: int) -> Anchoring:
    """Compare agreement with the model where its answer was shown and where it was hidden.

    Counts of answers that state the truth; blindness is drawn at random among asks, so the difference is what seeing the
    model's answer does to those who answer. ValueError for counts out of range.

    >>> found = anchoring(agree_shown=850, shown=1000, agree_blind=780, blind=1000)
    >>> f"{found.effect.value:+.2f} {found.effect.low:.3f} {found.effect.high:.3f}"
    '+0.07 0.036 0.104'
    """
    return Anchoring(
        shown=proportion_interval(agree_shown, shown),
        blind=proportion_interval(agree_blind, blind),
        effect=difference(agree_shown, shown, agree_blind, blind),
    )


def guardrails(asked: Crowd, holdout: Crowd, outcomes: Sequence[str]) -> list[Guardrail]:
    """Compare respondents who may be asked with those who never are: how often they come, then the shares by outcome.

    All who may be asked count, asked or not: those who were are the ones who come often, which is no effect of asking.
    The difference of means has a normal interval with Welch's standard error, which is all of the real line while a side
    has fewer than two respondents; the differences of shares have Newcombe's.
    """
    found = [_visits(asked, holdout)]
    for name in outcomes:
        here, there = asked.happened.get(name, 0), holdout.happened.get(name, 0)
        gap = difference(here, asked.respondents, there, holdout.respondents)
        found.append(
            Guardrail(
                name=name,
                asked=here / asked.respondents if asked.respondents else None,
                holdout=there / holdout.respondents if holdout.respondents else None,
                value=gap.value,
                low=gap.low,
                high=gap.high,
            )
        )
    return found


def representation(groups: Sequence[Group]) -> Representation | None:
    """Measure how alike groups are in their chance that an opportunity ends in an answer.

    Groups of fewer than 30 opportunities are put together as “others”. None with fewer than two groups left, and while
    nobody answered: then there is nothing to compare.
    """
    sizes: dict[str, float] = {}
    answers: dict[str, float] = {}
    for group in groups:
        many = group.funnel.opportunities.count
        name = group.name if many >= _SMALLEST_GROUP else "others"
        sizes[name] = sizes.get(name, 0.0) + many
        answers[name] = answers.get(name, 0.0) + group.funnel.answered.count
    names = [name for name, size in sizes.items() if size > 1.0]
    total, answered = sum(sizes[name] for name in names), sum(answers[name] for name in names)
    if len(names) < 2 or not answered:
        return None
    indicator = r_indicator([round(answers[name]) for name in names], [sizes[name] for name in names])
    parts = [
        Part(name, sizes[name] / total, answers[name] / answered, partial)
        for name, partial in zip(names, indicator.observed.partial, strict=True)
    ]
    return Representation(indicator, tuple(sorted(parts, key=lambda part: part.partial)))


def _rate(part: float, whole: float) -> Estimate:
    return proportion_interval(round(part), round(whole))


def _visits(asked: Crowd, holdout: Crowd) -> Guardrail:
    here, there = asked.mean_opportunities, holdout.mean_opportunities
    value = here - there if here is not None and there is not None else None
    margin = math.inf
    if asked.respondents > 1 and holdout.respondents > 1:
        margin = _Z * math.sqrt(_squared_error(asked) + _squared_error(holdout))
    return Guardrail(
        name="opportunities",
        asked=here,
        holdout=there,
        value=value,
        low=-math.inf if value is None else value - margin,
        high=math.inf if value is None else value + margin,
        is_share=False,
    )


def _squared_error(crowd: Crowd) -> float:
    """Of the mean number of opportunities: the sample variance over n; rounding may leave it a trace below 0."""
    n = crowd.respondents
    return max(crowd.squared - crowd.opportunities**2 / n, 0.0) / (n - 1) / n
