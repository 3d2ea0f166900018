"""`python -m tests.bench.overlap_queue --out FILE`: what the queue's order makes of adaptive overlap, when annotators come as they please.

Replay of real answers. The next annotator is drawn in proportion to the answers they have left, and gets one task: the queue
chooses which of the items that this person really answered. Everything the queue goes by is the service's own: policy, fits, beliefs,
open tasks, values, who is asked again. Who is given nothing comes again later and has answered nothing. Truth is for measuring only.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.acceptance import AcceptancePolicy, Action, decide
from datasets.consensus.adaptive_overlap import (
    MOST_OPEN,
    least_worth_asking_again,
    typical_confusion,
    value_of_answer,
    value_of_pairs,
    worth_of_annotators,
)
from datasets.consensus.confusion import mean_of
from datasets.consensus.evidence import evidence
from datasets.consensus.without_own import judged_by_others
from tests.bench.crowd_data import DIRECTORY, Crowd, read_crowds

OVERLAP: Final = 3
SEEDS: Final = 20
SHARES: Final = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0)
TARGET: Final = 0.65
LEAST_GROWTH, LEAST_GROWTH_SHARE = 20, 0.05
"""When the service fits anew, see datasets.services.beliefs."""
MOST_IN_VAIN: Final = 3000
"""Arrivals in a row who are given nothing, after which nobody is."""
POLICY: Final = AcceptancePolicy(threshold=0.99, least_evidence=2, most_answers=20)


@dataclass(frozen=True)
class Rule:
    """How the queue serves. `by_annotator`: by what this annotator's answer would teach, as the service does; else by what anybody's
    would. `keeps`: whoever teaches clearly less than the median gets no task for a second answer (nobody's patience ends). `calls`: no queue at all, but a bound: once everything is drawn, whoever's answer teaches most of all is called."""

    name: str
    by_annotator: bool
    draws_first: bool
    keeps: bool
    calls: bool = False


RULES: Final = (
    Rule("by item, at once", by_annotator=False, draws_first=False, keeps=False),
    Rule("by item, draws first", by_annotator=False, draws_first=True, keeps=False),
    Rule("by annotator, at once", by_annotator=True, draws_first=False, keeps=True),
    Rule("by annotator, draws first, nothing kept", by_annotator=True, draws_first=True, keeps=False),
    Rule("by annotator, draws first", by_annotator=True, draws_first=True, keeps=True),
    Rule("bound: whoever is best is called", by_annotator=True, draws_first=True, keeps=True, calls=True),
)


@dataclass
class Run:
    """Accuracy at each share of the answers to fixed overlap; arrivals and how many of them got nothing up to TARGET."""

    curve: dict[float, float]
    arrivals: int = 0
    in_vain: int = 0


class _Queue:
    """One project: its answers so far, what is believed, and which tasks are open for one more answer."""

    def __init__(self, crowd: Crowd, rule: Rule, rng: np.random.Generator) -> None:
        self.crowd, self.rule, self.rng = crowd, rule, rng
        self.given: list[int] = []
        self.is_given = np.zeros(len(crowd.item), dtype=bool)
        self.rows_of = [np.flatnonzero(crowd.source == each) for each in range(crowd.n_sources)]
        self.said: list[list[int]] = [[] for _ in range(crowd.n_items)]
        self.left = np.bincount(crowd.item, minlength=crowd.n_items)
        self.posterior = np.full((crowd.n_items, crowd.n_classes), 1.0 / crowd.n_classes)
        self.value = np.zeros(crowd.n_items)
        self.action = np.full(crowd.n_items, -1)
        self.is_open = np.zeros(crowd.n_items, dtype=bool)
        self.priority = np.zeros(crowd.n_items)
        self.fitted = 0

    def answers_left(self) -> NDArray[np.float64]:
        return np.bincount(self.crowd.source[~self.is_given], minlength=self.crowd.n_sources).astype(np.float64)

    def serve(self, annotator: int) -> int | None:
        """The answer that is asked for."""
        rows = self.rows_of[annotator]
        rows = rows[~self.is_given[rows]]
        items = self.crowd.item[rows]
        again, new = rows[self.is_open[items]], rows[np.array([not self.said[each] for each in items], dtype=bool)]
        is_asked_again = self.fitted > 0 and (not self.rule.by_annotator or self.worth[annotator] >= self.least_worth)
        draw = int(self.rng.choice(new)) if len(new) else None
        if draw is not None and (self.rule.draws_first or not is_asked_again or not len(again)):
            return draw
        if not len(again) or not (is_asked_again or not self.rule.keeps):
            return None
        asked = self.crowd.item[again]
        values = self.priority[asked]
        if self.rule.by_annotator:
            values = value_of_answer(self.posterior[asked], self.judged[annotator])
        return int(again[np.argmax(values)])

    def call(self) -> int | None:
        """The answer that teaches most of all that could be had about open tasks; None while items are left to draw."""
        could = np.flatnonzero(~self.is_given & self.is_open[self.crowd.item])
        if not self.fitted or not all(self.said) or not len(could):
            return None
        value = value_of_pairs(self.posterior, self.crowd.item[could], self.crowd.source[could], self.by_others)
        return int(could[np.argmax(value)])

    def take(self, row: int) -> None:
        item = int(self.crowd.item[row])
        self.is_given[row] = True
        self.given.append(row)
        self.said[item].append(row)
        self.left[item] -= 1
        self.is_open[item] = False
        if len(self.given) - self.fitted >= max(LEAST_GROWTH, LEAST_GROWTH_SHARE * self.fitted):
            self._fit()
        elif self.fitted:
            self._update(item)
        self._keep_up()

    def accuracy(self) -> float:
        return self.crowd.accuracy(label_model.fit(self.crowd.evidence(np.array(self.given))).posterior)

    def _fit(self) -> None:
        said = self.crowd.evidence(np.array(self.given))
        beliefs = label_model.fit(said)
        self.parameters = beliefs.parameters
        self.typical = typical_confusion(self.parameters, said)
        self.by_others = judged_by_others(said, self.parameters)
        judged = mean_of(self.by_others.confusion)
        self.judged = judged[self.parameters.places(np.arange(self.crowd.n_sources))]
        self.worth = worth_of_annotators(self.judged, self.parameters.class_prior)
        is_unknown = ~np.isin(np.arange(self.crowd.n_sources), self.parameters.annotators)
        self.worth[is_unknown] = np.inf
        self.least_worth = least_worth_asking_again(worth_of_annotators(judged[:-1], self.parameters.class_prior))
        self.fitted = len(self.given)
        self.posterior = beliefs.posterior.astype(np.float64)
        decisions = decide(beliefs.posterior, said, self.typical, POLICY)
        has_any = np.bincount(said.item, minlength=self.crowd.n_items) > 0
        self.value, self.action = decisions.value, np.where(has_any, decisions.action, -1)

    def _update(self, item: int) -> None:
        rows = np.array(self.said[item])
        said = evidence(
            np.zeros(len(rows), dtype=np.int64), self.crowd.source[rows], self.crowd.answer[rows],
            n_items=1, n_sources=self.crowd.n_sources, n_classes=self.crowd.n_classes,
        )  # fmt: skip
        posterior = label_model.posterior_of(said, self.parameters)
        decisions = decide(posterior.astype(np.float32), said, self.typical, POLICY)
        self.posterior[item] = posterior[0]
        self.value[item], self.action[item] = decisions.value[0], decisions.action[0]

    def _keep_up(self) -> None:
        """As datasets.services.overlap does."""
        self.is_open &= self.action != Action.ACCEPT
        room = MOST_OPEN - int(self.is_open.sum())
        if room > 0:
            worth_asking = np.flatnonzero((self.action == Action.ASK) & ~self.is_open & (self.left > 0))
            chosen = worth_asking[np.argsort(-self.value[worth_asking], kind="stable")[:room]]
            self.is_open[chosen] = True
            self.priority[chosen] = self.value[chosen]


def replay(crowd: Crowd, rule: Rule, seed: int) -> Run:
    rng = np.random.default_rng([seed, OVERLAP])
    queue = _Queue(crowd, rule, rng)
    budget = int(np.minimum(np.bincount(crowd.item, minlength=crowd.n_items), OVERLAP).sum())
    marks = {round(share * budget): share for share in SHARES}
    run = Run({})
    left, in_vain = queue.answers_left(), 0
    while len(queue.given) < max(marks) and in_vain < MOST_IN_VAIN and left.sum():
        annotator = int(rng.choice(crowd.n_sources, p=left / left.sum()))
        called = queue.call() if rule.calls else None
        if called is not None:
            annotator = int(crowd.source[called])
        row = queue.serve(annotator) if called is None else called
        is_counted = len(queue.given) < TARGET * budget
        run.arrivals += is_counted
        if row is None:
            in_vain += 1
            run.in_vain += is_counted
            continue
        in_vain = 0
        left[annotator] -= 1
        queue.take(row)
        if len(queue.given) in marks:
            run.curve[marks[len(queue.given)]] = queue.accuracy()
    # Whoever stops earlier has needed no more.
    last = queue.accuracy()
    run.curve |= {share: last for share in SHARES if share not in run.curve}
    return run


def fixed_overlap(crowd: Crowd, seed: int) -> float:
    """Accuracy of the label model over three random answers of each item."""
    rng = np.random.default_rng([seed, OVERLAP])
    order = rng.permutation(len(crowd.item))
    rows = order[np.argsort(crowd.item[order], kind="stable")]
    item = crowd.item[rows]
    rank = np.arange(len(rows)) - np.searchsorted(item, np.arange(crowd.n_items))[item]
    return crowd.accuracy(label_model.fit(crowd.evidence(rows[rank < OVERLAP])).posterior)


@dataclass(frozen=True)
class Row:
    """Means over the seeds; `gap` is that to fixed overlap at 65% of its answers, `error` its standard error."""

    crowd: str
    rule: str
    fixed: float
    curve: dict[float, float]
    gap: float
    error: float
    in_vain: float

    @property
    def needed(self) -> str:
        return next((f"{share:.0%}" for share in SHARES if self.curve[share] >= self.fixed), "not reached")


def simulate(crowds: list[Crowd], seeds: int) -> Iterator[Row]:
    for crowd in crowds:
        fixed = np.array([fixed_overlap(crowd, seed) for seed in range(seeds)])
        for rule in RULES:
            runs = [replay(crowd, rule, seed) for seed in range(seeds)]
            mean = {share: float(np.mean([run.curve[share] for run in runs])) for share in SHARES}
            gaps = np.array([run.curve[TARGET] for run in runs]) - fixed
            error = float(gaps.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
            in_vain = sum(run.in_vain for run in runs) / max(1, sum(run.arrivals for run in runs))
            yield Row(crowd.name, rule.name, float(fixed.mean()), mean, float(gaps.mean()), error, in_vain)


def report(rows: list[Row], seeds: int, command: str) -> str:
    heads = " | ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        "# Adaptive overlap through the queue", "", f"    {command}", "",
        f"Replay of real answers, mean of {seeds} seeds; accuracy in percent. The next annotator is drawn in proportion to the answers they have",
        "left; the queue chooses which of the items that this person really answered. The columns are shares of the answers that fixed",
        "overlap 3 takes. *By item*: the task that teaches most, whoever answers. *By annotator*: the one where this annotator's",
        "answer teaches most; whose answers teach clearly less than the median annotator's get drawn items, and otherwise nothing",
        "(*nothing kept*: a second answer all the same). *Draws first*: no second answers while items are left to draw. The last column",
        "is the share of arrivals up to 65% who got nothing; they count as no answer. *Bound*: no queue; once all items are drawn, whoever's",
        "answer teaches most of all is called, here and now.", "",
        f"Policy: threshold {POLICY.threshold}, {POLICY.least_evidence} sources at least. {MOST_OPEN} tasks are open for another answer at once.", "",
        f"| crowd | overlap 3 | rule | {heads} | needed | gap at 65%, points | got nothing |",
        "|---|---:|---|" + "---:|" * (len(SHARES) + 3),
    ]  # fmt: skip
    for row in rows:
        cells = " | ".join(f"{100 * row.curve[share]:.1f}" for share in SHARES)
        gap = f"{100 * row.gap:+.1f} ± {100 * row.error:.1f}"
        lines.append(
            f"| {row.crowd} | {100 * row.fixed:.1f} | {row.rule} | {cells} | {row.needed} | {gap} | {row.in_vain:.0%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DIRECTORY)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = list(simulate(read_crowds(options.data), options.seeds))
    command = (
        f"FEEDBACK_CROWD_DATA=DIRECTORY python -m tests.bench.overlap_queue --seeds {options.seeds} --out {options.out}"
    )
    options.out.write_text(report(rows, options.seeds, command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
