"""Consensus entropy: ask where what a committee says on average is spread over all classes."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up
from sampling.strategies.committee_blocks import committee_blocks
from sampling.strategies.entropy import entropy_of_columns


def informativeness(committee: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by the entropy of its members' mean distribution, as a share of the largest possible.

    s = H(mean_m p_m) / ln C.

    Parameters
    ----------
    committee
        Shape (n, M, C), M >= 1 members, C >= 1 classes; each member's row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 1 when the mean is uniform, 0 when all members are certain of one
    class.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row and member that is no distribution (NaN included).

    Notes
    -----
    It is high both where the members disagree and where they agree that the item is hard; `bald` is its first part alone.
    One member: `entropy`. One class: 0. n = 0: empty. Absolute error about 1e-6. O(n M C) time, about 1 MB beyond the
    result.

    >>> committee = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]], dtype=np.float32)
    >>> informativeness(committee).tolist()
    [1.0, 0.0]

    References
    ----------
    Settles: Active Learning Literature Survey. 2009, section 3.2 (soft vote entropy).
    """
    scores = np.empty(len(committee), dtype=np.float32)
    for rows, members in committee_blocks(committee):
        n_classes = members.shape[1]
        if n_classes == 1:
            scores[rows] = 0.0
            continue
        scores[rows] = np.minimum(
            entropy_of_columns(added_up(members) / np.float32(len(members))) / math.log(n_classes), 1.0
        )
    return scores
