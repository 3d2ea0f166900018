"""Uniform: every item equally likely, whatever its score; the control arm and the last resort of a cold start."""

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Floats, Parameters


def log_weights(informativeness: Floats, _parameters: Parameters) -> NDArray[np.float64]:
    """Natural logarithm of the weight that an item is drawn by: w = 1.

    >>> log_weights(np.array([1.0, 0.0], dtype=np.float32), Parameters()).tolist()
    [0.0, 0.0]
    """
    return np.zeros(len(informativeness))
