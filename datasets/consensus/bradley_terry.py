"""Bradley-Terry with ties (Davidson): how good things are, from which of two people preferred."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from datasets.consensus.short_rows import sums_at

PRIOR_DEVIATION: Final = 2.0
LARGEST_EXACT: Final = 2_000
FIRST, SECOND, TIE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Strengths:
    """How good each contestant is.

    strength
        Shape (n,), mean 0, in logits: a lead of 1 wins about 73% of the decided comparisons. 0 for one never compared.
    deviation
        Shape (n,), standard deviation by the curvature of the log posterior; NaN above 2,000 contestants (its inverse is dense).
    tie_log
        log of Davidson's tie parameter nu; -inf if there were no ties.
    """

    strength: NDArray[np.float64]
    deviation: NDArray[np.float64]
    tie_log: float
    has_converged: bool

    def chances(self, first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
        """Chances that the first wins, the second wins, it is a tie; shape (m, 3), rows sum to 1."""
        a, b = self.strength[np.asarray(first)], self.strength[np.asarray(second)]
        logits = np.stack([a, b, self.tie_log + (a + b) / 2.0], axis=-1)
        chances: NDArray[np.float64] = np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))
        return chances


def fit_strengths(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    *,
    n_contestants: int,
    weight: ArrayLike = 1.0,
    prior_deviation: float = PRIOR_DEVIATION,
) -> Strengths:
    """Fit strengths to comparisons by the maximum of the posterior.

        P(first) : P(second) : P(tie) = e^a : e^b : nu e^((a + b) / 2),     a, b ~ N(0, prior_deviation^2)

    The prior keeps one who won all comparisons finite, and those never compared with each other at a common zero.

    Parameters
    ----------
    first, second
        Shape (m,), positions in [0, n_contestants), different in each row.
    outcome
        Shape (m,): 0 the first was preferred, 1 the second, 2 a tie. "Both are bad" is a tie here: it ranks neither above the other.
    weight
        Shape (m,) or one number, >= 0: what a comparison counts (the reliability of who made it).

    Raises
    ------
    ValueError
        Naming the first row that is out of range or compares one with itself.

    The posterior is concave, so there is one maximum; L-BFGS finds it in O(m) a step.

    >>> found = fit_strengths([0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0], n_contestants=2, prior_deviation=100.0)
    >>> round(float(np.exp(found.strength[0] - found.strength[1])), 2)  # 3 of 4: odds of 3
    3.0

    References
    ----------
    Davidson: On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments. JASA 1970.
    """
    a, b, said = (np.asarray(column, dtype=np.int64) for column in (first, second, outcome))
    w = np.broadcast_to(np.asarray(weight, dtype=np.float64), a.shape)
    if not (a.shape == b.shape == said.shape) or a.ndim != 1:
        raise ValueError("first, second and outcome must be columns of the same length")
    good = (
        (np.minimum(a, b) >= 0) & (np.maximum(a, b) < n_contestants) & (a != b) & (said >= 0) & (said <= TIE) & (w >= 0)
    )
    if not good.all():
        raise ValueError(f"row {int(np.argmin(good))} is no comparison of two of {n_contestants} contestants")
    has_ties = bool((w[said == TIE] > 0).any())
    start = np.zeros(n_contestants + 1)

    def negative_log_posterior(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits, chances, nats = _logits(x, a, b, has_ties)
        value = float((w * (nats - logits[np.arange(len(a)), said])).sum())
        pull = chances.copy()
        pull[np.arange(len(a)), said] -= 1.0
        pull *= w[:, None]
        slope = sums_at(a, pull[:, 0] + pull[:, 2] / 2.0, n_contestants + 1)
        slope = slope + sums_at(b, pull[:, 1] + pull[:, 2] / 2.0, n_contestants + 1)
        # Weakly: one imagined tie and one imagined decision keep nu finite.
        slope[-1] = pull[:, 2].sum() + 0.01 * x[-1] if has_ties else 0.0
        slope[:-1] += x[:-1] / prior_deviation**2
        value += float((x[:-1] ** 2).sum()) / (2.0 * prior_deviation**2) + 0.005 * float(x[-1]) ** 2
        return value, slope

    found = minimize(
        negative_log_posterior, start, jac=True, method="L-BFGS-B", options={"maxiter": 1_000, "ftol": 1e-12}
    )
    tie_log = float(found.x[-1]) if has_ties else -np.inf
    strength = found.x[:-1] - (found.x[:-1].mean() if n_contestants else 0.0)
    deviation = _deviation(found.x, a, b, w, has_ties, prior_deviation)
    return Strengths(strength, deviation, tie_log, bool(found.success))


def _logits(
    x: NDArray[np.float64], a: NDArray[np.int64], b: NDArray[np.int64], has_ties: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    tie = x[-1] + (x[a] + x[b]) / 2.0 if has_ties else np.full(len(a), -np.inf)
    logits = np.stack([x[a], x[b], tie], axis=1)
    nats = np.logaddexp(np.logaddexp(x[a], x[b]), tie)
    return logits, np.exp(logits - nats[:, None]), nats


def _deviation(
    x: NDArray[np.float64],
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    w: NDArray[np.float64],
    has_ties: bool,
    prior_deviation: float,
) -> NDArray[np.float64]:
    """From the inverse of the curvature in the strengths, at the tie parameter that was found."""
    size = len(x) - 1
    if size > LARGEST_EXACT:
        return np.full(size, np.nan)
    _, chances, _ = _logits(x, a, b, has_ties)
    # The score of a outcome in (a, b) is (1, 0), (0, 1) or (1/2, 1/2): their variance given the chances.
    mean = chances[:, 0] + chances[:, 2] / 2.0
    variance = w * (chances[:, 0] + chances[:, 2] / 4.0 - mean**2)
    curvature = np.zeros((size, size))
    np.add.at(curvature, (a, a), variance)
    np.add.at(curvature, (b, b), variance)
    np.add.at(curvature, (a, b), -variance)
    np.add.at(curvature, (b, a), -variance)
    curvature[np.diag_indices(size)] += 1.0 / prior_deviation**2
    deviation: NDArray[np.float64] = np.sqrt(np.diag(np.linalg.inv(curvature)))
    return deviation
