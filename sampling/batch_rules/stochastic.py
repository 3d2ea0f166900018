"""Stochastic acquisition: draw in proportion to a power of the informativeness."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling import item_random
from sampling.batch_rules.candidates import Floats, Parameters

# Scores below this count as this. It keeps every propensity above zero (what unbiased estimation from active draws
# needs), makes an all-zero pool uniform, and is far above the float32 rounding of a score (6e-8) that beta would blow up.
# SCORE_FLOOR ** LARGEST_BETA = 1e-150 leaves room for a division by the pool's size in float64.
SCORE_FLOOR: Final = 1e-3
ACTIVE_STREAM: Final = 0
"""The stream of the seed that decides active draws; see item_random."""


def log_weights(informativeness: Floats, parameters: Parameters) -> NDArray[np.float64]:
    """Natural logarithm of the weight that an item is drawn by: w = max(informativeness, 1e-3) ** beta.

    Parameters
    ----------
    informativeness
        Shape (n,), in [0, 1].
    parameters
        `beta`: 0 draws uniformly, large values approach top-k.

    Returns
    -------
    Shape (n,), float64.

    Notes
    -----
    The draw itself is Gumbel-top-k over keys ln w - ln E with E a standard exponential of the item (`item_random`).
    Its probabilities are exact: q = w / (weight of the items left).

    >>> log_weights(np.array([1.0, 0.0], dtype=np.float32), Parameters(beta=2)).round(3).tolist()
    [0.0, -13.816]

    References
    ----------
    Kirsch, Farquhar et al.: Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning. TMLR 2023 (power
    acquisition). Kool, van Hoof, Welling: Stochastic Beams and Where to Find Them. ICML 2019 (Gumbel-top-k).
    """
    logs = np.maximum(informativeness.astype(np.float64), SCORE_FLOOR)
    np.log(logs, out=logs)
    logs *= parameters.beta
    return logs


def gumbel_keys(logs: NDArray[np.float64], item_ids: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """Keys of which the largest are drawn: ln w - ln E, E a standard exponential of the item. -ln E is standard Gumbel."""
    keys = item_random.exponentials(seed, item_ids, stream=ACTIVE_STREAM)
    np.log(keys, out=keys)
    return np.subtract(logs, keys, out=keys)
