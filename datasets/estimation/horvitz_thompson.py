"""Horvitz-Thompson and Hájek: a mean from independent draws with known, unequal inclusion probabilities."""

import numpy as np
from numpy.typing import NDArray

from datasets.estimation.interval import MeanEstimate, finite_column, normal_interval, probability_column


def horvitz_thompson(
    values: NDArray[np.floating], inclusion: NDArray[np.floating], *, population: int, confidence: float = 0.95
) -> MeanEstimate:
    """Estimate the mean of a population of which each item was observed independently with a known probability.

        theta = (1 / N) sum_observed y_i / pi_i
        variance = (1 / N^2) sum_observed (1 - pi_i) y_i^2 / pi_i^2

    Parameters
    ----------
    values
        Shape (n,): outcomes of the observed items, e.g. 1 where the model was right.
    inclusion
        Shape (n,), pi_i in (0, 1]: the probability with which each was observed.
    population
        N >= n: items that could have been observed.

    Returns
    -------
    The estimate of the mean; unbiased when all N items had pi > 0 and were drawn independently.

    Raises
    ------
    ValueError
        For shapes that do not fit, naming the first row that is not finite or no probability, or for N < max(n, 1).

    Notes
    -----
    n = 0: 0 with standard error 0, which is what the formula says and shows why the audit slice has an interval of its
    own. A value may lie outside the range of the outcomes; `hajek` does not, at the price of a bias of order 1/n.

    >>> horvitz_thompson(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25]), population=8).value
    0.75

    References
    ----------
    Horvitz, Thompson: A Generalization of Sampling Without Replacement From a Finite Universe. JASA 1952.
    """
    outcomes, chances = _checked(values, inclusion, population)
    total = float((outcomes / chances).sum())
    variance = float(((1.0 - chances) * (outcomes / chances) ** 2).sum()) / population**2
    return normal_interval(total / population, variance**0.5, len(outcomes), confidence=confidence)


def hajek(
    values: NDArray[np.floating], inclusion: NDArray[np.floating], *, population: int, confidence: float = 0.95
) -> MeanEstimate:
    """Estimate the same mean as a weighted mean with weights 1 / pi_i, which need not know N exactly.

        theta = sum y_i / pi_i / sum 1 / pi_i,  variance = (1 / W^2) sum (1 - pi_i) (y_i - theta)^2 / pi_i^2

    with W = sum 1 / pi_i. Arguments and errors are those of `horvitz_thompson`; n = 0 is a ValueError, since a weighted
    mean of nothing is undefined.

    >>> hajek(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25]), population=8).value
    0.75

    References
    ----------
    Hájek: Comment on a paper by D. Basu. In: Foundations of Statistical Inference, 1971. Särndal, Swensson, Wretman:
    Model Assisted Survey Sampling. 1992, section 5.7.
    """
    outcomes, chances = _checked(values, inclusion, population)
    if not len(outcomes):
        raise ValueError("a weighted mean needs at least one observation")
    weight = float((1.0 / chances).sum())
    value = float((outcomes / chances).sum()) / weight
    variance = float(((1.0 - chances) * ((outcomes - value) / chances) ** 2).sum()) / weight**2
    return normal_interval(value, variance**0.5, len(outcomes), confidence=confidence)


def _checked(
    values: NDArray[np.floating], inclusion: NDArray[np.floating], population: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    outcomes = finite_column("values", values)
    chances = probability_column("inclusion", inclusion, len(outcomes))
    if population < max(len(outcomes), 1):
        raise ValueError(f"a population of {population} cannot hold {len(outcomes)} observed items")
    return outcomes, chances
