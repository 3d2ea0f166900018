"""Groups of sources that agree with each other more than their looking at the same items explains."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from datasets.consensus.evidence import Evidence
from datasets.consensus.ratings import ratings_of

LEAST_SHARED: Final = 8
LEAST_EXCESS: Final = 4.5
"""Standard deviations above the median pair; 3e-6 by chance for one pair."""


LEAST_KAPPA: Final = 0.9
"""Of the agreement that is not usual, the share a pair must have: copying leaves 1, two experts among guessers 0.8, a school less."""


MOST_LEANING: Final = 2.0
"""Standard deviations: nobody is taken to agree with everybody more than this, since a group that meets itself only seems to."""


@dataclass(frozen=True, eq=False)
class Collusion:
    """What was found.

    group
        Shape (n_sources,), int64: number of the group a source belongs to; -1 for none.
    excess
        Shape (n_sources,), float64: the largest standardised excess agreement with anybody; 0 where nobody shares enough items.
    partners
        Shape (n_sources,), int64: with how many others each source was compared; the largest of many is large by chance.
    pairs
        (first, second, shared items, share agreed, share expected, excess) of the pairs over the bar, largest excess first.
    """

    group: NDArray[np.int64]
    excess: NDArray[np.float64]
    partners: NDArray[np.int64]
    pairs: tuple[tuple[int, int, int, float, float, float], ...]


def collusion(
    evidence: Evidence,
    *,
    least_shared: int = LEAST_SHARED,
    least_excess: float = LEAST_EXCESS,
) -> Collusion:
    """Find pairs with excess agreement, and the groups they form.

    Intuition. Two good annotators agree often because both are right; but then both agree often with everybody. So how often a pair agrees is compared with how often
    each of the two agrees with others, by the lower quartile over their partners, which a group of less than three quarters of them cannot move. For each pair
    with `least_shared` items in common,

        expected  e_ij = m + u_i + u_j        m: median over the pairs, u_i: lower quartile over the partners of i, less its median, capped
        kappa = (a_ij - e_ij) / (1 - e_ij),   se = sqrt(e_ij (1 - e_ij) / n_ij) / (1 - e_ij)
        excess = (kappa - median kappa) / sqrt(se^2 + s^2)

    No belief about the items is used: a group that is large enough to be believed is still seen, as long as its members also meet others.
    Honest people err alike on hard items, too: s is the standard deviation between pairs beyond chance, from the
    quarter below the median, since a large group is above it. Medians are over pairs weighted so that each source counts alike. The excess of a pair with kappa below 0.9 counts as 0. Pairs with an excess over the bar are edges; connected components are groups.

    A group whose members meet mostly each other is its own measure, and is not seen. Sources below `least_shared` are not judged.

    Cost: sparse products, O(K sum over items of answers squared).
    """
    said = ratings_of(evidence)
    sources, classes = evidence.n_sources, evidence.n_classes
    shape = (sources, evidence.n_items)
    met = sparse.csr_matrix((np.ones(len(said.item)), (said.source, said.item)), shape=shape)
    shared = sparse.coo_matrix(sparse.triu(met @ met.T, k=1))
    often = shared.data >= least_shared
    first, second, common = shared.row[often], shared.col[often], shared.data[often]
    nobody = Collusion(np.full(sources, -1, dtype=np.int64), np.zeros(sources), np.zeros(sources, dtype=np.int64), ())
    if len(first) < 2:
        return nobody
    agreed = np.zeros(len(first))
    for k in range(classes):
        is_k = said.answer == k
        named = sparse.csr_matrix((np.ones(int(is_k.sum())), (said.source[is_k], said.item[is_k])), shape=shape)
        agreed += _at(sparse.csr_matrix(named @ named.T), first, second)
    rate = agreed / common
    # Each source counts alike, however many partners it has: a large group has most of the pairs, but not most of the sources.
    partners = np.bincount(np.concatenate([first, second]), minlength=sources)
    share = 1.0 / partners[first] + 1.0 / partners[second]
    middle_rate = _quantile(rate, share, 0.5)
    leaning = _leaning(first, second, rate, sources)
    lower, typical = np.nanquantile(leaning, [0.25, 0.5])
    leaning = np.minimum(leaning - typical, MOST_LEANING * (typical - lower) / 0.6745)
    usual = np.clip(middle_rate + leaning[first] + leaning[second], 1.0 / (4.0 * classes), 0.98)
    kappa, variance = (rate - usual) / (1.0 - usual), usual / ((1.0 - usual) * common)
    low, middle = (_quantile(kappa, share, each) for each in (0.25, 0.5))
    # From below: a large group is above the median. Where many guess, experts are, too; they do not reach the least kappa.
    spread = (middle - low) / 0.6745
    between = max(0.0, spread**2 - _quantile(variance, share, 0.5))
    excess = np.where(kappa >= LEAST_KAPPA, (kappa - middle) / np.sqrt(variance + between), 0.0)
    return _groups(nobody, first, second, common, agreed, usual * common, excess, least_excess)


def _quantile(values: NDArray[np.float64], weight: NDArray[np.float64], share: float) -> float:
    """The smallest value up to which the weights make up this share."""
    order = np.argsort(values, kind="stable")
    passed = np.cumsum(weight[order])
    return float(values[order[int(np.searchsorted(passed, share * passed[-1]))]])


def _leaning(
    first: NDArray[np.int32], second: NDArray[np.int32], rate: NDArray[np.float64], sources: int
) -> NDArray[np.float64]:
    """Lower quartile of each source's agreement with its partners; NaN without any."""
    one, both = np.concatenate([first, second]), np.concatenate([rate, rate])
    order = np.lexsort((both, one))
    one, both = one[order], both[order]
    starts, ends = np.searchsorted(one, np.arange(sources)), np.searchsorted(one, np.arange(sources), side="right")
    n = ends - starts
    quartile = np.full(sources, np.nan)
    quartile[n > 0] = both[(starts + (n - 1) // 4)[n > 0]]
    return quartile


def _at(product: sparse.csr_matrix, rows: NDArray[np.int32], columns: NDArray[np.int32]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asarray(product[rows, columns]).reshape(-1)
    return values


def _groups(
    nobody: Collusion,
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    common: NDArray[np.float64],
    agreed: NDArray[np.float64],
    expected: NDArray[np.float64],
    excess: NDArray[np.float64],
    least_excess: float,
) -> Collusion:
    sources = len(nobody.group)
    largest = nobody.excess.copy()
    np.maximum.at(largest, first, excess)
    np.maximum.at(largest, second, excess)
    over = np.flatnonzero(excess >= least_excess)
    over = over[np.argsort(-excess[over], kind="stable")]
    group = nobody.group.copy()
    if len(over):
        edges = sparse.coo_array((np.ones(len(over)), (first[over], second[over])), shape=(sources, sources))
        _, component = connected_components(edges, directed=False)
        members = np.unique(np.concatenate([first[over], second[over]]))
        _, group[members] = np.unique(component[members], return_inverse=True)
    pairs = tuple(
        (
            int(first[p]), int(second[p]), int(common[p]),
            float(agreed[p] / common[p]), float(expected[p] / common[p]), float(excess[p]),
        )
        for p in over
    )  # fmt: skip
    partners = np.bincount(np.concatenate([first, second]), minlength=sources).astype(np.int64)
    return Collusion(group, largest, partners, pairs)
