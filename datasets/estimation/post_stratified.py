"""Means of a population that arrived in cohorts, of which the early ones had more chances to be sampled.

Every audit draw is uniform over the items that are there and not yet drawn. So given how many of each cohort (the items
that arrived between the same two draws) were drawn, they are a simple random sample of the cohort, while the plain mean of
all of them leans to early items. Weighting the cohorts by their sizes mends that:

    theta = sum_c (N_c / N) mean_c

with N_c the items of cohort c, drawn or not: a count, for which nothing of the draws has to be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.estimation import prediction_powered as ppi
from datasets.estimation.interval import finite_column, student_interval
from datasets.estimation.moments import Moments, together
from datasets.estimation.overlap import effective_sample_size
from datasets.estimation.wilson import share_interval


@dataclass(frozen=True, slots=True)
class Weighted:
    """A weighted mean with its two-sided confidence interval.

    effective_n
        In [1, n]: so many labels of a population in one cohort would be as precise.
    """

    value: float
    low: float
    high: float
    n: int
    effective_n: float


def strata(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Merge neighbouring cohorts until every one has a label.

    Cohorts without one join the next that has, and the newest without one the last that has: for lack of better, they count
    like their neighbours.

    Parameters
    ----------
    labels
        Shape (C,), labelled items of each cohort in order of arrival, >= 0, one of them > 0.

    Returns
    -------
    Shape (C,), the number of each cohort's stratum, from 0, ascending.

    Raises
    ------
    ValueError
        For a negative count, or where there is no label at all.

    Notes
    -----
    Merging looks at counts only, never at outcomes, but a merged stratum leans to its earlier half again. A higher minimum
    gives narrower intervals and more of that: with 16 labels, a quarter of them in the later of two cohorts of equal size
    that differ by 18 points, the mean was off by 0.3 points (standard error
    0.3) with a minimum of 1, by 0.6 with 2, by 1.2 with 3, by 2.1 with 5 and by 2.8 unweighted.

    >>> strata(np.array([0, 4, 0, 0, 2, 0])).tolist()
    [0, 0, 1, 1, 1, 1]
    """
    counts = np.asarray(labels, dtype=np.int64)
    if counts.ndim != 1 or (counts < 0).any() or not counts.any():
        raise ValueError("labels must be counts of the shape (C,), not all of them 0")
    # The stratum of a cohort begins after the last label before it.
    begun: NDArray[np.int64] = np.cumsum(counts > 0) - (counts > 0)
    return np.minimum(begun, np.count_nonzero(counts) - 1)


def proportion(outcomes: NDArray[np.floating], cohort: NDArray[np.integer], sizes: NDArray[np.integer]) -> Weighted:
    """Estimate a proportion, with the Wilson interval of the effective number of labels.

    With w_i = N_s / (N n_s) for a label of stratum s, p = sum w_i y_i, and

        n_eff = min(1 / sum w_i^2, p (1 - p) / sum w_i^2 (y_i - p)^2)

    the first being Kish's, the second what the linearised variance says: fewer where the heavily weighted strata vary more.

    Parameters
    ----------
    outcomes
        Shape (n,), n >= 1, each 0 or 1.
    cohort
        Shape (n,), the number of each one's cohort in order of arrival.
    sizes
        Shape (C,), N_c: items in each cohort, labelled or not.

    Returns
    -------
    With one stratum, or one that has its share of the labels throughout, exactly `wilson.proportion_interval`. All
    outcomes alike: Kish's number, and one end of the interval at 0 or 1. With one label, n_eff is 1.

    Raises
    ------
    ValueError
        For an outcome that is none, a cohort that does not exist, or more labels than items in one.

    Notes
    -----
    Unbiased but for merged strata (see `strata`). Measured coverage: docs/measurements/estimators.md. No finite
    population correction, for the reason given in `wilson`.

    >>> early, late = [1.0, 1.0, 1.0, 0.0], [0.0, 1.0]
    >>> found = proportion(np.array(early + late), np.array([0, 0, 0, 0, 1, 1]), np.array([50, 50]))
    >>> found.value, round(found.effective_n, 3), round(found.low, 3), round(found.high, 3)
    (0.625, 5.106, 0.25, 0.893)

    References
    ----------
    Holt, Smith: Post Stratification. JRSS A 1979. Kish: Survey Sampling. 1965, section 11.7. Korn, Graubard: Confidence
    Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data. Survey Methodology
    1998 (a binomial interval of the effective number).
    """
    right = finite_column("outcomes", outcomes)
    if not np.isin(right, (0.0, 1.0)).all():
        raise ValueError(f"row {int((~np.isin(right, (0.0, 1.0))).argmax())}: an outcome is 0 or 1")
    relative, _, _ = _relative_weights(cohort, sizes, len(right))
    n = len(right)
    is_alike = right.min() == right.max()
    value = float(right[0]) if is_alike else float((relative * right).sum() / n)
    effective = _effective(relative, right - value, value * (1.0 - value))
    low, high = share_interval(value, effective)
    return Weighted(value, low, high, n, effective)


