"""Softmax acquisition: draw in proportion to the exponential of the informativeness."""

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Floats, Parameters


def log_weights(informativeness: Floats, parameters: Parameters) -> NDArray[np.float64]:
    """Natural logarithm of the weight that an item is drawn by: w = exp(beta * informativeness).

    Parameters
    ----------
    informativeness
        Shape (n,), in [0, 1].
    parameters
        `beta`: 0 draws uniformly; at most exp(beta) lies between the likeliest item and the least likely.

    Returns
    -------
    Shape (n,), float64.

    Notes
    -----
    Differences of scores count, not ratios: items with little information keep far more of the draws than under
    power acquisition of the same beta. Drawn, and its probabilities exact, as in `stochastic`.

    >>> log_weights(np.array([1.0, 0.0], dtype=np.float32), Parameters(beta=2)).tolist()
    [2.0, 0.0]

    References
    ----------
    Kirsch, Farquhar et al.: Stochastic Batch Acquisition. TMLR 2023 (softmax acquisition).
    """
    return parameters.beta * informativeness.astype(np.float64)
