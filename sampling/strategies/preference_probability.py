"""Preference probability: ask the pairs of which the model cannot say which side is better."""

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import column_blocks


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each pair by how near the chances of its two sides are, times the chance that the answer names a side.

    s = d (1 - |2 q - 1|) = 2 min(a, b), with a, b the probabilities of the two sides, d = a + b, and q = a / d the
    probability that the first is better given that one is: the Bradley-Terry probability of the pair.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; each row in [0, 1], summing to 1. The first two columns are "a" and "b"; any others ("tie",
        "both_bad") are answers that prefer neither.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 1 when either side is better with 1/2, 0 when one of them has no
    chance, be it against the other or against a tie.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is no distribution (NaN included).

    Notes
    -----
    Without a tie class: 1 - |2 a - 1|, the pair with q nearest 1/2 first, which equals `margin`. With one, q alone would
    ask for pairs that are certainly ties as soon as the little that is left is split evenly, and |a - b| alone would do
    so always; the factor d, the chance of a decision, prevents it. A model torn between one side and a tie scores 0, where margin
    scores 1: nothing is open about the order. Exchanging the sides does not matter, the order of the other columns
    neither. One column: 0 everywhere. n = 0: empty. O(n C) time, about 1 MB beyond the result.

    >>> informativeness(np.array([[0.5, 0.5, 0.0], [0.125, 0.125, 0.75], [0.75, 0.25, 0.0]], dtype=np.float32)).tolist()
    [1.0, 0.25, 0.5]

    References
    ----------
    Bradley, Terry: Rank Analysis of Incomplete Block Designs. Biometrika 39, 1952. The product with the chance of a
    decision is ours.
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities):
        # Rows may sum to 1 only within 1e-3.
        scores[rows] = np.minimum(2.0 * np.minimum(columns[0], columns[1]), 1.0) if len(columns) > 1 else 0.0
    return scores
