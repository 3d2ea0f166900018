"""`python -m tests.bench.estimators --out docs/measurements/estimators`: are the estimates right, and their intervals?

A pool of handwritten digits (scikit-learn) and a model trained on some others. Its accuracy on the pool is known here and
estimated by every estimator from labels that were drawn by each rule, as a refill draws them, thousands of times. With
drift, half of the pool arrives after half of the draws, with its images blurred by noise, so that the accuracy changes.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from datasets.estimation import aipw, horvitz_thompson, lure, overlap, post_stratified, prediction_powered
from datasets.estimation.interval import MeanEstimate
from datasets.estimation.moments import Moments
from datasets.estimation.post_stratified import Weighted
from datasets.estimation.wilson import proportion_interval
from sampling import pool_summary
from sampling.batch_rules.candidates import Parameters
from sampling.batch_rules.registry import find
from sampling.selection import DEFAULT_BETA, DEFAULT_EPSILON
from sampling.strategies import margin
from tests.bench.estimators_report import NAIVE, UNWEIGHTED, Row, Setting, report

TRAINED_ON, DRAWS, RESERVE = 120, 160, 0.1
SAMPLES: Final = (8, 15, 30, 80, 160)
"""Uniform draws of the comparison by their number."""

Said: TypeAlias = tuple[str, MeanEstimate | None, str]


@dataclass(frozen=True)
class Selection:
    """What labels are drawn by."""

    rule: str
    beta: float = 0.0
    epsilon: float = DEFAULT_EPSILON


DEFAULT: Final = f"stochastic, beta {DEFAULT_BETA:g}, epsilon {DEFAULT_EPSILON:g} (default)"
RULES: Final[Mapping[str, Selection]] = {
    "uniform": Selection("uniform", epsilon=0.0),
    "stochastic, beta 1, epsilon 0.1": Selection("stochastic", 1.0, 0.1),
    "stochastic, beta 6, epsilon 0.1": Selection("stochastic", 6.0, 0.1),
    DEFAULT: Selection("stochastic", DEFAULT_BETA, DEFAULT_EPSILON),
    "mixed: beta 1, epsilon 0.5": Selection("stochastic", 1.0, 0.5),
    "top-k, epsilon 0.1": Selection("top_k", epsilon=0.1),
}


@dataclass(frozen=True, eq=False)
class Pool:
    """The items in order of arrival, what the model says of them, and whether it is right."""

    probabilities: NDArray[np.float32]
    is_right: NDArray[np.float64]
    arrives_late: NDArray[np.bool_]

    @property
    def guess(self) -> NDArray[np.float64]:
        guess: NDArray[np.float64] = self.probabilities.max(axis=1).astype(np.float64)
        return guess


@dataclass(frozen=True, eq=False)
class Labels:
    """Labelled items in draw order; `left`: items that were there at the draw."""

    index: NDArray[np.int64]
    propensity: NDArray[np.float64]
    left: NDArray[np.int64]
    is_audit: NDArray[np.bool_]
    in_reserve: NDArray[np.bool_]
    late_from: int


def make_pool(rng: np.random.Generator, *, drifts: bool) -> Pool:
    images, digits = load_digits(return_X_y=True)
    order = rng.permutation(len(digits))
    images, digits = images[order] / 16.0, digits[order]
    model = LogisticRegression(C=1.0, max_iter=500).fit(images[:TRAINED_ON], digits[:TRAINED_ON])
    pool, truth = images[TRAINED_ON:], digits[TRAINED_ON:]
    late = np.arange(len(pool)) >= len(pool) // 2
    if drifts:
        pool = pool + late[:, None] * rng.normal(0.0, 0.35, pool.shape)
    probabilities = model.predict_proba(pool).astype(np.float32)
    right = (model.classes_[probabilities.argmax(axis=1)] == truth).astype(np.float64)
    return Pool(probabilities, right, late if drifts else np.zeros(len(pool), dtype=bool))


def draw(pool: Pool, selection: Selection, rng: np.random.Generator) -> Labels:
    """Two refills of half of the draws each; late items are there in the second only."""
    scores = margin.informativeness(pool.probabilities)
    # Without audit draws a reserve would have no chance at all.
    in_reserve = rng.random(len(scores)) < (RESERVE if selection.epsilon else 0.0)
    there, pieces = ~pool.arrives_late, []
    for _ in range(2):
        items = np.flatnonzero(there)
        batch = _refill(items, in_reserve[items], scores[items], selection, seed=int(rng.integers(2**62)))
        before = np.arange(len(batch.item_ids))
        pieces.append((batch.item_ids, batch.propensity, len(items) - before, batch.is_audit))
        there |= pool.arrives_late
        there[np.concatenate([piece[0] for piece in pieces])] = False
    index, propensity, left, is_audit = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Labels(index, propensity, left, is_audit, in_reserve, len(pieces[0][0]))


def _refill(
    items: NDArray[np.int64],
    in_reserve: NDArray[np.bool_],
    scores: NDArray[np.float32],
    selection: Selection,
    *,
    seed: int,
) -> pool_summary.Batch:
    """Summarise the pool and draw from the summary, as `sampling.services.scoring` does."""
    rule, size, parameters = find(selection.rule), DRAWS // 2, Parameters(beta=selection.beta)
    summary = pool_summary.summarise(
        *(items, in_reserve, scores), rule=rule, size=size, seed=seed, parameters=parameters
    )
    return pool_summary.draw(
        summary, rule=rule, size=size, epsilon=selection.epsilon, seed=seed, parameters=parameters,
        complete=lambda candidates: candidates,
    )  # fmt: skip


def estimates(pool: Pool, labels: Labels) -> Iterator[Said]:
    """Each estimator's word on the accuracy over the whole pool, or why it has none."""
    right = pool.is_right[labels.index]
    yield _naive(right)
    yield from _of_draws(pool, labels, right)
    if labels.is_audit.any():
        yield from _of_audit(pool, labels, right)


