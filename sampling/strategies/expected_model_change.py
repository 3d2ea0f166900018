"""Expected model change: ask where a label would move a linear model most, averaged over the labels it thinks likely."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up, column_blocks

# A megabyte of float64.
_VALUES_PER_BLOCK: Final = 1 << 17


def informativeness(probabilities: NDArray[np.float32], embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Score each row by the expected length of the gradient of a softmax head on its embedding.

    s = G / (1 + G) with G = sum_c p_c ||p - e_c|| * ||(x, 1)||. For the label c the gradient of the log loss by the weights
    and the intercept is the outer product of p - e_c and (x, 1), so its length is the product of theirs.

    Parameters
    ----------
    probabilities
        Shape (n, C), C >= 1; each row in [0, 1], summing to 1: what the head says.
    embeddings
        Shape (n, d), d >= 1, any floating type; the vectors that the head reads, as it reads them (scaled or not).

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 for a one-hot row; towards 1 as the gradient grows.

    Raises
    ------
    ValueError
        For a wrong shape, or naming the first row that is no distribution or whose embedding is not finite.

    Notes
    -----
    G has no upper bound where vectors have no common length, and a bound taken from the pool would make the score of a row
    depend on the others. G / (1 + G) rises strictly with G, so the ranking is that of the gradient lengths themselves,
    where cutting off would make long vectors tie. With vectors of length 1 the factor ||(x, 1)|| is sqrt(2) for all: the
    ranking is by the probabilities alone, and s <= r / (1 + r) with r = sqrt(2 (1 - 1 / C)), reached by a uniform row
    (sum_c p_c ||p - e_c|| <= sqrt(1 - ||p||^2) by Jensen). One class: 0 everywhere. n = 0: empty. Absolute error about
    1e-6; above lengths of about 1e7 the scores are 1 in float32 and tie. O(n (C + d)) time, 8 bytes a row and about 3
    MB beyond the result.

    >>> probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32)
    >>> vectors = np.array([[1.0, 0.0], [4.0, 1.0], [4.0, 1.0]], dtype=np.float32)
    >>> informativeness(probabilities, vectors).round(6).tolist()
    [0.5, 0.75, 0.0]

    References
    ----------
    Settles, Craven, Ray: Multiple-Instance Active Learning. NIPS 2007 (expected gradient length); Settles: Active Learning
    Literature Survey, 2009, section 3.3.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] < 1 or len(embeddings) != len(probabilities):
        raise ValueError(
            f"embeddings must have shape ({len(probabilities)}, d) with d >= 1, as many rows as there are of "
            f"probabilities, not {embeddings.shape}"
        )
    lengths = _lengths_with_intercept(embeddings)
    scores = np.empty(len(probabilities), dtype=np.float32)
    for rows, columns in column_blocks(probabilities):
        if len(columns) == 1:
            scores[rows] = 0.0
            continue
        change = _expected_distance(columns) * lengths[rows]
        scores[rows] = change / (1.0 + change)
    return scores


def _expected_distance(columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """sum_c p_c ||p - e_c||, from ||p - e_c||^2 = sum_(k not c) p_k^2 + (1 - p_c)^2.

    In float64: near certainty the first term is a small difference, and the root makes its error large.
    """
    exact = columns.astype(np.float64)
    squares = exact * exact
    all_squares = added_up(squares)
    total: NDArray[np.float64] = np.zeros_like(all_squares)
    for column, square in zip(exact, squares, strict=True):
        rest = 1.0 - column
        distance = np.maximum(all_squares - square, 0.0)
        distance += rest * rest
        np.sqrt(distance, out=distance)
        distance *= column
        total += distance
    return total


def _lengths_with_intercept(embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
    """||(x, 1)|| of each row."""
    lengths = np.empty(len(embeddings), dtype=np.float64)
    step = max(1, _VALUES_PER_BLOCK // embeddings.shape[1])
    for start in range(0, len(embeddings), step):
        # In float64, and always laid out alike: a row's sum must not depend on the type or the layout of the whole.
        block = np.array(embeddings[start : start + step], dtype=np.float64, order="C")
        is_finite = np.isfinite(block).all(axis=1)
        if not is_finite.all():
            raise ValueError(f"row {start + int(is_finite.argmin())}: an embedding is not finite")
        np.square(block, out=block)
        lengths[start : start + step] = np.sqrt(block.sum(axis=1) + 1.0)
    return lengths
