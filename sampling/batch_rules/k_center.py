"""k-center: items far from each other and from everything labelled (the greedy core-set)."""

import numpy as np
from numpy.typing import NDArray

from sampling import item_random
from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.geometry import nearest, of_candidates, squared_distances, squared_norms
from sampling.batch_rules.spreading import farthest_first


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Take again and again the item that is farthest from every labelled and chosen one.

    Parameters
    ----------
    candidates
        With embeddings, in order of item ids: the most informative ones, or before any model a sample.
    size
        How many items, >= 0.
    seed
        Decides the first item where nothing is labelled and items have no informativeness.
    parameters
        `metric`.

    Returns
    -------
    The batch, without propensities. Where nothing is labelled it begins with the most informative item.

    Notes
    -----
    Exact, but all items are looked at only every 16 picks (`spreading`): 100 of 100,000 x 64 take about 0.15 s. Outliers are
    far from everything: at cold start random items do as well or better on most data; typicality is the default there.

    References
    ----------
    Sener, Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach. ICLR 2018.
    """
    rows, labelled = of_candidates(candidates, parameters)
    norms = squared_norms(rows)

    def distances(these: NDArray[np.int64] | slice, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        return squared_distances(rows[these], rows[chosen], norms[these])

    there = nearest(rows, labelled)[1] if len(labelled) else np.full(len(rows), np.inf, dtype=np.float32)
    if candidates.informativeness is None:
        ranks = item_random.uniforms(seed, candidates.item_ids)
    else:
        ranks = candidates.informativeness.astype(np.float64)
    return without_chances(farthest_first(there, distances, size=min(size, len(rows)), ranks=ranks))
