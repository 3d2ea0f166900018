"""AIPW (active inference): the model's own guess for every item, corrected by the observed ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from datasets.estimation import lure
from datasets.estimation.interval import MeanEstimate, finite_column, normal_interval, probability_column


def estimate(
    values: NDArray[np.floating],
    is_observed: NDArray[np.bool_],
    inclusion: NDArray[np.floating],
    guesses: NDArray[np.floating],
    *,
    power: float | None = 1.0,
    confidence: float = 0.95,
) -> MeanEstimate:
    """Estimate a population mean from independent draws, with a guess for every item as control variate.

        theta = (1 / N) sum_i [ lambda f_i + (y_i - lambda f_i) xi_i / pi_i ],   se = sd of the bracket / sqrt(N)

    For the accuracy of a model, y_i says whether it was right and f_i is the probability it gave its answer.

    Parameters
    ----------
    values
        Shape (N,): outcomes y_i; ignored where `is_observed` is False, but must be finite.
    is_observed
        Shape (N,), boolean: xi_i.
    inclusion
        Shape (N,), pi_i in (0, 1]: the probability with which each item was to be observed.
    guesses
        Shape (N,): f_i, from a model that was not trained on these outcomes.
    power
        lambda: 1 trusts the guesses, 0 is Horvitz-Thompson. None: the lambda of least variance, estimated from the
        observed items and held within [0, 1]; use it for guesses that may be badly calibrated.

    Returns
    -------
    The estimate; unbiased for a fixed power, whatever the guesses; asymptotically so for a tuned one.

    Raises
    ------
    ValueError
        For N = 0, shapes that do not fit, a mask that is not boolean, or naming the first bad row.

    >>> y, seen = np.array([1.0, 0.0, 1.0, 0.0]), np.array([True, True, False, False])
    >>> round(estimate(y, seen, np.full(4, 0.5), np.array([0.9, 0.2, 0.8, 0.1])).value, 6)
    0.45

    References
    ----------
    Zrnic, Candès: Active Statistical Inference. ICML 2024. Robins, Rotnitzky, Zhao: Estimation of Regression
    Coefficients When Some Regressors Are Not Always Observed. JASA 1994. Angelopoulos, Duchi, Zrnic: PPI++. 2023 (power).
    """
    outcomes = finite_column("values", values)
    population = len(outcomes)
    chances = probability_column("inclusion", inclusion, population)
    says = finite_column("guesses", guesses, population)
    observed = np.asarray(is_observed)
    if observed.dtype != np.bool_ or observed.shape != (population,):
        raise ValueError(f"is_observed must be boolean of the shape ({population},)")
    if not population:
        raise ValueError("an empty population has no mean")
    inverse = np.where(observed, 1.0 / chances, 0.0)
    known = np.where(observed, outcomes, 0.0) * inverse
    control = says * (1.0 - inverse)
    if power is None:
        power = _least_variance(known, control)
    bracket = known + power * control
    error = float(bracket.std()) / population**0.5
    return normal_interval(float(bracket.mean()), error, int(observed.sum()), confidence=confidence)


def estimate_of_draws(
    values: NDArray[np.floating],
    index: NDArray[np.integer],
    propensity: NDArray[np.floating],
    guesses: NDArray[np.floating],
    *,
    cohort: NDArray[np.integer] | None = None,
    arrivals: Sequence[tuple[int, int]] = (),
    confidence: float = 0.95,
) -> MeanEstimate:
    """Estimate a population mean from draws without replacement, with a guess for every item as control variate.

        theta = (1 / N) sum_i f_i + LURE of (y_m - f_m)

    Parameters
    ----------
    values
        Shape (M,), in draw order: outcomes y_m.
    index
        Shape (M,): positions of the drawn items among all N.
    propensity
        Shape (M,): q_m, the probability of the drawn item among those left at its draw.
    guesses
        Shape (N,): f_i, from a model that was not trained on these outcomes.
    cohort, arrivals
        As in `lure.estimate_of_rounds`, for a pool that grew between the draws; without them it was whole from the start.

    Returns
    -------
    The estimate: unbiased whatever the guesses; they sharpen it where they are near the outcomes. The standard error is
    that of LURE, since the mean of the guesses is known.

    Raises
    ------
    ValueError
        As LURE, or naming the first guess that is not finite, or for a position that is none.

    >>> right, f = np.array([1.0, 0.0]), np.array([0.9, 0.1, 0.5, 0.7])
    >>> round(estimate_of_draws(right, np.array([0, 1]), np.array([0.25, 1 / 3]), f).value, 6)
    0.55

    References
    ----------
    Kossen, Farquhar, Gal, Rainforth: Active Testing. ICML 2021 (LURE for evaluation); Zrnic, Candès: Active Statistical
    Inference. ICML 2024 (sequential draws, guesses as control variate).
    """
    outcomes, says = finite_column("values", values), finite_column("guesses", guesses)
    if len(index) and not 0 <= index.min() <= index.max() < len(says):
        raise ValueError(f"index must hold positions among {len(says)} guesses")
    rest = outcomes - says[index]
    corrected = (
        lure.estimate(rest, propensity, population=len(says), confidence=confidence)
        if cohort is None
        else lure.estimate_of_rounds(rest, propensity, cohort, arrivals, confidence=confidence)
    )
    mean = float(says.mean())
    return replace(corrected, value=corrected.value + mean, low=corrected.low + mean, high=corrected.high + mean)


def _least_variance(known: NDArray[np.float64], control: NDArray[np.float64]) -> float:
    """The lambda that makes known + lambda * control vary least, within [0, 1]."""
    variance = float(control.var())
    if variance == 0.0:
        return 1.0
    covariance = float(((known - known.mean()) * (control - control.mean())).mean())
    return min(max(-covariance / variance, 0.0), 1.0)
