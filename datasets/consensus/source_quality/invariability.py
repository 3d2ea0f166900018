"""Sources that always say the same: the pattern that agreement cannot see when the same is often right."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import betabinom

from datasets.consensus.evidence import Evidence
from datasets.consensus.parameters import is_statement
from datasets.consensus.short_rows import sums_at
from datasets.consensus.votes import vote_counts

LEAST_ANSWERS: Final = 15


def answers_by_class(evidence: Evidence) -> NDArray[np.float64]:
    """Return how often each source named each class; shape (n_sources, K). Statements only, whatever they weigh."""
    said = is_statement(evidence.kind)
    place = evidence.source[said] * evidence.n_classes + evidence.answer[said]
    counts = np.bincount(place, minlength=evidence.n_sources * evidence.n_classes)
    return counts.reshape(evidence.n_sources, evidence.n_classes).astype(np.float64)


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
    """Compare how often each source names its favourite answer with how often the others name it.

        p_w = min over k of min(1, K P(BetaBinomial(n_w; mean b_k, spread s_k) >= n_wk))

    A base rate b_k is what all others say (or `base_rates`). People differ in habits, and a habit is no fraud: s_k is the standard deviation
    between sources beyond that of chance, estimated from the middle half of them, so that frauds do not widen it. Without
    any spread the law is binomial.

    Parameters
    ----------
    counts
        Shape (S, K): how often each source named each class.
    base_rates
        Shape (S, K), rows sum to 1: what is expected of each source, given the items it had (`expected_answers`); None: what
        all others say of all items.

    Returns
    -------
    Invariability; O(S K).

    >>> counts = np.array([[12.0, 8.0]] * 10 + [[20.0, 0.0]])
    >>> found = invariability(counts)
    >>> found.p_value.round(4).tolist()[-2:], found.favourite.tolist()[-1]
    ([0.8722, 0.0001], 0)
    """
    total = counts.sum(axis=1)
    classes = counts.shape[1]
    others = counts.sum(axis=0)[None, :] - counts
    n_others = np.maximum(others.sum(axis=1, keepdims=True), 1.0)
    base = others / n_others if base_rates is None else np.asarray(base_rates, dtype=np.float64)
    base = np.clip(base, 1e-6, 1.0 - 1e-6)
    ample = total >= LEAST_ANSWERS
    spread = _spread(counts[ample], total[ample], base[ample]) if ample.sum() >= 4 else np.zeros(classes)
    # Mean b and variance s^2 of a Beta law; a spread near 0 is a law so narrow that it is binomial.
    strength = np.clip(base * (1.0 - base) / np.maximum(spread, 1e-4) ** 2 - 1.0, 0.5, 1e6)
    chance = betabinom.sf(counts - 1.0, total[:, None], base * strength, (1.0 - base) * strength)
    p_value = np.clip(classes * chance.min(axis=1), 0.0, 1.0)
    return Invariability(np.where(ample, p_value, 1.0), counts.argmax(axis=1).astype(np.int64))


def expected_answers(evidence: Evidence) -> NDArray[np.float64]:
    """Return how often each class is what most others say of the items each source had; (n_sources, K), rows sum to 1.

    A batch may hold nothing but one class; who names it twenty times in a row is then no fraud. Ties share; two imagined items at the
    shares of all keep every class possible. Statements only. O(n K).
    """
    said = evidence.rows(is_statement(evidence.kind))
    classes = evidence.n_classes
    counts = vote_counts(said)
    overall = (counts.sum(axis=0) + 1.0) / (counts.sum() + classes)
    others = counts[said.item]
    others[np.arange(len(said)), said.answer] -= said.weight
    heard = others.sum(axis=1, keepdims=True) > 1e-9
    # What most others say, not their shares: who is better than the crowd is allowed to be right more often than it.
    first = (others >= others.max(axis=1, keepdims=True, initial=0.0) - 1e-9).astype(np.float64)
    others = np.where(heard, first / np.maximum(first.sum(axis=1, keepdims=True), 1.0), overall)
    expected = np.stack([sums_at(said.source, others[:, k], evidence.n_sources) for k in range(classes)], axis=1)
    expected += 2.0 * overall
    total = expected.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = expected / total
    return shares


def _spread(counts: NDArray[np.float64], total: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation between sources beyond that of chance, from quartiles, so that frauds do not widen it."""
    off = counts / total[:, None] - base
    low, high = np.quantile(off, [0.25, 0.75], axis=0)
    by_chance = np.median(base * (1.0 - base) / total[:, None], axis=0)
    spread: NDArray[np.float64] = np.sqrt(np.maximum(((high - low) / 1.349) ** 2 - by_chance, 0.0))
    return spread
