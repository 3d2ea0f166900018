"""Crowd data sets for the benchmarks: pairs NAME_labels.csv.gz (task, worker, label) and NAME_truth.csv.gz (task, label)."""

import csv
import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence, evidence

DIRECTORY = Path(os.environ.get("FEEDBACK_CROWD_DATA", "crowds"))


@dataclass(frozen=True, eq=False)
class Crowd:
    """Answers of a crowd, and the truth where it is known (-1: not known)."""

    name: str
    item: NDArray[np.int64]
    source: NDArray[np.int64]
    answer: NDArray[np.int64]
    truth: NDArray[np.int64]
    n_sources: int
    n_classes: int

    @property
    def n_items(self) -> int:
        return len(self.truth)

    def evidence(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | None = None) -> Evidence:
        rows = np.arange(len(self.item)) if chosen is None else chosen
        return evidence(
            self.item[rows], self.source[rows], self.answer[rows],
            n_items=self.n_items, n_sources=self.n_sources, n_classes=self.n_classes,
        )  # fmt: skip

    def accuracy(self, belief: NDArray[np.floating]) -> float:
        """Share of the items with known truth whose likeliest class is right; ties share."""
        known = np.flatnonzero(self.truth >= 0)
        chances = belief[known]
        first = chances >= chances.max(axis=1, keepdims=True) - 1e-9
        return float((first[np.arange(len(known)), self.truth[known]] / first.sum(axis=1)).mean())

    def accuracy_of(self, labels: NDArray[np.int64]) -> float:
        known = self.truth >= 0
        return float((labels[known] == self.truth[known]).mean())


def read_crowds(directory: Path = DIRECTORY) -> list[Crowd]:
    """Every set in the directory, by name. Labels of truth that nobody gave are classes, too."""
    found = [
        _read(path, path.with_name(path.name.replace("_labels.", "_truth.")))
        for path in sorted(directory.glob("*_labels.csv.gz"))
    ]
    if not found:
        raise SystemExit(f"no *_labels.csv.gz in {directory}; FEEDBACK_CROWD_DATA names another directory")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def _read(labels: Path, truth: Path) -> Crowd:
    said, known = _rows(labels), _rows(truth)
    classes = sorted({row["label"] for row in said} | {row["label"] for row in known}, key=_order)
    place = {label: position for position, label in enumerate(classes)}
    tasks, item = np.unique([row["task"] for row in said], return_inverse=True)
    workers, source = np.unique([row["worker"] for row in said], return_inverse=True)
    positions = {task: position for position, task in enumerate(tasks.tolist())}
    truths = np.full(len(tasks), -1, dtype=np.int64)
    for row in known:
        if row["task"] in positions:  # a task nobody answered tells nothing of methods
            truths[positions[row["task"]]] = place[row["label"]]
    answer = np.array([place[row["label"]] for row in said], dtype=np.int64)
    return Crowd(
        labels.name.removesuffix("_labels.csv.gz"), item.astype(np.int64), source.astype(np.int64), answer, truths,
        len(workers), len(classes),
    )  # fmt: skip


def _order(label: str) -> tuple[int, float, str]:
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)
