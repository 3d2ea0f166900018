"""Vectors of items, for telling which are alike: no model and no label is needed.

Only distances between vectors of one extractor mean anything. The trainers read payloads on their own.
"""

import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skops import io as skops_io

Payload: TypeAlias = Mapping[str, object]
Kind: TypeAlias = Literal["text", "numeric"]

WIDEST: Final = 64
FITTED_ON_AT_MOST: Final = 20_000
_KEYS: Final[Mapping[Kind, str]] = {"text": "text", "numeric": "features"}
_LARGEST_VALUE: Final = 1e100
_WORD: Final = r"(?u)\b\w+\b"


class Extractor:
    """A fitted extractor: payloads -> vectors of `width` numbers.

    Text: TF-IDF of words and pairs of words, reduced by truncated SVD (latent semantic analysis), scaled to length 1.
    Numbers: standardised, and reduced by principal components beyond 64.
    """

    def __init__(self, kind: Kind, pipeline: Pipeline, width: int) -> None:
        self.kind: Kind = kind
        self.width = width
        self._pipeline = pipeline

    def transform(self, payloads: Sequence[Payload]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """Return the vectors (n, width), and which rows could be read (n,); rows that could not are 0.

        An empty text, and one without a known word, has the vector 0, which is equally far from every other.
        """
        rows, is_readable = _read(payloads, self.kind)
        vectors = np.zeros((len(payloads), self.width), dtype=np.float16)
        if is_readable.any():
            if self.kind == "numeric" and len({len(row) for row in rows} | {self._inputs}) > 1:
                is_readable[is_readable] = [len(row) == self._inputs for row in rows]
                rows = [row for row in rows if len(row) == self._inputs]
            if len(rows):
                vectors[is_readable] = _scaled(self._pipeline.transform(_matrix(rows, self.kind)), self.kind)
        return vectors, is_readable

    @property
    def _inputs(self) -> int:
        return int(self._pipeline[0].n_features_in_) if self.kind == "numeric" else 0

    def dumps(self) -> bytes:
        """The extractor as a skops file."""
        parts = {"format": 1, "kind": self.kind, "width": self.width, "pipeline": self._pipeline}
        return bytes(skops_io.dumps(parts, compression=zipfile.ZIP_DEFLATED, compresslevel=1))


def loads(content: bytes) -> Extractor:
    """Read what `dumps` wrote; ValueError for anything else, and nothing in it is run."""
    try:
        unknown = skops_io.get_untrusted_types(data=content)
        parts = None if unknown else skops_io.loads(content, trusted=[])
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError("this is no extractor") from error
    if not isinstance(parts, dict) or parts.get("format") != 1 or not isinstance(parts.get("pipeline"), Pipeline):
        raise ValueError("this is no extractor of this version of the service")
    return Extractor(parts["kind"], parts["pipeline"], int(parts["width"]))


def kind_of(payloads: Sequence[Payload]) -> Kind | None:
    """What most of the payloads can be read as; None where neither a text nor numbers stand in any.

    >>> kind_of([{"text": "hello"}, {"image": "x"}]), kind_of([{"image": "x"}])
    ('text', None)
    """
    counts: dict[Kind, int] = {kind: int(_read(payloads, kind)[1].sum()) for kind in _KEYS}
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] else None


def fit(payloads: Sequence[Payload], *, kind: Kind, seed: int = 0) -> Extractor:
    """Fit an extractor to the payloads that can be read as that kind, at most 20,000 of them drawn with the seed.

    Raises
    ------
    ValueError
        No payload can be read, or nothing in them tells two items apart.
    """
    rows, _ = _read(payloads, kind)
    if len(rows) > FITTED_ON_AT_MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(rows), FITTED_ON_AT_MOST, replace=False))
        rows = [rows[place] for place in chosen.tolist()]
    if kind == "numeric":
        rows = [row for row in rows if len(row) == len(rows[0])]
    if len(rows) < 2:
        raise ValueError("at least two items are needed that have a text or numbers")
    matrix = _matrix(rows, kind)
    if kind == "text":
        return _fit_text(matrix, seed)
    scaler, inputs = StandardScaler(), matrix.shape[1]
    steps: list[tuple[str, object]] = [("scale", scaler)]
    if inputs > WIDEST:
        width = min(WIDEST, len(rows))
        steps.append(("reduce", PCA(width, svd_solver="randomized", random_state=seed)))
    else:
        width = inputs
    return Extractor(kind, Pipeline(steps).fit(matrix), width)


def _fit_text(texts: NDArray[np.object_], seed: int) -> Extractor:
    if len({text for text in texts if re.search(r"\w", text)}) < 2:
        raise ValueError("the texts do not differ")
    words = TfidfVectorizer(
        ngram_range=(1, 2), token_pattern=_WORD, sublinear_tf=True, max_features=50_000, dtype=np.float32
    )
    counts = words.fit_transform(texts)
    width = min(WIDEST, min(counts.shape) - 1)
    if width < 1:
        raise ValueError("the texts do not differ")
    reduce = TruncatedSVD(width, random_state=seed).fit(counts)
    return Extractor("text", Pipeline([("words", words), ("reduce", reduce)]), width)


def _read(payloads: Sequence[Payload], kind: Kind) -> tuple[list[Any], NDArray[np.bool_]]:
    found = [payload.get(_KEYS[kind]) for payload in payloads]
    if kind == "text":
        is_readable = np.array([isinstance(value, str) for value in found], dtype=np.bool_)
        return [value for value in found if isinstance(value, str)], is_readable
    is_readable = np.array([_is_vector(value) for value in found], dtype=np.bool_)
    return [value for value in found if isinstance(value, list) and _is_vector(value)], is_readable


def _is_vector(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value)
        and all(abs(each) <= _LARGEST_VALUE for each in value)
    )


def _matrix(rows: Sequence[object], kind: Kind) -> NDArray[np.object_]:
    return np.array(rows, dtype=np.object_ if kind == "text" else np.float64)


def _scaled(vectors: NDArray[np.floating], kind: Kind) -> NDArray[np.float16]:
    if kind == "text":
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    largest = float(np.finfo(np.float16).max)
    result: NDArray[np.float16] = np.clip(vectors, -largest, largest).astype(np.float16)
    return result
