"""Whether the audit slice tells the truth about the deployed model, although labels are chosen.

`python -m tests.bench.audit_coverage --data train.csv.gz --test test.csv.gz --out docs/measurements/audit_coverage`

Each repetition splits all rows at random into a pool and an independent test set, runs a few rounds of active selection,
and compares the deployed (last) model's accuracy on the test set with four estimates from the labels of the loop:

- the audit slice, drawn uniformly from the reserve, with its Wilson interval;
- the same with the alternative design, which marks a share of uniform draws from whatever is left;
- the naive mean over the actively chosen labels, by the model that chose them;
- the naive mean over the same labels by the deployed model, which was trained on them.
"""

import argparse
import json
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

from datasets.estimation.wilson import proportion_interval
from tests.bench.text_data import TextData, read_texts
from tests.simulated_loop import Audit, Learn, Predict, Rows, Settings, run


@dataclass(frozen=True)
class Job:
    seed: int
    files: tuple[Path, ...]
    pool_size: int
    settings: Settings


@dataclass(frozen=True)
class Estimates:
    """One repetition: the truth on the independent test set and what the labels of the loop say of it."""

    audit_design: Audit
    seed: int
    truth: float
    n_audit: int
    audit: float
    low: float
    high: float
    naive_when_chosen: float
    naive_deployed: float

    @property
    def is_covered(self) -> bool:
        return self.low <= self.truth <= self.high


def repeat_once(job: Job) -> Estimates:
    data = read_texts(*job.files)
    # The seed of the repetition decides the rows, the start and the reserve; the draws have a stream of their own.
    rows = np.random.default_rng([job.seed, 0]).permutation(len(data.texts))
    pool, test = rows[: job.pool_size], rows[job.pool_size :]
    rng = np.random.default_rng([job.seed, 1])
    *_, last = run(data.labels, pool, _learn_words(data), job.settings, seed=job.seed, rng=rng)

    def accuracy(asked: Rows) -> float:
        return float(_is_right(last.predict, asked, data.labels).mean())

    audit = _is_right(last.predict, last.audit, data.labels)
    estimate = proportion_interval(int(audit.sum()), len(audit))
    return Estimates(
        audit_design=job.settings.audit,
        seed=job.seed,
        truth=accuracy(test),
        n_audit=estimate.n,
        audit=math.nan if estimate.value is None else estimate.value,
        low=estimate.low,
        high=estimate.high,
        naive_when_chosen=float((last.asked_as == data.labels[last.chosen]).mean()),
        naive_deployed=accuracy(last.chosen),
    )


def _is_right(predict: Predict, asked: Rows, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(asked):
        return np.empty(0, dtype=np.bool_)
    right: NDArray[np.bool_] = predict(asked).argmax(axis=1) == labels[asked]
    return right


def _learn_words(data: TextData) -> Learn:
    """Logistic regression on words: a tenth of the built-in trainer's time, and the estimate does not care for the model."""
    counts = HashingVectorizer(n_features=1 << 14, alternate_sign=False, norm=None).transform(data.texts)
    n_classes = len(data.classes)

    def learn(rows: Rows) -> Predict:
        weighting = TfidfTransformer(sublinear_tf=True).fit(counts[rows])
        # Only words that were seen in training can have weight; the others cost time.
        seen = np.flatnonzero(counts[rows].getnnz(axis=0))
        classifier = LogisticRegression(C=30.0, max_iter=300)
        classifier.fit(weighting.transform(counts[rows])[:, seen], data.labels[rows])

        def predict(asked: Rows) -> NDArray[np.float32]:
            probabilities = np.zeros((len(asked), n_classes), dtype=np.float32)
            probabilities[:, classifier.classes_] = classifier.predict_proba(
                weighting.transform(counts[asked])[:, seen]
            )
            return probabilities

        return predict

    return learn


@dataclass(frozen=True)
class Summary:
    """Over all repetitions. Errors are estimate minus truth; `z` is their mean in standard errors of that mean."""

    estimate: str
    repetitions: int
    mean_error: float
    standard_error: float
    coverage: float | None

    @property
    def z(self) -> float:
        return self.mean_error / self.standard_error


def summarise(name: str, errors: list[float], covered: list[bool] | None = None) -> Summary:
    return Summary(
        name,
        len(errors),
        float(np.mean(errors)),
        float(np.std(errors, ddof=1) / math.sqrt(len(errors))),
        None if covered is None else float(np.mean(covered)),
    )


def summaries(results: list[Estimates]) -> list[Summary]:
    reserve = [result for result in results if result.audit_design == "reserve"]
    left = [result for result in results if result.audit_design == "from_what_is_left"]
    found = [
        summarise(
            "audit slice from the reserve",
            [result.audit - result.truth for result in reserve],
            [result.is_covered for result in reserve],
        ),
        summarise("naive: active labels, model that chose them", [r.naive_when_chosen - r.truth for r in reserve]),
        summarise("naive: active labels, deployed model", [r.naive_deployed - r.truth for r in reserve]),
    ]
    if left:
        found.append(
            summarise(
                "alternative: uniform draws from what is left",
                [result.audit - result.truth for result in left],
                [result.is_covered for result in left],
            )
        )
    return found


def report(results: list[Estimates], options: argparse.Namespace) -> str:
    reserve = [result for result in results if result.audit_design == "reserve"]
    lines = [
        f"Data: {', '.join(path.name for path in (options.data, options.test))}, split anew in each of {len(reserve)} "
        f"repetitions (seeds 0 to {len(reserve) - 1}) into a pool of {options.pool} and a test set of the rest. 3 labels a "
        f"class, then to {options.budget} labels in batches of {options.batch}; margin, beta 6, epsilon {options.epsilon:g}.",
        "",
        f"Accuracy of the deployed model on the test set: {np.mean([r.truth for r in reserve]):.4f} on average. Labels in the "
        f"audit slice: {np.mean([r.n_audit for r in reserve]):.0f} on average.",
        "",
        "| estimate | mean error | standard error | mean error / standard error | 95% interval covers |",
        "|---|---|---|---|---|",
    ]
    for summary in summaries(results):
        covers = "" if summary.coverage is None else f"{summary.coverage:.1%}"
        lines.append(
            f"| {summary.estimate} | {summary.mean_error:+.4f} | {summary.standard_error:.4f} | {summary.z:+.1f} | {covers} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit_coverage", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="CSV with text,label")
    parser.add_argument(
        "--test", type=Path, required=True, help="more rows of the same kind; all are pooled and split anew"
    )
    parser.add_argument("--out", type=Path, required=True, help="path without suffix; .md and .json are written")
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--pool", type=int, default=10_000)
    parser.add_argument("--budget", type=int, default=1_231)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--alternative", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()

    # Read by the spawned processes when they import numpy: each uses one core.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    started = time.monotonic()
    designs: tuple[Audit, ...] = ("reserve", "from_what_is_left") if options.alternative else ("reserve",)
    jobs = [
        Job(
            seed,
            (options.data, options.test),
            options.pool,
            Settings(budget=options.budget, batch=options.batch, epsilon=options.epsilon, audit=design),
        )
        for design in designs
        for seed in range(options.repetitions)
    ]
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as processes:
        results = list(processes.map(repeat_once, jobs))
    page = report(results, options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".md").write_text("# Audit coverage\n\n" + page)
    options.out.with_suffix(".json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    print(page)
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
