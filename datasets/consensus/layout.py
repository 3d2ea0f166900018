"""Where in the table of likelihoods each piece of evidence finds its row.

Two pieces of evidence by the same annotator with the same answer say the same: they share a row of K log-likelihoods. So the sum
over an item's evidence is a sparse matrix (items x rows) times the table, and the counts a source is judged by are the
transposed matrix times the posterior. Both are one pass over the evidence in compiled code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from datasets.consensus.evidence import VERDICTS, Evidence, Kind


@dataclass(frozen=True, order=True)
class Channel:
    """What is learned together: a kind of evidence, its number, and by which epsilon it was randomised (0: it was not)."""

    kind: Kind
    number: int
    epsilon: float = 0.0

    @property
    def is_verdict(self) -> bool:
        return self.kind in VERDICTS

    @property
    def is_known(self) -> bool:
        """Whether it is given what its answers are worth, so that nothing is learned of it."""
        return self.kind == Kind.REVIEW


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows of the table: (annotator, answer) first, then the rows of each channel, (answer) or (predicted, verdict).

    annotators
        Sorted source positions that have plain annotations.
    channels, starts
        The pooled channels and where the rows of each begin.
    row_of
        Shape (n,), int64, the row of each piece of evidence; -1 for gold.
    """

    annotators: NDArray[np.int64]
    channels: tuple[Channel, ...]
    starts: tuple[int, ...]
    n_rows: int
    row_of: NDArray[np.int64]

    def matrix(self, evidence: Evidence) -> sparse.csr_matrix:
        """The sparse matrix items x rows of the weights. Repeated answers of one source add up."""
        counts = self.row_of >= 0
        shape = (evidence.n_items, self.n_rows)
        if counts.all():
            return sparse.csr_matrix((evidence.weight, (evidence.item, self.row_of)), shape=shape)
        columns = (evidence.item[counts], self.row_of[counts])
        return sparse.csr_matrix((evidence.weight[counts], columns), shape=shape)


def layout_of(evidence: Evidence) -> Layout:
    """Work out the rows of the evidence. O(n) plus a sort of the few distinct channels."""
    classes = evidence.n_classes
    is_private = ~np.isnan(evidence.epsilon)
    is_personal = (evidence.kind == Kind.ANNOTATION) & ~is_private
    row_of = np.full(len(evidence), -1, dtype=np.int64)
    is_annotator = np.zeros(evidence.n_sources, dtype=bool)
    is_annotator[evidence.source[is_personal]] = True
    annotators = np.flatnonzero(is_annotator)
    place = np.cumsum(is_annotator) - 1
    row_of[is_personal] = place[evidence.source[is_personal]] * classes + evidence.answer[is_personal]
    n_rows = len(annotators) * classes
    pooled = np.flatnonzero(~is_personal & (evidence.kind != Kind.GOLD))
    channels, which = _channels(evidence.rows(pooled))
    starts = []
    for number, channel in enumerate(channels):
        members = pooled[which == number]
        starts.append(n_rows)
        answer = evidence.answer[members]
        row_of[members] = n_rows + (evidence.predicted[members] * 2 + answer if channel.is_verdict else answer)
        n_rows += classes * (2 if channel.is_verdict else 1)
    return Layout(annotators, channels, tuple(starts), n_rows, row_of)


def _channels(pooled: Evidence) -> tuple[tuple[Channel, ...], NDArray[np.int64]]:
    if not len(pooled):
        return (), np.zeros(0, dtype=np.int64)
    # As one whole number each: sorting rows of several numbers takes ten times as long.
    epsilons, place = np.unique(np.nan_to_num(pooled.epsilon, nan=0.0), return_inverse=True)
    numbers = int(pooled.channel.max()) + 1
    code = (pooled.kind.astype(np.int64) * numbers + pooled.channel) * len(epsilons) + place
    found, which = np.unique(code, return_inverse=True)
    channels = tuple(
        Channel(
            Kind(each // len(epsilons) // numbers),
            each // len(epsilons) % numbers,
            float(epsilons[each % len(epsilons)]),
        )
        for each in found.tolist()
    )
    return channels, which.astype(np.int64)
