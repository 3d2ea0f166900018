"""Weighted k-means++: informative items far from each other, drawn."""

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.geometry import nearest, of_candidates, squared_distances, squared_norms
from sampling.batch_rules.spreading import squared_distance_draws
from sampling.batch_rules.stochastic import log_weights


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Draw items in proportion to informativeness ** beta times the squared distance to the nearest labelled or chosen one.

    Parameters
    ----------
    candidates
        With informativeness and embeddings: the shortlist, in order of item ids.
    size
        How many items, >= 0.
    seed
        Of the draws.
    parameters
        `beta`, `metric`.

    Returns
    -------
    The batch in draw order. Without propensities: items off the shortlist had no chance.

    Notes
    -----
    Exact draws by rejection (`spreading`). Where nothing is labelled the first draw goes by informativeness alone.

    References
    ----------
    Arthur, Vassilvitskii: k-means++. SODA 2007; as a batch rule: Zhdanov: Diverse mini-batch Active Learning. 2019.
    """
    if candidates.informativeness is None:
        raise ValueError("this rule needs informativeness")
    rows, labelled = of_candidates(candidates, parameters)
    norms = squared_norms(rows)

    def distances(these: NDArray[np.int64] | slice, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        return squared_distances(rows[these], rows[chosen], norms[these])

    return without_chances(
        squared_distance_draws(
            np.exp(log_weights(candidates.informativeness, parameters)),
            nearest(rows, labelled)[1] if len(labelled) else None,
            distances,
            size=min(size, len(rows)),
            rng=np.random.default_rng(seed),
        )
    )
