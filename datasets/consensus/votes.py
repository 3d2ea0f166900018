"""Votes: how many pieces of evidence speak for each class. The baselines majority and weighted majority, and where EM begins."""

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.parameters import is_statement
from datasets.consensus.short_rows import row_sums


def vote_counts(evidence: Evidence, source_weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Count the votes for each class of each item, each times the weight of its row and of its source.

    A statement is a vote for its class, so is "the predicted class is right"; "it is wrong" is one vote that the other classes
    share. Shape (n_items, K), float64; rows of zeros where nobody said anything. Gold counts like any statement.
    """
    classes = evidence.n_classes
    weight = evidence.weight if source_weight is None else evidence.weight * source_weight[evidence.source]
    is_for = is_statement(evidence.kind)
    size = evidence.n_items * classes
    if is_for.all():
        return _sums(evidence.item * classes + evidence.answer, weight, size, classes)
    cells = evidence.item * classes + np.where(is_for, evidence.answer, evidence.predicted)
    is_for = is_for | (evidence.answer == 1)
    counts = _sums(cells[is_for], weight[is_for], size, classes)
    against = _sums(cells[~is_for], weight[~is_for], size, classes)
    return counts + (row_sums(against)[:, None] - against) / (classes - 1)


def _sums(cells: NDArray[np.int64], weight: NDArray[np.float64], size: int, classes: int) -> NDArray[np.float64]:
    # numpy counts in whole numbers where there is nothing to weigh.
    return np.bincount(cells, weights=weight, minlength=size).astype(np.float64, copy=False).reshape(-1, classes)


def shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide each row by its sum; uniform where the sum is 0."""
    total = row_sums(counts)[:, None]
    return np.divide(counts, total, out=np.full_like(counts, 1.0 / counts.shape[1]), where=total > 0)


def majority(evidence: Evidence) -> NDArray[np.float64]:
    """Return the share of the votes for each class; equally frequent answers share first place.

    The baseline everything is compared with: no source is better than another. Shape (n_items, K), float64, rows sum to 1;
    uniform for an item nobody spoke of.

    >>> from datasets.consensus.evidence import evidence
    >>> said = evidence([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [1, 1, 0, 0, 1], n_items=3, n_sources=3, n_classes=2)
    >>> majority(said).round(3).tolist()
    [[0.333, 0.667], [0.5, 0.5], [0.5, 0.5]]
    """
    return shares(vote_counts(evidence))


def weighted_majority(evidence: Evidence, *, rounds: int = 10) -> NDArray[np.float64]:
    """Return the shares of votes weighted by how often each source agrees with the others (CROWDLAB without a model).

        A_j = (1 + sum of the others' weighted share for j's answers) / (2 + number of j's answers that others gave, too)
        w_j = max(1 - (1 - A_j) / e, 0.01),    e = share of votes that are not for the commonest class, at least 0.05

    and the next round's shares are those of the weighted votes. A source that agrees no more than always naming the commonest
    class would, counts next to nothing. Cheap, has no matrix to learn, and so cannot see that a source errs in one direction.

    Parameters
    ----------
    rounds
        >= 0; 0 gives the majority.

    Returns
    -------
    Shape (n_items, K), float64, rows sum to 1.

    References
    ----------
    Goh, Tkachenko, Mueller: CROWDLAB. NeurIPS 2022 Human in the Loop Learning workshop (weights; used here round by round).
    """
    is_for = is_statement(evidence.kind) & (evidence.kind != Kind.GOLD)
    said = evidence.rows(is_for)
    counts = vote_counts(evidence)
    total = counts.sum()
    error = max(1.0 - counts.sum(axis=0).max() / total, 0.05) if total else 1.0
    weight = np.ones(evidence.n_sources)
    for _ in range(rounds):
        # In units of the current weights, so that one's own vote can be taken out exactly.
        own = said.weight * weight[said.source]
        others = counts[said.item].sum(axis=1) - own
        agreeing = counts[said.item, said.answer] - own
        met = others > 1e-12
        agreement = np.divide(agreeing, others, out=np.zeros_like(others), where=met).clip(0.0, 1.0)
        hits = np.bincount(said.source, weights=agreement * said.weight, minlength=evidence.n_sources)
        meetings = np.bincount(said.source, weights=met * said.weight, minlength=evidence.n_sources)
        accuracy = (1.0 + hits) / (2.0 + meetings)
        weight = np.maximum(1.0 - (1.0 - accuracy) / error, 0.01)
        counts = vote_counts(evidence, weight)
    return shares(counts)