def _naive(right: NDArray[np.float64]) -> Said:
    mean = float(right.mean())
    return NAIVE, MeanEstimate(mean, 0.0, mean, mean, len(right)), "no interval: it estimates something else"


def _of_draws(pool: Pool, labels: Labels, right: NDArray[np.float64]) -> Iterator[Said]:
    said, n = overlap.diagnose(labels.propensity, labels.left), len(pool.is_right)
    if said.verdict == "not_estimable":
        yield "LURE, AIPW by draw", None, said.reason
    elif pool.arrives_late.any():
        # Which population: all items that are there at the end, late ones included.
        arrivals = _arrivals(pool.arrives_late, labels.late_from)
        cohort = pool.arrives_late[labels.index].astype(np.int64)
        yield "LURE, growing pool", lure.estimate_of_rounds(right, labels.propensity, cohort, arrivals), said.verdict
        sharpened = aipw.estimate_of_draws(
            right, labels.index, labels.propensity, pool.guess, cohort=cohort, arrivals=arrivals
        )
        yield "AIPW by draw, growing pool", sharpened, said.verdict
    else:
        yield "LURE", lure.estimate(right, labels.propensity, population=n), said.verdict
        yield "AIPW by draw", aipw.estimate_of_draws(right, labels.index, labels.propensity, pool.guess), said.verdict


def _of_audit(pool: Pool, labels: Labels, right: NDArray[np.float64]) -> Iterator[Said]:
    """By the functions the service calls, from what it knows: the reserve, and which of its items arrived when."""
    rows, outcomes = labels.index[labels.is_audit], right[labels.is_audit]
    others = np.setdiff1d(np.flatnonzero(labels.in_reserve), rows)
    arrived = pool.arrives_late.astype(np.int64)
    sizes = np.bincount(arrived[labels.in_reserve], minlength=2)
    yield "audit slice, Wilson", _mean(post_stratified.proportion(outcomes, arrived[rows], sizes)), ""
    left = [Moments.of(pool.guess[others[arrived[others] == cohort]]) for cohort in range(2)]
    sharpened = post_stratified.prediction_powered(outcomes, pool.guess[rows], arrived[rows], left)
    yield "audit slice, PPI++", _mean(sharpened), ""
    if pool.arrives_late.any():
        mean = proportion_interval(int(outcomes.sum()), len(outcomes))
        plain = MeanEstimate(outcomes.mean(), 0.0, mean.low, mean.high, mean.n)
        yield UNWEIGHTED, plain, "for contrast: early items had more chances"


def _mean(of: Weighted) -> MeanEstimate:
    return MeanEstimate(of.value, 0.0, max(of.low, 0.0), min(of.high, 1.0), of.n)


def _arrivals(is_late: NDArray[np.bool_], late_from: int) -> list[tuple[int, int]]:
    return [(0, int((~is_late).sum())), (late_from, int(is_late.sum()))]


