"""Top k: the most informative items."""

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.tallies import largest


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Take the items with the highest scores, highest first, ties by item id.

    Deterministic: items that are not on top had no chance, so nothing can be estimated from such a batch, and its
    propensities are NaN. Its items resemble each other; for batches above about 20 prefer a diverse rule.

    >>> import numpy as np
    >>> ids, scores = np.array([4, 7, 9]), np.array([0.2, 0.9, 0.9], dtype=np.float32)
    >>> pick(Candidates(ids, scores), size=2, seed=0, parameters=Parameters()).index.tolist()
    [1, 2]
    """
    if candidates.informativeness is None:
        raise ValueError("this rule needs informativeness")
    return without_chances(largest(candidates.informativeness, min(size, len(candidates))))
