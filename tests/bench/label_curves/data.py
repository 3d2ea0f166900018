"""Data sets: a pool to choose from and a test set, as the model and the geometry of the rules see them."""

import csv
import gzip
import hashlib
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler, normalize

LARGEST_POOL: Final = 20_000
SMALLEST_POOL: Final = 12
MOST_CLASSES: Final = 1_000
TEST_SHARE: Final = 0.25
IMBALANCED: Final = 0.8
"""With one class beyond this share the score is macro-F1, as accuracy would hide the others."""
BUNDLED: Final = ("digits", "breast_cancer")
_DIMENSIONS: Final = 64
_LONGEST_FIELD: Final = 1 << 30
_MOST_WEIGHTS: Final = 20_000_000
"""Features times classes of the evaluated model: beyond, the rarest words are left out."""

Table: TypeAlias = csr_matrix | NDArray[np.float64]
Row: TypeAlias = tuple[str, str]


class DataError(Exception):
    """A data set cannot be read; the message names the file, and the line where it is one."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """x, y: the pool, (n, features) and (n,) class positions. `geometry` (n, d): what tells items apart for the rules.

    skipped
        Rows of the files without a text or a label.
    """

    name: str
    x: Table
    y: NDArray[np.int64]
    test_x: Table
    test_y: NDArray[np.int64]
    geometry: NDArray[np.float32]
    classes: int
    digest: str
    skipped: int = 0

    @property
    def uses_macro_f1(self) -> bool:
        return bool(np.bincount(self.y).max() / len(self.y) > IMBALANCED)


def names(directory: Path | None) -> list[str]:
    """The data sets of a directory of *.csv.gz (`a_train` and `a_test` are one), then the bundled ones.

    DataError if there is no such directory, or nothing in it to read.
    """
    if directory is None:
        return list(BUNDLED)
    if not directory.is_dir():
        raise DataError(f"{directory} is no directory")
    files = {path.name.removesuffix(".csv.gz") for path in directory.glob("*.csv.gz")}
    if not files:
        raise DataError(f"{directory} holds no *.csv.gz file")
    pairs = {name.removesuffix("_train") for name in files if _is_pair(name.removesuffix("_train"), files)}
    found = sorted({*pairs, *files} - {f"{pair}{end}" for pair in pairs for end in ("_train", "_test")})
    return [*found, *(name for name in BUNDLED if name not in found)]


def _is_pair(name: str, files: set[str]) -> bool:
    """Whether a_train and a_test are there, and nothing else is called a."""
    return {f"{name}_train", f"{name}_test"} <= files and name not in files


def read(name: str, directory: Path | None) -> DataSet:
    """Read a data set; DataError for a file that is none."""
    single, pool, test = (directory and directory / f"{name}{end}.csv.gz" for end in ("", "_train", "_test"))
    if single and single.exists():
        rows, skipped = _rows(single)
        return _of_texts(name, *_split(rows), skipped)
    if pool and test and pool.exists() and test.exists():
        (rows, skipped), (others, skipped_too) = _rows(pool), _rows(test)
        return _of_texts(name, rows, others, skipped + skipped_too)
    if name in BUNDLED:
        return _of_numbers(name)
    raise DataError(f"there is no data set {name!r}; there are: {', '.join(names(directory))}")


def _rows(path: Path) -> tuple[list[Row], int]:
    """Rows with a text and a label, and how many had not both."""
    csv.field_size_limit(_LONGEST_FIELD)
    rows, skipped = [], 0
    try:
        # utf-8-sig: spreadsheets begin UTF-8 files with a byte order mark.
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [column.strip().lower() for column in next(reader, [])]
            if not {"text", "label"} <= set(columns):
                said = ", ".join(columns) or "none"
                raise DataError(f"{path.name}: line 1: the columns text and label are needed; there are: {said}")
            places = columns.index("text"), columns.index("label")
            for row in reader:
                text, label = (row[place].strip() if place < len(row) else "" for place in places)
                if text and label:
                    rows.append((text, label))
                else:
                    skipped += bool(row)
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: the text is not UTF-8 ({error.reason})") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DataError(f"{path.name}: {error}") from error
    return rows, skipped


def _split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    order = np.random.default_rng(0).permutation(len(rows))
    cut = int(TEST_SHARE * len(rows))
    return [rows[i] for i in order[cut:]], [rows[i] for i in order[:cut]]


def _of_texts(name: str, pool: list[Row], test: list[Row], skipped: int) -> DataSet:
    if len(pool) > LARGEST_POOL:
        pool = [pool[i] for i in np.random.default_rng(0).permutation(len(pool))[:LARGEST_POOL]]
    classes = {label: place for place, label in enumerate(sorted({label for _, label in pool + test}))}
    _check(name, pool, test, len(classes))
    words = TfidfVectorizer(ngram_range=(1, 2), max_features=_MOST_WEIGHTS // len(classes))
    try:
        x, test_x = words.fit_transform([text for text, _ in pool]), words.transform([text for text, _ in test])
    except ValueError as error:
        raise DataError(f"{name}: no text holds a word of two letters ({error})") from error
    digest = hashlib.sha256(repr((pool, test)).encode()).hexdigest()
    y, test_y = (np.array([classes[label] for _, label in part], dtype=np.int64) for part in (pool, test))
    return DataSet(name, x, y, test_x, test_y, _geometry(x), len(classes), digest, skipped)


def _geometry(x: csr_matrix) -> NDArray[np.float32]:
    width = min(_DIMENSIONS, min(x.shape) - 1)
    reduced = TruncatedSVD(width, random_state=0).fit_transform(x) if width > 0 else x.toarray()
    vectors: NDArray[np.float32] = normalize(reduced).astype(np.float32)
    return vectors


def _check(name: str, pool: list[Row], test: list[Row], classes: int) -> None:
    """Refuse what no curve can be drawn of."""
    if len(pool) < SMALLEST_POOL or not test:
        raise DataError(f"{name}: {len(pool)} rows to choose from and {len(test)} to test on are too few")
    counts = Counter(label for _, label in pool)
    if len(counts) < 2:
        raise DataError(f"{name}: at least two classes are needed among the rows to choose from")
    if classes > MOST_CLASSES or 2 * len(counts) > len(pool):
        raise DataError(f"{name}: {classes:,} classes of {len(pool):,} rows are too many; is `label` the right column?")


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
