"""What the label model has learned of its sources, and the log-likelihoods that follow from it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from datasets.consensus.confusion import ConfusionPrior, mean_of, posterior_counts
from datasets.consensus.evidence import Kind
from datasets.consensus.layout import Channel, Layout
from datasets.consensus.pooled_channels import (
    honest_counts,
    statement_parameters,
    statement_prior,
    verdict_counts,
    verdict_likelihood,
    verdict_parameters,
    verdict_prior,
)
from datasets.consensus.randomised_response import channel_matrix
from datasets.consensus.short_rows import column_sums

EVEN_SHARE: Final = 0.25
"""Imagined items, evenly spread over the classes, for each real one: shares of classes that drift to nothing take their
annotators along, and a shift of a fifth towards even shares is small beside what the answers say."""

REVIEW_ACCURACY: Final = 0.98


@dataclass(frozen=True, eq=False)
class Parameters:
    """Everything an item's posterior follows from, apart from its own evidence.

    class_prior
        Shape (K,), sums to 1.
    annotators
        Sorted source positions, shape (A,).
    confusion
        Shape (A + 1, K, K): Dirichlet parameters [annotator, true class, stated class]; the last is for newcomers.
    channels
        Dirichlet parameters of each pooled channel: (K, K) [true, stated], or (K, 2, 2) [predicted, is it right, says right].
    review_accuracy
        In (0, 1): how often a reviewer's statement is right. Given, not learned; errors are spread evenly.
    """

    class_prior: NDArray[np.float64]
    annotators: NDArray[np.int64]
    confusion: NDArray[np.float64]
    channels: dict[Channel, NDArray[np.float64]]
    review_accuracy: float = REVIEW_ACCURACY

    @property
    def n_classes(self) -> int:
        return len(self.class_prior)

    def of_channel(self, channel: Channel) -> NDArray[np.float64]:
        """The Dirichlet parameters of a channel; the prior of one nobody has used yet."""
        known = self.channels.get(channel)
        if known is not None:
            return known
        return verdict_prior(self.n_classes) if channel.is_verdict else statement_prior(self.n_classes)

    def places(self, sources: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in `confusion` each source stands; newcomers in the last place."""
        newcomer = len(self.annotators)
        place = np.searchsorted(self.annotators, sources)
        if not newcomer:
            return np.zeros(len(sources), dtype=np.int64)
        is_known = self.annotators[np.minimum(place, newcomer - 1)] == sources
        return np.where(is_known, place, newcomer)

    def log_likelihood(self, layout: Layout) -> NDArray[np.float64]:
        """The table of `layout`: shape (rows, K), log of the chance of each answer given each true class."""
        classes = self.n_classes
        confusion = np.log(mean_of(self.confusion[self.places(layout.annotators)]))
        blocks = [confusion.transpose(0, 2, 1).reshape(-1, classes)]
        for channel in layout.channels:
            if channel.is_known:
                blocks.append(np.log(one_coin_matrix(classes, self.review_accuracy)))
                continue
            mean = mean_of(self.of_channel(channel))
            if channel.epsilon:
                mean = mean @ channel_matrix(mean.shape[-1], channel.epsilon)
            likelihood = verdict_likelihood(mean).reshape(-1, classes) if channel.is_verdict else mean.T
            blocks.append(np.log(likelihood))
        return np.concatenate(blocks)


def maximise(
    layout: Layout,
    by_row: sparse.csr_matrix,
    posterior: NDArray[np.float64],
    has_evidence: NDArray[np.bool_],
    prior: ConfusionPrior,
    before: Parameters | None,
    review_accuracy: float = REVIEW_ACCURACY,
) -> Parameters:
    """The M-step: what the sources are like, if the items are what `posterior` says.

    `by_row` is the transposed matrix of the layout. `before` gives the channels' chances that randomised answers are traced
    back by. Items without evidence say nothing of the classes' shares.
    """
    classes = posterior.shape[1]
    totals = by_row @ posterior
    size = len(layout.annotators)
    counts = totals[: size * classes].reshape(size, classes, classes).transpose(0, 2, 1)
    channels = {}
    for channel, start in zip(layout.channels, layout.starts, strict=True):
        if channel.is_known:
            continue
        guess = before.of_channel(channel) if before is not None else None
        rows = totals[start : start + classes * (2 if channel.is_verdict else 1)]
        channels[channel] = _channel_parameters(channel, rows, guess)
    seen = column_sums(posterior if has_evidence.all() else posterior[has_evidence])
    shares = seen + (EVEN_SHARE * seen.sum() + 1.0) / classes
    confusion = posterior_counts(counts, prior)
    return Parameters(shares / shares.sum(), layout.annotators, confusion, channels, review_accuracy)


def one_coin_matrix(classes: int, accuracy: float) -> NDArray[np.float64]:
    """Chances of each statement given each true class: `accuracy` on the diagonal, the rest even. Symmetric, rows sum to 1.

    >>> one_coin_matrix(3, 0.98).round(2).tolist()[0]
    [0.98, 0.01, 0.01]
    """
    matrix = np.full((classes, classes), (1.0 - accuracy) / (classes - 1))
    np.fill_diagonal(matrix, accuracy)
    return matrix


def _channel_parameters(
    channel: Channel, rows: NDArray[np.float64], guess: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    classes = rows.shape[1]
    counts = verdict_counts(rows.reshape(classes, 2, classes)) if channel.is_verdict else rows.T
    if channel.epsilon:
        if guess is None:
            guess = verdict_prior(classes) if channel.is_verdict else statement_prior(classes)
        counts = honest_counts(counts, mean_of(guess), channel_matrix(counts.shape[-1], channel.epsilon))
    return verdict_parameters(counts) if channel.is_verdict else statement_parameters(counts)


def is_statement(kind: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which rows state a class rather than a verdict."""
    states: NDArray[np.bool_] = (kind != Kind.THUMB) & (kind != Kind.IMPLICIT)
    return states
