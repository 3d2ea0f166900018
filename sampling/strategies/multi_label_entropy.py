"""Multi-label entropy: ask where the classes, each judged on its own, are uncertain on average."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up, column_blocks


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by the mean of its classes' binary entropies, in bits.

    s = mean_c h(p_c), h(p) = - p log2 p - (1 - p) log2(1 - p), with 0 log 0 = 0.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; each value in [0, 1], the probability that the class applies. Rows need not sum to 1.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 1 when every class is at 1/2, 0 when every class is certain.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row with a value that is no probability (NaN included).

    Notes
    -----
    n = 0: empty. The order of the classes does not matter, nor does p against 1 - p. Unlike `multi_label_margin` it rises
    steeply from 0: a class at 0.05 counts 0.29 here and 0.1 there, so rare classes that are barely in doubt weigh more.
    Probabilities below 1.2e-38 count as 0. Absolute error about 1e-6. O(n C) time, about 2 MB beyond the result.

    >>> informativeness(np.array([[0.5, 0.5], [0.5, 1.0], [0.0, 1.0]], dtype=np.float32)).tolist()
    [1.0, 0.5, 0.0]

    References
    ----------
    Shannon: A Mathematical Theory of Communication. 1948; averaged binary uncertainty as in Brinker: On Active Learning in
    Multi-label Classification. 2006, section 3.
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    smallest = np.finfo(np.float32).tiny
    for rows, columns in column_blocks(probabilities, "independent"):
        rest = 1.0 - columns
        total = columns * np.log(np.maximum(columns, smallest))
        total += rest * np.log(np.maximum(rest, smallest))
        bits = added_up(total) / np.float32(len(total))
        bits /= -math.log(2)
        # A mean of values in [0, 1] may be rounded to just above 1; + 0 turns -0 into 0.
        scores[rows] = np.clip(bits, 0.0, 1.0) + 0.0
    return scores
