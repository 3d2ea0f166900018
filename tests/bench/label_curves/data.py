"""Data sets: a pool to choose from and a test set, as the model and the geometry of the rules see them."""

import csv
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler, normalize

LARGEST_POOL: Final = 20_000
TEST_SHARE: Final = 0.25
IMBALANCED: Final = 0.8
"""With one class beyond this share the score is macro-F1, as accuracy would hide the others."""
BUNDLED: Final = ("digits", "breast_cancer")
_DIMENSIONS: Final = 64

Table = csr_matrix | NDArray[np.float64]


class DataError(Exception):
    """A file cannot be read; the message names it and the line."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """x, y: the pool, (n, features) and (n,) class positions. `geometry` (n, d): what tells items apart for the rules."""

    name: str
    x: Table
    y: NDArray[np.int64]
    test_x: Table
    test_y: NDArray[np.int64]
    geometry: NDArray[np.float32]
    classes: int
    digest: str

    @property
    def uses_macro_f1(self) -> bool:
        return bool(np.bincount(self.y).max() / len(self.y) > IMBALANCED)


def names(directory: Path | None) -> list[str]:
    """The data sets of a directory of *.csv.gz (`a_train` and `a_test` are one), then the bundled ones."""
    found = sorted(path.name.removesuffix(".csv.gz") for path in directory.glob("*.csv.gz")) if directory else []
    pools = [name for name in found if not (name.endswith("_test") and name.removesuffix("_test") + "_train" in found)]
    return [*(name.removesuffix("_train") for name in pools), *BUNDLED]


def read(name: str, directory: Path | None) -> DataSet:
    """Read a data set; DataError for a file that is none."""
    if directory and (pair := directory / f"{name}_train.csv.gz").exists():
        other = directory / f"{name}_test.csv.gz"
        if other.exists():
            return _of_texts(name, _rows(pair), _rows(other))
        return _of_texts(name, *_split(_rows(pair)))
    if directory and (single := directory / f"{name}.csv.gz").exists():
        return _of_texts(name, *_split(_rows(single)))
    if name in BUNDLED:
        return _of_numbers(name)
    raise DataError(f"there is no data set {name!r}")


def _rows(path: Path) -> list[tuple[str, str]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if not {"text", "label"} <= set(reader.fieldnames or ()):
                raise DataError(f"{path.name}: line 1: the columns text and label are needed")
            rows = []
            for row in reader:
                if not row["text"] or not row["label"]:
                    raise DataError(f"{path.name}: line {reader.line_num}: text or label is missing")
                rows.append((row["text"], row["label"]))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: {error}") from error
    if len({label for _, label in rows}) < 2:
        raise DataError(f"{path.name}: at least two classes are needed")
    return rows


def _split(rows: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    order = np.random.default_rng(0).permutation(len(rows))
    cut = int(TEST_SHARE * len(rows))
    return [rows[i] for i in order[cut:]], [rows[i] for i in order[:cut]]


def _of_texts(name: str, pool: list[tuple[str, str]], test: list[tuple[str, str]]) -> DataSet:
    if len(pool) > LARGEST_POOL:
        pool = [pool[i] for i in np.random.default_rng(0).permutation(len(pool))[:LARGEST_POOL]]
    classes = {label: place for place, label in enumerate(sorted({label for _, label in pool + test}))}
    words = TfidfVectorizer(ngram_range=(1, 2))
    x, test_x = words.fit_transform([text for text, _ in pool]), words.transform([text for text, _ in test])
    reduced = TruncatedSVD(min(_DIMENSIONS, min(x.shape) - 1), random_state=0).fit_transform(x)
    digest = hashlib.sha256(repr((pool, test)).encode()).hexdigest()
    y, test_y = (np.array([classes[label] for _, label in part], dtype=np.int64) for part in (pool, test))
    return DataSet(name, x, y, test_x, test_y, normalize(reduced).astype(np.float32), len(classes), digest)


def _of_numbers(name: str) -> DataSet:
    features, labels = {"digits": load_digits, "breast_cancer": load_breast_cancer}[name](return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    test, pool = np.split(order, [int(TEST_SHARE * len(labels))])
    scaled = StandardScaler().fit(features[pool]).transform(features)
    digest = hashlib.sha256(scaled.tobytes() + labels.tobytes()).hexdigest()
    x, y = scaled[pool], labels[pool].astype(np.int64)
    return DataSet(
        name, x, y, scaled[test], labels[test].astype(np.int64), x.astype(np.float32), len(np.unique(labels)), digest
    )
