"""Cluster quotas: as many clusters as items are asked for, and the most informative item of each."""

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.geometry import k_means, of_candidates


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Cut the shortlist into `size` clusters and take the best item of each; then the second best, and so on.

    Parameters
    ----------
    candidates
        With informativeness and embeddings: the shortlist, in order of item ids.
    size
        How many items, >= 0.
    seed
        Of the k-means++ seeding.
    parameters
        `metric`.

    Returns
    -------
    The batch, the most informative item first within each round over the clusters; ties by item id. Without
    propensities: which item is the best of a cluster is no chance.

    Notes
    -----
    Near-duplicates share a cluster, so a second one comes only after every cluster gave one; equal items always do.
    O(10 size^2 d) a round of k-means for a shortlist of 10 size.

    References
    ----------
    Zhdanov: Diverse mini-batch Active Learning. 2019. Citovsky et al.: Batch Active Learning at Scale. NeurIPS 2021.
    """
    if candidates.informativeness is None:
        raise ValueError("this rule needs informativeness")
    rows, _ = of_candidates(candidates, parameters)
    return without_chances(best_of_clusters(rows, candidates.informativeness, size=size, seed=seed))


def best_of_clusters(
    rows: NDArray[np.float32], scores: NDArray[np.floating], *, size: int, seed: int
) -> NDArray[np.int64]:
    """Rows of the best of each of `size` clusters, then the second best, and so on; within a round the best first."""
    labels = k_means(rows, size, rng=np.random.default_rng(seed)) if size else np.zeros(len(rows), dtype=np.int64)
    best_first = np.lexsort((np.arange(len(labels)), -scores, labels))
    # The rank of every item inside its cluster.
    starts = np.flatnonzero(np.diff(labels[best_first], prepend=-1))
    sizes = np.diff(np.append(starts, len(labels)))
    rank = np.arange(len(labels)) - np.repeat(starts, sizes)
    order = np.lexsort((best_first, -scores[best_first], rank))
    return best_first[order[:size]]
