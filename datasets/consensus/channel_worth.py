"""What a thumb, a click or a correction turned out to be worth: the learned rates of a channel in a few numbers."""

from dataclasses import dataclass

import numpy as np

from datasets.consensus.confusion import mean_of
from datasets.consensus.layout import Channel
from datasets.consensus.parameters import Parameters
from datasets.consensus.pooled_channels import CLASS_PRIOR, statement_prior


@dataclass(frozen=True)
class ChannelWorth:
    """Of a channel of statements `accuracy` only; of one of verdicts the two rates and the odds.

    answers
        About how many answers it was learned from (weighted).
    accuracy
        How often a statement names the true class, over the classes by their shares.
    right_if_right, right_if_wrong
        How often a prediction that is right, or wrong, is called right; over the predicted classes by their verdicts.
    odds_if_right, odds_if_wrong
        By what the odds that the prediction is right are multiplied when it is called right, or wrong. 1: it says nothing.
    """

    channel: Channel
    answers: float
    accuracy: float | None = None
    right_if_right: float | None = None
    right_if_wrong: float | None = None
    odds_if_right: float | None = None
    odds_if_wrong: float | None = None


def worth_of(parameters: Parameters) -> list[ChannelWorth]:
    """What every channel of the parameters is worth, in the order of the channels.

    >>> from datasets.consensus.evidence import Kind
    >>> counts = np.tile(np.array([[30.0, 10.0], [10.0, 70.0]]), (2, 1, 1))  # wrong ones blamed 30, praised 10, ...
    >>> channels = {Channel(Kind.THUMB, 0): counts}
    >>> found = worth_of(Parameters(np.array([0.5, 0.5]), np.empty(0, dtype=np.int64), np.ones((1, 2, 2)), channels))[0]
    >>> found.right_if_right, found.right_if_wrong, found.odds_if_right, round(found.odds_if_wrong, 4)
    (0.875, 0.25, 3.5, 0.1667)
    """
    return [
        _of_verdicts(channel, parameters) if channel.is_verdict else _of_statements(channel, parameters)
        for channel in sorted(parameters.channels)
    ]


def _of_statements(channel: Channel, parameters: Parameters) -> ChannelWorth:
    counts = parameters.channels[channel]
    accuracy = float(np.diagonal(mean_of(counts)) @ parameters.class_prior)
    imagined = float(statement_prior(parameters.n_classes).sum())
    return ChannelWorth(channel, max(0.0, float(counts.sum()) - imagined), accuracy=accuracy)


def _of_verdicts(channel: Channel, parameters: Parameters) -> ChannelWorth:
    counts = parameters.channels[channel].sum(axis=0)
    rates = mean_of(counts)
    right, wrong = float(rates[1, 1]), float(rates[0, 1])
    # Of the imagined verdicts each class has eight of right and eight of wrong predictions, see `pooled_channels`.
    imagined = 2 * CLASS_PRIOR * parameters.n_classes
    return ChannelWorth(
        channel,
        max(0.0, float(counts.sum()) - imagined),
        right_if_right=right,
        right_if_wrong=wrong,
        odds_if_right=right / wrong,
        odds_if_wrong=(1.0 - right) / (1.0 - wrong),
    )
