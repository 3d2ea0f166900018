"""Answers as all measures of agreement read them: how often each class was named for each item."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence
from datasets.consensus.parameters import is_statement


@dataclass(frozen=True, eq=False)
class Ratings:
    """Answers of sources about items; a source that answered an item again counts with its last answer only.

    item, source, answer
        int64, shape (n,); each pair of item and source at most once.
    """

    item: NDArray[np.int64]
    source: NDArray[np.int64]
    answer: NDArray[np.int64]
    n_items: int
    n_sources: int
    n_classes: int

    def counts(self) -> NDArray[np.float64]:
        """How often each class was named for each item; shape (n_items, K), float64."""
        cells = self.item * self.n_classes + self.answer
        counts = np.bincount(cells, minlength=self.n_items * self.n_classes).reshape(self.n_items, self.n_classes)
        return counts.astype(np.float64)


def ratings_of(evidence: Evidence) -> Ratings:
    """The statements among the evidence (verdicts, which name no class, are left out), the last one of each source and item.

    "Last" is by the order of the rows. O(n log n).

    >>> from datasets.consensus.evidence import evidence
    >>> said = evidence([0, 0, 0], [0, 1, 0], [1, 1, 0], n_items=1, n_sources=2, n_classes=2)
    >>> ratings_of(said).counts().tolist()  # the first source changed its mind
    [[1.0, 1.0]]
    """
    rows = np.flatnonzero(is_statement(evidence.kind))
    pair = evidence.item[rows] * evidence.n_sources + evidence.source[rows]
    # The first of the reversed rows is the last one.
    _, first = np.unique(pair[::-1], return_index=True)
    kept = np.sort(rows[len(rows) - 1 - first])
    return Ratings(
        evidence.item[kept],
        evidence.source[kept],
        evidence.answer[kept],
        evidence.n_items,
        evidence.n_sources,
        evidence.n_classes,
    )
