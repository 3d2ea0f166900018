"""`python -m tests.bench.label_errors --data DIRECTORY --out docs/measurements/label_errors.md`: who finds labels that were spoilt?

Spoils one label in twenty, ranks all labels by suspicion, and counts how many of the first are spoilt. Digits are those of
scikit-learn; DIRECTORY holds text sets (see `text_data`). cleanlab takes part where it is installed (extra `bench`). Needs no
engines. The sets have wrong labels of their own, which count here as right: no method can reach 100%.
"""

import argparse
import importlib
import importlib.util
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from datasets.consensus.label_errors import find_label_errors
from tests.bench.machine import facts
from tests.bench.text_data import read_texts
from training.cross_validation import held_out
from training.trainers.numeric import NumericTrainer
from training.trainers.pipeline import PipelineTrainer
from training.trainers.port import Payload
from training.trainers.text import TextTrainer

SPOILT_SHARE: Final = 0.05
MOST_ROWS: Final = 5_000
SEEDS: Final = 3
FIRST: Final = 50
TEXTS: Final[Mapping[str, Sequence[str]]] = {
    "trec": ("trec_train.csv.gz",),
    "sms_spam": ("sms_spam.csv.gz",),
    "banking77": ("banking77_test.csv.gz",),
}
OURS, IN_SAMPLE = "ours, by cross-validation", "ours, by stored predictions (in-sample)"
CLEANLAB, CLEANLAB_SCORE = "cleanlab, same probabilities", "cleanlab's score alone (normalised margin)"


@dataclass(frozen=True, eq=False)
class Data:
    name: str
    trainer: PipelineTrainer
    payloads: list[Payload]
    labels: NDArray[np.int64]
    n_classes: int


@dataclass(frozen=True)
class Found:
    """Of one ranking: shares of spoilt labels among the first FIRST and the first N (N labels were spoilt), average
    precision, and among those that are called suspects, with how many of the spoilt these are."""

    first: float
    at_n: float
    average: float
    suspects: int
    suspects_right: float
    suspects_recall: float


def read(directory: Path | None) -> Iterator[Data]:
    digits = load_digits()
    rows: list[Payload] = [{"features": row.tolist()} for row in digits.data]
    yield Data("digits", NumericTrainer(), rows, digits.target.astype(np.int64), 10)
    for name, files in TEXTS.items() if directory is not None else ():
        texts = read_texts(*(Path(str(directory)) / file for file in files))
        chosen = np.sort(np.random.default_rng(0).permutation(len(texts.texts))[:MOST_ROWS])
        payloads: list[Payload] = [{"text": texts.texts[row]} for row in chosen.tolist()]
        yield Data(name, TextTrainer(), payloads, texts.labels[chosen], len(texts.classes))


def probabilities(data: Data, labels: NDArray[np.int64], *, seed: int = 0) -> NDArray[np.float64]:
    everything = np.ones(len(labels), dtype=np.bool_)
    found = held_out(data.trainer, data.payloads, labels, data.n_classes, is_trainable=everything, seed=seed)
    if len(found.rows) != len(labels):
        raise RuntimeError("not every row was judged")
    return found.probabilities


