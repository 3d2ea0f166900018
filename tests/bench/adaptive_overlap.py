"""`python -m tests.bench.adaptive_overlap --out docs/measurements/adaptive_overlap.md`: fewer answers for the accuracy of overlap 3?

Replay of real answers: each item's answers come in random order. Fixed overlap takes the first three of every item. Adaptive
overlap takes one of every item, then again and again one more where it is expected to teach most. Truth is for measuring only.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus import label_model
from datasets.consensus.adaptive_overlap import typical_confusion, value_of_answer, value_of_pairs
from datasets.consensus.evidence import Evidence
from datasets.consensus.votes import majority
from datasets.consensus.without_own import judged_by_others
from tests.bench.crowd_data import DIRECTORY, Crowd, read_crowds
from tests.bench.result import Result

OVERLAP: Final = 3
SEEDS: Final = 20
TARGET: Final = 0.65
EVENLY, BY_ITEM, BY_PAIR = "evenly", "by item", "by item and annotator"
RULES: Final = (EVENLY, BY_ITEM, BY_PAIR)
SHARES: Final = (0.5, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)
STEPS: Final = 24
"""Fits of the label model between one answer an item and the budget of overlap 3."""


@dataclass(frozen=True)
class Replay:
    """Accuracies of one order of answers; the curves by rule, at each share of the answers of fixed overlap."""

    fixed: float
    fixed_majority: float
    curves: dict[str, dict[float, float]]


class _Order:
    """The answers of a crowd, by item, in a random order within each, and which of them were asked for."""

    def __init__(self, crowd: Crowd, rng: np.random.Generator) -> None:
        order = rng.permutation(len(crowd.item))
        self.crowd = crowd
        self.rows = order[np.argsort(crowd.item[order], kind="stable")]
        self.item = crowd.item[self.rows]
        self.source = crowd.source[self.rows]
        self.rank = np.arange(len(self.rows)) - np.searchsorted(self.item, np.arange(crowd.n_items))[self.item]

    def beliefs(self, is_given: NDArray[np.bool_]) -> tuple[Evidence, label_model.Beliefs]:
        said = self.crowd.evidence(self.rows[is_given])
        return said, label_model.fit(said)


def replay(crowd: Crowd, seed: int) -> Replay:
    rng = np.random.default_rng([seed, OVERLAP])
    order = _Order(crowd, rng)
    is_fixed = order.rank < OVERLAP
    said, beliefs = order.beliefs(is_fixed)
    curves = {rule: _spend(order, int(is_fixed.sum()), rng, rule) for rule in RULES}
    return Replay(crowd.accuracy(beliefs.posterior), crowd.accuracy(majority(said)), curves)


def _spend(order: _Order, budget: int, rng: np.random.Generator, rule: str) -> dict[float, float]:
    is_given = order.rank < 1
    marks = {share: round(share * budget) for share in SHARES if round(share * budget) >= is_given.sum()}
    stops = sorted({*marks.values(), *np.linspace(is_given.sum(), budget, STEPS).astype(int).tolist()})
    said, beliefs = order.beliefs(is_given)
    reached: dict[float, float] = {}
    for stop in stops:
        wanted = stop - int(is_given.sum())
        if wanted > 0:
            is_given = is_given.copy()
            is_given[_chosen(order, is_given, said, beliefs, wanted, rng, rule)] = True
            said, beliefs = order.beliefs(is_given)
        accuracy = order.crowd.accuracy(beliefs.posterior)
        reached |= {share: accuracy for share, mark in marks.items() if mark == stop}
    return reached


def _chosen(
    order: _Order,
    is_given: NDArray[np.bool_],
    said: Evidence,
    beliefs: label_model.Beliefs,
    wanted: int,
    rng: np.random.Generator,
    rule: str,
) -> NDArray[np.int64]:
    """The answers to ask for next, one an item at most."""
    left = np.flatnonzero(~is_given)
    if rule == BY_PAIR:
        judged = judged_by_others(said, beliefs.parameters)
        worth = value_of_pairs(beliefs.posterior, order.item[left], order.source[left], judged)
    elif rule == BY_ITEM:
        worth = value_of_answer(beliefs.posterior, typical_confusion(beliefs.parameters, said))[order.item[left]]
    else:
        worth = -np.bincount(order.item[is_given], minlength=order.crowd.n_items)[order.item[left]].astype(np.float64)
    if rule != BY_PAIR:
        # Who answers next is chance: the next in the random order of the item.
        worth = worth - 1e3 * (order.rank[left] > _first_rank(order, left)[order.item[left]])
    by_worth = left[np.argsort(-(worth + 1e-9 * rng.random(len(left))))]
    _, first = np.unique(order.item[by_worth], return_index=True)
    return by_worth[np.sort(first)][:wanted]


def _first_rank(order: _Order, left: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.full(order.crowd.n_items, len(order.rows))
    np.minimum.at(first, order.item[left], order.rank[left])
    return first


@dataclass(frozen=True)
class Row:
    """Means over the seeds; `gap` is that of the rule at 65% of the answers to fixed overlap with the label model, and `error` its standard error."""

    crowd: str
    rule: str
    fixed: float
    fixed_majority: float
    curve: dict[float, float]
    gap: float
    error: float

    def needed(self, target: float) -> str:
        return next((f"{share:.0%}" for share in sorted(self.curve) if self.curve[share] >= target), "not reached")


def simulate(crowds: list[Crowd], seeds: int) -> Iterator[Row]:
    for crowd in crowds:
        runs = [replay(crowd, seed) for seed in range(seeds)]
        for rule in RULES:
            curves = [run.curves[rule] for run in runs]
            mean = {share: float(np.mean([curve[share] for curve in curves])) for share in curves[0]}
            gaps = np.array([curve.get(TARGET, np.nan) - run.fixed for curve, run in zip(curves, runs, strict=True)])
            error = float(gaps.std(ddof=1) / seeds**0.5) if seeds > 1 else float("nan")
            fixed, by_majority = (
                float(np.mean([getattr(run, name) for run in runs])) for name in ("fixed", "fixed_majority")
            )
            yield Row(crowd.name, rule, fixed, by_majority, mean, float(gaps.mean()), error)


def report(rows: list[Row], seeds: int, command: str) -> str:
    heads = " | ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        "# Adaptive overlap against three answers for every item", "", f"    {command}", "",
        f"Replay of real answers in random order, mean of {seeds} seeds; accuracy in percent. The columns are shares of the answers that",
        "fixed overlap 3 takes. Each rule begins with one answer an item. *evenly*: the next answer of the items with the fewest; *by item*: the next answer",
        "of the items where one is expected to teach most, whoever gives it; *by item and annotator*: of the answers still to be had,",
        "those that are expected to teach most, given who would answer (what a queue can do, since it knows who asks for a task).", "",
        f"| crowd | overlap 3, majority | overlap 3, label model | rule | {heads} |",
        "|---|---:|---:|---|" + "---:|" * len(SHARES),
    ]  # fmt: skip
    for row in rows:
        cells = " | ".join(f"{100 * row.curve[share]:.1f}" if share in row.curve else "-" for share in SHARES)
        lines.append(f"| {row.crowd} | {100 * row.fixed_majority:.1f} | {100 * row.fixed:.1f} | {row.rule} | {cells} |")
    lines += [
        "", "Share of the answers needed to reach overlap 3, and the gap to overlap 3 with the label model at 65% of its answers:", "",
        "| crowd | rule | for its majority | for its label model | gap, points |", "|---|---|---:|---:|---:|",
    ]  # fmt: skip
    for row in rows:
        needed = f"{row.needed(row.fixed_majority)} | {row.needed(row.fixed)}"
        lines.append(f"| {row.crowd} | {row.rule} | {needed} | {100 * row.gap:+.1f} ± {100 * row.error:.1f} |")
    return "\n".join(lines) + "\n"


def run() -> list[Result]:
    results = []
    for row in simulate(read_crowds(), 3):
        if row.rule != EVENLY:
            bar = 0.0 if row.rule == BY_PAIR else None
            name = f"adaptive overlap {row.rule}, {row.crowd}: at 65% of the answers, against overlap 3"
            results.append(Result(name, 100 * row.gap, "points", bar))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DIRECTORY)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = list(simulate(read_crowds(options.data), options.seeds))
    command = f"FEEDBACK_CROWD_DATA=DIRECTORY python -m tests.bench.adaptive_overlap --seeds {options.seeds} --out {options.out}"
    options.out.write_text(report(rows, options.seeds, command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
