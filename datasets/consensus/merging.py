"""Spans or boxes that several people drew, merged into the ones most of them mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.overlap import box_overlap, match, span_overlap

LEAST_OVERLAP: Final = 0.5
LEAST_SUPPORT: Final = 0.5
Shape = Literal["span", "box"]
_SAME_CLASS: Final = 1e-9
"""Decides between overlaps that are equal, and nothing else."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one source drew on an item.

    extents
        Shape (n, 2), start and end, or (n, 4), left, top, right, bottom. n = 0 is an answer: there is nothing here.
    classes
        Shape (n,), int64.
    weight
        > 0, the source's reliability.
    """

    extents: NDArray[np.float64]
    classes: NDArray[np.int64]
    weight: float = 1.0


@dataclass(frozen=True)
class Merged:
    """One span or box of the consensus.

    support
        In [0, 1], the weighted share of the sources that drew it; with its class.
    tightness
        In [0, 1], mean overlap of what they drew with the merged extent; 1 if only one source is behind it.
    """

    extent: tuple[float, ...]
    label_class: int
    support: float
    tightness: float
    sources: tuple[int, ...]


def merge(
    drawings: Sequence[Drawing],
    *,
    shape: Shape,
    least_overlap: float = LEAST_OVERLAP,
    least_support: float = LEAST_SUPPORT,
) -> tuple[list[Merged], list[Merged]]:
    """Merge what several sources drew on one item; return what enough of them mean, and what too few do (for review).

    Source by source, most reliable first, what it drew is matched with the groups found so far: one to one, so that the overlaps with
    each group's weighted median extent add up to the most, among pairs that overlap by `least_overlap` or more. What matches joins
    its group, the rest begins groups of its own. A group's class is the one with most weight behind it (ties: the
    lowest), and only the sources that named it support it; its extent is the weighted median of each coordinate over those. Halfway
    between two, a boundary of a span is the earlier one: between them there may be the middle of a word. Of groups with the same extent,
    one of the same class is the better match.

    Parameters
    ----------
    least_overlap
        In (0, 1], intersection over union. Low merges what is only near; high keeps apart what was drawn sloppily.
    least_support
        In (0, 1], share of all sources' weight. Above 0.5 is a strict majority.

    Returns
    -------
    Both sorted by extent. No drawings: nothing. Cost O(S n^3) for S sources with n each.

    >>> one = Drawing(np.array([[0.0, 10.0], [20.0, 25.0]]), np.array([0, 1]))
    >>> two = Drawing(np.array([[0.0, 12.0]]), np.array([0]))
    >>> three = Drawing(np.array([[1.0, 10.0]]), np.array([0]))
    >>> agreed, doubtful = merge([one, two, three], shape="span")
    >>> agreed[0].extent, agreed[0].support, doubtful[0].extent, round(doubtful[0].support, 2)
    ((0.0, 10.0), 1.0, (20.0, 25.0), 0.33)
    """
    if not (0 < least_overlap <= 1 and 0 < least_support <= 1):
        raise ValueError("least overlap and least support are above 0 and at most 1")
    _check(drawings, shape)
    overlap = span_overlap if shape == "span" else box_overlap
    groups: list[list[tuple[int, int]]] = []
    for source in sorted(range(len(drawings)), key=lambda each: -drawings[each].weight):
        drawn = drawings[source].extents
        taken: set[int] = set()
        if groups and len(drawn):
            middles = np.stack([_middle(drawings, group, shape) for group in groups])
            named = np.array([drawings[first].classes[row] for ((first, row), *_) in groups])
            is_same = named[:, None] == drawings[source].classes[None, :]
            for group, row in match(overlap(middles, drawn) + _SAME_CLASS * is_same, least=least_overlap):
                groups[group].append((source, row))
                taken.add(row)
        groups += [[(source, row)] for row in range(len(drawn)) if row not in taken]
    total = sum(drawing.weight for drawing in drawings)
    merged = sorted((_merged(drawings, group, shape, total) for group in groups), key=lambda each: each.extent)
    agreed = [each for each in merged if each.support >= least_support - 1e-9]
    return agreed, [each for each in merged if each.support < least_support - 1e-9]


def _check(drawings: Sequence[Drawing], shape: Shape) -> None:
    width = 2 if shape == "span" else 4
    for source, drawing in enumerate(drawings):
        if drawing.extents.shape != (len(drawing.classes), width) or not drawing.weight > 0:
            raise ValueError(f"drawing {source}: one class and {width} numbers for each {shape}, and a weight above 0")
        half = width // 2
        if len(drawing.classes) and not (drawing.extents[:, half:] > drawing.extents[:, :half]).all():
            raise ValueError(f"drawing {source}: a {shape} ends before it begins, or is empty")


def _middle(drawings: Sequence[Drawing], group: list[tuple[int, int]], shape: Shape) -> NDArray[np.float64]:
    extents = np.stack([drawings[source].extents[row] for source, row in group])
    weights = np.array([drawings[source].weight for source, _ in group])
    return np.array([_weighted_median(column, weights, is_between=shape == "box") for column in extents.T])


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64], *, is_between: bool) -> float:
    """The value at which half of the weight is passed; if `is_between`, halfway to the next where exactly half is."""
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weights[order])
    place = int(np.searchsorted(passed, passed[-1] / 2.0 - 1e-12))
    value = float(values[order[place]])
    if is_between and abs(passed[place] - passed[-1] / 2.0) <= 1e-12 and place + 1 < len(values):
        return (value + float(values[order[place + 1]])) / 2.0
    return value


def _merged(drawings: Sequence[Drawing], group: list[tuple[int, int]], shape: Shape, total: float) -> Merged:
    behind: dict[int, float] = {}
    for source, row in group:
        named = int(drawings[source].classes[row])
        behind[named] = behind.get(named, 0.0) + drawings[source].weight
    label = min(behind, key=lambda named: (-behind[named], named))
    members = [(source, row) for source, row in group if drawings[source].classes[row] == label]
    extent = _middle(drawings, members, shape)
    drawn = np.stack([drawings[source].extents[row] for source, row in members])
    tightness = float((span_overlap if shape == "span" else box_overlap)(extent[None, :], drawn).mean())
    sources = tuple(sorted(source for source, _ in members))
    return Merged(tuple(extent.tolist()), label, behind[label] / total, tightness, sources)
