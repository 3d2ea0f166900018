"""`python -m tests.bench.estimators --out docs/measurements/estimators`: are the estimates right, and their intervals?

A pool of handwritten digits (scikit-learn) and a model trained on some others. Its accuracy on the pool is known here and
estimated by every estimator from labels that were drawn by each rule, thousands of times. With drift, half of the pool
arrives after half of the draws, with its images blurred by noise, so that the accuracy changes.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from datasets.estimation import aipw, horvitz_thompson, lure, overlap, prediction_powered
from datasets.estimation.interval import MeanEstimate
from datasets.estimation.wilson import proportion_interval
from sampling.selection import draw_batch, draw_top_k
from sampling.strategies import margin

TRAINED_ON, DRAWS = 120, 160
RULES: Final = {
    "stochastic, beta 1, epsilon 0.1": ("stochastic", 0.1, 1.0),
    "stochastic, beta 6, epsilon 0.1": ("stochastic", 0.1, 6.0),
    "mixed: beta 1, epsilon 0.5": ("stochastic", 0.5, 1.0),
    "top-k, epsilon 0.1": ("top_k", 0.1, 0.0),
}
NAIVE = "naive mean of the labels"


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
    """Labelled items in draw order."""

    index: NDArray[np.int64]
    propensity: NDArray[np.float64]
    left: NDArray[np.int64]
    is_audit: NDArray[np.bool_]
    late_from: int


@dataclass(frozen=True)
class Row:
    drift: bool
    selection: str
    estimator: str
    repetitions: int
    truth: float
    bias: float | None
    bias_error: float | None
    coverage: float | None
    width: float | None
    note: str = ""


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


def draw(pool: Pool, rule: str, rng: np.random.Generator) -> Labels:
    """Two rounds of half of the draws each; late items are there in the second only."""
    scores = margin.informativeness(pool.probabilities)
    in_reserve = rng.random(len(scores)) < 0.1
    is_left = ~pool.arrives_late
    pieces: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]] = []
    for _ in range(2):
        there = np.flatnonzero(is_left)
        size = DRAWS // 2
        if rule == "uniform":
            chosen = rng.choice(len(there), size, replace=False)
            left = len(there) - np.arange(size)
            pieces.append((there[chosen], 1.0 / left, left, np.zeros(size, dtype=bool)))
        else:
            kind, epsilon, beta = RULES[rule]
            drawn = (
                draw_top_k(scores[there], in_reserve[there], size=size, epsilon=epsilon, rng=rng)
                if kind == "top_k"
                else draw_batch(scores[there], in_reserve[there], size=size, beta=beta, epsilon=epsilon, rng=rng)
            )
            left = len(there) - np.arange(len(drawn.index))
            pieces.append((there[drawn.index], drawn.propensity, left, drawn.is_audit))
        is_left[pieces[-1][0]] = False
        is_left |= pool.arrives_late
        is_left[np.concatenate([piece[0] for piece in pieces])] = False
    index, propensity, left, is_audit = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Labels(index, propensity, left, is_audit, len(pieces[0][0]))


def estimates(pool: Pool, labels: Labels, rng: np.random.Generator) -> Iterator[tuple[str, MeanEstimate | None, str]]:
    """Each estimator's word on the accuracy over the whole pool, or why it has none."""
    right, n = pool.is_right[labels.index], len(pool.is_right)
    naive = right.mean()
    yield NAIVE, MeanEstimate(naive, 0.0, naive, naive, len(right)), "no interval: it estimates something else"
    said = overlap.diagnose(labels.propensity, labels.left)
    if said.verdict == "not_estimable":
        yield "LURE", None, said.reason
    elif pool.arrives_late.any():
        # Which population: all items that are there at the end, late ones included.
        counts = [(0, int((~pool.arrives_late).sum())), (labels.late_from, int(pool.arrives_late.sum()))]
        cohort = pool.arrives_late[labels.index].astype(np.int64)
        yield "LURE, growing pool", lure.estimate_of_rounds(right, labels.propensity, cohort, counts), said.verdict
    else:
        yield "LURE", lure.estimate(right, labels.propensity, population=n), said.verdict
    audit = labels.is_audit
    if audit.any() and not pool.arrives_late.any():
        mean = proportion_interval(int(right[audit].sum()), int(audit.sum()))
        if mean.value is not None:
            yield "audit slice, Wilson", MeanEstimate(mean.value, 0.0, mean.low, mean.high, mean.n), ""
        others = np.setdiff1d(np.arange(n), labels.index[audit])
        yield (
            "audit slice, PPI++",
            prediction_powered.estimate(right[audit], pool.guess[labels.index[audit]], pool.guess[others]),
            "",
        )


