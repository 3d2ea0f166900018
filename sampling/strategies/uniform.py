"""Uniform: every item is worth asking equally; the control arm."""

import numpy as np
from numpy.typing import NDArray

from labeling.schema import PredictionForm
from sampling.strategies.column_blocks import column_blocks


def informativeness(probabilities: NDArray[np.float32], form: PredictionForm = "distribution") -> NDArray[np.float32]:
    """Score every row 1, so that stochastic acquisition draws uniformly at random.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; values in [0, 1]. Checked as by the other strategies of the same form, and not used.
    form
        What the rows are: "distribution" (each sums to 1), "independent", or "confidence" (one column).

    Returns
    -------
    Shape (n,), float32, all 1. n = 0: empty.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is not of the form (NaN included).

    >>> informativeness(np.array([[0.5, 0.5], [1.0, 0.0]], dtype=np.float32)).tolist()
    [1.0, 1.0]
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, _ in column_blocks(probabilities, form):
        scores[rows] = 1.0
    return scores
