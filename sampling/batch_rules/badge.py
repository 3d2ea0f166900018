"""BADGE: items whose labels would change a linear head much, and in different directions."""

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.spreading import squared_distance_draws


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Draw items by k-means++ over the gradients that their predicted labels would give.

    The gradient of the cross-entropy of a softmax head on vectors x, if the likeliest class c were the truth, is the outer
    product g = (p - e_c) x. Items are drawn in proportion to the squared distance to the nearest gradient before them; the
    gradient 0, of an item that would change nothing, is there from the start, so the first is drawn by |g|^2.

    Parameters
    ----------
    candidates
        With embeddings and class probabilities, in order of item ids: the shortlist.
    size
        How many items, >= 0.
    seed
        Of the draws.
    parameters
        None is read: lengths of vectors count, so `metric` does not.

    Returns
    -------
    The batch in draw order, without propensities.

    Notes
    -----
    Gradients of C d numbers are never formed: with a = p - e_c,

        |g_i - g_j|^2 = |a_i|^2 |x_i|^2 + |a_j|^2 |x_j|^2 - 2 (a_i . a_j) (x_i . x_j),

    so a look at all items costs O(n (C + d)) for each chosen one. Draws are exact by rejection (`spreading`).

    References
    ----------
    Ash, Zhang, Krishnamurthy, Langford, Agarwal: Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds.
    ICLR 2020.
    """
    if candidates.embeddings is None or candidates.predictions is None:
        raise ValueError("this rule needs embeddings and predictions")
    table = candidates.embeddings
    largest = np.float32(max(table.max(initial=0.0), -table.min(initial=0.0)))
    # Squares of squares must stay within float32; the rule does not depend on the scale.
    rows = np.divide(table, largest if largest > 0.0 else np.float32(1.0), dtype=np.float32, casting="same_kind")
    residuals = candidates.predictions.astype(np.float32)
    residuals[np.arange(len(residuals)), residuals.argmax(axis=1)] -= 1.0
    norms: NDArray[np.float32] = np.einsum("ij,ij->i", rows, rows) * np.einsum("ij,ij->i", residuals, residuals)

    def distances(these: NDArray[np.int64] | slice, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        table: NDArray[np.float32] = rows[these] @ rows[chosen].T
        table *= residuals[these] @ residuals[chosen].T
        table *= -2.0
        table += norms[these, None]
        table += norms[chosen]
        # What is left of equal gradients is rounding of either sign.
        table[table < 1e-6 * (norms[these, None] + norms[chosen])] = 0.0
        return table

    return without_chances(
        squared_distance_draws(
            np.ones(len(rows)), norms, distances, size=min(size, len(rows)), rng=np.random.default_rng(seed)
        )
    )
