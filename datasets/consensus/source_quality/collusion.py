"""Groups of sources that agree with each other more than their looking at the same items explains."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from datasets.agreement.ratings import ratings_of
from datasets.consensus.confusion import mean_of
from datasets.consensus.evidence import Evidence
from datasets.consensus.parameters import Parameters

LEAST_SHARED: Final = 8
LEAST_EXCESS: Final = 4.5
"""Robust standard deviations above the median pair; 3e-6 by chance for one pair."""


@dataclass(frozen=True, eq=False)
class Collusion:
    """What was found.

    group
        Shape (n_sources,), int64: number of the group a source belongs to; -1 for none.
    excess
        Shape (n_sources,), float64: the largest standardised excess agreement with anybody; 0 where nobody shares enough items.
    pairs
        (first, second, shared items, share agreed, share expected, excess) of the pairs over the bar, largest excess first.
    """

    group: NDArray[np.int64]
    excess: NDArray[np.float64]
    pairs: tuple[tuple[int, int, int, float, float, float], ...]


def collusion(
    evidence: Evidence,
    posterior: NDArray[np.float32],
    parameters: Parameters,
    *,
    least_shared: int = LEAST_SHARED,
    least_excess: float = LEAST_EXCESS,
) -> Collusion:
    """Find pairs with excess agreement, and the groups they form.

    Intuition. Two good annotators agree often because both are right. Given an item's class they should otherwise err independently. So for each pair with
    `least_shared` items in common,

        expected E = sum over shared items of sum_k q_k sum_l C_kl D_kl        C, D: their confusion matrices
        z = (agreements - E) / sqrt(sum over shared items of e (1 - e))

    Hard items make honest people err alike, too, so z is standardised by the median and the median absolute deviation of
    all pairs. Pairs over the bar are edges; connected components are groups.

    A group that is most of the crowd defines the truth and is not seen. Sources below `least_shared` are not judged.

    Cost: sparse products, O(K sum over items of answers squared).
    """
    said = ratings_of(evidence)
    sources, classes = evidence.n_sources, evidence.n_classes
    shape = (sources, evidence.n_items)
    met = sparse.csr_matrix((np.ones(len(said.item)), (said.source, said.item)), shape=shape)
    shared = sparse.triu(met @ met.T, k=1).tocoo()
    often = shared.data >= least_shared
    first, second, common = shared.row[often], shared.col[often], shared.data[often]
    nobody = Collusion(np.full(sources, -1, dtype=np.int64), np.zeros(sources), ())
    if len(first) < 2:
        return nobody
    agreed = np.zeros(len(first))
    expected, spread = np.zeros(len(first)), np.zeros(len(first))
    confusion = mean_of(parameters.confusion[parameters.places(np.arange(sources))])
    for k in range(classes):
        is_k = said.answer == k
        named = sparse.csr_matrix((np.ones(int(is_k.sum())), (said.source[is_k], said.item[is_k])), shape=shape)
        agreed += _at(named @ named.T, first, second)
        weight = _at(met @ sparse.diags_array(posterior[:, k].astype(np.float64)) @ met.T, first, second)
        alike = np.einsum("pl,pl->p", confusion[first, k], confusion[second, k])
        expected += weight * alike
        spread += weight * alike * (1.0 - alike)
    z = (agreed - expected) / np.sqrt(spread + 0.25)
    middle = float(np.median(z))
    deviation = max(1.0, 1.4826 * float(np.median(np.abs(z - middle))))
    excess = (z - middle) / deviation
    return _groups(nobody, first, second, common, agreed, expected, excess, least_excess)


def _at(
    product: sparse.sparray | sparse.spmatrix, rows: NDArray[np.int32], columns: NDArray[np.int32]
) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.asarray(sparse.csr_array(product)[rows, columns]).reshape(-1)
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
    return Collusion(group, largest, pairs)
