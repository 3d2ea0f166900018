"""Vote entropy: ask where the members of a committee vote for different classes."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.committee_blocks import committee_blocks
from sampling.strategies.entropy import entropy_of_columns


def informativeness(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by how evenly its members' votes fall on the classes.

    s = - sum_c v_c ln v_c / ln min(M, C), with v_c the share of the members whose most probable class is c.

    Parameters
    ----------
    committee
        Shape (n, M, C), M >= 1 members, C >= 1 classes; each member's row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 when all vote alike, 1 when the votes are spread as evenly as so
    many members can over so many classes (with M not a multiple of C below M classes: nearly 1).

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row and member that is no distribution (NaN included).

    Notes
    -----
    A member whose most probable classes tie gives each an equal share of its vote, so the order of the classes does not
    matter; modAL gives it to the first. Votes so divided may be spread wider than whole ones can: cut off at 1. One
    member: 0 everywhere, it cannot disagree. One class: 0. n = 0: empty. A small committee gives few different scores;
    `consensus_entropy` and `bald` read the probabilities themselves. Absolute error about 1e-6. O(n M C) time, about 1.5
    MB beyond the result.

    >>> votes = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.9, 0.1], [0.2, 0.8]]], dtype=np.float32)
    >>> informativeness(votes).tolist()
    [0.0, 1.0]

    References
    ----------
    Dagan, Engelson: Committee-Based Sampling for Training Probabilistic Classifiers. ICML 1995.
    """
    scores = np.empty(len(committee), dtype=np.float32)
    for rows, members in committee_blocks(committee):
        n_members, n_classes, _ = members.shape
        if n_members == 1 or n_classes == 1:
            scores[rows] = 0.0
            continue
        shares = _votes(members)
        shares /= n_members
        scores[rows] = np.minimum(entropy_of_columns(shares) / math.log(min(n_members, n_classes)), 1.0)
    return scores


def _votes(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how many votes each class got, (M, C, rows) -> (C, rows)."""
    best = members.max(axis=1, keepdims=True)
    is_best = members == best
    votes = np.zeros(members.shape[1:], dtype=np.float32)
    if np.count_nonzero(is_best) == best.size:
        for vote in is_best:
            votes += vote
    else:
        for vote in is_best:
            votes += vote / vote.sum(axis=0, dtype=np.float32)
    return votes
