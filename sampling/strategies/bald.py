"""BALD: ask where the members of a committee are each sure, and do not agree."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up
from sampling.strategies.committee_blocks import committee_blocks
from sampling.strategies.kl_disagreement import divergences_from_mean


def informativeness(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by what its class would tell about which member is right: their mutual information.

    s = (H(q) - mean_m H(p_m)) / ln min(M, C), with q = mean_m p_m and H the entropy in nats.

    Parameters
    ----------
    committee
        Shape (n, M, C), M >= 1 members, C >= 1 classes; each member's row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 when all members say the same, however unsure; 1 when each is
    certain and they are spread evenly over the classes.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row and member that is no distribution (NaN included).

    Notes
    -----
    It is computed as the mean of KL(p_m || q), which is the same number: so the classic "KL to the mean" committee rule is
    this one, and nothing cancels as in a difference of entropies. A mutual information exceeds neither the entropy of the
    class (ln C) nor that of the member (ln M). One member or one class: 0 everywhere. n = 0: empty. Probabilities below
    1.2e-38 count as 0. Absolute error about 1e-6. O(n M C) time, about 1.5 MB beyond the result.

    >>> committee = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]], dtype=np.float32)
    >>> informativeness(committee).tolist()
    [1.0, 0.0]

    References
    ----------
    Houlsby, Huszar, Ghahramani, Lengyel: Bayesian Active Learning for Classification and Preference Learning. 2011,
    arXiv 1112.5745; as a mean divergence: McCallum, Nigam, ICML 1998.
    """
    scores = np.empty(len(committee), dtype=np.float32)
    for rows, members in committee_blocks(committee):
        n_members, n_classes, _ = members.shape
        if n_members == 1 or n_classes == 1:
            scores[rows] = 0.0
            continue
        information = added_up(divergences_from_mean(members)) / np.float32(len(members))
        scores[rows] = np.clip(information / math.log(min(n_members, n_classes)), 0.0, 1.0)
    return scores
