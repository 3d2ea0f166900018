"""What an ask is worth, and the chance it gets for that. docs/algorithms/ask_policy.md says why."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec
from scipy.special import betaincinv

from sampling.asking.policy import Policy
from sampling.asking.situation import Candidate, Outcome, PastAsk, Rates, Situation

LOWEST_WEIGHT, HIGHEST_WEIGHT = 0.5, 3.0
MOST_RELATIVE: Final = 2.0
"""A respondent counts at most so many times a typical one, in answering and in reliability each."""
_PRIOR_RIGHT, _PRIOR_WRONG = 2.0, 1.0
_LOWER_BOUND: Final = 0.05
_FATIGUE: Final[dict[Outcome, float]] = {"open": 0.5, "ignored": 0.5, "dismissed": 1.0, "answered": 0.25}


class Terms(msgspec.Struct, frozen=True):
    """What the utility of a candidate is made of; utility = weight * value * answering * reliability - fatigue - price."""

    value: float
    weight: float
    answering: float
    reliability: float
    fatigue: float
    price: float
    utility: float


def segment_weight(target: float | None, share: float | None) -> float:
    """w = clip(target share / share of the labels so far, 0.5, 3); 1 without a target or without labels.

    >>> segment_weight(0.5, 0.25), segment_weight(0.5, 0.0), segment_weight(None, 0.3), segment_weight(0.1, 0.9)
    (2.0, 3.0, 1.0, 0.5)
    """
    if target is None or share is None:
        return 1.0
    if share <= 0.0:
        return HIGHEST_WEIGHT if target > 0.0 else 1.0
    return min(max(target / share, LOWEST_WEIGHT), HIGHEST_WEIGHT)


def fatigue(history: Sequence[PastAsk], *, half_life_seconds: float) -> float:
    """F = sum over past asks of a 2^(-age / half-life), a = 0.25 answered, 0.5 ignored, 1 dismissed; 0 without asks.

    >>> fatigue([PastAsk(604_800.0, "dismissed", 604_800.0), PastAsk(0.0, "answered", 0.0)], half_life_seconds=604_800.0)
    0.75
    """
    return math.fsum(_FATIGUE[ask.outcome] * math.exp2(-ask.asked_age / half_life_seconds) for ask in history)


def posterior_rate(rate: float, strength: float, *, hits: int, trials: int) -> float:
    """Mean of the Beta-Binomial posterior: (strength * rate + hits) / (strength + trials), the own history against the prior.

    >>> posterior_rate(0.2, 20.0, hits=10, trials=20)
    0.35
    """
    return (strength * rate + hits) / (strength + trials)


@lru_cache(maxsize=4096)
def reliability(right: int, wrong: int) -> float:
    """The 5% quantile of Beta(2 + right, 1 + wrong): what can be said with confidence of how often they are right.

    >>> round(reliability(0, 0), 4), round(reliability(8, 1), 4), round(reliability(0, 4), 4)
    (0.2236, 0.6356, 0.0628)
    """
    return float(betaincinv(_PRIOR_RIGHT + right, _PRIOR_WRONG + wrong, _LOWER_BOUND))


def of_candidates(policy: Policy, situation: Situation, eligible: Sequence[int]) -> list[Terms]:
    """The terms of the eligible candidates, in their order.

    S = w V (r / r0) (q / q0) - lambda dF - mu

    with V the informativeness, r the answer rate expected of this respondent, r0 the project's, q their reliability, q0
    that of somebody new, dF the fatigue that asking is expected to add, mu the price. Ratios are at most 2. Measured
    against the typical respondent, S has the scale of V whatever the app's response rate is, and so has the threshold.
    """
    tired = fatigue(situation.history, half_life_seconds=policy.fatigue_half_life_seconds)
    trusted = _relative(reliability(situation.right_count, situation.wrong_count), reliability(0, 0))
    price = situation.spending.price if situation.spending is not None else 0.0
    reactions: dict[Rates, tuple[float, float]] = {}
    found = []
    for place in eligible:
        candidate = situation.candidates[place]
        rates = candidate.rates or situation.rates
        if rates not in reactions:
            reactions[rates] = _reaction(policy, rates, situation.history, tired=tired)
        answering, cost = reactions[rates]
        found.append(_terms(policy, candidate, answering, trusted, cost, price))
    return found


def _reaction(policy: Policy, rates: Rates, history: Sequence[PastAsk], *, tired: float) -> tuple[float, float]:
    """How much more than a typical respondent they answer, and what asking them costs in fatigue."""
    closed = [ask for ask in history if ask.outcome != "open"]
    answered, dismissed = (
        posterior_rate(rate, rates.strength, hits=sum(ask.outcome == outcome for ask in closed), trials=len(closed))
        for outcome, rate in (("answered", rates.answered), ("dismissed", rates.dismissed))
    )
    answering = _relative(answered, rates.typical)
    dismissed = min(dismissed, 1.0 - answered)
    added = 0.25 * answered + 1.0 * dismissed + 0.5 * (1.0 - answered - dismissed)
    # Whoever is tired already is tired more by the same ask.
    return answering, policy.fatigue_weight * added * (1.0 + tired)


def _terms(policy: Policy, candidate: Candidate, answering: float, trusted: float, cost: float, price: float) -> Terms:
    weight = segment_weight(policy.segment_targets.get(candidate.segment), candidate.label_share)
    gain = weight * candidate.informativeness * answering * trusted
    return Terms(candidate.informativeness, weight, answering, trusted, cost, price, gain - cost - price)


def _relative(value: float, typical: float) -> float:
    return min(value / typical, MOST_RELATIVE) if typical > 0.0 else 1.0


def propensities(
    policy: Policy, utilities: Sequence[float], *, is_check: Sequence[bool] = ()
) -> tuple[list[float], list[float]]:
    """The chance of each candidate to be the one that is asked about, and the part of it that is the audit share.

    For one candidate

        pi = clip(eps + (1 - eps) sigmoid((S - theta) / tau), pi_min, pi_max)

    and for n of them, of which at most one is asked about, with s_i the sigmoid of each,

        pi_i = max(eps / n + (1 - eps) s_i^2 / sum_j s_j, pi_min / n),  all scaled down where their sum exceeds pi_max:

    one is chosen in proportion to s and then asked with the chance s_i. The audit part is min(eps / n, pi_i): uniform.

    Checks (known answers, see `gates.is_check`) are worth nothing for their items: whatever their utility is, m of them share

        max(check share, pi_min),  evenly,

    beside the others, whose formula they do not touch but for the scaling. They have no audit part, for audit asks are a
    sample of what is not known.

    Parameters
    ----------
    utilities
        S of each, finite; at least one.
    is_check
        Which of them are checks, as long as `utilities`; empty: none.

    Returns
    -------
    Two lists as long as `utilities`; the first sums to at most pi_max and rises with the utility.

    >>> policy = Policy(threshold=0.3, temperature=0.1, audit_share=0.05)
    >>> chances, audit = propensities(policy, [0.3])
    >>> round(chances[0], 4), audit[0]
    (0.525, 0.05)
    """
    if any(is_check):
        return _beside_checks(policy, utilities, is_check)
    chances, uniform = _worth_asking(policy, utilities)
    return _within_most(policy, chances, [uniform] * len(chances))


def _beside_checks(
    policy: Policy, utilities: Sequence[float], is_check: Sequence[bool]
) -> tuple[list[float], list[float]]:
    of_checks = max(policy.check_share, policy.least_propensity) / sum(is_check)
    others = [each for each, is_known in zip(utilities, is_check, strict=True) if not is_known]
    chances, uniform = _worth_asking(policy, others) if others else ([], 0.0)
    left = iter(chances)
    return _within_most(
        policy,
        [of_checks if is_known else next(left) for is_known in is_check],
        [0.0 if is_known else uniform for is_known in is_check],
    )


def _worth_asking(policy: Policy, utilities: Sequence[float]) -> tuple[list[float], float]:
    """The chances before they are scaled, and the audit share of each."""
    count = len(utilities)
    shares = [_sigmoid((each - policy.threshold) / policy.temperature) for each in utilities]
    total = sum(shares)
    uniform = policy.audit_share / count
    chances = [
        max(
            uniform + (1.0 - policy.audit_share) * (share * share / total if total > 0.0 else 0.0),
            policy.least_propensity / count,
        )
        for share in shares
    ]
    return chances, uniform


def _within_most(policy: Policy, chances: list[float], audit: list[float]) -> tuple[list[float], list[float]]:
    if (together := sum(chances)) > policy.most_propensity:
        chances = [each * policy.most_propensity / together for each in chances]
    return chances, [min(share, each) for share, each in zip(audit, chances, strict=True)]


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(max(x, -700.0))
    return grown / (1.0 + grown)
