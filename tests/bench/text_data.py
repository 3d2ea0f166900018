"""Text data sets for the simulations: CSV files with the columns `text` and `label`, gzipped or not."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class TextData:
    texts: list[str]
    labels: NDArray[np.int64]
    """Position of each row's class among `classes`."""
    classes: tuple[str, ...]
    sizes: tuple[int, ...]
    """Rows per file, in the order of the files."""


def read_texts(*paths: Path) -> TextData:
    texts: list[str] = []
    names: list[str] = []
    sizes: list[int] = []
    for path in paths:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        texts += [row["text"] for row in rows]
        names += [row["label"] for row in rows]
        sizes.append(len(rows))
    classes = tuple(sorted(set(names)))
    place = {name: position for position, name in enumerate(classes)}
    return TextData(texts, np.array([place[name] for name in names], dtype=np.int64), classes, tuple(sizes))
