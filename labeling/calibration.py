"""Temperature scaling: one number that makes a model's confidence match how often it is right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

FOLDS: Final = 3
_LARGEST_LOG_TEMPERATURE: Final = 4.0


@dataclass(frozen=True, slots=True)
class Temperature:
    """The temperature of a model and what it was found on.

    value
        > 0. Logits are divided by it: above 1 softens, below 1 sharpens, 1 changes nothing.
    held_out
        Rows it was fitted on, each predicted by a model that had not seen it; 0 when it was not fitted.
    note
        Why it was not fitted; empty when it was.
    """

    value: float
    held_out: int
    note: str = ""


FoldLogits = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64] | None]
"""(training rows, held-out rows) -> log-probabilities (held-out, C), -inf for classes not in the training rows; None when
these rows cannot be learned from."""


def apply(log_probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return softmax(log p / T) of each row: what dividing a softmax model's logits by T gives, for any model.

    Shape (n, C), float64; rows sum to 1. A class of probability zero (-inf) keeps it. The order of a row's classes, and
    so its top class, does not change.

    >>> apply(np.log([[0.8, 0.2]]), 0.5).round(3).tolist()
    [[0.941, 0.059]]
    """
    probabilities: NDArray[np.float64] = np.exp(log_softmax(log_probabilities / temperature, axis=1))
    return probabilities


def fit_temperature(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature that explains the labels best, drawn towards 1 when there are few rows.

    Minimises over T > 0

        - sum_i log softmax(log p_i / T)[y_i]  +  (log T) ** 2 / 2,

    the negative log likelihood of the rows plus that of a standard normal prior on log T. The prior matters only while
    there are few rows: without it, thirty rows that are all predicted right would drive T to 0 and every later confidence
    to 1. The likelihood is convex in 1 / T.

    Parameters
    ----------
    log_probabilities
        Shape (n, C), -inf where a class was unknown to the model of that row.
    labels
        Shape (n,), the column of the true class, finite in its row.

    Returns
    -------
    T in [e^-4, e^4], found to 1e-4 in log T; 1 for n = 0. About 20 passes over the array.

    >>> fit_temperature(np.empty((0, 3)), np.empty(0, dtype=np.int64))
    1.0

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks. ICML 2017.
    """
    if not len(labels):
        return 1.0
    true = log_probabilities[np.arange(len(labels)), labels]
    if not np.isfinite(true).all():
        raise ValueError(f"row {int(np.isfinite(true).argmin())}: the model of this row did not know its true class")

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        likelihood = (inverse * true - logsumexp(inverse * log_probabilities, axis=1)).sum()
        return float(log_temperature**2 / 2 - likelihood)

    found = minimize_scalar(
        loss,
        bounds=(-_LARGEST_LOG_TEMPERATURE, _LARGEST_LOG_TEMPERATURE),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def out_of_fold(
    labels: NDArray[np.int64], n_classes: int, predict_fold: FoldLogits, *, rng: np.random.Generator
) -> Temperature:
    """Fit the temperature on rows that were each predicted by a model trained without them.

    Unlike a split by scikit-learn's cross-validators this works with classes of a single example: such a row takes part in
    training, and is left out where it is held out, because the model of its fold cannot know its class.

    Parameters
    ----------
    labels
        Shape (n,), column of each row's class, in [0, n_classes).
    predict_fold
        Trains on some rows and predicts the others; called `FOLDS` times.
    rng
        Shuffles the rows within each class.
    """
    log_probabilities = np.full((len(labels), n_classes), -np.inf)
    is_usable = np.zeros(len(labels), dtype=np.bool_)
    folds = balanced_folds(labels, FOLDS, rng=rng)
    for fold in range(FOLDS):
        training, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if not len(held_out):
            continue
        rows = predict_fold(training, held_out)
        if rows is not None:
            log_probabilities[held_out] = rows
            is_usable[held_out] = np.isin(labels[held_out], labels[training])
    if not is_usable.any():
        return Temperature(1.0, 0, "too few examples: no class has one to hold out and one to learn from")
    value = fit_temperature(log_probabilities[is_usable], labels[is_usable])
    return Temperature(value, int(is_usable.sum()))


def balanced_folds(labels: NDArray[np.int64], folds: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal the shuffled rows out class by class, so that every class is spread over the folds as evenly as it can be.

    Returns
    -------
    Shape (n,), the fold of each row, in [0, folds). Folds differ in size by one at most; a class of fewer rows than folds is
    missing in some.

    >>> np.bincount(balanced_folds(np.array([0, 0, 0, 1, 1, 1]), 3, rng=np.random.default_rng(0))).tolist()
    [2, 2, 2]
    """
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[by_class] = np.arange(len(labels)) % folds
    return dealt
