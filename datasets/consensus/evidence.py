"""Evidence about the true classes of items as arrays: who said what of which item, and by what kind of channel."""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Kind(IntEnum):
    """What a piece of evidence is, and so how it bears on the truth.

    ANNOTATION states a class; every annotator has a confusion matrix of their own. CORRECTION states a class, too, but
    respondents answer too rarely for a matrix each, so they share one per channel. THUMB and IMPLICIT say that the predicted
    class is right (1) or wrong (0), with rates per channel. GOLD is the truth itself. REVIEW states a class with a known accuracy,
    the same for every reviewer, that is not learned: strong evidence, but two reviewers who differ cancel out.
    """

    ANNOTATION = 0
    CORRECTION = 1
    THUMB = 2
    IMPLICIT = 3
    GOLD = 4
    REVIEW = 5


VERDICTS = (Kind.THUMB, Kind.IMPLICIT)
_Number = TypeVar("_Number", np.int64, np.float64)


@dataclass(frozen=True, eq=False)
class Evidence:
    """One row per piece of evidence, all arrays of the same length n; made and checked by `evidence`.

    item, source
        int64, positions in [0, n_items) and [0, n_sources).
    answer
        int64, the class stated, in [0, n_classes); of a THUMB or IMPLICIT row 1 for "right" and 0 for "wrong".
    kind
        int8, a `Kind`.
    channel
        int64 >= 0: which question, event or widget; tells apart channels of the same kind. Annotations share one.
    predicted
        int64, the class the answer was about; -1 where there was none. THUMB and IMPLICIT rows must have one.
    epsilon
        float64, the privacy parameter by which the answer was randomised (`randomised_response`); NaN: it was not.
    weight
        float64 in [0, 1], how much of the row counts: 1 all, 0 nothing (set aside, but not forgotten).
    """

    item: NDArray[np.int64]
    source: NDArray[np.int64]
    answer: NDArray[np.int64]
    kind: NDArray[np.int8]
    channel: NDArray[np.int64]
    predicted: NDArray[np.int64]
    epsilon: NDArray[np.float64]
    weight: NDArray[np.float64]
    n_items: int
    n_sources: int
    n_classes: int

    def __len__(self) -> int:
        return len(self.item)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Evidence":
        """The chosen rows, over the same items, sources and classes."""
        return Evidence(
            self.item[chosen],
            self.source[chosen],
            self.answer[chosen],
            self.kind[chosen],
            self.channel[chosen],
            self.predicted[chosen],
            self.epsilon[chosen],
            self.weight[chosen],
            self.n_items,
            self.n_sources,
            self.n_classes,
        )

    def reweighted(self, weight: NDArray[np.float64]) -> "Evidence":
        """The same rows with the given weights, shape (n,), in [0, 1]."""
        values = np.asarray(weight, dtype=np.float64)
        if values.shape != self.item.shape:
            raise ValueError(f"weight must have the shape {self.item.shape}, not {values.shape}")
        _require("weight", values, (values >= 0) & (values <= 1), "is not from 0 to 1")
        return Evidence(
            self.item, self.source, self.answer, self.kind, self.channel, self.predicted, self.epsilon, values,
            self.n_items, self.n_sources, self.n_classes,
        )  # fmt: skip


def evidence(
    item: ArrayLike,
    source: ArrayLike,
    answer: ArrayLike,
    *,
    n_items: int,
    n_sources: int,
    n_classes: int,
    kind: ArrayLike | Kind = Kind.ANNOTATION,
    channel: ArrayLike = 0,
    predicted: ArrayLike = -1,
    epsilon: ArrayLike = np.nan,
    weight: ArrayLike = 1.0,
) -> Evidence:
    """Check the columns and put them together; a single value stands for a whole column.

    Raises
    ------
    ValueError
        Naming the first row that is out of range, that has a verdict but nothing it is about, or that is randomised gold.

    >>> said = evidence([0, 0, 1], [0, 1, 0], [2, 2, 0], n_items=2, n_sources=2, n_classes=3)
    >>> len(said), said.kind.tolist(), said.weight.tolist()
    (3, [0, 0, 0], [1.0, 1.0, 1.0])
    """
    if n_classes < 2:
        raise ValueError(f"at least two classes, not {n_classes}")
    size = np.asarray(item).size
    items, sources, answers = (
        _whole("item", item, size),
        _whole("source", source, size),
        _whole("answer", answer, size),
    )
    kinds, channels = _whole("kind", kind, size), _whole("channel", channel, size)
    abouts = _whole("predicted", predicted, size)
    epsilons, weights = _real("epsilon", epsilon, size), _real("weight", weight, size)
    _require("item", items, (items >= 0) & (items < n_items), f"is not from 0 to {n_items - 1}")
    _require("source", sources, (sources >= 0) & (sources < n_sources), f"is not from 0 to {n_sources - 1}")
    _require("kind", kinds, (kinds >= 0) & (kinds < len(Kind)), "is no kind of evidence")
    _require("channel", channels, channels >= 0, "is negative")
    _require("predicted", abouts, (abouts >= -1) & (abouts < n_classes), f"is not from -1 to {n_classes - 1}")
    is_verdict = (kinds == Kind.THUMB) | (kinds == Kind.IMPLICIT)
    _require(
        "answer", answers, (answers >= 0) & (answers < np.where(is_verdict, 2, n_classes)), "is no class or verdict"
    )
    _require("predicted", abouts, ~is_verdict | (abouts >= 0), "leaves open what the verdict is about")
    _require("epsilon", epsilons, np.isnan(epsilons) | (np.isfinite(epsilons) & (epsilons > 0)), "is not above 0")
    is_given = (kinds == Kind.GOLD) | (kinds == Kind.REVIEW)
    _require("epsilon", epsilons, np.isnan(epsilons) | ~is_given, "randomises gold or a review")
    _require("weight", weights, (weights >= 0) & (weights <= 1), "is not from 0 to 1")
    return Evidence(
        items, sources, answers, kinds.astype(np.int8), channels, abouts, epsilons, weights, n_items, n_sources, n_classes
    )  # fmt: skip


def _whole(name: str, values: ArrayLike, size: int) -> NDArray[np.int64]:
    column = np.asarray(values)
    if column.size and not np.issubdtype(column.dtype, np.integer):
        raise ValueError(f"{name} must hold whole numbers, not {column.dtype}")
    return _column(name, column.astype(np.int64), size)


def _real(name: str, values: ArrayLike, size: int) -> NDArray[np.float64]:
    return _column(name, np.asarray(values, dtype=np.float64), size)


def _column(name: str, column: NDArray[_Number], size: int) -> NDArray[_Number]:
    if column.ndim == 0:
        return np.full(size, column, dtype=column.dtype)
    if column.shape != (size,):
        raise ValueError(f"{name} must have the shape ({size},), not {column.shape}")
    return column


def _require(name: str, column: NDArray[np.generic], is_good: NDArray[np.bool_], why: str) -> None:
    if not is_good.all():
        row = int(np.argmin(is_good))
        raise ValueError(f"row {row}: {name} {column[row]} {why}")
