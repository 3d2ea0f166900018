"""Sequence confidence: one number for an answer of many parts, as the words of a text, spans or boxes."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

Rule: TypeAlias = Literal["least", "mean", "geometric_mean"]


def informativeness(confidences: Sequence[NDArray[np.floating]], rule: Rule) -> NDArray[np.float32]:
    """Score each answer by how little its parts are trusted together.

    s = 1 - c, with c over the confidences c_1 .. c_k of the answer's parts by the rule:

    - "least": min c_i. An answer is right if all of it is; this is what the service stores for spans and boxes whose parts
      have confidences and that have none of their own (`labeling.schema.confidences`).
    - "mean": (1 / k) sum c_i. How much of the answer is probably right; one doubtful part in a long answer hardly counts.
    - "geometric_mean": (prod c_i)^(1 / k). The probability that all parts are right were they independent, normalised by
      length: without that, long answers are always asked first.

    Parameters
    ----------
    confidences
        n arrays of shape (k,), k >= 1, not necessarily of one length; each value in [0, 1].
    rule
        How the parts make one.

    Returns
    -------
    Shape (n,), float32 in [0, 1]; higher = ask first. 0 when every part is certain; for one answer
    mean <= geometric_mean <= least.

    Raises
    ------
    ValueError
        For an unknown rule, or naming the first row that is not one-dimensional, has no part, or has a value that is no
        probability (NaN included).

    Notes
    -----
    An answer without parts ("nothing is marked") is refused: the confidence in an absence is only the model's to give. A
    part at 0 makes "least" and "geometric_mean" 1. One part: all rules agree. n = 0: empty. Sums in float64, logarithms
    instead of products, so long answers do not underflow; absolute error about 1e-7. O(total parts) time, about 16 bytes
    a part.

    >>> answers = [np.array([1.0, 0.25]), np.array([0.5])]
    >>> [informativeness(answers, rule).tolist() for rule in ("least", "mean", "geometric_mean")]
    [[0.75, 0.5], [0.375, 0.5], [0.5, 0.5]]

    References
    ----------
    Culotta, McCallum: Reducing Labeling Effort for Structured Prediction Tasks. AAAI 2005; Settles, Craven: An Analysis of
    Active Learning Strategies for Sequence Labeling Tasks. EMNLP 2008 (normalisation by length).
    """
    if rule not in get_args(Rule):
        raise ValueError(f"unknown rule {rule!r}; known: {', '.join(get_args(Rule))}")
    if not confidences:
        return np.empty(0, dtype=np.float32)
    for row, parts in enumerate(confidences):
        if parts.ndim != 1 or not len(parts):
            raise ValueError(f"row {row}: confidences must have shape (k,) with k >= 1, not {parts.shape}")
    lengths = np.array([len(parts) for parts in confidences])
    starts = np.cumsum(lengths) - lengths
    values = np.concatenate(confidences).astype(np.float64)
    # Written so that a NaN, which compares false with everything, falls on the refused side.
    is_fine = (values >= 0.0) & (values <= 1.0)
    if not is_fine.all():
        first = int(is_fine.argmin())
        row = int(np.searchsorted(starts, first, side="right")) - 1
        raise ValueError(f"row {row}: a confidence must lie in [0, 1], not be {values[first]:g}")
    if rule == "least":
        together = np.minimum.reduceat(values, starts)
    elif rule == "mean":
        together = np.add.reduceat(values, starts) / lengths
    else:
        with np.errstate(divide="ignore"):  # the logarithm of 0, minus infinity, is the one that is meant
            together = np.exp(np.add.reduceat(np.log(values), starts) / lengths)
    # A mean of values in [0, 1] may be rounded to just above 1.
    return (1.0 - np.minimum(together, 1.0)).astype(np.float32)