def independent(pool: Pool, rng: np.random.Generator) -> Iterator[Said]:
    """Independent inclusion with probability proportional to doubt, as the ask policy draws."""
    doubt = 1.0 - pool.guess
    chance = np.clip(0.8 * DRAWS * doubt / doubt.sum() + 0.2 * DRAWS / len(doubt), 0.0, 1.0)
    seen = rng.random(len(doubt)) < chance
    right, n = pool.is_right, len(doubt)
    yield _naive(right[seen])
    yield "Horvitz-Thompson", horvitz_thompson.horvitz_thompson(right[seen], chance[seen], population=n), ""
    yield "Hájek", horvitz_thompson.hajek(right[seen], chance[seen], population=n), ""
    yield "AIPW", aipw.estimate(right, seen, chance, pool.guess), ""
    yield "AIPW, tuned power", aipw.estimate(right, seen, chance, pool.guess, power=None), ""


def samples(pool: Pool, size: int, rng: np.random.Generator) -> Iterator[Said]:
    """Estimates from a uniform sample: the default of PPI++ beside what tunes its power on the rows it is used for."""
    chosen = rng.choice(len(pool.is_right), size, replace=False)
    right, says, others = pool.is_right[chosen], pool.guess[chosen], np.delete(pool.guess, chosen)
    mean = proportion_interval(int(right.sum()), size)
    yield "Wilson", MeanEstimate(right.mean(), 0.0, mean.low, mean.high, size), ""
    yield "PPI++", prediction_powered.estimate(right, says, others), ""
    variance = (1 + size / len(others)) * np.concatenate([says, others]).var()
    power = float(np.clip(np.cov(right, says, ddof=0)[0, 1] / variance, 0.0, 1.0))
    textbook = prediction_powered.estimate(right, says, others, power=power, quantile="normal")
    yield "PPI++, power tuned on the same rows, normal quantile", textbook, ""


def simulate(repetitions: int, *, seed: int = 0) -> list[Row]:
    rows = []
    for drifts in (False, True):
        pool = make_pool(np.random.default_rng([seed, drifts]), drifts=drifts)
        for number, (name, selection) in enumerate(RULES.items()):
            rng = np.random.default_rng([seed, drifts, number])
            runs = (estimates(pool, draw(pool, selection, rng)) for _ in range(repetitions))
            rows += _rows(runs, "with drift" if drifts else "without drift", name, float(pool.is_right.mean()))
        rng = np.random.default_rng([seed, drifts, len(RULES)])
        runs = (independent(pool, rng) for _ in range(repetitions))
        rows += _rows(runs, "with drift" if drifts else "without drift", "independent", float(pool.is_right.mean()))
    pool = make_pool(np.random.default_rng([seed, 0]), drifts=False)
    for size in SAMPLES:
        rng = np.random.default_rng([seed, 2, size])
        runs = (samples(pool, size, rng) for _ in range(repetitions))
        rows += _rows(runs, "by size", f"{size} uniform draws", float(pool.is_right.mean()))
    return rows


def _rows(runs: Iterator[Iterator[Said]], setting: Setting, selection: str, truth: float) -> list[Row]:
    found: dict[str, list[MeanEstimate]] = {}
    notes: dict[str, list[str]] = {}
    for run in runs:
        for name, estimate, note in run:
            notes.setdefault(name, []).append(note)
            found.setdefault(name, []).extend([estimate] if estimate else [])
    return [_row(setting, selection, name, found[name], truth, notes[name]) for name in found]


def _row(setting: Setting, selection: str, name: str, found: list[MeanEstimate], truth: float, notes: list[str]) -> Row:
    share_good = notes.count("good") / len(notes) if {"good", "weak"} & set(notes) else None
    note = "" if share_good is not None else notes[-1]
    if not found:
        return Row(setting, selection, name, 0, truth, None, None, None, None, share_good, note)
    values = np.array([each.value for each in found])
    bias, error = float(values.mean() - truth), float(values.std(ddof=1) / len(values) ** 0.5)
    if name == NAIVE:
        return Row(setting, selection, name, len(found), truth, bias, error, None, None, share_good, note)
    covered = float(np.mean([each.low <= truth <= each.high for each in found]))
    width = float(np.mean([each.high - each.low for each in found]))
    return Row(setting, selection, name, len(found), truth, bias, error, covered, width, share_good, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2_000)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; .md and .json are written")
    options = parser.parse_args()
    rows = simulate(options.repetitions)
    command = f"python -m tests.bench.estimators --repetitions {options.repetitions} --out {options.out}"
    page = report(rows, command, default=DEFAULT, trained_on=TRAINED_ON, draws=DRAWS)
    options.out.with_suffix(".md").write_text(page)
    options.out.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(page)


if __name__ == "__main__":
    main()
