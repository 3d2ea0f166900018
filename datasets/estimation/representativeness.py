"""Whether those who answered are like all who could have: the R-indicator, and the bias that non-response leaves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from datasets.estimation.interval import finite_column


@dataclass(frozen=True, slots=True)
class Representativeness:
    """How alike the groups of a population are in their response propensity.

    mean
        Mean propensity, in [0, 1].
    deviation
        Standard deviation of the propensities over the population, in [0, 1/2].
    indicator
        R = 1 - 2 deviation in [0, 1]: 1 where everybody answers with the same chance.
    variation
        deviation / mean: at most so many standard deviations of an outcome is the mean of those who answered off. NaN where
        nobody answers.
    partial
        Shape (g,): sqrt(share) (propensity - mean), whose squares sum to deviation^2. Below 0: the group is under-represented.
    """

    mean: float
    deviation: float
    indicator: float
    variation: float
    partial: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RIndicator:
    """An R-indicator estimated from counts, with its interval; `adjusted` without what chance alone adds."""

    observed: Representativeness
    adjusted: float
    low: float
    high: float
    n: float


def representativeness(propensities: Sequence[float], sizes: Sequence[float]) -> Representativeness:
    """Compute R-indicator and coefficient of variation from known response propensities of groups.

        R = 1 - 2 S,  S^2 = sum_g share_g (p_g - mean)^2,  mean = sum_g share_g p_g

    Parameters
    ----------
    propensities
        Shape (g,), in [0, 1].
    sizes
        Shape (g,), >= 0, with a positive sum: how large each group is, in any unit.

    Raises
    ------
    ValueError
        For shapes or values out of range, naming the first bad row.

    >>> found = representativeness([0.30, 0.12, 0.05], [0.2, 0.5, 0.3])
    >>> f"{found.mean:.3f} {found.deviation:.6f} {found.indicator:.6f} {found.variation:.6f}"
    '0.135 0.087892 0.824216 0.651052'

    References
    ----------
    Schouten, Cobben, Bethlehem: Indicators for the Representativeness of Survey Response. Survey Methodology 2009. Schouten,
    Shlomo, Skinner: Indicators for Monitoring and Improving Representativeness of Response. JOS 2011 (partial indicators).
    """
    chances, shares = _checked(propensities, sizes)
    mean = float(shares @ chances)
    deviation = math.sqrt(float(shares @ (chances - mean) ** 2))
    return Representativeness(
        mean=mean,
        deviation=deviation,
        indicator=1.0 - 2.0 * deviation,
        variation=deviation / mean if mean else math.nan,
        partial=tuple((np.sqrt(shares) * (chances - mean)).tolist()),
    )


def r_indicator(answered: Sequence[int], asked: Sequence[float], *, confidence: float = 0.95) -> RIndicator:
    """Estimate the R-indicator from how many of each group answered.

    The propensities answered_g / asked_g scatter by chance, which makes equal groups look unequal. What that adds to S^2 is
    known on average and is taken off:

        adjusted S^2 = S^2 - sum_g share_g (1 - share_g) v_g,  v_g = p_g (1 - p_g) / (asked_g - 1)

    The interval is by the delta method: variance(S) = sum_g (share_g (p_g - mean) / S)^2 v_g.

    Parameters
    ----------
    answered
        Shape (g,), in [0, asked].
    asked
        Shape (g,), > 1 each. Not whole where they are sums of weights.
    confidence
        In (0, 1).

    Returns
    -------
    The indicator as observed, adjusted, and its interval in [0, 1] around the adjusted value.

    Raises
    ------
    ValueError
        For shapes or counts out of range, naming the first bad row.

    Notes
    -----
    One group, or propensities that differ by less than chance: adjusted is 1. Where all observed propensities are equal the
    delta method gives no width; the low end then takes what chance may hide, z sqrt(sum_g share_g (1 - share_g) v_g).

    References
    ----------
    Shlomo, Skinner, Schouten: Estimation of an Indicator of the Representativeness of Survey Response. JSPI 2012.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    sizes = finite_column("asked", np.asarray(asked, dtype=np.float64))
    counts = finite_column("answered", np.asarray(answered, dtype=np.float64), len(sizes))
    is_bad = (sizes <= 1.0) | (counts < 0) | (counts > sizes)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(
            f"row {row}: answered must lie in [0, asked] and asked above 1, not {counts[row]} of {sizes[row]}"
        )
    observed = representativeness((counts / sizes).tolist(), sizes.tolist())
    shares, chances = sizes / sizes.sum(), counts / sizes
    noise = chances * (1.0 - chances) / (sizes - 1.0)
    by_chance = float((shares * (1.0 - shares)) @ noise)
    deviation = math.sqrt(max(observed.deviation**2 - by_chance, 0.0))
    z = float(norm.ppf((1.0 + confidence) / 2.0))
    if observed.deviation:
        slope = shares * (chances - observed.mean) / observed.deviation
        error = math.sqrt(float(slope**2 @ noise))
    else:
        error = math.sqrt(by_chance)
    adjusted = 1.0 - 2.0 * deviation
    return RIndicator(
        observed,
        adjusted,
        max(adjusted - 2.0 * z * error, 0.0),
        min(adjusted + 2.0 * z * error, 1.0),
        float(sizes.sum()),
    )


@dataclass(frozen=True, slots=True)
class NonResponse:
    """The mean of an outcome over everybody, over those who answer, and how far the second is off."""

    population_mean: float
    respondent_mean: float
    bias: float


def non_response(propensities: Sequence[float], means: Sequence[float], sizes: Sequence[float]) -> NonResponse:
    """Compute the bias that unequal response leaves in a mean.

        bias = covariance(propensity, outcome) / mean propensity

    Parameters
    ----------
    propensities, sizes
        As for `representativeness`.
    means
        Shape (g,): the mean outcome of each group.

    Raises
    ------
    ValueError
        As `representativeness`, and where nobody answers.

    >>> found = non_response([0.30, 0.12, 0.05], [0.9, 0.7, 0.5], [0.2, 0.5, 0.3])
    >>> f"{found.population_mean:.2f} {found.respondent_mean:.6f} {found.bias:.6f}"
    '0.68 0.766667 0.086667'

    References
    ----------
    Bethlehem: Reduction of Nonresponse Bias through Regression Estimation. JOS 1988.
    """
    chances, shares = _checked(propensities, sizes)
    outcomes = finite_column("means", np.asarray(means, dtype=np.float64), len(chances))
    mean = float(shares @ chances)
    if not mean:
        raise ValueError("the mean of those who answer is undefined when nobody does")
    everybody = float(shares @ outcomes)
    covariance = float(shares @ ((chances - mean) * (outcomes - everybody)))
    return NonResponse(everybody, float(shares @ (chances * outcomes)) / mean, covariance / mean)


def _checked(propensities: Sequence[float], sizes: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chances = finite_column("propensities", np.asarray(propensities, dtype=np.float64))
    weights = finite_column("sizes", np.asarray(sizes, dtype=np.float64), len(chances))
    is_bad = (chances < 0) | (chances > 1) | (weights < 0)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: no propensity in [0, 1] with a size >= 0: {chances[row]}, {weights[row]}")
    total = float(weights.sum())
    if not total:
        raise ValueError("the sizes must have a positive sum")
    return chances, weights / total
