"""Least confidence: ask where the most probable class is not probable."""

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import column_blocks


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by how far its largest probability is from certainty.

    s = C / (C - 1) * (1 - max p): the factor makes a uniform row score 1 whatever C is.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; each row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 1 for a uniform row, 0 for a one-hot row.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is no distribution (NaN included).

    Notes
    -----
    One class: 0 everywhere. n = 0: empty. Ties do not matter. O(n C) time, about 1 MB beyond the result.

    >>> informativeness(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]], dtype=np.float32)).tolist()
    [1.0, 0.5, 0.0]

    References
    ----------
    Lewis, Gale: A Sequential Algorithm for Training Text Classifiers. SIGIR 1994; normalised as in Settles: Active
    Learning Literature Survey, 2009, section 3.1.
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities):
        n_classes = len(columns)
        if n_classes == 1:
            scores[rows] = 0.0
            continue
        scaled = (1.0 - columns.max(axis=0)) * np.float32(n_classes / (n_classes - 1))
        # Rows may sum to 1 only within 1e-3, and float32 rounds.
        scores[rows] = np.clip(scaled, 0.0, 1.0)
    return scores
