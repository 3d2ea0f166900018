"""Feedback that piles up on one item, model version or segment: sudden shifts of the share of praise, and new accounts behind it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, chi2

NEWEST_SHARE: Final = 0.01


def jensen_shannon(first: ArrayLike, second: ArrayLike) -> float:
    """Return the Jensen-Shannon divergence of two distributions, given as counts or shares; in nats, from 0 to log 2.

    >>> round(jensen_shannon([0.5, 0.3, 0.2], [0.4, 0.35, 0.25]), 6)
    0.005138
    """
    p, q = _shares(first), _shares(second)
    middle = (p + q) / 2.0
    return (_divergence(p, middle) + _divergence(q, middle)) / 2.0


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    if not (np.isfinite(values) & (values >= 0)).all() or not values.sum():
        raise ValueError("counts are not below 0, and one is above")
    shares: NDArray[np.float64] = values / values.sum()
    return shares


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    is_there = p > 0
    return float((p[is_there] * np.log(p[is_there] / q[is_there])).sum())


def shift_p_value(before: ArrayLike, now: ArrayLike) -> float:
    """Return how likely a shift between two sets of answers is by chance alone, given their sizes.

        8 JS / (1/n + 1/m) ~ chi-squared with B - 1 degrees of freedom, without a shift

    A bare threshold on the divergence would fire on every small sample. `before`, `now`: counts over the same B answers. Rough below
    about five answers a cell.

    >>> shift_p_value([90, 10], [45, 5]), shift_p_value([900, 100], [30, 20]) < 1e-5
    (1.0, True)
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError("counts over the same two or more answers")
    divergence = jensen_shannon(first, second)
    return float(chi2.sf(8.0 * max(0.0, divergence) / (1.0 / first.sum() + 1.0 / second.sum()), len(first) - 1))


@dataclass(frozen=True)
class NewAccounts:
    """How much of the negative feedback comes from the newest accounts: share, p-value by chance, and the counts behind it."""

    share: float
    p_value: float
    negative: int
    from_newest: int


def newest_accounts(
    account_age_rank: NDArray[np.float64], is_negative: NDArray[np.bool_], *, newest_share: float = NEWEST_SHARE
) -> NewAccounts:
    """Test whether the newest accounts give more of the negative feedback about a target than of all feedback about it.

        P(Binomial(negative, r) >= negative from newest),    r the newest's share of all feedback here, at least `newest_share`

    Parameters
    ----------
    account_age_rank
        Shape (n,), for each piece of feedback the share of all accounts that are newer than its author's, in [0, 1): small = new.
    is_negative
        Shape (n,).

    Returns
    -------
    NewAccounts; share NaN and p-value 1 without negative feedback.

    >>> rank = np.concatenate([np.full(20, 0.001), np.linspace(0.05, 0.95, 80)])
    >>> found = newest_accounts(rank, np.arange(100) < 25)
    >>> round(found.share, 2), found.p_value < 1e-6
    (0.8, True)
    """
    is_new = account_age_rank < newest_share
    negative, of_new = int(is_negative.sum()), int((is_negative & is_new).sum())
    if not negative:
        return NewAccounts(float("nan"), 1.0, 0, 0)
    positive = ~is_negative
    # By what the newest say otherwise, so that an attack does not raise the rate it is judged by.
    rate = max(newest_share, (float((is_new & positive).sum()) + newest_share) / (float(positive.sum()) + 1.0))
    return NewAccounts(of_new / negative, float(binom.sf(of_new - 1, negative, min(rate, 1.0))), negative, of_new)
