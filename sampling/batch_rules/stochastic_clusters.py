"""Stochastic clusters: a shortlist drawn by chance, cut into clusters, and the first drawn item of each."""

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.cluster_quotas import best_of_clusters
from sampling.batch_rules.geometry import of_candidates
from sampling.batch_rules.stochastic import gumbel_keys, log_weights


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Cut a drawn shortlist into `size` clusters and take the item of each that was drawn first; then the second, and so on.

    Parameters
    ----------
    candidates
        With informativeness and embeddings: the first `shortlist_factor * size` draws of the rule "stochastic", in order
        of item ids.
    size
        How many items, >= 0.
    seed
        The one of the shortlist: the order of the draws is found again from it.
    parameters
        `beta`, `metric`.

    Returns
    -------
    The batch, without propensities: an item's chance depends on what else is in its cluster.

    Notes
    -----
    Where the plain shortlist of "cluster_quotas" holds only the items that a weak model is most wrong about, this one holds
    some of everything, and clusters still keep a batch from repeating itself.
    """
    if candidates.informativeness is None:
        raise ValueError("this rule needs informativeness")
    rows, _ = of_candidates(candidates, parameters)
    keys = gumbel_keys(log_weights(candidates.informativeness, parameters), candidates.item_ids, seed=seed)
    return without_chances(best_of_clusters(rows, keys, size=size, seed=seed))
