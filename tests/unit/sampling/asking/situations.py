"""Situations in which somebody may be asked, unless a test says otherwise."""

from typing import Any

from sampling.asking.situation import Candidate, PastAsk, Rates, Situation, Spending

HOUR, DAY = 3_600.0, 86_400.0


def candidate(informativeness: float = 0.5, **others: Any) -> Candidate:
    return Candidate(informativeness, **others)


def situation(*candidates: Candidate, **others: Any) -> Situation:
    fitting: dict[str, Any] = {"holdout_draw": 0.99, "spending": Spending(), "can_be_blind": True, "rates": Rates()}
    return Situation(candidates=candidates or (candidate(),), **{**fitting, **others})


def past(asked_age: float, outcome: Any = "ignored", **others: Any) -> PastAsk:
    if outcome in ("answered", "dismissed"):
        others.setdefault("closed_age", asked_age)
    return PastAsk(asked_age, outcome, **others)
