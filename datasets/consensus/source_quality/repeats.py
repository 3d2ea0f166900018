"""Contradictions: the same source, the same item, another answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from datasets.consensus.evidence import Evidence
from datasets.consensus.parameters import is_statement


@dataclass(frozen=True, eq=False)
class Repeats:
    """One row per source: how often it was asked again, how often it then said something else, and how unlikely that is.

    p_value
        Chance of so many contradictions at the rate of all others; 1 if it was never asked again.
    """

    repeated: NDArray[np.int64]
    contradicted: NDArray[np.int64]
    p_value: NDArray[np.float64]


def repeats(evidence: Evidence) -> Repeats:
    """Count, for each source, answers to items it had answered before, and those that differ from the answer before.

    The rate of all others has one imagined repeat in ten that contradicts, for crowds where hardly anybody was asked twice. Statements
    only. O(n log n).

    >>> from datasets.consensus.evidence import evidence
    >>> said = evidence([0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [0, 1, 1, 0, 1, 1], n_items=2, n_sources=2, n_classes=2)
    >>> found = repeats(said)
    >>> found.repeated.tolist(), found.contradicted.tolist()
    ([2, 1], [2, 0])
    """
    rows = np.flatnonzero(is_statement(evidence.kind))
    order = rows[np.lexsort((rows, evidence.item[rows], evidence.source[rows]))]
    item, source, answer = evidence.item[order], evidence.source[order], evidence.answer[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (item[1:] == item[:-1]) & (source[1:] == source[:-1])
    differs = again.copy()
    differs[1:] &= answer[1:] != answer[:-1]
    repeated = np.bincount(source[again], minlength=evidence.n_sources)
    contradicted = np.bincount(source[differs], minlength=evidence.n_sources)
    rate = (contradicted.sum() - contradicted + 1.0) / (repeated.sum() - repeated + 10.0)
    p_value = np.where(repeated > 0, binom.sf(contradicted - 1, repeated, np.minimum(rate, 1.0)), 1.0)
    return Repeats(repeated.astype(np.int64), contradicted.astype(np.int64), p_value)
