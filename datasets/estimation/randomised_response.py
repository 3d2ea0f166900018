"""k-ary randomised response: the true shares of answers from answers that were randomised before they were sent."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

FEWEST_ANSWERS: Final = 500
"""With fewer the noise is wider than anything worth telling, and single answers show through."""


class TooFewAnswers(ValueError):
    """So few randomised answers are not to be estimated from."""

    def __init__(self, n: int, fewest: int) -> None:
        super().__init__(f"{n} randomised answers are too few to estimate from; at least {fewest} are needed")
        self.n, self.fewest = n, fewest


@dataclass(frozen=True, slots=True)
class Channel:
    """What is reported of a true answer: itself with probability `keep`, each of the k - 1 others with `flip`."""

    keep: float
    flip: float
    k: int

    @property
    def gain(self) -> float:
        """keep - flip in (0, 1): the slope of the reported share over the true one."""
        return self.keep - self.flip

    def matrix(self) -> NDArray[np.float64]:
        """Shape (k, k), rows sum to 1: row i is the distribution of what is reported when i is true."""
        return np.full((self.k, self.k), self.flip) + np.eye(self.k) * self.gain


@dataclass(frozen=True, slots=True)
class Shares:
    """Estimated shares of k answers.

    values
        Shape (k,), sum 1. Unbiased, so some may be negative or above 1; `shown` is for the eye.
    covariance
        Shape (k, k), of `values`.
    low, high
        Shape (k,): a confidence interval for each share on its own.
    n
        Reported answers they rest on.
    """

    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int

    @property
    def shown(self) -> NDArray[np.float64]:
        """The nearest shares that are none below 0, for display only: they are biased."""
        return project_to_simplex(self.values)


def channel(epsilon: float, k: int) -> Channel:
    """Return the probabilities of k-ary randomised response with privacy loss `epsilon`.

        keep = e^epsilon / (e^epsilon + k - 1),  flip = 1 / (e^epsilon + k - 1)

    Parameters
    ----------
    epsilon
        > 0 and finite: no answer is more than e^epsilon times as likely under one truth as under another.
    k
        Possible answers, >= 2.

    Raises
    ------
    ValueError
        For an epsilon or k out of range.

    >>> said = channel(1.0, 3)
    >>> f"{said.keep:.6f} {said.flip:.6f}"
    '0.576117 0.211942'

    References
    ----------
    Warner: Randomized Response. JASA 1965. Kairouz, Bonawitz, Ramage: Discrete Distribution Estimation under Local Privacy.
    ICML 2016.
    """
    if not (0.0 < epsilon < math.inf):
        raise ValueError(f"epsilon must be positive and finite, not {epsilon}")
    if k < 2:
        raise ValueError(f"there must be at least 2 possible answers, not {k}")
    # In powers of e^-epsilon, which does not overflow.
    rest = math.exp(-epsilon)
    whole = 1.0 + (k - 1) * rest
    return Channel(keep=1.0 / whole, flip=rest / whole, k=k)


def epsilon_of(keep: float, k: int) -> float:
    """Return the privacy loss of a mechanism that keeps the true answer with that probability: the way back.

        epsilon = ln(keep (k - 1) / (1 - keep))

    Raises ValueError unless 1 / k < keep < 1: at 1 / k nothing is said, at 1 nothing is hidden.

    >>> round(epsilon_of(0.75, 2), 6) == round(math.log(3), 6)
    True
    """
    if k < 2:
        raise ValueError(f"there must be at least 2 possible answers, not {k}")
    if not 1.0 / k < keep < 1.0:
        raise ValueError(f"keep must lie in (1/{k}, 1), not be {keep}")
    return math.log(keep * (k - 1) / (1.0 - keep))


def estimate(
    counts: NDArray[np.integer], *, epsilon: float, confidence: float = 0.95, fewest: int = FEWEST_ANSWERS
) -> Shares:
    """Estimate the true shares from counts of reported answers, all randomised with one epsilon.

        f = (c / n - flip) / (keep - flip)

    Parameters
    ----------
    counts
        Shape (k,), k >= 2: how often each answer was reported.
    epsilon, confidence, fewest
        As for `estimate_mixture`, of which this is the case of one group.

    >>> said = estimate(np.array([500, 300, 200]), epsilon=1.0)
    >>> [round(float(share), 6) for share in said.values]
    [0.790988, 0.241802, -0.032791]
    """
    reported = np.asarray(counts)
    return estimate_mixture(
        reported[np.newaxis] if reported.ndim == 1 else reported,
        epsilons=np.array([epsilon]),
        confidence=confidence,
        fewest=fewest,
    )


def estimate_mixture(
    counts: NDArray[np.integer],
    *,
    epsilons: NDArray[np.floating],
    confidence: float = 0.95,
    fewest: int = FEWEST_ANSWERS,
) -> Shares:
    """Estimate the true shares from reported answers of which some were randomised more than others.

    Each group g of answers with one epsilon gives an unbiased estimate f_g with d_g = keep_g - flip_g. They are averaged with
    weights that are known before anybody answers, so that the mean is unbiased too:

        f = sum_g w_g f_g,  w_g = n_g d_g^2 / sum_h n_h d_h^2
        variance(f_v) = sum_g w_g^2 l_gv (1 - l_gv) / (n_g d_g^2),  l_gv = flip_g + d_g f_v

    The weights are the most precise ones where all answers are equally frequent. The interval of a share is the score interval:
    all f with |estimate - f| <= z sd(f), which is a quadratic in f; with one group it is Wilson's, stretched by 1 / d.

    Parameters
    ----------
    counts
        Shape (g, k): how often each of the k answers was reported in each group.
    epsilons
        Shape (g,): the privacy loss of each group, > 0.
    confidence
        In (0, 1).
    fewest
        With fewer answers in all, TooFewAnswers.

    Returns
    -------
    `Shares`, whose values sum to 1.

    Raises
    ------
    TooFewAnswers
        Below `fewest` answers, and for none at all.
    ValueError
        For shapes that do not fit, a negative count, an epsilon or confidence out of range.

    Notes
    -----
    Groups without an answer weigh nothing. The covariance is taken at the nearest shares in [0, 1], since only those can be
    true. Answers of one group that no shares explain may leave the quadratic without a root; then the interval is the point
    where it comes nearest, widened to hold the estimate.
    """
    reported, losses = _checked(counts, epsilons, confidence)
    sizes = reported.sum(axis=1)
    if int(sizes.sum()) < max(fewest, 1):
        raise TooFewAnswers(int(sizes.sum()), max(fewest, 1))
    reported, losses, sizes = reported[sizes > 0], losses[sizes > 0], sizes[sizes > 0]
    k = reported.shape[1]
    channels = [channel(float(each), k) for each in losses]
    flip = np.array([each.flip for each in channels])
    gain = np.array([each.gain for each in channels])
    weight = sizes * gain**2
    weight = weight / weight.sum()
    values = weight @ ((reported / sizes[:, np.newaxis] - flip[:, np.newaxis]) / gain[:, np.newaxis])
    scale = weight**2 / (sizes * gain**2)
    low, high = _score_interval(values, scale, flip, gain, float(norm.ppf((1.0 + confidence) / 2.0)))
    return Shares(values, _covariance(project_to_simplex(values), scale, flip, gain), low, high, int(sizes.sum()))


def standard_error(share: float, n: int, *, epsilon: float, k: int) -> float:
    """Return the standard error that an estimated share will have, sqrt(l (1 - l) / n) / (keep - flip).

    Here l = share keep + (1 - share) flip. For planning: `share` in [0, 1] is a guess, n >= 1 the number of answers.

    >>> f"{standard_error(0.1, 10_000, epsilon=1.0, k=5):.5f}"
    '0.01484'
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share must lie in [0, 1], not be {share}")
    if n < 1:
        raise ValueError(f"there must be at least one answer, not {n}")
    said = channel(epsilon, k)
    reported = said.flip + said.gain * share
    return math.sqrt(reported * (1.0 - reported) / n) / said.gain


