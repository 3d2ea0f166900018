"""LURE: a mean over the whole pool from items that were drawn actively, one after the other, without replacement."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datasets.estimation.interval import MeanEstimate, finite_column, normal_interval, probability_column


def weights(propensity: NDArray[np.floating], *, population: int) -> NDArray[np.float64]:
    """Weight each draw so that the weighted mean of the losses is unbiased for the mean over the pool.

        v_m = 1 + (N - M) / (N - m) * (1 / ((N - m + 1) q_m) - 1),   m = 1 .. M

    Parameters
    ----------
    propensity
        Shape (M,), in draw order: q_m in (0, 1], the probability of the drawn item among those left at its draw.
    population
        N >= M: items in the pool before the first draw. All of them need a positive chance as long as they are left.

    Returns
    -------
    Shape (M,), float64; 1 everywhere for uniform draws and for M = N. A weight may be negative when a draw was very
    likely; the sum is M only on average.

    Raises
    ------
    ValueError
        Naming the first row that is no probability, or for N < M.

    >>> weights(np.array([0.3, 0.2, 0.25]), population=10).round(4).tolist()
    [0.4815, 0.6111, 0.5]

    References
    ----------
    Farquhar, Gal, Rainforth: On Statistical Bias In Active Learning: How and When To Fix It. ICLR 2021.
    """
    chances = probability_column("propensity", propensity)
    drawn = len(chances)
    if population < drawn:
        raise ValueError(f"{drawn} draws without replacement do not fit a pool of {population}")
    if drawn == population:
        return np.ones(drawn)
    m = np.arange(1, drawn + 1)
    factor = (population - drawn) / (population - m)
    result: NDArray[np.float64] = 1.0 + factor * (1.0 / ((population - m + 1) * chances) - 1.0)
    return result


def estimate(
    values: NDArray[np.floating], propensity: NDArray[np.floating], *, population: int, confidence: float = 0.95
) -> MeanEstimate:
    """Estimate the mean of the values over a pool of `population` items, by the weights above.

    The standard error is that of the weighted values, sd(v_m y_m) / sqrt(M), times the finite population correction
    sqrt(1 - M / N): draws are weakly dependent, which this leaves out (measured coverage: docs/measurements/estimators.md).
    M = 0 is a ValueError; with M = 1 the standard error is NaN.

    >>> estimate(np.array([1.0, 0.0]), np.array([0.25, 1 / 3]), population=4).value
    0.5
    """
    chances = probability_column("propensity", propensity)
    outcomes = finite_column("values", values, len(chances))
    if not len(outcomes):
        raise ValueError("no draw, no estimate")
    return _interval(weights(chances, population=population) * outcomes, population, confidence)


def estimate_of_rounds(
    values: NDArray[np.floating],
    propensity: NDArray[np.floating],
    cohort: NDArray[np.integer],
    arrivals: Sequence[tuple[int, int]],
    *,
    confidence: float = 0.95,
) -> MeanEstimate:
    """Estimate the mean over a pool that grew between the draws, weighting draws by what they could have drawn.

    A draw says nothing of items that arrived after it. So each cohort of arrivals c, of size N_c, gets its own unbiased
    total from the draws since it arrived: draw m contributes T_m = (labelled of c before m) + 1[i_m in c] y_m / q_m, and
    the T_m are combined with the weights of LURE, a_m proportional to 1 / ((n_m - 1) n_m) with n_m the items left at draw m. Those depend on sizes only,
    never on outcomes, so the combination stays unbiased. With one cohort it is `estimate` exactly.

    Parameters
    ----------
    values, propensity
        Shape (M,), in draw order over all rounds; q_m is among all items left at draw m, of whatever cohort.
    cohort
        Shape (M,), the position in `arrivals` of the drawn item's cohort.
    arrivals
        For each cohort (draws made before it arrived, items in it), in order of arrival; the first one with 0 draws.

    Raises
    ------
    ValueError
        For shapes or sizes that do not fit: a draw of an item that had not arrived, or more draws than items.

    Notes
    -----
    A cohort that arrived after the last draw cannot be estimated: ValueError. See docs/algorithms/active_estimates.md for what the
    service does about skipped and withdrawn tasks.
    """
    chances = probability_column("propensity", propensity)
    outcomes = finite_column("values", values, len(chances))
    cohorts = _checked_cohorts(cohort, arrivals, len(chances))
    sizes = np.array([size for _, size in arrivals], dtype=np.float64)
    starts = np.array([start for start, _ in arrivals])
    drawn, m = len(chances), np.arange(len(chances))
    left = np.array([sizes[starts <= draw].sum() - draw for draw in m])
    if (left < 1).any():
        raise ValueError(f"row {int((left < 1).argmax())}: more draws than items")
    # The weight of the last item's draw would be infinite; it is certain, and says all.
    pull = np.where(left > 1, 1.0 / (np.maximum(left - 1, 1) * left), np.inf)
    contribution = np.zeros(drawn)
    for number, start in enumerate(starts):
        since, inside = slice(int(start), drawn), cohorts == number
        share = pull[since] if np.isfinite(pull[since]).all() else np.isinf(pull[since]).astype(np.float64)
        share = share / share.sum()
        later = share.sum() - np.cumsum(share)
        contribution[since] += inside[since] * outcomes[since] * (share / chances[since] + later)
    population = int(sizes.sum())
    return _interval(contribution * drawn / population, population, confidence)


def _checked_cohorts(cohort: NDArray[np.integer], arrivals: Sequence[tuple[int, int]], drawn: int) -> NDArray[np.int64]:
    cohorts = np.asarray(cohort, dtype=np.int64)
    if not drawn or cohorts.shape != (drawn,):
        raise ValueError(f"cohort must have the shape ({drawn},) with at least one draw, not {cohorts.shape}")
    starts = [start for start, _ in arrivals]
    if not starts or starts[0] != 0 or starts != sorted(starts) or starts[-1] >= drawn:
        raise ValueError("cohorts arrive in order, the first before any draw and the last before the last draw")
    if cohorts.min() < 0 or cohorts.max() >= len(starts):
        raise ValueError("a draw names a cohort that does not exist")
    is_early = np.array(starts)[cohorts] > np.arange(drawn)
    if is_early.any():
        raise ValueError(f"row {int(is_early.argmax())}: drawn before it arrived")
    return cohorts


def _interval(weighted: NDArray[np.float64], population: int, confidence: float) -> MeanEstimate:
    n = len(weighted)
    spread = float(weighted.std(ddof=1)) if n > 1 else float("nan")
    error = spread / n**0.5 * max(1.0 - n / population, 0.0) ** 0.5
    return normal_interval(float(weighted.mean()), error, n, confidence=confidence)
