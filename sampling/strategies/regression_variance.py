"""Regression variance: ask where the members of a committee predict numbers that lie far apart."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling.strategies.column_blocks import added_up

# Half a megabyte of float64.
_VALUES_PER_BLOCK: Final = 1 << 16


def informativeness(predictions: NDArray[np.floating], *, low: float, high: float) -> NDArray[np.float32]:
    """Score each row by the variance of its members' predictions, as a share of the largest on the range.

    s = min(1, 4 Var / (high - low)^2) with Var = mean_m (y_m - mean y)^2.

    Parameters
    ----------
    predictions
        Shape (n, M), M >= 1 members, any floating type; in the unit of the number.
    low, high
        The range that the label schema allows, finite, low < high; same unit.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 when all members say the same, 1 when half say low and half high.

    Raises
    ------
    ValueError
        For a wrong shape or range, or naming the first row with a prediction that is not finite.

    Notes
    -----
    No numbers in a range have a variance above a quarter of its squared width (Popoviciu). Predictions may lie outside the
    range; what that adds beyond 1 is cut off, so such rows may tie. One member: 0 everywhere. n = 0: empty. Mean first,
    then squares about it, in float64: a common offset loses nothing but what the given type had lost. The score does not
    know noise from doubt: a number that cannot be predicted better is asked for again and again where members are overfit;
    mix it with random draws. O(n M) time, about 1 MB beyond the result.

    >>> informativeness(np.array([[0.0, 10.0], [2.5, 7.5], [5.0, 5.0]]), low=0.0, high=10.0).tolist()
    [1.0, 0.25, 0.0]

    References
    ----------
    Krogh, Vedelsby: Neural Network Ensembles, Cross Validation, and Active Learning. NIPS 1994 (ambiguity); Popoviciu: Sur
    les équations algébriques ayant toutes leurs racines réelles. Mathematica 9, 1935.
    """
    if predictions.ndim != 2 or predictions.shape[1] < 1:
        raise ValueError(f"predictions must have shape (n, M) with M >= 1, not {predictions.shape}")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"the range must be finite and low < high, not from {low} to {high}")
    n, n_members = predictions.shape
    scores = np.empty(n, dtype=np.float32)
    step = max(1, _VALUES_PER_BLOCK // n_members)
    for start in range(0, n, step):
        members = np.array(predictions[start : start + step].T, dtype=np.float64, order="C")
        is_finite = np.isfinite(members).all(axis=0)
        if not is_finite.all():
            raise ValueError(f"row {start + int(is_finite.argmin())}: a prediction is not finite")
        # To shares of the half width first, so that squares of large units cannot overflow.
        members /= (high - low) / 2.0
        members -= added_up(members) / n_members
        np.square(members, out=members)
        scores[start : start + step] = np.minimum(added_up(members) / n_members, 1.0)
    return scores
