"""Our ask policy against what apps do otherwise, in a simulated app (tests/bench/ask_world.py), over many seeds.

`python -m tests.bench.ask_simulation [report] [--seeds N]` writes docs/measurements/ask_simulation.md.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.estimation import aipw
from sampling import pacing
from sampling.asking import deciding, draws
from sampling.asking.policy import Policy
from sampling.asking.situation import Candidate, Outcome, PastAsk, Rates, Situation, Spending
from tests.bench import ask_world
from tests.bench.ask_world import DAY, DAYS, OPPORTUNITIES, SEGMENT_SHARES, USERS, Crowd, Model, World

REPORT: Final = Path(__file__).resolve().parents[2] / "docs" / "measurements" / "ask_simulation.md"
SEEDS: Final = 12
BUDGET: Final = 1_250
BELOW: Final = 0.75
UNIFORM: Final = 0.1
_CHECKED: Final = 0.3
"""Share of the answers whose truth comes out otherwise, so that respondents' reliability is known."""


@dataclass
class Log:
    """What a policy did: by opportunity, and what it heard."""

    chance: NDArray[np.float64] = field(default_factory=lambda: np.zeros(OPPORTUNITIES))
    """Probability of being asked; 0 where a gate refused."""
    is_asked: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(OPPORTUNITIES, dtype=np.bool_))
    is_answered: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(OPPORTUNITIES, dtype=np.bool_))
    is_label_right: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(OPPORTUNITIES, dtype=np.bool_))
    is_dismissed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(OPPORTUNITIES, dtype=np.bool_))
    says: NDArray[np.int64] = field(default_factory=lambda: np.zeros(OPPORTUNITIES, dtype=np.int64))
    probability: NDArray[np.float64] = field(default_factory=lambda: np.zeros(OPPORTUNITIES))


class Below:
    """Always ask when the model is less sure than that."""

    def chance(self, place: int, probability: float) -> float:
        return float(max(probability, 1.0 - probability) < BELOW)

    def heard(self, place: int, outcome: Outcome, is_right: bool | None) -> None:
        pass


class Uniform(Below):
    """Ask one opportunity in ten."""

    def chance(self, place: int, probability: float) -> float:
        return UNIFORM


