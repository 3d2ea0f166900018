"""What another ask policy would have done on logged opportunities, estimated from the log with its propensities.

Each logged decision keeps the situation it was made in, so the other policy's chance to ask there is known exactly. What
respondents would have done is known where they were asked; how far that stands for the rest, the propensities say.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from datasets.estimation.overlap import effective_sample_size
from labeling.models import Ask, Project
from sampling import pacing
from sampling.asking import gates, utility
from sampling.asking.gates import Passed
from sampling.asking.policy import Policy
from sampling.asking.situation import Situation, Spending
from sampling.models import AskDecision, AskPolicy
from sampling.services import ask_policies

MOST_DECISIONS: Final = 20_000
_Z: Final = 1.959964
_STEPS: Final = 30
DRAWN: Final = "drawn"


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SegmentCoverage:
    segment: str
    opportunities: float
    asks: float
    logged_asks: float


@dataclass(frozen=True)
class Replayed:
    """See AskReplaySerializer for the meaning of each."""

    since: dt.datetime
    until: dt.datetime
    decisions: int
    is_truncated: bool
    opportunities: float
    logged_asks: float
    logged_answers: float
    asks: Interval
    answers: Interval
    dismissals: Interval
    coverage: Sequence[SegmentCoverage]
    reasons: dict[str, float]
    price: float
    effective_asks: float
    unsupported_share: float


@dataclass(frozen=True)
class _Row:
    """A logged decision as the other policy sees it: gates passed or not, and the utility without a price."""

    weight: float
    segment: str
    reason: str
    utilities: tuple[float, ...]
    about: int | None
    logged_chance: float | None
    is_ask: bool
    outcome: str
    segments: tuple[str, ...]
    """Of the eligible candidates, as the rates are."""
    answered_rates: tuple[float, ...]
    dismissed_rates: tuple[float, ...]
    is_check: tuple[bool, ...]


def replay(
    project: Project, policy: AskPolicy, *, since: dt.datetime, until: dt.datetime, most: int = MOST_DECISIONS
) -> Replayed:
    """Replay the policy, saved or a draft, on the decisions of [since, until), the newest `most` of them. Changes nothing.

    The budget is replayed as a price: the lowest at which the expected asks stay within the budget's share of the time.
    Each opportunity is replayed in the state that was logged, so what a policy would have changed about later ones (a
    respondent who is in a cooldown or not) is not foreseen.
    """
    pure = ask_policies.pure(policy)
    rows = [_seen_by(pure, each) for each in _logged(project, since, until, most + 1)]
    is_truncated = len(rows) > most
    rows = rows[:most]
    return _estimated(pure, rows, since=since, until=until, is_truncated=is_truncated)


def _logged(project: Project, since: dt.datetime, until: dt.datetime, most: int) -> Iterator[dict[str, Any]]:
    decisions = AskDecision.objects.filter(project=project, created_at__gte=since, created_at__lt=until)
    columns = decisions.order_by("-created_at").values(
        "log_weight", "segment", "terms", "propensity", "is_ask", "ask__state", "item__key"
    )
    for row in columns[:most].iterator(chunk_size=2_000):
        yield {**row}


def _seen_by(policy: Policy, row: dict[str, Any]) -> _Row:
    terms = row["terms"]
    situation = msgspec.convert(terms["situation"], Situation)
    # Budgets are replayed by price, and an outage is nothing that a policy decides.
    situation = msgspec.structs.replace(situation, spending=Spending())
    unlimited = msgspec.structs.replace(policy, budget_asks=None)
    checked = gates.check(unlimited, situation)
    utilities: tuple[float, ...] = ()
    eligible: tuple[int, ...] = ()
    if isinstance(checked, Passed):
        eligible = checked.eligible
        utilities = tuple(each.utility for each in utility.of_candidates(unlimited, situation, eligible))
    asked_place = _place(situation, row["item__key"]) if row["is_ask"] else None
    candidates = [situation.candidates[place] for place in eligible]
    rates = [each.rates or situation.rates for each in candidates]
    return _Row(
        weight=float(row["log_weight"]),
        segment=str(row["segment"]),
        reason=DRAWN if isinstance(checked, Passed) else checked.reason.value,
        utilities=utilities,
        about=eligible.index(asked_place) if asked_place in eligible and asked_place is not None else None,
        logged_chance=row["propensity"],
        is_ask=bool(row["is_ask"]),
        outcome=str(row["ask__state"] or ""),
        segments=tuple(each.segment for each in candidates),
        answered_rates=tuple(each.answered for each in rates),
        dismissed_rates=tuple(each.dismissed for each in rates),
        is_check=tuple(gates.is_check(policy, situation, each) for each in candidates),
    )


def _place(situation: Situation, key: str | None) -> int:
    """Which candidate was asked about."""
    keys = [each.key for each in situation.candidates]
    return keys.index(key) if key in keys else 0


def _chances(policy: Policy, row: _Row, price: float) -> list[float]:
    if not row.utilities:
        return []
    return utility.propensities(policy, [each - price for each in row.utilities], is_check=row.is_check)[0]


def _price_within(policy: Policy, rows: Sequence[_Row], allowed: float) -> float:
    """The lowest price at which the expected asks are within `allowed`, by bisection; the highest one if none is."""

    def expected(price: float) -> float:
        return sum(row.weight * sum(_chances(policy, row, price)) for row in rows)

    if expected(0.0) <= allowed:
        return 0.0
    low, high = 0.0, pacing.HIGHEST_PRICE
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(middle) > allowed else (low, middle)
    return high


def _estimated(
    policy: Policy, rows: Sequence[_Row], *, since: dt.datetime, until: dt.datetime, is_truncated: bool
) -> Replayed:
    price = 0.0
    if policy.budget_asks is not None:
        allowed = policy.budget_asks * (until - since).total_seconds() / policy.budget_period_seconds
        price = _price_within(policy, rows, min(allowed, policy.budget_asks))
    chances = [_chances(policy, row, price) for row in rows]
    totals = np.array([sum(each) for each in chances], dtype=np.float64)
    weights = np.array([row.weight for row in rows], dtype=np.float64)
    ratios = np.array(
        [
            each[row.about] / row.logged_chance if row.is_ask and row.about is not None and row.logged_chance else 0.0
            for row, each in zip(rows, chances, strict=True)
        ],
        dtype=np.float64,
    )
    is_supported = np.array([row.logged_chance is not None for row in rows], dtype=np.bool_)
    expected = float((weights * totals).sum())
    unsupported = float((weights * totals)[~is_supported].sum())
    return Replayed(
        since=since,
        until=until,
        decisions=len(rows),
        is_truncated=is_truncated,
        opportunities=float(weights.sum()),
        logged_asks=float(sum(row.weight for row in rows if row.is_ask)),
        logged_answers=float(sum(row.weight for row in rows if row.outcome == Ask.State.ANSWERED)),
        asks=_interval(weights * totals, weights, spread=weights**2 * totals * (1.0 - totals)),
        answers=_outcome(rows, weights, chances, ratios, Ask.State.ANSWERED),
        dismissals=_outcome(rows, weights, chances, ratios, Ask.State.DISMISSED),
        coverage=list(_coverage(rows, chances)),
        reasons=_reasons(rows),
        price=price,
        effective_asks=effective_sample_size(weights * ratios) if len(rows) else 0.0,
        unsupported_share=unsupported / expected if expected > 0.0 else 0.0,
    )


def _outcome(
    rows: Sequence[_Row],
    weights: NDArray[np.float64],
    chances: Sequence[Sequence[float]],
    ratios: NDArray[np.float64],
    outcome: str,
) -> Interval:
    """Doubly robust: the expected rate everywhere, corrected where somebody was asked by how far off it was.

    sum_i w_i [ sum_j p'_ij r_ij + 1{asked} (p'_i / p_i) (y_i - r_i) ], which is unbiased for the supported part whatever r is.
    """
    rates = [row.answered_rates if outcome == Ask.State.ANSWERED else row.dismissed_rates for row in rows]
    expected = np.array(
        [sum(chance * rate for chance, rate in zip(*each, strict=True)) for each in zip(chances, rates, strict=True)],
        dtype=np.float64,
    )
    of_asked = np.array(
        [0.0 if row.about is None else each[row.about] for row, each in zip(rows, rates, strict=True)], dtype=np.float64
    )
    happened = np.array([row.outcome == outcome for row in rows], dtype=np.float64)
    return _interval(weights * (expected + ratios * (happened - of_asked)), weights)


def _interval(
    parts: NDArray[np.float64], weights: NDArray[np.float64], spread: NDArray[np.float64] | None = None
) -> Interval:
    """A sum of independent parts; `spread` adds the variance of what chance decides within each."""
    count = len(parts)
    total = float(parts.sum())
    if count < 2:
        return Interval(total, total, total)
    # Among so many opportunities as there were; what a row stands for beyond itself was not seen.
    scale = float((weights**2).sum() / max(weights.sum(), 1e-12))
    variance = count * float((parts / weights).var(ddof=1)) * scale + (
        float(spread.sum()) if spread is not None else 0.0
    )
    half = _Z * variance**0.5
    return Interval(total, max(total - half, 0.0), total + half)


def _coverage(rows: Sequence[_Row], chances: Sequence[Sequence[float]]) -> Iterator[SegmentCoverage]:
    """Of a list, expected asks count where the candidates belong, and the opportunity where the log has it."""
    asks: Counter[str] = Counter()
    for row, each in zip(rows, chances, strict=True):
        for segment, chance in zip(row.segments, each, strict=True):
            asks[segment] += row.weight * chance  # type: ignore[assignment]  # weights are numbers, if not whole ones
    for segment in sorted({row.segment for row in rows} | asks.keys()):
        inside = [row for row in rows if row.segment == segment]
        yield SegmentCoverage(
            segment,
            opportunities=sum(row.weight for row in inside),
            asks=float(asks[segment]),
            logged_asks=sum(row.weight for row in inside if row.is_ask),
        )


def _reasons(rows: Sequence[_Row]) -> dict[str, float]:
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row.reason] += row.weight  # type: ignore[assignment]  # weights are numbers, if not whole ones
    return {reason: float(weight) for reason, weight in counted.most_common()}