def independent(pool: Pool, rng: np.random.Generator) -> Iterator[tuple[str, MeanEstimate | None, str]]:
    """Independent inclusion with probability proportional to doubt, as the ask policy draws."""
    doubt = 1.0 - pool.guess
    chance = np.clip(0.8 * DRAWS * doubt / doubt.sum() + 0.2 * DRAWS / len(doubt), 0.0, 1.0)
    seen = rng.random(len(doubt)) < chance
    right, n = pool.is_right, len(doubt)
    yield (
        NAIVE,
        MeanEstimate(right[seen].mean(), 0.0, 0.0, 0.0, int(seen.sum())),
        "no interval: it estimates something else",
    )
    yield "Horvitz-Thompson", horvitz_thompson.horvitz_thompson(right[seen], chance[seen], population=n), ""
    yield "Hájek", horvitz_thompson.hajek(right[seen], chance[seen], population=n), ""
    yield "AIPW", aipw.estimate(right, seen, chance, pool.guess), ""
    yield "AIPW, tuned power", aipw.estimate(right, seen, chance, pool.guess, power=None), ""


def simulate(repetitions: int, *, seed: int = 0) -> list[Row]:
    rows = []
    for drifts in (False, True):
        pool = make_pool(np.random.default_rng([seed, drifts]), drifts=drifts)
        for rule in ("uniform", *RULES, "independent"):
            rng = np.random.default_rng([seed, drifts, len(rule)])
            found: dict[str, list[MeanEstimate]] = {}
            verdicts: dict[str, list[str]] = {}
            for _ in range(repetitions):
                said = independent(pool, rng) if rule == "independent" else estimates(pool, draw(pool, rule, rng), rng)
                for name, estimate, note in said:
                    verdicts.setdefault(name, []).append(note)
                    found.setdefault(name, []).extend([estimate] if estimate else [])
            rows += [
                _row(drifts, rule, name, found[name], pool.is_right.mean(), _note(verdicts[name])) for name in found
            ]
    return rows


def _note(notes: list[str]) -> str:
    """How often the overlap was found good, or the one thing that was said each time."""
    if {"good", "weak"} & set(notes):
        return f"overlap good in {100 * notes.count('good') / len(notes):.0f}% of the repetitions"
    return notes[-1]


def _row(drifts: bool, rule: str, name: str, found: list[MeanEstimate], truth: float, note: str) -> Row:
    if not found:
        return Row(drifts, rule, name, 0, truth, None, None, None, None, note)
    values = np.array([each.value for each in found])
    error = float(values.std(ddof=1) / len(values) ** 0.5)
    if name == NAIVE:
        return Row(drifts, rule, name, len(found), truth, float(values.mean() - truth), error, None, None, note)
    covered = float(np.mean([each.low <= truth <= each.high for each in found]))
    width = float(np.mean([each.high - each.low for each in found]))
    return Row(drifts, rule, name, len(found), truth, float(values.mean() - truth), error, covered, width, note)


def report(rows: list[Row], command: str) -> str:
    lines = [
        "# Estimates from actively drawn labels: bias and coverage", "",
        f"    {command}", "",
        f"Handwritten digits (scikit-learn), a logistic regression trained on {TRAINED_ON} of them, the rest is the pool; about {DRAWS} labels in two",
        "rounds. Truth is the model's accuracy on the whole pool. Bias in points with its standard error; coverage and mean",
        "width of the 95% interval. With drift half of the pool arrives, noisier, between the rounds.", "",
    ]  # fmt: skip
    for drifts in (False, True):
        part = [row for row in rows if row.drift == drifts]
        lines += [f"## {'With' if drifts else 'Without'} drift (truth {part[0].truth:.4f})", ""]
        lines += ["| selection | estimator | bias, points | coverage | width | |", "|---|---|---:|---:|---:|---|"]
        for row in part:
            bias = "-" if row.bias is None else f"{100 * row.bias:+.2f} ± {100 * (row.bias_error or 0):.2f}"
            coverage = "-" if row.coverage is None else f"{100 * row.coverage:.1f}%"
            width = "-" if row.width is None else f"{row.width:.3f}"
            lines.append(f"| {row.selection} | {row.estimator} | {bias} | {coverage} | {width} | {row.note} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=2_000)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; .md and .json are written")
    options = parser.parse_args()
    rows = simulate(options.repetitions)
    command = f"python -m tests.bench.estimators --repetitions {options.repetitions} --out {options.out}"
    page = report(rows, command)
    options.out.with_suffix(".md").write_text(page)
    options.out.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(page)


if __name__ == "__main__":
    main()