def answers_needed(half_width: float, *, epsilon: float, k: int, share: float = 0.5, confidence: float = 0.95) -> int:
    """Return how many randomised answers give a share's normal interval this half width: z^2 variance / half_width^2.

    half_width in (0, 1); share in [0, 1] is a guess, and a half needs the most when k = 2. Rounded up.

    >>> answers_needed(0.03, epsilon=1.0, k=5, share=0.3)
    11399
    """
    if not 0.0 < half_width < 1.0:
        raise ValueError(f"half_width must lie in (0, 1), not be {half_width}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    z = float(norm.ppf((1.0 + confidence) / 2.0))
    return math.ceil((z * standard_error(share, 1, epsilon=epsilon, k=k) / half_width) ** 2)


def project_to_simplex(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the nearest point, by Euclid's distance, whose coordinates are none below 0 and sum to 1.

    Shape (k,), k >= 1, finite. O(k log k). Biased where it moves anything: for display only.

    >>> [round(float(share), 4) for share in project_to_simplex(np.array([0.790988, 0.241802, -0.032791]))]
    [0.7746, 0.2254, 0.0]

    References
    ----------
    Duchi, Shalev-Shwartz, Singer, Chandra: Efficient Projections onto the l1-Ball. ICML 2008.
    """
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not len(column) or not np.isfinite(column).all():
        raise ValueError("values must be a column of finite numbers")
    falling = np.sort(column)[::-1]
    surplus = (np.cumsum(falling) - 1.0) / np.arange(1, len(column) + 1)
    kept = int(np.flatnonzero(falling > surplus)[-1])
    projected: NDArray[np.float64] = np.maximum(column - surplus[kept], 0.0)
    return projected


def _checked(
    counts: NDArray[np.integer], epsilons: NDArray[np.floating], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    reported, losses = np.asarray(counts, dtype=np.float64), np.asarray(epsilons, dtype=np.float64)
    if reported.ndim != 2 or reported.shape[1] < 2 or losses.shape != (len(reported),):
        raise ValueError(
            f"counts must have the shape (g, k >= 2) and epsilons (g,), not {reported.shape}, {losses.shape}"
        )
    is_bad = ~(np.isfinite(reported) & (reported >= 0)).all(axis=1)
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: a count must be finite and >= 0, not {reported[row].tolist()}")
    is_bad = ~(np.isfinite(losses) & (losses > 0))
    if is_bad.any():
        row = int(is_bad.argmax())
        raise ValueError(f"row {row}: epsilon must be positive and finite, not {losses[row]}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1), not be {confidence}")
    return reported, losses


def _covariance(
    shares: NDArray[np.float64], scale: NDArray[np.float64], flip: NDArray[np.float64], gain: NDArray[np.float64]
) -> NDArray[np.float64]:
    reported = flip[:, np.newaxis] + gain[:, np.newaxis] * shares
    return np.diag(scale @ reported) - reported.T @ (scale[:, np.newaxis] * reported)


def _score_interval(
    values: NDArray[np.float64],
    scale: NDArray[np.float64],
    flip: NDArray[np.float64],
    gain: NDArray[np.float64],
    z: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # variance(f) = a + b f - c f^2, so (value - f)^2 = z^2 variance(f) is a quadratic.
    a = float(scale @ (flip * (1.0 - flip)))
    b = float(scale @ (gain * (1.0 - 2.0 * flip)))
    c = float(scale @ gain**2)
    lead = 1.0 + z * z * c
    middle = values + z * z * b / 2.0
    root = np.sqrt(np.maximum(middle**2 - lead * (values**2 - z * z * a), 0.0))
    return np.minimum((middle - root) / lead, values), np.maximum((middle + root) / lead, values)
