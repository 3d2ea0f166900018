"""Distances and clusters of embeddings, in float32 and a block at a time."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Floats, Parameters

# Squared distance below which two points of the unit sphere count as the same: a cosine above 0.9995.
NEAR_DUPLICATE: Final = 1e-3
_ENTRIES_A_BLOCK: Final = 4_194_304


def points(table: Floats, metric: Literal["cosine", "euclidean"]) -> NDArray[np.float32]:
    """The embeddings as float32; on the unit sphere for "cosine", where a zero vector stays zero. Always a copy."""
    rows = table.astype(np.float32)
    if metric == "cosine":
        # Twice: a float32 norm may overflow or vanish where the vector does not.
        rows /= np.maximum(np.abs(rows).max(axis=1, initial=0.0, keepdims=True), np.float32(1e-30))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))
    return rows


def of_candidates(candidates: Candidates, parameters: Parameters) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The points of the candidates, and of what is labelled (no rows if nothing is)."""
    if candidates.embeddings is None:
        raise ValueError("this rule needs embeddings")
    here = points(candidates.embeddings, parameters.metric)
    if candidates.labelled is None or not len(candidates.labelled):
        return here, np.empty((0, here.shape[1]), dtype=np.float32)
    return here, points(candidates.labelled, parameters.metric)


def squared_distances(
    rows: NDArray[np.float32], centres: NDArray[np.float32], row_norms: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """|x - c|^2 for every row and centre, shape (n, k), never negative; exactly 0 where x equals c up to rounding."""
    norms = squared_norms(rows) if row_norms is None else row_norms
    distances: NDArray[np.float32] = rows @ centres.T
    distances *= -2.0
    distances += norms[:, None]
    centre_norms = squared_norms(centres)
    distances += centre_norms
    # |x|^2 + |c|^2 - 2 x.c of equal points is rounding noise of either sign.
    distances[distances < 1e-6 * (norms[:, None] + centre_norms)] = 0.0
    return distances


def squared_norms(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """|x|^2 of every row."""
    norms: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows)
    return norms


def nearest(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest centre of every row (ties by position) and the squared distance to it, a block of rows at a time."""
    labels = np.empty(len(rows), dtype=np.int64)
    distances = np.empty(len(rows), dtype=np.float32)
    step = max(1, _ENTRIES_A_BLOCK // max(1, len(centres)))
    for begin in range(0, len(rows), step):
        block = slice(begin, begin + step)
        table = squared_distances(rows[block], centres)
        labels[block] = table.argmin(axis=1)
        distances[block] = table.min(axis=1)
    return labels, distances


def k_means(rows: NDArray[np.float32], count: int, *, rng: np.random.Generator, rounds: int = 15) -> NDArray[np.int64]:
    """Cluster the rows: for each the number of its cluster, below `count`. Some clusters may be empty.

    k-means++ seeding, then Lloyd rounds until no row moves, at most `rounds`. With at least as many clusters as rows
    every row is its own; equal rows are always in the same cluster otherwise.
    """
    if count >= len(rows):
        return np.arange(len(rows))
    centres = rows[_seeds(rows, count, rng=rng)]
    labels, _ = nearest(rows, centres)
    for _ in range(rounds):
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums = np.add.reduceat(rows[order], starts, axis=0)
        centres = centres.copy()
        centres[present] = sums / np.diff(np.append(starts, len(rows)))[:, None]
        before, (labels, _) = labels, nearest(rows, centres)
        if (labels == before).all():
            break
    return labels


def _seeds(rows: NDArray[np.float32], count: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """k-means++: each next seed in proportion to its squared distance from those before."""
    norms = squared_norms(rows)
    chosen = [int(rng.integers(len(rows)))]
    distances = squared_distances(rows, rows[chosen], norms)[:, 0].astype(np.float64)
    while len(chosen) < count and (total := distances.sum()) > 0.0:
        chosen.append(draw_one(distances, total, rng))
        np.minimum(distances, squared_distances(rows, rows[chosen[-1:]], norms)[:, 0], out=distances)
    return np.array(chosen)


def draw_one(weights: NDArray[np.float64], total: float, rng: np.random.Generator) -> int:
    """One position in proportion to the weights, of which at least one is above zero."""
    sums = np.cumsum(weights)
    place = int(np.searchsorted(sums, rng.random() * min(total, sums[-1]), side="right"))
    # Rounding may lead past the end.
    return place if place < len(weights) and weights[place] > 0.0 else int(np.flatnonzero(weights)[-1])