def prediction_powered(
    values: NDArray[np.floating],
    guesses: NDArray[np.floating],
    cohort: NDArray[np.integer],
    others: Sequence[Moments],
    *,
    power: float | None = None,
) -> Weighted:
    """Estimate a mean as `prediction_powered.estimate` does, each stratum with the guesses for its own other items.

        theta = sum_i w_i x_i,   x_i = y_i - lambda_i (f_i - mean of f over the others of its stratum)
        se^2 = max(s^2 sum w_i^2, r sum w_i^2 (x_i - theta)^2) + mean(lambda)^2 sum_s (N_s / N)^2 Var_s(f) / m_s

    with s^2 = sum w_i (x_i - theta)^2 r, r = 1 / (1 - sum w_i^2), and m_s others in stratum s.

    Parameters
    ----------
    values, guesses
        Shape (n,), n >= 1: outcomes of the sampled items, and what was guessed of each.
    cohort
        Shape (n,), as in `proportion`.
    others
        One for each cohort: the guesses for its items without a label. The cohort's size is their number and its labels.
    power
        lambda, the same for all; None: as in `prediction_powered.powers`.

    Returns
    -------
    With one stratum that of `prediction_powered.estimate`. The quantile is Student's with n_eff - 1 degrees of freedom,
    n_eff being the effective number by the first part of the variance. Where nobody is left in a stratum, its own
    mean counts. One label: an interval without ends.

    Raises
    ------
    ValueError
        For empty columns, no others at all, shapes that do not fit, or naming the first row that is not finite.

    >>> y, f = np.array([1.0, 0.0, 1.0, 1.0]), np.array([0.9, 0.1, 0.9, 0.9])
    >>> cohorts, rest = np.array([0, 0, 0, 1]), [Moments(7, 0.6, 0.1), Moments(9, 0.8, 0.1)]
    >>> round(prediction_powered(y, f, cohorts, rest).value, 4)  # (0.6667 - 0.6333 + 0.6 + 1 - 0.9 + 0.8) / 2
    0.7667

    References
    ----------
    Fisch, Maynez, Hofer, Dhingra, Globerson, Cohen: Stratified Prediction-Powered Inference for Effective Hybrid
    Evaluation of Language Models. NeurIPS 2024. And those of `proportion` and `prediction_powered.estimate`.
    """
    outcomes = finite_column("values", values)
    says, n = finite_column("guesses", guesses, len(outcomes)), len(outcomes)
    rest = together(others)
    if not rest.count:
        raise ValueError("at least one other item is needed")
    counts = _counts(cohort, len(others), n)
    relative, stratum, shares = _relative_weights(cohort, counts + np.array([each.count for each in others]), n)
    of_cohort = strata(counts)
    left = [
        together([each for each, number in zip(others, of_cohort, strict=True) if number == here])
        for here in range(len(shares))
    ]
    has_others = np.array([each.count > 0 for each in left])
    used = np.full(n, power) if power is not None else ppi.powers(outcomes, says, rest)
    used = np.where(has_others[stratum], used, 0.0)
    corrected = outcomes - used * (says - np.array([each.mean for each in left])[stratum])
    value = float((relative * corrected).sum() / n)
    residual = corrected - value
    spread = float((relative * residual**2).sum() / n)
    effective = _effective(relative, residual, spread)
    if effective <= 1.0:
        return Weighted(value, float("-inf"), float("inf"), n, effective)
    kish = effective_sample_size(relative)
    of_labels = spread * kish / (kish - 1.0) / effective
    of_guesses = sum(
        share**2 * each.variance / each.count for share, each in zip(shares, left, strict=True) if each.count
    )
    error = float((of_labels + float(used.mean()) ** 2 * of_guesses) ** 0.5)
    found = student_interval(value, error, n, freedom=effective - 1.0)
    return Weighted(value, found.low, found.high, n, effective)


def _relative_weights(
    cohort: NDArray[np.integer], sizes: NDArray[np.integer], n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """n w_i, shape (n,), 1 throughout with one stratum; the stratum of each label; the share of each stratum."""
    items = np.asarray(sizes, dtype=np.int64)
    counts = _counts(cohort, len(items), n)
    if (items < counts).any():
        number = int((items < counts).argmax())
        raise ValueError(f"cohort {number}: {counts[number]} labels of {items[number]} items")
    of_cohort = strata(counts)
    shares = np.bincount(of_cohort, weights=items) / items.sum()
    labelled = np.bincount(of_cohort, weights=counts)
    stratum = of_cohort[np.asarray(cohort, dtype=np.int64)]
    relative: NDArray[np.float64] = (shares * n / labelled)[stratum]
    return relative, stratum, shares


def _counts(cohort: NDArray[np.integer], cohorts: int, n: int) -> NDArray[np.int64]:
    numbers = np.asarray(cohort, dtype=np.int64)
    if not n or numbers.shape != (n,):
        raise ValueError(f"cohort must have the shape ({n},) with at least one label, not {numbers.shape}")
    if numbers.min() < 0 or numbers.max() >= cohorts:
        raise ValueError(f"a label names a cohort that does not exist, beyond {cohorts}")
    return np.bincount(numbers, minlength=cohorts)


def _effective(relative: NDArray[np.float64], residual: NDArray[np.float64], spread: float) -> float:
    """The smaller of Kish's number and spread / sum w_i^2 residual_i^2; n exactly for equal weights."""
    kish, n = effective_sample_size(relative), len(relative)
    if (relative == relative[0]).all():
        return float(n)
    linearised = float((relative**2 * residual**2).sum()) / n**2
    return min(kish, spread / linearised) if linearised > 0.0 else kish
