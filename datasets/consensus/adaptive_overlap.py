"""Which item gains most from one more answer: adaptive overlap instead of the same number of answers for all."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from datasets.consensus.confusion import mean_of
from datasets.consensus.evidence import Evidence, Kind
from datasets.consensus.parameters import Parameters

Objective = Literal["information", "accuracy"]
_BLOCK: Final = 16_384
MOST_OPEN: Final = 200
"""Tasks that are open at once because of a belief. Each was chosen by what was known then."""
MEDIAN_SHARE: Final = 0.95
"""Of what the median annotator's answers teach: who teaches less is not asked again about items that others are asked about."""


def typical_confusion(parameters: Parameters, evidence: Evidence) -> NDArray[np.float64]:
    """Return the confusion matrix of whoever answers next, if that is anybody: the annotators' mean, by how much each answers.

    Shape (K, K), rows (true class) sum to 1. Without annotators: that of a newcomer.
    """
    if not len(parameters.annotators):
        return mean_of(parameters.confusion[-1])
    is_plain = (evidence.kind == Kind.ANNOTATION) & np.isnan(evidence.epsilon)
    weight = evidence.weight[is_plain]
    said = np.bincount(evidence.source[is_plain], weights=weight, minlength=evidence.n_sources)[parameters.annotators]
    confusion = mean_of(parameters.confusion[:-1])
    if not said.sum():
        plain: NDArray[np.float64] = confusion.mean(axis=0)
        return plain
    typical: NDArray[np.float64] = np.einsum("w,wkl->kl", said / said.sum(), confusion)
    return typical


def value_of_answer(
    posterior: NDArray[np.floating], confusion: NDArray[np.float64], *, objective: Objective = "information"
) -> NDArray[np.float64]:
    """Return what one more answer by somebody with this confusion matrix is expected to teach about each item.

    Intuition. An answer pays where we are unsure *and* where an answer can tell the classes in doubt apart: if everybody confuses two
    classes, a tenth opinion between the two is worth little.

        information   H(truth) - E_answer H(truth | answer) = sum_kl q_k C_kl log(C_kl / sum_j q_j C_jl)       in nats
        accuracy      sum_l max_k q_k C_kl - max_k q_k                    expected gain in the chance of being right

    `accuracy` is 0 wherever a single answer cannot change the label, so it cannot rank most items; `information` can, and is the default.

    Parameters
    ----------
    posterior
        Shape (n, K), rows sum to 1.
    confusion
        Shape (K, K), [true, stated], rows sum to 1: see `typical_confusion`.

    Returns
    -------
    Shape (n,), float64, >= 0, higher = ask first. 0 for an item that is known, and everywhere if all rows of the matrix are
    equal (an answer says nothing). At most log K. Cost O(n K^2), in blocks.

    >>> chances = np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]])
    >>> value_of_answer(chances, np.array([[0.8, 0.2], [0.2, 0.8]])).round(3).tolist()
    [0.073, 0.193, 0.0]

    References
    ----------
    Lindley: On a Measure of the Information Provided by an Experiment. Annals of Mathematical Statistics 1956.
    Sheng, Provost, Ipeirotis: Get Another Label? KDD 2008.
    """
    classes = confusion.shape[0]
    if posterior.ndim != 2 or posterior.shape[1] != classes:
        raise ValueError(f"the posterior must have the shape (n, {classes}), not {posterior.shape}")
    value = np.empty(len(posterior))
    own = xlogy(confusion, confusion).sum(axis=1)
    for start in range(0, len(posterior), _BLOCK):
        q = posterior[start : start + _BLOCK].astype(np.float64)
        if objective == "information":
            said = q @ confusion
            gain = q @ own - xlogy(said, said).sum(axis=1)
        else:
            gain = (q[:, :, None] * confusion).max(axis=1).sum(axis=1) - q.max(axis=1)
        value[start : start + _BLOCK] = gain
    # Rounding may leave a known item a hair below 0.
    return np.maximum(value, 0.0)


def worth_of_annotators(confusion: NDArray[np.float64], class_prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what an answer by each annotator is expected to teach about an item of which nothing is known; nats.

    `value_of_answer` (information) at the class prior. Shape (A,) from confusion (A, K, K), rows sum to 1; from 0, for who
    guesses, to log K.

    >>> good, guesser = [[0.9, 0.1], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5]]
    >>> worth_of_annotators(np.array([good, guesser]), np.array([0.5, 0.5])).round(3).tolist()
    [0.368, 0.0]
    """
    said = np.einsum("k,akl->al", class_prior, confusion)
    own = xlogy(confusion, confusion).sum(axis=2) @ class_prior
    worth: NDArray[np.float64] = np.maximum(own - xlogy(said, said).sum(axis=1), 0.0)
    return worth


def least_worth_asking_again(worth: NDArray[np.float64]) -> float:
    """Return from what worth on an annotator is asked about items once more while others are there to be asked.

    MEDIAN_SHARE of the median. Shape (A,) in, nats out; 0 without annotators. Where all are about alike, nobody is below it.
    """
    return MEDIAN_SHARE * float(np.median(worth)) if len(worth) else 0.0


def value_of_pairs(
    posterior: NDArray[np.floating], item: NDArray[np.int64], source: NDArray[np.int64], parameters: Parameters
) -> NDArray[np.float64]:
    """Return what an answer by a certain annotator about a certain item is expected to teach; nats.

    `value_of_answer` (information) with the confusion matrix of each pair's annotator: where it is known who would answer, a good
    annotator's answer is worth more, a guesser's nothing, and an expert for two classes is worth most on items in doubt between them. Somebody
    unknown counts as a newcomer.

    Parameters
    ----------
    posterior
        Shape (n_items, K), rows sum to 1.
    item, source
        Shape (m,), the pairs.

    Returns
    -------
    Shape (m,), float64, >= 0. Cost O(m K^2), in blocks.
    """
    confusion = mean_of(parameters.confusion)
    own = xlogy(confusion, confusion).sum(axis=2)
    place = parameters.places(source)
    value = np.empty(len(item))
    for start in range(0, len(item), _BLOCK):
        rows = slice(start, start + _BLOCK)
        q, who = posterior[item[rows]].astype(np.float64), place[rows]
        said = np.einsum("mk,mkl->ml", q, confusion[who])
        value[rows] = (q * own[who]).sum(axis=1) - xlogy(said, said).sum(axis=1)
    return np.maximum(value, 0.0)
