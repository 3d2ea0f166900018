"""Channels that respondents share: corrections with one confusion matrix, verdicts with rates of saying "right".

Intuition. A respondent answers once or twice, so nothing can be learned of them alone, but a channel (this widget, that event)
has thousands of answers. A correction is a statement with the channel's confusion matrix. A thumb or an event says of the
predicted class p that it is right or wrong; what that is worth is learned for each p,

    P(says right | true class = p),   P(says right | true class != p),

because people may be harsher on some classes. The rates of a class are drawn towards those of the channel by `CLASS_PRIOR` imagined verdicts, and those of the
channel begin with `CHANNEL_PRIOR` imagined verdicts that lean to "a thumb up means right" (0.6 against 0.4), just enough to say which way is up.

Randomised answers. If an answer went through k-RR with matrix M, the report r has the likelihood sum_a theta[k, a] M[a, r]; the
expected honest answers behind the reports, which is what theta is counted from, are

    n[k, a] = sum_r n[k, r] theta[k, a] M[a, r] / sum_a' theta[k, a'] M[a', r].
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

RIGHT_IF_RIGHT: Final = 0.6
RIGHT_IF_WRONG: Final = 0.4
CHANNEL_PRIOR: Final = 2.0
CLASS_PRIOR: Final = 8.0
STATEMENT_PRIOR: Final = 1.0
"""Imagined corrections of each class that name the true class, beside half a one spread evenly."""


def statement_prior(classes: int) -> NDArray[np.float64]:
    """Dirichlet parameters, (K, K), of a channel of corrections before anybody has answered."""
    parameters: NDArray[np.float64] = np.full((classes, classes), 0.5 / classes) + STATEMENT_PRIOR * np.eye(classes)
    return parameters


def verdict_prior(classes: int) -> NDArray[np.float64]:
    """Dirichlet parameters, (K, 2, 2), of a channel of verdicts before anybody has answered; see `verdict_counts`."""
    lean = np.array([[1.0 - RIGHT_IF_WRONG, RIGHT_IF_WRONG], [1.0 - RIGHT_IF_RIGHT, RIGHT_IF_RIGHT]])
    return np.tile(CHANNEL_PRIOR * lean, (classes, 1, 1))


def statement_parameters(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Dirichlet parameters of a channel of corrections, shape (K, K), from expected counts [true class, stated].

    >>> statement_parameters(np.array([[8.0, 0.0], [2.0, 6.0]])).tolist()
    [[9.25, 0.25], [2.25, 7.25]]
    """
    parameters: NDArray[np.float64] = counts + statement_prior(len(counts))
    return parameters


def verdict_parameters(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Dirichlet parameters of a channel of verdicts, from expected counts [predicted, is it right, says it is right].

    Shape (K, 2, 2) in and out. A class that was never predicted has the rates of the channel.

    >>> spoken = np.zeros((2, 2, 2))
    >>> spoken[0] = [[8, 2], [10, 90]]  # of class 0: wrong and said so 8, wrong and praised 2, right and blamed 10, ...
    >>> parameters = verdict_parameters(spoken)
    >>> (parameters[:, :, 1] / parameters.sum(axis=2)).round(3).tolist()
    [[0.215, 0.9], [0.233, 0.894]]
    """
    of_channel = counts.sum(axis=0) + verdict_prior(1)[0]
    rates = of_channel / of_channel.sum(axis=1, keepdims=True)
    parameters: NDArray[np.float64] = counts + CLASS_PRIOR * rates
    return parameters


def verdict_counts(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn totals [predicted, verdict, true class] into counts [predicted, is it right, verdict]. (K, 2, K) -> (K, 2, 2)."""
    classes = len(totals)
    right = totals[np.arange(classes), :, np.arange(classes)]
    wrong = totals.sum(axis=2) - right
    return np.stack([np.maximum(wrong, 0.0), right], axis=1)


def verdict_likelihood(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread rates [predicted, is it right, verdict] over the true classes: (K, 2, 2) -> [predicted, verdict, true], (K, 2, K)."""
    classes = len(rates)
    likelihood = np.repeat(rates[:, 0, :, None], classes, axis=2)
    likelihood[np.arange(classes), :, np.arange(classes)] = rates[:, 1, :]
    return likelihood


def honest_counts(
    reported: NDArray[np.float64], chances: NDArray[np.float64], matrix: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return expected counts of the honest answers behind randomised reports.

    `reported` [.., r] counts of reports, `chances` [.., a] the present guess of theta, `matrix` [a, r] the k-RR channel. The
    total of each row is kept.

    >>> from datasets.consensus.randomised_response import channel_matrix
    >>> honest_counts(np.array([60.0, 40.0]), np.array([0.5, 0.5]), channel_matrix(2, 1.0)).round(2).tolist()
    [54.62, 45.38]
    """
    joint = chances[..., :, None] * matrix
    behind = joint / joint.sum(axis=-2, keepdims=True)
    counts: NDArray[np.float64] = np.einsum("...r,...ar->...a", reported, behind)
    return counts