def at_random(labels: NDArray[np.int64], n_classes: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """The labels, of which 5% are another class, any."""
    spoilt = labels.copy()
    rows = rng.choice(len(labels), round(SPOILT_SHARE * len(labels)), replace=False)
    spoilt[rows] = (labels[rows] + rng.integers(1, n_classes, size=len(rows))) % n_classes
    return spoilt


def by_confusion(
    labels: NDArray[np.int64], chances: NDArray[np.float64], *, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The labels, of which 5% are wrong where a model of the true labels is unsure, and as it would be wrong."""
    spoilt, rows = labels.copy(), np.arange(len(labels))
    others = chances.copy()
    others[rows, labels] = 0.0
    others += 1e-6
    others[rows, labels] = 0.0
    weight = others.sum(axis=1)
    chosen = rng.choice(len(labels), round(SPOILT_SHARE * len(labels)), replace=False, p=weight / weight.sum())
    for row in chosen.tolist():
        spoilt[row] = rng.choice(chances.shape[1], p=others[row] / weight[row])
    return spoilt


def figures(order: NDArray[np.int64], suspects: NDArray[np.int64], is_spoilt: NDArray[np.bool_]) -> Found:
    hits = is_spoilt[order]
    n = int(is_spoilt.sum())
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    right = int(is_spoilt[suspects].sum())
    return Found(
        first=float(precision[FIRST - 1]),
        at_n=float(precision[n - 1]),
        average=float(precision[hits].mean()),
        suspects=len(suspects),
        suspects_right=right / max(1, len(suspects)),
        suspects_recall=right / n,
    )


def ours(chances: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All rows, suspects first, each by the score; and the suspects."""
    found = find_label_errors(chances, labels)
    return np.lexsort((-found.score, ~found.is_suspect)), found.ranked()


def by_cleanlab(
    chances: NDArray[np.float64], labels: NDArray[np.int64]
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The same with cleanlab's defaults, and by its score alone."""
    filtering: Any = importlib.import_module("cleanlab.filter")
    rank: Any = importlib.import_module("cleanlab.rank")
    floored = np.maximum(chances, 1e-12)
    floored /= floored.sum(axis=1, keepdims=True)
    suspects = np.asarray(
        filtering.find_label_issues(labels, floored, return_indices_ranked_by="normalized_margin", n_jobs=1)
    )
    quality = rank.get_label_quality_scores(labels, floored, method="normalized_margin")
    is_suspect = np.zeros(len(labels), dtype=np.bool_)
    is_suspect[suspects] = True
    order = np.lexsort((quality, ~is_suspect))
    return {CLEANLAB: (order, suspects), CLEANLAB_SCORE: (np.argsort(quality, kind="stable"), suspects)}


def measure(data: Data, *, seeds: int) -> tuple[dict[tuple[str, str], Found], float, float]:
    """Mean figures by way of spoiling and method; the accuracy of the cross-validation on true labels, and its seconds."""
    begin = time.perf_counter()
    clean = probabilities(data, data.labels)
    seconds = time.perf_counter() - begin
    accuracy = float((clean.argmax(axis=1) == data.labels).mean())
    found: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        for way, spoilt in (
            ("at random", at_random(data.labels, data.n_classes, rng=rng)),
            ("by confusion", by_confusion(data.labels, clean, rng=rng)),
        ):
            is_spoilt = spoilt != data.labels
            chances = probabilities(data, spoilt, seed=seed)
            rankings = {OURS: ours(chances, spoilt)}
            names = [str(number) for number in range(data.n_classes)]
            model = data.trainer.fit(data.payloads, [names[label] for label in spoilt.tolist()], seed=0, classes=names)
            rankings[IN_SAMPLE] = ours(model.predict_proba(data.payloads).astype(np.float64), spoilt)
            if importlib.util.find_spec("cleanlab") is not None:
                rankings |= by_cleanlab(chances, spoilt)
            for method, (order, suspects) in rankings.items():
                found[way, method].append(figures(order, suspects, is_spoilt))
    return {key: _mean(each) for key, each in found.items()}, accuracy, seconds


def _mean(found: Sequence[Found]) -> Found:
    names = ("first", "at_n", "average", "suspects", "suspects_right", "suspects_recall")
    return Found(**{name: float(np.mean([getattr(each, name) for each in found])) for name in names})  # type: ignore[arg-type]


def report(directory: Path | None, *, seeds: int, command: str) -> str:
    lines = [
        "# Finding spoilt labels", "", f"    {command}", "",
        ", ".join(f"{key} {value}" for key, value in facts().items()) + ".", "",
        f"One label in twenty is spoilt, at random or by confusion (where a model of the true labels is unsure, and as it would be wrong); means of {seeds} draws.",
        f"At most {MOST_ROWS:,} rows of a set. N is the number of spoilt labels, so precision and recall at N are equal. The sets have wrong labels of their own, which",
        "count as right here: nothing reaches 100%. cleanlab with its defaults, on the probabilities of our cross-validation. Seconds by the clock, while others used the machine.",
    ]  # fmt: skip
    for data in read(directory):
        found, accuracy, seconds = measure(data, seeds=seeds)
        lines += [
            "", f"## {data.name}", "",
            f"{len(data.labels):,} rows, {data.n_classes} classes. Cross-validation in 5 folds: {accuracy:.1%} right on the true labels, {seconds:.1f} s.", "",
            f"| spoilt | method | first {FIRST} | precision = recall at N | average precision | suspects | of them spoilt | of the spoilt |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]  # fmt: skip
        for (way, method), each in found.items():
            lines.append(
                f"| {way} | {method} | {each.first:.1%} | {each.at_n:.1%} | {each.average:.3f} | {each.suspects:.0f} "
                f"| {each.suspects_right:.1%} | {each.suspects_recall:.1%} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    command = f"python -m tests.bench.label_errors --data DIRECTORY --out {options.out}"
    with threadpool_limits(limits=1):
        options.out.write_text(report(options.data, seeds=options.seeds, command=command))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
