"""How often a source is right: a Beta posterior, from gold answers or from what all others' evidence says."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.layout import layout_of
from datasets.consensus.parameters import Parameters
from datasets.consensus.short_rows import sums_at

LOWER_QUANTILE = 0.05


@dataclass(frozen=True)
class Reliability:
    """A Beta(1 + hits, 1 + misses) posterior of the chance that a source's answer is right.

    >>> nine = Reliability(9, 1)
    >>> round(nine.mean, 4), round(nine.lower, 4)
    (0.8333, 0.6356)
    """

    hits: float
    misses: float

    def __post_init__(self) -> None:
        if not (self.hits >= 0 and self.misses >= 0):
            raise ValueError("hits and misses are not below 0")

    @property
    def mean(self) -> float:
        return (1.0 + self.hits) / (2.0 + self.hits + self.misses)

    @property
    def lower(self) -> float:
        """The 5% quantile: what the source is at least good for. Near 0.05 for one nobody knows."""
        return self.quantile(LOWER_QUANTILE)

    def quantile(self, share: float) -> float:
        return float(betaincinv(1.0 + self.hits, 1.0 + self.misses, share))


def gold_record(evidence: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how many gold items each source got right and wrong; two arrays of shape (n_sources,).

    Verdicts count too: "right" about a prediction equal to the gold answer is a hit, "wrong" about it a miss. An item whose gold answers contradict each other
    judges nobody.
    """
    is_gold = evidence.kind == Kind.GOLD
    low = np.full(evidence.n_items, evidence.n_classes)
    high = np.full(evidence.n_items, -1)
    np.minimum.at(low, evidence.item[is_gold], evidence.answer[is_gold])
    np.maximum.at(high, evidence.item[is_gold], evidence.answer[is_gold])
    truth = np.where(low == high, low, -1)
    rows = evidence.rows(~is_gold & (truth[evidence.item] >= 0) & np.isnan(evidence.epsilon))
    is_hit = _says(rows, truth[rows.item])
    size = evidence.n_sources
    return np.bincount(rows.source[is_hit], minlength=size).astype(np.float64), np.bincount(
        rows.source[~is_hit], minlength=size
    ).astype(np.float64)


def peer_record(evidence: Evidence, parameters: Parameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return expected hits and misses of each source, judging every answer by the evidence of all others.

    For each answer the item's posterior is worked out without it, so nobody is right because they said so themselves:

        q_without(k) ~ q(k) / P(answer | k),      hits += sum of q_without over the classes the answer is compatible with

    Randomised answers judge nobody: they are meant to lie. An item about which nobody else's evidence counts would judge its source by the class
    prior alone, which says nothing of the source; such answers are left out.

    Returns
    -------
    Two float64 arrays of shape (n_sources,); fractions, since the truth is not known. O(n K).
    """
    layout = layout_of(evidence)
    table = parameters.log_likelihood(layout)
    belief = layout.matrix(evidence) @ table + np.log(parameters.class_prior)
    is_gold = evidence.kind == Kind.GOLD
    gold = evidence.rows(is_gold)
    belief[gold.item] = -1e9
    belief[gold.item, gold.answer] = 0.0
    counts = evidence.weight > 0
    heard = np.bincount(evidence.item[counts], minlength=evidence.n_items)
    judged = ~is_gold & np.isnan(evidence.epsilon) & (heard[evidence.item] > counts)
    rows = evidence.rows(judged)
    without = belief[rows.item] - rows.weight[:, None] * table[layout.row_of[judged]]
    without -= without.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(without, out=without)
    without /= without.sum(axis=1, keepdims=True)
    is_verdict = (rows.kind == Kind.THUMB) | (rows.kind == Kind.IMPLICIT)
    of_named = without[np.arange(len(rows)), np.where(is_verdict, rows.predicted, rows.answer)]
    hit = np.where(is_verdict & (rows.answer == 0), 1.0 - of_named, of_named)
    size = evidence.n_sources
    return sums_at(rows.source, hit, size), sums_at(rows.source, 1.0 - hit, size)


def _says(rows: Evidence, truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    is_verdict = (rows.kind == Kind.THUMB) | (rows.kind == Kind.IMPLICIT)
    about = np.where(is_verdict, rows.predicted, rows.answer)
    is_hit: NDArray[np.bool_] = np.where(is_verdict & (rows.answer == 0), about != truth, about == truth)
    return is_hit
