"""Copying: sources that agree with each other where the others, who agree among themselves, do not agree with them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import binom, norm, poisson

from datasets.consensus.evidence import Evidence
from datasets.consensus.ratings import ratings_of
from datasets.consensus.source_quality.suggestion import nats_of

LEAST_SHARED: Final = 8
LEAST_RATE: Final = 0.96
"""Of the items that two sources share: who agrees on fewer is no copy."""

BEYOND_DOUBT_NATS: Final = 6.9


def copying(
    evidence: Evidence, *, least_shared: int = LEAST_SHARED, least_rate: float = LEAST_RATE
) -> NDArray[np.float64]:
    """Return how strongly the answers speak for each source being one of a group that copies; nats, shape (n_sources,).

    Intuition. Two people who are nearly always right agree nearly always, too. But others then agree with them at least as
    often as with each other. Whoever copies a wrong answer agrees with the copies and not with the rest. So for each source with
    twins (`least_rate` of at least `least_shared` common items the same) the answers of all who are no twins are the jury, in
    which everybody who has g twins of their own counts 1 / (1 + g): a group of copies is one voice.

        copies    Poisson test: more twins than there would be by chance, at the rate at which the jury agrees with the source
        deviates  z test: the jury agrees with the source less often than with itself, on the same items

    The first counts, as -log p, as far as the second is beyond doubt (p < 0.001), else the weaker of the two. No belief about the items is used, and the
    group may be most of the sources, as long as others answered its items. Where nobody else did, nothing can be said, and it is 0.

    Cost: a sparse product, O(K sum over items of answers squared), and O(answers of the twins) for each source that has any.
    """
    said = ratings_of(evidence)
    sources, items, classes = evidence.n_sources, evidence.n_items, evidence.n_classes
    one = np.ones(len(said.item))
    met = sparse.csr_matrix((one, (said.source, said.item)), shape=(sources, items))
    named = sparse.csr_matrix((one, (said.source, said.item * classes + said.answer)), shape=(sources, items * classes))
    shared = sparse.coo_matrix(met @ met.T)
    known = (shared.row != shared.col) & (shared.data >= least_shared)
    first, second, common = shared.row[known], shared.col[known], shared.data[known]
    is_twin = np.asarray(sparse.csr_matrix(named @ named.T)[first, second]).reshape(-1) >= least_rate * common
    twins: dict[int, list[int]] = {}
    for one_of, other in zip(first[is_twin].tolist(), second[is_twin].tolist(), strict=True):
        twins.setdefault(one_of, [one_of]).append(other)
    voice = np.array([1.0 / len(twins.get(source, [source])) for source in range(sources)])

    def by_item(chosen: list[int] | slice, power: int) -> NDArray[np.float64]:
        """What these say of each item, each with the power of their voice; shape (items, K)."""
        return np.asarray(voice[chosen] ** power @ named[chosen]).reshape(items, classes)

    votes, squares = by_item(slice(None), 1), by_item(slice(None), 2)
    found = np.zeros(sources)
    for source, group in twins.items():
        group_says = by_item(group, 0)
        there = group_says.any(axis=1)
        answer = np.eye(classes)[group_says[there].argmax(axis=1)]
        jury, jury_squares = ((whole - by_item(group, power))[there] for whole, power in ((votes, 1), (squares, 2)))
        found[source] = _nats(jury, jury_squares, answer, common[first == source], len(group) - 1, least_rate)
    return found


def _nats(
    jury: NDArray[np.float64],
    squares: NDArray[np.float64],
    answer: NDArray[np.float64],
    common: NDArray[np.float64],
    twins: int,
    least_rate: float,
) -> float:
    votes = jury.sum(axis=1)
    heard = votes > 1e-9
    pairs = float((votes**2 - squares.sum(axis=1)).sum())
    if pairs <= 1e-9:
        return 0.0
    with_itself = float((jury**2 - squares).sum()) / pairs
    # An item counts once, however many answered it: what is said of one item is not independent.
    shares = (jury * answer).sum(axis=1)[heard] / votes[heard]
    items = len(shares)
    rate = (float(shares.sum()) + 1.0) / (items + 2.0)
    by_chance = float(np.sum(binom.sf(np.ceil(least_rate * common) - 1.0, common, rate)))
    error = (max(float(shares.var()), 1.0 / (items + 1.0)) / items) ** 0.5
    copies, deviates = nats_of(
        np.array([poisson.sf(twins - 1, by_chance), norm.sf((with_itself - float(shares.mean())) / error)])
    ).tolist()
    return float(copies if deviates >= BEYOND_DOUBT_NATS else min(copies, deviates))
