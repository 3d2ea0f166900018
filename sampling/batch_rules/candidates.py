"""What a batch rule is given, what it gives back, and the checks at the door."""

from dataclasses import dataclass, fields, replace
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Need: TypeAlias = Literal["informativeness", "embeddings", "predictions"]
Floats: TypeAlias = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]

LARGEST_BETA: Final = 50.0
# Scores may leave [0, 1] by float32 rounding, not by more: weights of any pool must be comparable without looking at it.
_ROUNDING: Final = 1e-4
_ROWS_A_BLOCK: Final = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Items that may be chosen. All arrays but `labelled` have one row per item.

    item_ids
        Shape (n,), int64, all different. Ties and chance go by them, never by the position.
    informativeness
        Shape (n,), in [0, 1], higher = ask first; None where no model said anything.
    embeddings
        Shape (n, d), float16, float32 or float64.
    predictions
        Shape (n, C), class probabilities.
    labelled
        Shape (L, d): embeddings of the items that are labelled or wait in the queue.
    """

    item_ids: NDArray[np.int64]
    informativeness: Floats | None = None
    embeddings: Floats | None = None
    predictions: Floats | None = None
    labelled: Floats | None = None

    def __len__(self) -> int:
        return len(self.item_ids)

    def take(self, rows: NDArray[np.int64]) -> "Candidates":
        """The candidates of these rows, in this order; the same labelled items."""
        taken = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "labelled"}
        return replace(self, **{name: column[rows] for name, column in taken.items() if column is not None})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The numbers a policy may set. Each rule reads those that concern it.

    beta
        In [0, 50]. Power of the informativeness as a weight. 0: informativeness does not count.
    shortlist_factor
        Rules that look at the best items only look at this many times the batch; 0: at all of them.
    sample_size
        Rules that look at a random sample of a large pool look at this many items.
    metric
        Distance between embeddings: "cosine" puts all of them on the unit sphere first.
    """

    beta: float = 12.0
    shortlist_factor: int = 10
    sample_size: int = 20_000
    metric: Literal["cosine", "euclidean"] = "cosine"

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta <= LARGEST_BETA:
            raise ValueError(f"beta must lie in [0, {LARGEST_BETA:g}], not be {self.beta}")
        if self.shortlist_factor < 0:
            raise ValueError(f"shortlist_factor must not be negative, not {self.shortlist_factor}")
        if self.sample_size < 1:
            raise ValueError(f"sample_size must be at least 1, not {self.sample_size}")
        if self.metric not in ("cosine", "euclidean"):
            raise ValueError(f"metric must be cosine or euclidean, not {self.metric!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The chosen items in draw order; all arrays have one length.

    index
        Positions among the candidates.
    proposal
        The probability that this item would have been the first draw; NaN where the rule is deterministic or its
        probabilities are not known.
    propensity
        The probability of this item at its own draw, given the ones drawn before it; NaN as above.
    """

    index: NDArray[np.int64]
    proposal: NDArray[np.float64]
    propensity: NDArray[np.float64]


def without_chances(index: NDArray[np.int64]) -> Chosen:
    """What a rule returns that knows no probabilities."""
    unknown = np.full(len(index), np.nan)
    return Chosen(index, unknown, unknown.copy())


def check(candidates: Candidates, *, needs: frozenset[Need], size: int) -> None:
    """Refuse candidates that a rule with these needs cannot take: ValueError, naming the row if it is one."""
    if size < 0:
        raise ValueError(f"size must not be negative, not {size}")
    ids = candidates.item_ids
    if ids.ndim != 1 or ids.dtype != np.int64:
        raise ValueError(f"item_ids must be int64 of shape (n,), not {ids.dtype} of {ids.shape}")
    for need in sorted(needs):
        if getattr(candidates, need) is None:
            raise ValueError(f"this rule needs {need}")
    for name, dimensions in (("informativeness", 1), ("embeddings", 2), ("predictions", 2)):
        column = getattr(candidates, name)
        if column is not None and (column.ndim != dimensions or len(column) != len(ids)):
            raise ValueError(f"{name} must have one row for each of the {len(ids)} items, not shape {column.shape}")
    if candidates.informativeness is not None:
        check_scores(candidates.informativeness)
    if "embeddings" in needs and candidates.embeddings is not None:
        check_finite(candidates.embeddings, "embeddings")
        labelled = candidates.labelled
        if labelled is not None:
            if labelled.ndim != 2 or (len(labelled) and labelled.shape[1] != candidates.embeddings.shape[1]):
                raise ValueError(
                    f"labelled must have shape (L, {candidates.embeddings.shape[1]}), not {labelled.shape}"
                )
            check_finite(labelled, "labelled")
    if "predictions" in needs and candidates.predictions is not None:
        check_finite(candidates.predictions, "predictions")


def check_scores(informativeness: Floats) -> None:
    """Refuse scores outside [0, 1], NaN included, naming the first row."""
    if len(informativeness) and not (informativeness.min() >= 0.0 and informativeness.max() <= 1.0 + _ROUNDING):
        row = int(np.argmin((informativeness >= 0.0) & (informativeness <= 1.0 + _ROUNDING)))
        raise ValueError(f"row {row}: informativeness must lie in [0, 1], not be {informativeness[row]}")


def check_finite(table: Floats, name: str) -> None:
    """Refuse NaN and infinity, naming the first row; a block at a time."""
    for begin in range(0, len(table), _ROWS_A_BLOCK):
        block = table[begin : begin + _ROWS_A_BLOCK].astype(np.float32, copy=False)
        # A sum is finite only if all its terms are: cheaper than looking at each. Only if it is not, look.
        with np.errstate(over="ignore", invalid="ignore"):
            total = block.sum()
        if not np.isfinite(total):
            is_bad = ~np.isfinite(block).all(axis=1)
            if is_bad.any():
                raise ValueError(f"row {begin + int(is_bad.argmax())}: {name} must be finite")


def in_order(candidates: Candidates) -> tuple[Candidates, NDArray[np.int64] | None]:
    """The candidates by ascending item id, and the positions they had; None if they were so already (no copy).

    ValueError if an item comes twice.
    """
    ids = candidates.item_ids
    steps = np.diff(ids)
    if (steps > 0).all():
        return candidates, None
    order = np.argsort(ids, kind="stable")
    ordered = candidates.take(order)
    steps = np.diff(ordered.item_ids)
    if (steps == 0).any():
        raise ValueError(f"item {ordered.item_ids[int(np.argmin(steps))]} comes more than once")
    return ordered, order
