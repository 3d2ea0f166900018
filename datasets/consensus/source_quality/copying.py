"""Copying: sources that agree with each other where the others, who agree among themselves, do not agree with them."""

from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Twins:
    """The twins of one source, and what the jury says.

    closest, shared, same
        Position of the twin with the most items in common, how many these are, and on how many both said the same.
    count
        How many twins there are.
    jury_with_them, jury_with_itself
        Shares of agreement, on the items of the group; NaN where nobody else answered them.
    """

    closest: int
    shared: int
    same: int
    count: int
    jury_with_them: float
    jury_with_itself: float


@dataclass(frozen=True, eq=False)
class Copying:
    """What was found: nats of each source, shape (n_sources,), and by source its twins, where it has any."""

    nats: NDArray[np.float64]
    twins: dict[int, Twins]


def copying(evidence: Evidence, *, least_shared: int = LEAST_SHARED, least_rate: float = LEAST_RATE) -> Copying:
    """Say how strongly the answers speak for each source being one of a group that copies.

    Intuition. Two people who are nearly always right agree nearly always, too. But others then agree with them at least as
    often as with each other. Whoever copies a wrong answer agrees with the copies and not with the rest. So for each source with
    twins (`least_rate` of at least `least_shared` common items the same) the answers of all who are no twins are the jury, in
    which everybody who has g twins of their own counts 1 / (1 + g): a group of copies is one voice.

        copies    Poisson test: more twins than there would be by chance, at the rate at which the jury agrees with the group
        deviates  z test: the jury agrees with the group less often than with itself, on the same items

    The first counts, as -log p, as far as the second is beyond doubt (p < 0.001), else the weaker of the two. No belief about the items is used, and the
    group may be most of the sources, as long as others answered its items. Where nobody else did, nothing can be said, and it is 0.

    Cost: a sparse product, O(K sum over items of answers squared), and O(K items) for each source that has twins.
    """
    said = ratings_of(evidence)
    sources, items, classes = evidence.n_sources, evidence.n_items, evidence.n_classes
    one = np.ones(len(said.item))
    met = sparse.csr_matrix((one, (said.source, said.item)), shape=(sources, items))
    named = sparse.csr_matrix((one, (said.source, said.item * classes + said.answer)), shape=(sources, items * classes))
    shared = sparse.coo_matrix(met @ met.T)
    known = (shared.row != shared.col) & (shared.data >= least_shared)
    first, second, common = shared.row[known], shared.col[known], shared.data[known]
    same = np.asarray(sparse.csr_matrix(named @ named.T)[first, second]).reshape(-1)
    is_twin = same >= least_rate * common
    groups: dict[int, list[int]] = {}
    for pair in np.flatnonzero(is_twin).tolist():
        groups.setdefault(int(first[pair]), []).append(pair)
    voice = np.array([1.0 / (1.0 + len(groups.get(source, ()))) for source in range(sources)])

    def by_item(chosen: list[int] | slice, power: int) -> NDArray[np.float64]:
        """What these say of each item, each with the power of their voice; shape (items, K)."""
        return np.asarray(voice[chosen] ** power @ named[chosen]).reshape(items, classes)

    votes, squares = by_item(slice(None), 1), by_item(slice(None), 2)
    nats, twins = np.zeros(sources), {}
    for source, pairs in groups.items():
        group = [source, *second[pairs].tolist()]
        group_says = by_item(group, 0)
        there = group_says.any(axis=1)
        answer = np.eye(classes)[group_says[there].argmax(axis=1)]
        jury = _Jury((votes - by_item(group, 1))[there], (squares - by_item(group, 2))[there], answer)
        nats[source] = jury.nats(common[first == source], len(pairs), least_rate)
        closest = max(pairs, key=lambda pair: (common[pair], -second[pair]))
        twins[source] = Twins(
            int(second[closest]), int(common[closest]), int(same[closest]), len(pairs), jury.with_them, jury.with_itself
        )
    return Copying(nats, twins)


class _Jury:
    """What those say of a group's items who are no twins: votes and sums of squared voices, shape (n, K), and the group's answers."""

    def __init__(self, votes: NDArray[np.float64], squares: NDArray[np.float64], answer: NDArray[np.float64]) -> None:
        total = votes.sum(axis=1)
        heard = total > 1e-9
        pairs = float((total**2 - squares.sum(axis=1)).sum())
        # An item counts once, however many answered it: what is said of one item is not independent.
        self.shares = (votes * answer).sum(axis=1)[heard] / total[heard]
        self.with_them = float(self.shares.mean()) if heard.any() else float("nan")
        self.with_itself = float((votes**2 - squares).sum()) / pairs if pairs > 1e-9 else float("nan")

    def nats(self, common: NDArray[np.float64], twins: int, least_rate: float) -> float:
        if np.isnan(self.with_itself):
            return 0.0
        items = len(self.shares)
        rate = (float(self.shares.sum()) + 1.0) / (items + 2.0)
        by_chance = float(np.sum(binom.sf(np.ceil(least_rate * common) - 1.0, common, rate)))
        error = (max(float(self.shares.var()), 1.0 / (items + 1.0)) / items) ** 0.5
        copies, deviates = nats_of(
            np.array([poisson.sf(twins - 1, by_chance), norm.sf((self.with_itself - self.with_them) / error)])
        ).tolist()
        return float(copies if deviates >= BEYOND_DOUBT_NATS else min(copies, deviates))
