"""Sources that always say the same: the pattern that agreement cannot see when the same is often right."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import binom

LEAST_ANSWERS: Final = 15


def answer_entropy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each source's answers in nats, over that of the commonest possible: log K. Shape (S, K) -> (S,).

    In [0, 1]: 0 always the same answer, 1 all equally often. NaN without answers.

    >>> answer_entropy(np.array([[8.0, 0.0], [4.0, 4.0]])).tolist()
    [0.0, 1.0]
    """
    n = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, n, out=np.full_like(counts, np.nan), where=n > 0)
    entropy: NDArray[np.float64] = -xlogy(shares, shares).sum(axis=1) / np.log(counts.shape[1]) + 0.0
    return entropy


def longest_run(answers: NDArray[np.int64]) -> tuple[int, int]:
    """Return the length of the longest run of one answer, and that answer; (0, -1) without answers.

    >>> longest_run(np.array([1, 1, 0, 0, 0, 1]))
    (3, 0)
    """
    if not len(answers):
        return 0, -1
    starts = np.flatnonzero(np.concatenate([[True], answers[1:] != answers[:-1]]))
    lengths = np.diff(np.append(starts, len(answers)))
    longest = int(lengths.argmax())
    return int(lengths[longest]), int(answers[starts[longest]])


def run_p_value(run: int, n: int, base_rate: float) -> float:
    """Return the chance of a run of `run` or more of an answer within n independent answers that are it at `base_rate`.

    By the exact recursion over the place where the first such run ends; O(n). For run = n it is base_rate ** n.

    >>> f"{run_p_value(20, 20, 0.6):.1e}", run_p_value(3, 2, 0.6)
    ('3.7e-05', 0.0)

    References
    ----------
    Feller: An Introduction to Probability Theory and Its Applications I, XIII.7.
    """
    if not (0 <= base_rate <= 1 and run >= 1):
        raise ValueError("a base rate from 0 to 1, and a run of at least one")
    if n < run:
        return 0.0
    first = base_rate**run
    # without[m] = chance of no such run within m answers
    without = np.ones(n + 1)
    without[run] = 1.0 - first
    for m in range(run + 1, n + 1):
        without[m] = without[m - 1] - without[m - run - 1] * (1.0 - base_rate) * first
    return float(min(1.0, max(0.0, 1.0 - without[n])))


@dataclass(frozen=True, eq=False)
class Invariability:
    """One row per source.

    p_value
        In [0, 1]: how likely an honest source would name its favourite answer so often; 1 with fewer than 15 answers.
    favourite
        The answer it names most.
    """

    p_value: NDArray[np.float64]
    favourite: NDArray[np.int64]


def invariability(counts: NDArray[np.float64], base_rates: NDArray[np.float64] | None = None) -> Invariability:
    """Compare how often each source names its favourite answer with how often it is named by all others.

        p_w = min over k of min(1, K P(Binomial(n_w, max(b_k, b_k + 2 sd)) >= n_wk))

    A base rate is what others say, leaving the source out (or `base_rates`), and is raised by the standard deviation between honest
    sources, estimated from the middle half of them: people differ in habits, and a habit is no fraud.

    Parameters
    ----------
    counts
        Shape (S, K): how often each source named each class.
    base_rates
        Shape (K,), what is expected; None: what the others say.

    Returns
    -------
    Invariability; O(S K).

    >>> counts = np.array([[12.0, 8.0]] * 10 + [[20.0, 0.0]])
    >>> found = invariability(counts)
    >>> found.p_value.round(4).tolist()[-2:], found.favourite.tolist()[-1]
    ([0.8722, 0.0001], 0)
    """
    total = counts.sum(axis=1)
    sources, classes = counts.shape
    pooled = counts.sum(axis=0)
    others = pooled[None, :] - counts
    n_others = np.maximum(others.sum(axis=1, keepdims=True), 1.0)
    base = others / n_others if base_rates is None else np.tile(np.asarray(base_rates, dtype=np.float64), (sources, 1))
    ample = total >= LEAST_ANSWERS
    spread = _spread(counts[ample], total[ample]) if ample.sum() >= 4 else np.zeros(classes)
    raised = np.clip(base + 2.0 * spread, 1e-9, 1.0 - 1e-9)
    chance = binom.sf(counts - 1.0, total[:, None], raised)
    p_value = np.minimum(1.0, classes * chance.min(axis=1))
    return Invariability(np.where(ample, p_value, 1.0), counts.argmax(axis=1).astype(np.int64))


def _spread(counts: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation between sources beyond that of chance, from quartiles, so that frauds do not widen it."""
    shares = counts / total[:, None]
    low, high = np.quantile(shares, [0.25, 0.75], axis=0)
    mean = np.median(shares, axis=0)
    observed = ((high - low) / 1.349) ** 2
    by_chance = np.median(mean * (1.0 - mean) / total[:, None], axis=0)
    return np.sqrt(np.maximum(observed - by_chance, 0.0))
