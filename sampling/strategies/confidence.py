"""Confidence: ask where the model gives its own answer little chance to be right."""

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import column_blocks


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by the probability that the model's answer is wrong.

    s = 1 - c, with c the model's confidence: how probable it holds its answer (a text, spans, a number, boxes) to be right.

    Parameters
    ----------
    probabilities
        Shape (n, 1); each value in [0, 1].

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 1 at confidence 0, 0 at confidence 1.

    Raises
    ------
    ValueError
        For a wrong shape (more than one column included), or naming the first row that is no probability (NaN included).

    Notes
    -----
    n = 0: empty. What a confidence means is the client's word; see docs/algorithms/confidence.md for how those of spans,
    boxes and numbers come about. O(n) time.

    >>> informativeness(np.array([[0.25], [1.0], [0.0]], dtype=np.float32)).tolist()
    [0.75, 0.0, 1.0]

    References
    ----------
    Culotta, McCallum: Reducing Labeling Effort for Structured Prediction Tasks. AAAI 2005 (least confidence of a whole
    answer).
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities, "confidence"):
        scores[rows] = 1.0 - columns[0]
    return scores
