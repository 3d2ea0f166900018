"""KL disagreement: ask where one member of a committee says quite another thing than all on average."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up
from sampling.strategies.committee_blocks import committee_blocks


def informativeness(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by the divergence of the member that is furthest from the consensus.

    s = max_m KL(p_m || q) / ln M, with q = mean_m p_m and KL(p || q) = sum_c p_c ln(p_c / q_c), 0 ln 0 = 0.

    Parameters
    ----------
    committee
        Shape (n, M, C), M >= 1 members, C >= 1 classes; each member's row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 when all members say the same, 1 when one is certain of a class
    that no other holds possible.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row and member that is no distribution (NaN included).

    Notes
    -----
    q_c >= p_mc / M, so no divergence exceeds ln M and none is infinite. The mean of the divergences instead of the
    largest is `bald`. One member or one class: 0 everywhere. n = 0: empty. Probabilities below 1.2e-38 count as 0.
    Absolute error about 1e-6. O(n M C) time, about 1.5 MB beyond the result.

    >>> committee = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.7, 0.3], [0.7, 0.3]]], dtype=np.float32)
    >>> informativeness(committee).tolist()
    [1.0, 0.0]

    References
    ----------
    McCallum, Nigam: Employing EM and Pool-Based Active Learning for Text Classification. ICML 1998 (the mean); the
    largest as in modAL's `KL_max_disagreement`.
    """
    scores = np.empty(len(committee), dtype=np.float32)
    for rows, members in committee_blocks(committee):
        n_members, n_classes, _ = members.shape
        if n_members == 1 or n_classes == 1:
            scores[rows] = 0.0
            continue
        furthest = divergences_from_mean(members).max(axis=0)
        scores[rows] = np.clip(furthest / math.log(n_members), 0.0, 1.0)
    return scores


def divergences_from_mean(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return KL(p_m || q) in nats of each member, (M, C, rows) -> (M, rows); not checked, below 0 by rounding at most."""
    smallest = np.finfo(np.float32).tiny
    log_consensus = np.log(np.maximum(added_up(members) / np.float32(len(members)), smallest))
    terms = np.maximum(members, smallest)
    np.log(terms, out=terms)
    terms -= log_consensus
    terms *= members
    divergences: NDArray[np.float32] = added_up(terms, axis=1)
    return divergences
