"""Accepted labels that are probably wrong, by a model that never saw them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

NEVER_NAMED: Final = 1.0


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """One row per label.

    score
        In [-1, 1], higher = more suspicious: probability of the best other class minus that of the label (times its posterior).
    suggested
        The class the model would give instead.
    is_suspect
        Whether another class is predicted as firmly as that class usually is where it is the label.
    """

    score: NDArray[np.float64]
    suggested: NDArray[np.int64]
    is_suspect: NDArray[np.bool_]

    def ranked(self) -> NDArray[np.int64]:
        """Positions of the suspects, most suspicious first; ties in the order of the rows."""
        suspects = np.flatnonzero(self.is_suspect)
        return suspects[np.argsort(-self.score[suspects], kind="stable")]


def find_label_errors(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    label_probability: NDArray[np.float64] | None = None,
) -> LabelErrors:
    """Find labels that a model contradicts which was not trained on them (out-of-sample: by cross-validation, or a later item).

    Intuition. A model that never saw the label gives another class a high probability. "High" is measured by class, so
    that an under-confident model or a rare class does not flood or starve the list:

        threshold_j = mean of p_ij over the labels of class j
        suspect_i   = argmax over {j : p_ij >= threshold_j} of p_ij exists and is not the label
        score_i     = (max over j != label of p_ij) - p_i,label

    Parameters
    ----------
    probabilities
        Shape (n, K), rows sum to 1, of a model that was not trained on these rows. In-sample ones find nothing.
    labels
        Shape (n,), int64 in [0, K).
    label_probability
        Shape (n,), in [0, 1], the posterior of each accepted label, which multiplies p_i,label in the score: a label that is
        hardly believed is more suspicious. None: 1.

    Returns
    -------
    LabelErrors. A class that no label names has threshold 1. n = 0: empty arrays. O(n K).

    >>> chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
    >>> found = find_label_errors(chances, np.array([0, 0, 1, 1, 0]))
    >>> found.ranked().tolist(), found.suggested.tolist()
    ([4], [1, 1, 0, 0, 1])

    References
    ----------
    Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 2021 (the thresholds).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    n = len(labels)
    if p.ndim != 2 or len(p) != n:
        raise ValueError(f"one row of probabilities for each of {n} labels, not {p.shape}")
    classes = p.shape[1]
    is_distribution = (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) <= 1e-3)
    if not is_distribution.all():
        raise ValueError(f"row {int(np.argmin(is_distribution))} is no distribution")
    if n and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"a label is not from 0 to {classes - 1}")
    rows = np.arange(n)
    own = p[rows, labels]
    named = np.bincount(labels, minlength=classes)
    total = np.bincount(labels, weights=own, minlength=classes)
    threshold = np.divide(total, named, out=np.full(classes, NEVER_NAMED), where=named > 0)
    other = p.copy()
    other[rows, labels] = -1.0
    suggested = other.argmax(axis=1) if n else np.zeros(0, dtype=np.int64)
    score = other[rows, suggested] - (own if label_probability is None else own * label_probability)
    confident = np.where(p >= threshold - 1e-12, p, -1.0)
    firmest = confident.argmax(axis=1) if n else suggested
    is_suspect = (confident.max(axis=1, initial=-1.0) >= 0) & (firmest != labels)
    return LabelErrors(score, suggested.astype(np.int64), is_suspect)
