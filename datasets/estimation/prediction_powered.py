"""Prediction-powered inference (PPI, PPI++): a uniform sample of outcomes, sharpened by guesses for the rest."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from datasets.estimation.interval import MeanEstimate, finite_column, normal_interval, student_interval
from datasets.estimation.moments import Moments, together

TUNED_FROM: Final = 100
"""With fewer outcomes a tuned power is hardly better than 1, and its interval too narrow: see `estimate`."""


def estimate(
    values: NDArray[np.floating],
    guesses: NDArray[np.floating],
    other_guesses: NDArray[np.floating],
    *,
    power: float | None = None,
    confidence: float = 0.95,
    quantile: Literal["t", "normal"] = "t",
) -> MeanEstimate:
    """Estimate a mean from n uniformly drawn outcomes and the guesses for N other items.

        theta = mean_i [ y_i - lambda_i (f_i - mean(f_other)) ],   se^2 = mean(lambda)^2 Var(f_other) / N + Var_i [..] / n

    Parameters
    ----------
    values, guesses
        Shape (n,), n >= 1: outcomes of the sampled items, and what was guessed of each.
    other_guesses
        Shape (N,), N >= 1: what is guessed of the items that were not sampled.
    power
        lambda, the same for all; 0 is the plain mean. None (PPI++): 1 for n < 100, else Cov(y, f) / ((1 + n / N) Var f)
        within [0, 1], each row's from the other rows.
    quantile
        "t": of Student's t with n - 1 degrees of freedom, variance of the sample with ddof 1. "normal": as in the authors'
        package, with ddof 0; too narrow for small n.

    Returns
    -------
    The estimate: unbiased for every power that does not depend on the row's own outcome. n = 1 with "t": standard error
    NaN, and the interval is all of the real line.

    Raises
    ------
    ValueError
        For empty columns, shapes that do not fit, or naming the first row that is not finite.

    Notes
    -----
    A power that is tuned on the rows it is used for moves with their errors: measured bias +0.9 points with 15 outcomes of
    a model that is right 91% of the time. Where all outcomes are the same their covariance with anything is 0, so the
    power is 0 and the interval a point: tuned intervals covered 50 to 92% of the time with 8 to 80 outcomes, those of
    power 1 with Student's t 91 to 95%; still less where hardly one of the outcomes is expected to be wrong (89% with 15
    outcomes of a model that is right 93% of the time). Measured with drawn digits: docs/measurements/estimators.md.

    >>> y, f = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.9, 0.1, 0.9, 0.9])
    >>> round(estimate(y, f, np.array([0.1, 0.9, 0.9, 0.1]), power=1.0).value, 3)
    0.55

    References
    ----------
    Angelopoulos, Bates, Fannjiang, Jordan, Zrnic: Prediction-Powered Inference. Science 2023. Angelopoulos, Duchi, Zrnic:
    PPI++: Efficient Prediction-Powered Inference. arXiv 2311.01453. Zrnic, Candès: Cross-Prediction-Powered Inference.
    PNAS 2024 (what is fitted must not have seen the row).
    """
    outcomes = finite_column("values", values)
    says = finite_column("guesses", guesses, len(outcomes))
    others = finite_column("other_guesses", other_guesses)
    if not len(outcomes) or not len(others):
        raise ValueError("at least one sampled and one other item are needed")
    n, population = len(outcomes), len(others)
    used = np.full(n, power) if power is not None else powers(outcomes, says, Moments.of(others))
    corrected = outcomes - used * (says - others.mean())
    # One outcome has no spread with ddof 1.
    spread = float(corrected.var(ddof=quantile == "t")) if n > 1 or quantile == "normal" else float("nan")
    error = (float(used.mean()) ** 2 * float(others.var()) / population + spread / n) ** 0.5
    interval = normal_interval if quantile == "normal" else student_interval
    return interval(float(corrected.mean()), error, n, confidence=confidence)


def powers(outcomes: NDArray[np.float64], says: NDArray[np.float64], others: Moments) -> NDArray[np.float64]:
    """The power of each row, shape (n,): 1 for n < 100, else the one of least variance by the other rows, within [0, 1].

    `outcomes` and `says` have the shape (n,) and are finite; `others` are the guesses of the items that were not sampled.
    """
    n = len(outcomes)
    if n < TUNED_FROM:
        return np.ones(n)
    variance = together([Moments.of(says), others]).variance
    if variance == 0.0:
        return np.zeros(n)
    products = (outcomes - outcomes.mean()) * (says - says.mean())
    # Without row i both means move; n / (n - 1) times the row's product is what the sum of products then loses.
    covariance = (products.sum() - n / (n - 1) * products) / (n - 1)
    tuned: NDArray[np.float64] = np.clip(covariance / ((1.0 + n / others.count) * variance), 0.0, 1.0)
    return tuned