class Cooldown(Below):
    """Ask whoever was not asked for a day."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked_at = np.full(USERS, -np.inf)

    def chance(self, place: int, probability: float) -> float:
        return float(self.world.second[place] - self.asked_at[self.world.user[place]] >= DAY)

    def heard(self, place: int, outcome: Outcome, is_right: bool | None) -> None:
        self.asked_at[self.world.user[place]] = self.world.second[place]


class Ours(Below):
    """sampling.asking with the default policy and a budget; rates are learnt as sampling.services.ask_rates does."""

    def __init__(self, world: World, policy: Policy) -> None:
        self.world, self.policy = world, policy
        self.history: dict[int, list[tuple[float, Outcome]]] = defaultdict(list)
        self.right = np.zeros(USERS, dtype=np.int64)
        self.wrong = np.zeros(USERS, dtype=np.int64)
        self.counted = np.zeros((3, 3))
        self.spent, self.price, self.moved_at, self.error = 0, 0.0, 0.0, 0.0
        self.key = draws.key_for("simulation", 1)

    def chance(self, place: int, probability: float) -> float:
        decision = deciding.decide(self.policy, self._situation(place, probability), draws.Draws(0.0, 0.0))
        return decision.propensity or 0.0

    def heard(self, place: int, outcome: Outcome, is_right: bool | None) -> None:
        user, segment = self.world.user[place], self.world.segment[place]
        self.history[user].append((float(self.world.second[place]), outcome))
        self.counted[segment] += (1.0, outcome == "answered", outcome == "dismissed")
        self.spent += 1
        if is_right is not None:
            (self.right if is_right else self.wrong)[user] += 1

    def _situation(self, place: int, probability: float) -> Situation:
        now, user = float(self.world.second[place]), int(self.world.user[place])
        history = tuple(
            PastAsk(now - at, outcome, now - at if outcome != "ignored" else None)
            for at, outcome in self.history[user]
            if now - at < 30 * DAY
        )
        segment = int(self.world.segment[place])
        labels = self.counted[:, 1]
        candidate = Candidate(
            1.0 - abs(2.0 * probability - 1.0),
            segment=str(segment),
            label_share=float(labels[segment] / labels.sum()) if self.policy.segment_targets and labels.sum() else None,
        )
        return Situation(
            candidates=(candidate,),
            holdout_draw=draws.uniform(self.key, "holdout", str(user)),
            history=history,
            right_count=int(self.right[user]),
            wrong_count=int(self.wrong[user]),
            rates=self._rates(segment),
            spending=Spending(self.spent, now, self._price(now)),
        )

    def _rates(self, segment: int) -> Rates:
        asks, answered, dismissed = self.counted.sum(axis=0)
        typical, turned_away = (answered + 4.0) / (asks + 20.0), (dismissed + 4.0) / (asks + 20.0)
        asks, answered, dismissed = self.counted[segment]
        return Rates(
            (answered + 20.0 * typical) / (asks + 20.0), (dismissed + 20.0 * turned_away) / (asks + 20.0), 4.0, typical
        )

    def _price(self, now: float) -> float:
        if now - self.moved_at >= pacing.PRICE_SECONDS:
            error = pacing.overspend(
                budget=BUDGET, spent=self.spent, elapsed_seconds=now, period_seconds=self.policy.budget_period_seconds
            )
            self.price = pacing.next_price(self.price, error=error, last_error=self.error, seconds=now - self.moved_at)
            self.moved_at, self.error = now, error
        return self.price


class GatedUniform(Ours):
    """Our gates, and then one in ten: what is left is what the utility gains."""

    def chance(self, place: int, probability: float) -> float:
        return UNIFORM if Ours.chance(self, place, probability) > 0.0 else 0.0


def play(world: World, policy: Below, seed: int) -> Log:
    rng = np.random.default_rng((seed, 1))
    drawn, checked = rng.random(OPPORTUNITIES), rng.random(OPPORTUNITIES) < _CHECKED
    log, crowd, model = Log(), Crowd(world), Model(world)
    for day in range(DAYS):
        places = np.flatnonzero(world.day == day)
        log.probability[places] = model.probabilities(places)
        for place in places.tolist():
            chance = log.chance[place] = policy.chance(place, float(log.probability[place]))
            if drawn[place] >= chance:
                continue
            log.is_asked[place] = True
            outcome = crowd.react(place)
            is_right = None
            if outcome == "answered":
                log.is_answered[place] = True
                log.says[place] = said = crowd.says(place)
                log.is_label_right[place] = said == world.truth[place]
                model.learn(place, said)
                is_right = bool(log.is_label_right[place]) if checked[place] else None
            log.is_dismissed[place] = outcome == "dismissed"
            policy.heard(place, outcome, is_right)  # type: ignore[arg-type]  # one of the outcomes
        model.retrain()
    return log


# -- figures -------------------------------------------------------------------------------------------------------------


def figures(world: World, log: Log, *, is_logged: bool) -> dict[str, float]:
    said = np.where(log.probability > 0.5, 1, 0)
    sure = np.where(world.truth == 1, log.probability, 1.0 - log.probability)
    bits = -np.log2(np.clip(sure, 1e-6, 1.0))
    asks, labels = int(log.is_asked.sum()), log.is_label_right
    shares = np.bincount(world.segment[labels], minlength=3) / max(int(labels.sum()), 1)
    model_right = (said == world.truth).astype(np.float64)
    estimate, covers = _accuracy(world, log, is_logged=is_logged)
    return {
        "asks": asks,
        "answer rate": log.is_answered.sum() / asks,
        "right labels per ask": labels.sum() / asks,
        "label bits per ask": float(bits[labels].sum()) / asks,
        "label bits per dismissal": float(bits[labels].sum()) / max(int(log.is_dismissed.sum()), 1),
        "right labels per dismissal": labels.sum() / max(int(log.is_dismissed.sum()), 1),
        "dismissals per 1,000 opportunities": 1_000.0 * log.is_dismissed.sum() / OPPORTUNITIES,
        "smallest segment: share of labels / of opportunities": float(
            (shares / (np.bincount(world.segment, minlength=3) / OPPORTUNITIES)).min()
        ),
        "accuracy of the model": float(model_right.mean()),
        "error of the accuracy estimate": estimate - float(_agrees(world, said).mean()),
        "interval covers": covers,
    }


def _agrees(world: World, said: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is estimated: the chance that this user, if they answered, agreed with the model, at every opportunity."""
    skill = world.skill[world.user]
    return np.where(said == world.truth, skill, 1.0 - skill)


