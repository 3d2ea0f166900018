"""How many labels active selection saves on a text data set, against labels drawn at random.

`python -m tests.bench.label_efficiency --data train.csv.gz --test test.csv.gz --out docs/measurements/label_efficiency`

All arms start from the same few labels a class and train the built-in text trainer after every batch. The random arm
trains on all its labels; an active arm's audit draws are counted as labels and never trained on. The figure is the number
of labels at which an active arm's mean curve reaches what the random arm's mean curve ends with.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from sampling.selection import DEFAULT_BETA
from tests.bench.text_data import TextData, read_texts
from tests.simulated_loop import Accept, Learn, Predict, Rows, Settings, run
from training.gates import not_worse
from training.trainers.text import TextTrainer

RANDOM = "random"


@dataclass(frozen=True)
class Arm:
    name: str
    settings: Settings
    is_gated: bool = False
    """Whether a new model is deployed only if the promotion gate lets it pass, or has too few rows for a verdict."""


@dataclass(frozen=True)
class Curve:
    arm: str
    seed: int
    labels: list[int]
    audits: list[int]
    accuracy: list[float]


@dataclass(frozen=True)
class Job:
    arm: Arm
    seed: int
    data: tuple[Path, Path]


def follow(job: Job) -> Curve:
    """Run one arm once."""
    data = read_texts(*job.data)
    pool, test = np.split(np.arange(len(data.texts)), [data.sizes[0]])
    rounds = run(
        data.labels,
        pool,
        _learn_with_text_trainer(data, seed=job.seed),
        job.arm.settings,
        seed=job.seed,
        rng=np.random.default_rng([job.seed, 1]),
        accept=_gate(data) if job.arm.is_gated else None,
    )
    curve = Curve(job.arm.name, job.seed, [], [], [])
    for step in rounds:
        curve.labels.append(step.n_labels)
        curve.audits.append(len(step.audit))
        curve.accuracy.append(float((step.predict(test).argmax(axis=1) == data.labels[test]).mean()))
    return curve


def _learn_with_text_trainer(data: TextData, *, seed: int) -> Learn:
    payloads = [{"text": text} for text in data.texts]
    names = [data.classes[position] for position in data.labels]
    trainer = TextTrainer()

    def learn(rows: Rows) -> Predict:
        model = trainer.fit(
            [payloads[row] for row in rows], [names[row] for row in rows], seed=seed, classes=data.classes
        )
        return lambda asked: model.predict_proba([payloads[row] for row in asked])

    return learn


def _gate(data: TextData) -> Accept:
    def accept(candidate: Predict, champion: Predict, audit: Rows) -> bool:
        result = not_worse(
            candidate(audit).argmax(axis=1) == data.labels[audit], champion(audit).argmax(axis=1) == data.labels[audit]
        )
        return result.is_passed or result.outcome == "too_few_rows"

    return accept


def crossing(labels: list[int], accuracy: Iterable[float], target: float) -> float:
    """The number of labels at which the curve first reaches the target, interpolated; infinite if it never does."""
    previous: tuple[int, float] | None = None
    for count, value in zip(labels, accuracy, strict=True):
        if value >= target:
            if previous is None:
                return float(count)
            return previous[0] + (target - previous[1]) / (value - previous[1]) * (count - previous[0])
        previous = (count, value)
    return math.inf


def _arms(options: argparse.Namespace) -> list[Arm]:
    budget, batch = options.budget, options.batch
    arms = [Arm(RANDOM, Settings.random_arm(budget=budget, batch=batch))]
    for beta in options.beta:
        settings = Settings(budget=budget, batch=batch, beta=beta, epsilon=options.epsilon)
        arms.append(Arm(f"margin, beta {beta:g}", settings))
        if options.gated and beta == DEFAULT_BETA:
            arms.append(Arm(f"margin, beta {beta:g}, gated", settings, is_gated=True))
    if options.top_k:
        arms.append(Arm("margin, top k", Settings(budget=budget, batch=batch, rule="top_k", epsilon=options.epsilon)))
    return arms


def report(curves: list[Curve], options: argparse.Namespace) -> str:
    """A Markdown page: the figure per arm, then the mean curves."""
    by_arm: dict[str, list[Curve]] = {}
    for curve in curves:
        by_arm.setdefault(curve.arm, []).append(curve)
    means = {name: np.mean([curve.accuracy for curve in group], axis=0) for name, group in by_arm.items()}
    target = float(means[RANDOM][-1])
    steps = by_arm[RANDOM][0].labels
    lines = [
        f"Data: {options.data.name}, test: {options.test.name}. {steps[0]} to {options.budget} labels in batches of "
        f"{options.batch}, epsilon {options.epsilon:g}, seeds {', '.join(map(str, range(options.seeds)))}.",
        "",
        f"The random arm ends with an accuracy of {target:.4f}.",
        "",
        "| arm | labels to that accuracy | share of the budget | of these audit | final accuracy (standard error) |",
        "|---|---|---|---|---|",
    ]
    for name, group in by_arm.items():
        reached = crossing(steps, means[name], target)
        audits = np.interp(reached, steps, np.mean([curve.audits for curve in group], axis=0))
        final = [curve.accuracy[-1] for curve in group]
        error = np.std(final, ddof=1) / math.sqrt(len(final)) if len(final) > 1 else math.nan
        lines.append(
            f"| {name} | {reached:.0f} | {reached / options.budget:.1%} | {audits:.0f} | {np.mean(final):.4f} ({error:.4f}) |"
        )
    lines += ["", f"| labels | {' | '.join(by_arm)} |", "|---" * (1 + len(by_arm)) + "|"]
    for position, count in enumerate(steps):
        lines.append(f"| {count} | {' | '.join(f'{means[name][position]:.4f}' for name in by_arm)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.label_efficiency", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the pool: CSV with text,label")
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; .md and .json are written")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=1_500)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--beta", type=float, nargs="*", default=[3.0, 6.0, 12.0])
    parser.add_argument("--top-k", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--gated", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()

    # Read by the spawned processes when they import numpy: each uses one core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    started = time.monotonic()
    jobs = [Job(arm, seed, (options.data, options.test)) for seed in range(options.seeds) for arm in _arms(options)]
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as processes:
        curves = list(processes.map(follow, jobs))
    page = report(curves, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".md").write_text("# Label efficiency\n\n" + page)
    options.out.with_suffix(".json").write_text(json.dumps([asdict(curve) for curve in curves], indent=1) + "\n")
    print(page)
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
