"""Confusion matrices of annotators, with those of annotators who answered little drawn towards what is known of them.

Intuition. A row of an annotator's matrix (what they say of items of class k) rests on the answers they gave to such items, and
most annotators saw few of them. So each row begins with five imagined answers: one spread evenly over the classes (Perks' prior),
which keeps every chance above zero, and four that are like what is known otherwise: for three quarters a *one-coin* annotator,
who is right as often as this one is over all classes and errs evenly, for one quarter what all annotators together say of class k.

    n_wkl   weighted, expected number of times annotator w said l of items of class k
    a_w     (sum_k n_wkk + 2 a) / (n_w + 2)             own accuracy, drawn towards that of all, a, by two answers
    P_kl    share of l among all answers to class k
    m_wkl   blend (a_w if l = k, else (1 - a_w) / (K - 1)) + (1 - blend) P_kl
    D_wkl   n_wkl + flat / K + shrinkage m_wkl          Dirichlet parameters; their mean is the matrix

Why these numbers. They were chosen on simulated crowds of nine shapes and on subsets of real crowds with two to five answers an item,
for being bad nowhere: more shrinkage helps where annotators gave five answers and costs a little where they gave a hundred;
shrinkage towards the pooled matrix alone lets classes drift into each other when items have two or three answers.
docs/measurements/crowd_accuracy.md shows what other numbers would have given.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FLAT: Final = 1.0
SHRINKAGE: Final = 4.0
BLEND: Final = 0.75
OWN_ACCURACY_PRIOR: Final = 2.0


@dataclass(frozen=True)
class ConfusionPrior:
    """How many imagined answers a row of a matrix begins with, and what they are like; see the module."""

    flat: float = FLAT
    shrinkage: float = SHRINKAGE
    blend: float = BLEND

    def __post_init__(self) -> None:
        if not (self.flat > 0 and self.shrinkage >= 0 and 0 <= self.blend <= 1):
            raise ValueError("flat must be above 0, shrinkage not below 0, and blend from 0 to 1")


def posterior_counts(counts: NDArray[np.float64], prior: ConfusionPrior) -> NDArray[np.float64]:
    """Return the Dirichlet parameters of every annotator's rows, and last those of an annotator nobody has seen yet.

    Parameters
    ----------
    counts
        Shape (A, K, K), >= 0: how often annotator w, of items of class k, said l. Fractions are fine.

    Returns
    -------
    Shape (A + 1, K, K), float64, > 0. A = 0: the newcomer alone, with flat rows that lean to the diagonal. The cost is O(A K^2).

    >>> four_answers = np.array([[[2.0, 0.0], [0.0, 2.0]]])
    >>> posterior_counts(four_answers, ConfusionPrior(shrinkage=0.0)).round(2).tolist()[0]
    [[2.5, 0.5], [0.5, 2.5]]
    """
    classes = counts.shape[-1]
    everybody = np.concatenate([counts, np.zeros((1, classes, classes))])
    said = everybody.sum(axis=(1, 2))
    right = np.trace(everybody, axis1=1, axis2=2)
    # One imagined answer that is right, by all together: without any answers a newcomer still leans to the diagonal.
    pooled = everybody.sum(axis=0) + (prior.flat * 0.5 / classes) + 0.5 * np.eye(classes)
    shares = pooled / pooled.sum(axis=1, keepdims=True)
    overall = (right.sum() + 1.0) / (said.sum() + 1.0 + 0.5)
    own = (right + OWN_ACCURACY_PRIOR * overall) / (said + OWN_ACCURACY_PRIOR)
    diagonal = np.eye(classes)
    wrong = (1.0 - diagonal) / (classes - 1)
    one_coin = own[:, None, None] * diagonal + (1.0 - own)[:, None, None] * wrong
    mean = prior.blend * one_coin + (1.0 - prior.blend) * shares
    parameters: NDArray[np.float64] = everybody + prior.flat / classes + prior.shrinkage * mean
    return parameters


def mean_of(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of Dirichlet rows: the last axis sums to 1."""
    mean: NDArray[np.float64] = parameters / parameters.sum(axis=-1, keepdims=True)
    return mean


def deviation_of(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of each chance of Dirichlet rows, sqrt(m (1 - m) / (total + 1)).

    >>> deviation_of(np.array([9.0, 3.0])).round(4).tolist()
    [0.1201, 0.1201]
    """
    mean = mean_of(parameters)
    total = parameters.sum(axis=-1, keepdims=True)
    deviation: NDArray[np.float64] = np.sqrt(mean * (1.0 - mean) / (total + 1.0))
    return deviation
