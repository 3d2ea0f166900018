"""Cohen's kappa: agreement of two annotators beyond what their own habits give by chance."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Weighting = Literal["none", "linear", "quadratic"]


def cohen_kappa(table: NDArray[np.float64], *, weighting: Weighting = "none") -> float:
    """Return 1 - observed disagreement / disagreement by chance, from the table of both annotators' answers.

        kappa = 1 - sum_kl w_kl O_kl / sum_kl w_kl r_k c_l n,   r, c the shares of the rows and columns, n the total

    with w_kl = 1 for k != l ("none"), |k - l| ("linear") or (k - l)^2 ("quadratic"); the latter two for ordered classes.

    Parameters
    ----------
    table
        Shape (K, K), >= 0: how many items the first called k and the second l.

    Returns
    -------
    At most 1; 0 is chance. NaN without items, or if both named one and the same class only.

    >>> round(cohen_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])), 4)
    0.4

    References
    ----------
    Cohen: A coefficient of agreement for nominal scales. 1960. Cohen: Weighted kappa. Psychological Bulletin 1968.
    """
    total = table.sum()
    if not total:
        return float("nan")
    distance = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table)))).astype(np.float64)
    weight = {"none": (distance > 0).astype(np.float64), "linear": distance, "quadratic": distance**2}[weighting]
    chance = float((weight * np.outer(table.sum(axis=1), table.sum(axis=0))).sum() / total)
    return 1.0 - float((weight * table).sum()) / chance if chance else float("nan")
