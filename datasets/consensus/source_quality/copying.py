"""Copying: sources that agree with each other more than people can who are as good as all others say."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import binom, poisson

from datasets.consensus.evidence import Evidence
from datasets.consensus.ratings import ratings_of
from datasets.consensus.source_quality.suggestion import nats_of

LEAST_SHARED: Final = 8
LEAST_RATE: Final = 0.96
"""Of the items that two sources share: who agrees on fewer is no copy."""
SURE: Final = 2.33
"""Standard errors; 1% by chance."""


@dataclass(frozen=True, eq=False)
class Twins:
    """The twins of one source, and what the jury says.

    closest, shared, same
        Position of the twin with the most items in common, how many these are, and on how many both said the same.
    count
        How many twins there are.
    at_most
        How often two honest people agree at most who are as good as the jury says; NaN where nobody else answered their items.
    """

    closest: int
    shared: int
    same: int
    count: int
    at_most: float


@dataclass(frozen=True, eq=False)
class Copying:
    """What was found: nats of each source, shape (n_sources,), and by source its twins, where it has any."""

    nats: NDArray[np.float64]
    twins: dict[int, Twins]


def copying(evidence: Evidence, *, least_shared: int = LEAST_SHARED, least_rate: float = LEAST_RATE) -> Copying:
    """Say how strongly the answers speak for each source being one of a group that copies.

    Intuition. Two people who are nearly always right agree nearly always, too: but then all others agree with them as well. So for each source with
    twins (`least_rate` of at least `least_shared` common items the same) the answers of all who are no twins are the jury, in
    which everybody who has g twins of their own counts 1 / (1 + g): a group of copies is one voice. From how often the jury agrees with itself, s, follows
    how good its members are, p, and from how often it agrees with the group, t (its upper 99% bound), how good these are at most, q; so two of
    them who work on their own agree at most e:

        s = p^2 + (1 - p)^2 / (K - 1)       t = p q + (1 - p) (1 - q) / (K - 1)       e = q^2 + (1 - q)^2 / (K - 1)

    The finding is -log p of a Poisson test: more twins than there would be by chance if pairs agreed in e of their items. Where the jury guesses (p = 1 / K)
    nothing follows for q, and e is 1: experts among guessers are no copies. No belief about the items is used, and the group may be most of
    the sources, as long as others answered its items. Where nobody else did, nothing can be said, and it is 0.

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
            int(second[closest]), int(common[closest]), int(same[closest]), len(pairs), jury.most_agreement
        )
    return Copying(nats, twins)


class _Jury:
    """What those say of a group's items who are no twins: votes and sums of squared voices, shape (n, K), and the group's answers."""

    def __init__(self, votes: NDArray[np.float64], squares: NDArray[np.float64], answer: NDArray[np.float64]) -> None:
        self.classes: int = votes.shape[1]
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
        expected = self.most_agreement
        by_chance = float(np.sum(binom.sf(np.ceil(least_rate * common) - 1.0, common, expected)))
        return float(nats_of(np.array([poisson.sf(twins - 1, by_chance)]))[0])

    @property
    def most_agreement(self) -> float:
        """How often two honest people agree at most who are as good as the jury says, at the upper end of what it may mean."""
        classes, items = self.classes, len(self.shares)
        if np.isnan(self.with_itself):
            return float("nan")
        # p p + (1 - p)(1 - p) / (K - 1) is how often two of accuracy p agree; p q + (1 - p)(1 - q) / (K - 1) one of p and one of q.
        jury = (1.0 + math.sqrt(max(0.0, (classes - 1.0) * (classes * self.with_itself - 1.0)))) / classes
        error = math.sqrt(max(float(self.shares.var()), 1.0 / (items + 1.0)) / items)
        slope = classes * jury - 1.0
        with_them = self.with_them + SURE * error
        accuracy = ((classes - 1.0) * with_them - (1.0 - jury)) / slope if slope > 1e-3 else 1.0
        accuracy = min(max(accuracy, 1.0 / classes), 1.0)
        return accuracy**2 + (1.0 - accuracy) ** 2 / (classes - 1.0)
