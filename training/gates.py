"""What a candidate model must pass before it may replace the champion."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

Outcome = Literal["not_worse", "undecided", "worse", "too_few_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The comparison of two models on the same rows, and what follows from it.

    difference
        Accuracy of the candidate minus that of the champion; None without rows.
    lower_bound
        One-sided lower confidence bound of the true difference (Tango's score interval); -1 without rows.
    gained, lost
        Rows only the candidate, and only the champion, got right. All evidence about the difference is in these.
    p_worse
        One-sided mid-p value of McNemar's test: how surprising so many losses were if the candidate were as good.
    """

    outcome: Outcome
    n: int
    candidate_accuracy: float | None
    champion_accuracy: float | None
    difference: float | None
    lower_bound: float
    gained: int
    lost: int
    p_worse: float

    @property
    def is_passed(self) -> bool:
        return self.outcome == "not_worse"


def not_worse(
    candidate_correct: NDArray[np.bool_],
    champion_correct: NDArray[np.bool_],
    *,
    margin: float = 0.02,
    confidence: float = 0.95,
    min_rows: int = 20,
) -> GateResult:
    """Decide whether the candidate is not worse than the champion, on paired rows neither was trained on.

    "not_worse"     the observed difference is >= 0, or its lower confidence bound lies above -margin;
    "worse"         otherwise, and the loss is significant (mid-p McNemar, one-sided, below 1 - confidence);
    "undecided"     otherwise: the candidate looks worse, and the rows do not tell by how much;
    "too_few_rows"  fewer than `min_rows`: no verdict. Whether to go on without one is the caller's policy.

    Why not the bound alone: on 100 rows with 16 disagreements its half-width is about 7 points, so a non-inferiority
    margin that means anything would refuse nearly every better model. An observed tie or gain on an unbiased holdout is
    the best guess there is, and the bound takes over as rows grow. docs/algorithms/promotion_gate.md has error rates.

    Parameters
    ----------
    candidate_correct, champion_correct
        Shape (n,), whether each model's top class is the true one; row i is the same item in both.
    margin
        In [0, 1): the loss of accuracy that would be acceptable if it were certain to be no larger.
    confidence
        In (0.5, 1), one-sided.
    min_rows
        Smallest n for a verdict, >= 1.

    Raises
    ------
    ValueError
        For different shapes, arrays that are not boolean, or parameters out of range.

    >>> candidate = np.array([True] * 24 + [False] * 6)
    >>> champion = np.array([True] * 20 + [False] * 10)
    >>> result = not_worse(candidate, champion)
    >>> result.outcome, result.gained, result.lost, round(result.difference, 3)
    ('not_worse', 4, 0, 0.133)

    References
    ----------
    Tango: Equivalence Test and Confidence Interval for the Difference in Proportions for the Paired-sample Design.
    Statistics in Medicine 1998. Fagerland, Lydersen, Laake: The McNemar Test for Binary Matched-pairs Data: mid-p and
    Asymptotic Are Better than Exact Conditional. BMC Medical Research Methodology 2013.
    """
    if candidate_correct.ndim != 1 or candidate_correct.shape != champion_correct.shape:
        raise ValueError(f"both models need one answer per row: {candidate_correct.shape}, {champion_correct.shape}")
    if candidate_correct.dtype != np.bool_ or champion_correct.dtype != np.bool_:
        raise ValueError("candidate_correct and champion_correct must be boolean")
    if not 0.0 <= margin < 1.0:
        raise ValueError(f"margin must lie in [0, 1), not be {margin}")
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0.5, 1), not be {confidence}")
    if min_rows < 1:
        raise ValueError(f"min_rows must be at least 1, not {min_rows}")

    n = len(candidate_correct)
    gained = int(np.count_nonzero(candidate_correct & ~champion_correct))
    lost = int(np.count_nonzero(champion_correct & ~candidate_correct))
    lower_bound = difference_lower_bound(gained, lost, n, confidence=confidence)
    p_worse = mcnemar_mid_p(gained, lost)

    outcome: Outcome
    if n < min_rows:
        outcome = "too_few_rows"
    elif gained >= lost or lower_bound > -margin:
        outcome = "not_worse"
    else:
        outcome = "worse" if p_worse < 1.0 - confidence else "undecided"
    return GateResult(
        outcome=outcome,
        n=n,
        candidate_accuracy=float(candidate_correct.mean()) if n else None,
        champion_accuracy=float(champion_correct.mean()) if n else None,
        difference=(gained - lost) / n if n else None,
        lower_bound=lower_bound,
        gained=gained,
        lost=lost,
        p_worse=p_worse,
    )


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """One-sided mid-p value of McNemar's test against "the candidate is at least as good".

    P(X < gained) + P(X = gained) / 2 with X ~ Binomial(gained + lost, 1/2). Small when losses prevail; 0.5 without any
    disagreement.

    >>> round(mcnemar_mid_p(1, 7), 4)
    0.0195
    """
    disagreements = gained + lost
    return float(binom.cdf(gained, disagreements, 0.5) - 0.5 * binom.pmf(gained, disagreements, 0.5))


def difference_lower_bound(gained: int, lost: int, n: int, *, confidence: float) -> float:
    """One-sided lower bound of (accuracy of candidate - accuracy of champion), by Tango's score method.

    The smallest Delta that the score test of "difference = Delta" does not reject:

        (gained - lost - n Delta) / sqrt(n (2 q + Delta (1 - Delta))) = z

    with q the maximum likelihood probability of a loss under that Delta, and z the normal quantile of `confidence`.
    -1 when n = 0.

    >>> round(difference_lower_bound(1, 12, 30, confidence=0.95), 3)
    -0.527
    """
    if n == 0:
        return -1.0
    z = float(norm.ppf(confidence))

    def surplus(delta: float) -> float:
        """The score statistic minus z, times its standard error: falls with delta, and is defined at both ends."""
        linear = -gained - lost + (2 * n - gained + lost) * delta
        constant = -lost * delta * (1 - delta)
        q = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = max(n * (2 * q + delta * (1 - delta)), 0.0)
        return gained - lost - n * delta - z * math.sqrt(variance)

    if lost == n:
        return -1.0
    # Without losses, the surplus is zero at the observed difference as well, which is not the end of the interval.
    just_below_observed = (gained - lost) / n - 1e-9
    return float(brentq(surplus, -1.0, just_below_observed, xtol=1e-12))
