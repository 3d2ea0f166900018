"""Entropy: ask where the predicted distribution is spread over all classes."""

import math

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up, column_blocks


def entropy_nats(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Shannon entropy of each row in nats.

    H = - sum_c p_c ln p_c, with 0 ln 0 = 0.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; each row in [0, 1], summing to 1.

    Returns
    -------
    Shape (n,), float32 in [0, ln C], in nats. 0 for a one-hot row and for one class.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is no distribution (NaN included).

    Notes
    -----
    n = 0: empty. Probabilities below the smallest normal float32 (1.2e-38) count as 0; the error is below 1e-34.
    Absolute error about 1e-6. O(n C) time, about 1.5 MB beyond the result.

    >>> entropy_nats(np.array([[0.5, 0.5], [1.0, 0.0]], dtype=np.float32)).round(4).tolist() == [np.float32(0.6931), 0.0]
    True
    """
    entropies = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities):
        entropies[rows] = entropy_of_columns(columns)
    return entropies


def entropy_of_columns(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the entropy in nats of distributions given as columns, shape (C, ...) -> (...); they are not checked."""
    terms = np.maximum(columns, np.finfo(np.float32).tiny)
    np.log(terms, out=terms)
    terms *= columns
    # A value just above 1 (within tolerance) would make a one-hot row negative; + 0 turns its -0 into 0.
    entropies: NDArray[np.float32] = np.maximum(-added_up(terms), 0.0) + 0.0
    return entropies


def informativeness(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each row by its entropy as a share of the largest possible.

    s = H / ln C, see `entropy_nats`.

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
    One class: 0 everywhere (ln 1 = 0 would divide by zero). n = 0: empty. With many classes a long tail of small
    probabilities dominates: margin is the better default there (docs/algorithms/entropy.md).

    >>> informativeness(np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]], dtype=np.float32)).round(6).tolist()
    [1.0, 0.5]

    References
    ----------
    Shannon: A Mathematical Theory of Communication. 1948; as a query rule: Settles: Active Learning Literature Survey,
    2009, section 3.1.
    """
    entropies = entropy_nats(probabilities)
    n_classes = probabilities.shape[1]
    if n_classes > 1:
        np.minimum(entropies / np.float32(math.log(n_classes)), 1.0, out=entropies)
    return entropies
