"""Agreement of each pair of annotators on the items both answered."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from datasets.agreement.cohen import Weighting, cohen_kappa
from datasets.consensus.ratings import Ratings

LEAST_SHARED: Final = 8


@dataclass(frozen=True)
class PairAgreement:
    """Two sources, the items both answered, the share on which they agree, and Cohen's kappa (NaN where undefined)."""

    first: int
    second: int
    n: int
    percent: float
    kappa: float


def pair_agreement(
    ratings: Ratings, *, least_shared: int = LEAST_SHARED, most: int | None = None, weighting: Weighting = "none"
) -> list[PairAgreement]:
    """Return every pair with at least `least_shared` items in common, by source positions; or `most` of them, that share most.

    Which pairs those are is one sparse product, O(sum over items of answers squared); each is then counted from its own items.

    >>> ratings = Ratings(np.repeat([0, 1, 2], 2), np.tile([0, 1], 3), np.array([0, 0, 1, 1, 1, 0]), 3, 2, 2)
    >>> pair_agreement(ratings, least_shared=2)
    [PairAgreement(first=0, second=1, n=3, percent=0.6666666666666666, kappa=0.4)]
    """
    classes, shape = ratings.n_classes, (ratings.n_sources, ratings.n_items)
    # One more than the answer: 0 is "did not answer".
    places = (ratings.source, ratings.item)
    said = sparse.csr_matrix((ratings.answer + 1, places), shape=shape)
    met = sparse.csr_matrix((np.ones(len(ratings.item), dtype=np.int64), places), shape=shape)
    shared = sparse.coo_matrix(sparse.triu(met @ met.T, k=1))
    often = np.flatnonzero(shared.data >= least_shared)
    chosen = often[np.lexsort((shared.col[often], shared.row[often], -shared.data[often]))[:most]]
    found = []
    for first, second in sorted(zip(shared.row[chosen].tolist(), shared.col[chosen].tolist(), strict=True)):
        mine, theirs = said[first].toarray()[0], said[second].toarray()[0]
        both = (mine > 0) & (theirs > 0)
        cells = (mine[both] - 1) * classes + theirs[both] - 1
        table = np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.float64)
        n = int(both.sum())
        found.append(
            PairAgreement(first, second, n, float(np.trace(table) / n), cohen_kappa(table, weighting=weighting))
        )
    return found
