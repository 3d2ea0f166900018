"""Traffic with bursts over simulated days, put to the service by several sessions, and what PostgreSQL says came of it."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from labeling import wire
from labeling.models import Ask, Project
from labeling.wire import PredictionPart
from sampling import pacing
from sampling.asking.policy import Policy
from sampling.services import ask_policies, asks
from sampling.services.ask_situation import Opportunity

START: Final = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAY: Final = 86_400.0
_MINUTES: Final = 1_440


@dataclass(frozen=True)
class Arrival:
    number: int
    second: float
    respondent: int
    confidence: float

    @property
    def at(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.second)


def traffic(count: int, *, days: int, respondents: int, seed: int) -> list[Arrival]:
    """Opportunities in the order of time: quiet nights, a rush of two hours at noon, ten bursts of five minutes.

    Some respondents come far more often than others. The model is sure of most of what it says.
    """
    rng = np.random.default_rng(seed)
    weights = np.ones((days, _MINUTES))
    weights[:, :360] = 0.1
    weights[:, 720:840] = 4.0
    flat = weights.ravel()
    for begin in rng.integers(0, flat.size - 5, 10):
        flat[begin : begin + 5] *= 20.0
    seconds = np.sort((rng.choice(flat.size, count, p=flat / flat.sum()) + rng.random(count)) * 60.0)
    often = rng.pareto(1.5, respondents) + 0.2
    people = rng.choice(respondents, count, p=often / often.sum())
    confidence = 0.5 + 0.5 * rng.beta(3.0, 1.5, count)
    rows = zip(seconds.tolist(), people.tolist(), confidence.tolist(), strict=True)
    return [Arrival(number, *row) for number, row in enumerate(rows)]


def play(project: Project, arrivals: Sequence[Arrival]) -> Counter[str]:
    """Ask at each arrival; a third of those who are asked answer soon, a third dismiss. Returns the reasons."""
    said: Counter[str] = Counter()
    for arrival in arrivals:
        row = wire.checked(
            f"t-{arrival.number}",
            payload={"text": f"text {arrival.number}"},
            prediction=PredictionPart(
                model_version="m1", probabilities=[arrival.confidence, 1.0 - arrival.confidence, 0.0]
            ),
        )
        opportunity = Opportunity(f"o-{arrival.number}", [row], respondent=f"user-{arrival.respondent}")
        answer = asks.decide(project, opportunity, now=arrival.at)
        said[answer.reason] += 1
        if answer.ask and arrival.number % 3:
            state, soon = (
                ("answered" if arrival.number % 3 == 1 else "dismissed"),
                arrival.at + dt.timedelta(seconds=30),
            )
            Ask.objects.filter(project=project, opportunity_id=opportunity.opportunity_id).update(
                state=state, shown_at=arrival.at, **{f"{state}_at": soon}
            )
    return said


def most_ahead_of_pace(project: Project) -> int:
    """By how many the asks of a budget period were ever above what was allowed by then; 0 or less: never."""
    row = ask_policies.current_policy(project)
    policy, since = ask_policies.pure(row), ask_policies.budget_since(project, row).timestamp()
    counted: Counter[float] = Counter()
    ahead = -(policy.budget_asks or 0)
    for created_at in Ask.objects.filter(project=project).order_by("created_at").values_list("created_at", flat=True):
        now = created_at.timestamp()
        start = pacing.window_start(anchor=since, period_seconds=policy.budget_period_seconds, now=now)
        counted[start] += 1
        allowed = pacing.allowed(
            budget=policy.budget_asks or 0, elapsed_seconds=now - start, period_seconds=policy.budget_period_seconds
        )
        ahead = max(ahead, counted[start] - allowed)
    return ahead


def clock_violations(project: Project) -> list[str]:
    """Pairs of asks of one respondent that stand closer together than the policy in force lets them, and broken caps."""
    policy = ask_policies.pure(ask_policies.current_policy(project))
    rows = Ask.objects.filter(project=project).exclude(respondent_hash="").order_by("respondent_hash", "created_at")
    by_respondent: dict[str, list[Ask]] = {}
    for ask in rows:
        by_respondent.setdefault(ask.respondent_hash, []).append(ask)
    found = []
    for history in by_respondent.values():
        for before, after in pairwise(history):
            found += [f"{before.pk} and {after.pk}: {why}" for why in _too_close(before, after, policy)]
        for first, last in zip(history, history[policy.most_per_7_days :], strict=False):
            if (last.created_at - first.created_at).total_seconds() < 7 * DAY:
                found.append(f"{first.pk} to {last.pk}: more than {policy.most_per_7_days} in 7 days")
    return found


def _too_close(before: Ask, after: Ask, policy: Policy) -> Iterator[str]:
    clocks = (
        ("shown", before.created_at, policy.cooldown_shown_seconds),
        ("dismissed", before.dismissed_at, policy.cooldown_dismissed_seconds),
        ("answered", before.answered_at, policy.cooldown_answered_seconds),
        ("the same question", before.created_at, policy.question_cooldown_seconds),
    )
    for name, since, seconds in clocks:
        if since is not None and (after.created_at - since).total_seconds() < seconds:
            yield name
