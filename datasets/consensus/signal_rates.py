"""How likely a prediction is right given the signals that came about it, by rates learned on predictions whose truth is known."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

FOLDS: Final = 5
PRIOR_STRENGTH: Final = 4.0
"""Imagined predictions, right and wrong alike, that show each level of a channel as often as all predictions do."""
ABSENT: Final = 0


@dataclass(frozen=True, eq=False)
class SignalRates:
    """`log_ratios`: of each channel, by level, log P(level | right) - log P(level | wrong). `log_odds`: of a prediction of
    which nothing is known."""

    log_odds: float
    log_ratios: list[NDArray[np.float64]]

    def probability(self, levels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Chance that each prediction is right, shape (n,), in (0, 1); `levels` as in `fit`."""
        total = np.full(len(levels), self.log_odds)
        for channel, ratios in enumerate(self.log_ratios):
            total += ratios[levels[:, channel]]
        chances: NDArray[np.float64] = expit(total)
        return chances


def fit(levels: NDArray[np.int64], is_right: NDArray[np.bool_], sizes: list[int]) -> SignalRates:
    """Learn what each level of each channel says.

        log P(right | levels) / P(wrong | levels) = log (n_right + 1) / (n_wrong + 1) + sum over channels of log ratio

    A ratio compares how often right and wrong predictions show a level, each with `PRIOR_STRENGTH` imagined ones that show it
    as often as all do: what was hardly ever seen says hardly anything. Channels are taken to be independent given whether the
    prediction is right; where they are not, the probabilities are too sure, and the reliability curve shows it.

    Parameters
    ----------
    levels
        Shape (n, channels), int64: 0 where nothing came by the channel, else which of its levels, in [0, sizes[channel]).
    is_right
        Shape (n,).

    Without any row everything is as likely as not.

    >>> clicked = np.array([[1]] * 8 + [[0]] * 2 + [[1]] * 2 + [[0]] * 8)
    >>> learned = fit(clicked, np.arange(20) < 10, [2])
    >>> learned.probability(np.array([[0], [1]])).round(3).tolist()
    [0.286, 0.714]
    """
    n_right = int(is_right.sum())
    ratios = []
    for channel, size in enumerate(sizes):
        column = levels[:, channel]
        share = (np.bincount(column, minlength=size) + 1.0 / size) / (len(column) + 1.0)
        among = [
            (np.bincount(column[chosen], minlength=size) + PRIOR_STRENGTH * share) / (chosen.sum() + PRIOR_STRENGTH)
            for chosen in (is_right, ~is_right)
        ]
        ratios.append(np.log(among[0]) - np.log(among[1]))
    return SignalRates(float(np.log((n_right + 1.0) / (len(is_right) - n_right + 1.0))), ratios)


def cross_fitted(
    levels: NDArray[np.int64],
    is_right: NDArray[np.bool_],
    item: NDArray[np.int64],
    sizes: list[int],
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
) -> NDArray[np.float64]:
    """The probability that each prediction is right, by rates that were learned without its item. Shape (n,).

    Parameters
    ----------
    item
        Shape (n,), int64: predictions of one item stay together.
    rng
        Deals the items out to the folds.

    With one item there is nothing to learn from: 0.5.
    """
    found, place = np.unique(item, return_inverse=True)
    dealt = (rng.permutation(len(found)) % folds)[place]
    chances = np.full(len(item), 0.5)
    for fold in range(folds):
        out = dealt == fold
        chances[out] = fit(levels[~out], is_right[~out], sizes).probability(levels[out])
    return chances
