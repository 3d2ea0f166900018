"""Facility location: items that stand for the informative ones around them."""

import heapq
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.geometry import of_candidates

MOST_COVERED: Final = 5_000
_ROWS_A_BLOCK: Final = 1_024


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Take greedily what raises F(S) = sum_j s_j max_{i in S or labelled} similarity(i, j) most.

    Similarity is the cosine, or 0 where that is negative; s is the informativeness.

    Parameters
    ----------
    candidates
        With informativeness and embeddings: the shortlist, in order of item ids.
    size
        How many items, >= 0.
    seed
        Not used: the rule is deterministic.
    parameters
        None is read.

    Returns
    -------
    The batch, what raises F most first, ties by item id. Without propensities.

    Notes
    -----
    F is submodular, so the greedy batch is within 1 - 1/e of the best, and gains found earlier are upper bounds: an item's
    gain is computed again only when it comes up (lazy greedy). Of more than 5,000 candidates (or `size`, if that is more)
    only the most informative are looked at: 100 MB of similarities.

    References
    ----------
    Nemhauser, Wolsey, Fisher: An analysis of approximations for maximizing submodular set functions. 1978; Minoux:
    Accelerated greedy algorithms. 1978; Wei, Iyer, Bilmes: Submodularity in Data Subset Selection and Active Learning. 2015.
    """
    if candidates.informativeness is None:
        raise ValueError("this rule needs informativeness")
    size = min(size, len(candidates))
    best = np.argsort(-candidates.informativeness, kind="stable")
    looked_at = np.sort(best[: max(size, MOST_COVERED)])
    covered = np.sort(best[:MOST_COVERED])
    rows, labelled = of_candidates(candidates, Parameters(metric="cosine"))
    weights = candidates.informativeness[covered].astype(np.float32)
    similarity = _similarities(rows[looked_at], rows[covered])
    reached = np.zeros(len(covered), dtype=np.float32)
    for begin in range(0, len(labelled), _ROWS_A_BLOCK):
        table = _similarities(labelled[begin : begin + _ROWS_A_BLOCK], rows[covered])
        np.maximum(reached, table.max(axis=0, initial=0.0), out=reached)
    return without_chances(looked_at[_lazy_greedy(similarity, weights, reached, size)])


def _lazy_greedy(
    similarity: NDArray[np.float32], weights: NDArray[np.float32], reached: NDArray[np.float32], size: int
) -> NDArray[np.int64]:
    def gain(row: int) -> float:
        return float(np.maximum(similarity[row] - reached, 0.0) @ weights)

    heap = [(-gain(row), row, 0) for row in range(len(similarity))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while len(chosen) < size:
        negative, row, checked = heapq.heappop(heap)
        if checked < len(chosen) and negative < 0.0:
            heapq.heappush(heap, (-gain(row), row, len(chosen)))
            continue
        chosen.append(row)
        np.maximum(reached, similarity[row], out=reached)
    return np.array(chosen, dtype=np.int64)


def _similarities(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    table: NDArray[np.float32] = rows @ others.T
    return np.maximum(table, 0.0, out=table)
