"""Prediction-powered inference (PPI, PPI++): a uniform sample of outcomes, sharpened by guesses for the rest."""

import numpy as np
from numpy.typing import NDArray

from datasets.estimation.interval import MeanEstimate, finite_column, normal_interval


def estimate(
    values: NDArray[np.floating],
    guesses: NDArray[np.floating],
    other_guesses: NDArray[np.floating],
    *,
    power: float | None = None,
    confidence: float = 0.95,
) -> MeanEstimate:
    """Estimate a mean from n uniformly drawn outcomes and the guesses for N other items.

        theta = lambda mean(f_other) + mean(y - lambda f),  se^2 = lambda^2 Var(f_other) / N + Var(y - lambda f) / n

    Parameters
    ----------
    values, guesses
        Shape (n,), n >= 1: outcomes of the sampled items, and what was guessed of each.
    other_guesses
        Shape (N,), N >= 1: what is guessed of the items that were not sampled.
    power
        lambda; 0 is the plain mean. None (PPI++): Cov(y, f) / ((1 + n / N) Var f), held within [0, 1].

    Returns
    -------
    The estimate. Variances have ddof 0, as in the authors' package.

    Raises
    ------
    ValueError
        For empty columns, shapes that do not fit, or naming the first row that is not finite.

    >>> y, f = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.9, 0.1, 0.9, 0.9])
    >>> round(estimate(y, f, np.array([0.1, 0.9, 0.9, 0.1]), power=1.0).value, 3)
    0.55

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan, Zrnic: Prediction-Powered Inference. Science 2023. Angelopoulos, Duchi, Zrnic:
    PPI++: Efficient Prediction-Powered Inference. arXiv 2311.01453.
    """
    outcomes = finite_column("values", values)
    says = finite_column("guesses", guesses, len(outcomes))
    others = finite_column("other_guesses", other_guesses)
    if not len(outcomes) or not len(others):
        raise ValueError("at least one sampled and one other item are needed")
    n, population = len(outcomes), len(others)
    if power is None:
        power = _tuned(outcomes, says, others)
    rest = outcomes - power * says
    value = power * float(others.mean()) + float(rest.mean())
    error = (power**2 * float(others.var()) / population + float(rest.var()) / n) ** 0.5
    return normal_interval(value, error, n, confidence=confidence)


def _tuned(outcomes: NDArray[np.float64], says: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    variance = float(np.concatenate([says, others]).var())
    if variance == 0.0:
        return 0.0
    covariance = float(((outcomes - outcomes.mean()) * (says - says.mean())).mean())
    return min(max(covariance / ((1.0 + len(outcomes) / len(others)) * variance), 0.0), 1.0)
