"""Multi-label margin: ask where the classes, each judged on its own, are doubtful on average."""

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up, column_blocks


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by the mean of its classes' binary margins.

    s = 1 - mean_c |2 p_c - 1|, where |2 p - 1| = |p - (1 - p)| is the margin between "applies" and "does not".

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
    n = 0: empty. One class: 1 - |2 p - 1|. The order of the classes does not matter, nor does p against 1 - p. With many
    classes of which few are ever in doubt the mean is small everywhere; its ranking is not affected by classes that are
    certain for all. Absolute error about C * 6e-8. O(n C) time, about 1 MB beyond the result.

    >>> informativeness(np.array([[0.5, 0.5], [0.75, 1.0], [0.0, 1.0]], dtype=np.float32)).tolist()
    [1.0, 0.25, 0.0]

    References
    ----------
    Tsoumakas, Katakis: Multi-Label Classification: An Overview. 2007 (binary relevance); averaged binary uncertainty as in
    Brinker: On Active Learning in Multi-label Classification. 2006, section 3.
    """
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities, "independent"):
        columns *= 2.0
        columns -= 1.0
        np.abs(columns, out=columns)
        # A mean of values in [0, 1] may be rounded to just above 1.
        scores[rows] = 1.0 - np.minimum(added_up(columns) / np.float32(len(columns)), 1.0)
    return scores