def _accuracy(world: World, log: Log, *, is_logged: bool) -> tuple[float, float]:
    """The estimate of how often respondents agree with the model, and whether its 95% interval holds the truth.

    Without a log of the decisions there is only the mean of the answers. With one, AIPW: the inclusion of an opportunity
    is the share of those like it that passed the gates (by segment, frequency of the user, and three days), times the
    logged propensity, times the rate of answers of the segment in that week, which is itself weighted by the propensities.
    """
    said = np.where(log.probability > 0.5, 1, 0)
    agrees, answered = (log.says == said).astype(np.float64), log.is_answered
    truth = float(_agrees(world, said).mean())
    if not is_logged:
        mean = float(agrees[answered].mean())
        error = math.sqrt(mean * (1.0 - mean) / int(answered.sum()))
        return mean, float(abs(mean - truth) <= 1.959964 * error)
    # Frequent users pass the gates less often and in other weeks than rare ones, so they are strata of their own.
    of_user = np.bincount(world.user, minlength=USERS)
    frequency = np.digitize(of_user, np.quantile(of_user, [0.6, 0.9]))[world.user]
    passing = (world.segment * 3 + frequency) * DAYS + world.day // 3
    passed = log.chance > 0.0
    eligible = _ratio(passing, passed.astype(np.float64), np.ones(OPPORTUNITIES))
    drawn = np.where(log.is_asked, 1.0 / (eligible * np.maximum(log.chance, 1e-9)), 0.0)
    answering = _ratio(world.segment * 5 + np.minimum(world.day // 7, 4), drawn * answered, drawn)
    inclusion = np.ones(OPPORTUNITIES)
    inclusion[answered] = np.minimum((eligible * log.chance * answering)[answered], 1.0)
    guesses = np.maximum(log.probability, 1.0 - log.probability)
    found = aipw.estimate(np.where(answered, agrees, 0.0), answered, inclusion, guesses, power=None)
    return found.value, float(found.low <= truth <= found.high)


def _ratio(stratum: NDArray[np.int64], part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each opportunity the sum of the part over that of the whole in its stratum, a little above 0 at least."""
    parts, wholes = np.bincount(stratum, part), np.bincount(stratum, whole)
    ratio: NDArray[np.float64] = np.maximum(parts / np.maximum(wholes, 1e-9), 1e-3)[stratum]
    return ratio


ARMS: Final[dict[str, tuple[Callable[[World], Below], bool]]] = {
    "ours": (lambda world: Ours(world, Policy(budget_asks=BUDGET, question_cooldown_seconds=0)), True),
    "ours, with target shares": (lambda world: Ours(world, _targeted()), True),
    f"always below confidence {BELOW}": (lambda world: Below(), False),
    f"{UNIFORM:.0%} uniform": (lambda world: Uniform(), True),
    "cooldown of a day only": (lambda world: Cooldown(world), False),
    f"our gates, then {UNIFORM:.0%} uniform": (
        lambda world: GatedUniform(world, Policy(question_cooldown_seconds=0)),
        True,
    ),
}


def _targeted() -> Policy:
    targets = {str(segment): share for segment, share in enumerate(SEGMENT_SHARES)}
    return Policy(budget_asks=BUDGET, question_cooldown_seconds=0, segment="segment", segment_targets=targets)


def simulate(seeds: int) -> dict[str, dict[str, NDArray[np.float64]]]:
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ARMS}
    for seed in range(seeds):
        world = ask_world.make(seed)
        for name, (policy, is_logged) in ARMS.items():
            for figure, value in figures(world, play(world, policy(world), seed), is_logged=is_logged).items():
                found[name][figure].append(float(value))
        print(f"seed {seed} done", flush=True)
    return {name: {figure: np.array(values) for figure, values in rows.items()} for name, rows in found.items()}


def _cell(values: NDArray[np.float64]) -> str:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    digits = (
        0 if abs(values.mean()) >= 100 else 1 if abs(values.mean()) >= 10 else 3 if abs(values.mean()) >= 0.1 else 4
    )
    return f"{values.mean():,.{digits}f} ± {error:,.{digits}f}"


def table(found: dict[str, dict[str, NDArray[np.float64]]]) -> str:
    names = list(found)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    lines += [
        f"| {figure} | " + " | ".join(_cell(found[name][figure]) for name in names) + " |" for figure in found[names[0]]
    ]
    return "\n".join(lines)


_INTRODUCTION: Final = """# Ask policies in a simulated app

{opportunities:,} opportunities of {users:,} users over {days} days, {seeds} seeds, mean ± standard error. The world is in `tests/bench/ask_world.py`:
three segments ({shares}) with different readiness to answer, users who tire, answers that are wrong at times, concept drift that is
strongest in the smallest segment, and a model that is retrained every night from the answers. No policy was tuned to it: ours is the
default policy with a budget of {budget:,} asks (and one question, so without a clock of the question). `python -m tests.bench.ask_simulation --seeds {seeds}` writes this page.

- *label bits*: of each right label the surprise of the model, -log2 of the probability it gave the true class. A label that only confirms
  what the model is sure of is worth next to nothing.
- *error of the accuracy estimate*: what the policy's own answers say of how often respondents agree with the model, less the truth over all
  opportunities, asked or not. Policies that log every decision with its chance are estimated by AIPW: the share of opportunities that pass the gates (by
  segment, frequency of the user, and three days), the logged propensity, and the answer rate by segment and week. The others know their answers alone.
- *interval covers*: share of the seeds whose 95% interval holds the truth.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", nargs="?", type=Path, default=REPORT)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    found = simulate(arguments.seeds)
    introduction = _INTRODUCTION.format(
        opportunities=OPPORTUNITIES,
        users=USERS,
        days=DAYS,
        seeds=arguments.seeds,
        shares=", ".join(f"{share:.0%}" for share in SEGMENT_SHARES),
        budget=BUDGET,
    )
    old = arguments.report.read_text() if arguments.report.exists() else ""
    # What a person wrote about the figures stays, below the table.
    remarks = old.partition("\n## ")[2]
    arguments.report.write_text(introduction + table(found) + "\n" + (f"\n## {remarks}" if remarks else ""))
    print(arguments.report.read_text())


if __name__ == "__main__":
    main()
