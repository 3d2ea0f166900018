"""Randomised response: answers that lie with a known probability, so that no single one can be held against anybody."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def channel_matrix(n_answers: int, epsilon: float) -> NDArray[np.float64]:
    """Return the chances of each report given each honest answer (k-ary randomised response, also GRR).

        M[a, a] = e^epsilon / (e^epsilon + k - 1),     M[a, r] = 1 / (e^epsilon + k - 1)  for r != a

    The label model uses it as a channel that is known and need not be learned.

    Parameters
    ----------
    n_answers
        k >= 2.
    epsilon
        > 0, in nats. Near 0 every report is equally likely (no information, full privacy); large: the honest answer always.

    Returns
    -------
    Shape (k, k), float64, rows (the honest answer) sum to 1; epsilon is the log of the ratio of its two values.

    >>> channel_matrix(3, 1.0).round(6).tolist()[0]
    [0.576117, 0.211942, 0.211942]

    References
    ----------
    Kairouz, Bonawitz, Ramage: Discrete Distribution Estimation under Local Privacy. ICML 2016.
    """
    if n_answers < 2:
        raise ValueError(f"at least two answers, not {n_answers}")
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon must be above 0, not {epsilon}")
    # Divided by e^epsilon above and below: a large epsilon must not overflow.
    lie = math.exp(-epsilon) / (1.0 + (n_answers - 1) * math.exp(-epsilon))
    matrix = np.full((n_answers, n_answers), lie)
    np.fill_diagonal(matrix, 1.0 - (n_answers - 1) * lie)
    return matrix


def estimated_shares(counts: ArrayLike, epsilon: float) -> NDArray[np.float64]:
    """Return the unbiased estimate of the shares of the honest answers, from counts of the reports.

        f = (c / n - q) / (p - q),   p, q the two values of the channel matrix

    Shape (k,), sums to 1; a share may be negative, which is noise and must not be clipped before averaging. n = 0 is a
    ValueError.

    >>> estimated_shares([500, 300, 200], 1.0).round(6).tolist()
    [0.790988, 0.241802, -0.032791]
    """
    reports = np.asarray(counts, dtype=np.float64)
    if reports.ndim != 1 or not (np.isfinite(reports) & (reports >= 0)).all():
        raise ValueError("counts must be a row of numbers that are not negative")
    if not reports.sum():
        raise ValueError("no report, no estimate")
    matrix = channel_matrix(len(reports), epsilon)
    truth, lie = matrix[0, 0], matrix[0, 1]
    shares: NDArray[np.float64] = (reports / reports.sum() - lie) / (truth - lie)
    return shares


def standard_deviation(share: float, n: int, n_answers: int, epsilon: float) -> float:
    """Return the standard deviation of one estimated share over n reports.

        sqrt(l (1 - l) / (n (p - q)^2)),   l = f p + (1 - f) q

    >>> round(standard_deviation(0.1, 10_000, 5, 1.0), 5)
    0.01484
    """
    matrix = channel_matrix(n_answers, epsilon)
    truth, lie = matrix[0, 0], matrix[0, 1]
    reported = share * truth + (1.0 - share) * lie
    return float(np.sqrt(reported * (1.0 - reported) / n) / (truth - lie))
