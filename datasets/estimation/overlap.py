"""Whether logged propensities can carry an estimate at all."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FEWEST_EFFECTIVE: Final = 30.0
"""With fewer effective draws a normal interval is no guide."""
SMALLEST_RATIO: Final = 0.2
"""Below this share of effective draws, a few rows decide the estimate."""
LEAST_REPRESENTED: Final = 0.8
"""Weights average 1 over all possible draws. Draws that average less have not met the items that hold the rest."""

Verdict = Literal["good", "weak", "not_estimable"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Diagnostics of inverse-propensity weights.

    effective_n
        Kish's effective sample size, between 0 and n.
    represented
        Mean of the weights 1 / (q_m * remaining), whose expectation is 1: the share of the pool that the draws stand for, as
        far as they can tell. NaN without draws.
    smallest_relative
        The smallest propensity, in units of the uniform one at the same draw; NaN without draws.
    largest_share
        Share of the total weight that the heaviest draw has; NaN without draws.
    """

    verdict: Verdict
    reason: str
    n: int
    effective_n: float
    represented: float
    smallest_relative: float
    largest_share: float


def effective_sample_size(weights: NDArray[np.floating]) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2: so many unweighted draws would be as precise.

    Parameters
    ----------
    weights
        Shape (n,), >= 0; ValueError naming the first that is not finite or negative. n = 0 or all zero: 0.

    >>> effective_sample_size(np.array([1.0, 1.0, 1.0, 1.0])), effective_sample_size(np.array([1.0, 0.0]))
    (4.0, 1.0)

    References
    ----------
    Kish: Survey Sampling. 1965, section 11.7.
    """
    column = np.asarray(weights, dtype=np.float64)
    is_bad = ~(np.isfinite(column) & (column >= 0))
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: a weight must be finite and >= 0, not {column[row]}")
    largest = float(column.max(initial=0.0))
    if largest == 0.0:
        return 0.0
    scaled = column / largest  # squares of huge weights would overflow
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def diagnose(propensity: NDArray[np.floating], remaining: NDArray[np.integer]) -> Overlap:
    """Judge draws by their propensities.

    Parameters
    ----------
    propensity
        Shape (M,), q_m; NaN where a deterministic rule chose: then the rest had no chance, and nothing can be estimated.
    remaining
        Shape (M,), items that were left at each draw, so that 1 / remaining is the uniform propensity.

    Returns
    -------
    "not_estimable" with a deterministic draw, a propensity that is none, or no draw at all; "weak" with an effective
    sample below 30 or below a fifth of the draws, or when the draws represent less than 80% of the pool; else "good". The reason is a sentence.

    >>> diagnose(np.array([np.nan]), np.array([10])).verdict
    'not_estimable'
    """
    chances, left = np.asarray(propensity, dtype=np.float64), np.asarray(remaining, dtype=np.float64)
    if chances.shape != left.shape or chances.ndim != 1:
        raise ValueError(f"propensity and remaining must have one shape (M,), not {chances.shape}, {left.shape}")
    n = len(chances)

    def said(verdict: Verdict, reason: str, effective: float = 0.0, *shares: float) -> Overlap:
        represented, least, most = shares or (np.nan, np.nan, np.nan)
        return Overlap(verdict, reason, n, effective, float(represented), float(least), float(most))

    if not n:
        return said("not_estimable", "There is no draw yet.")
    if np.isnan(chances).any():
        count = int(np.isnan(chances).sum())
        return said(
            "not_estimable",
            f"{count} of {n} draws were chosen by a rule that gives the other items no chance; only the audit slice can "
            "be estimated from.",
        )
    if ((chances <= 0) | (chances > 1 + 1e-12)).any() or (left < 1).any():
        return said("not_estimable", "Some logged propensities are no probabilities.")
    relative = chances * left
    inverse = 1.0 / relative
    effective, represented = effective_sample_size(inverse), float(inverse.mean())
    shares = (represented, relative.min(), inverse.max() / inverse.sum())
    worth = f"{n} draws are worth {effective:.0f} uniform ones"
    if effective < FEWEST_EFFECTIVE:
        return said("weak", f"The {worth}: too few.", effective, *shares)
    if effective < SMALLEST_RATIO * n:
        return said("weak", f"A few rows decide: {worth}.", effective, *shares)
    if represented < LEAST_REPRESENTED:
        reason = f"The draws stand for {100 * represented:.0f}% of the pool only; the rest had next to no chance."
        return said("weak", reason, effective, *shares)
    return said("good", f"The {worth}.", effective, *shares)
