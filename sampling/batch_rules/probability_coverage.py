"""Probability coverage (ProbCover): the item whose ball holds the most points that no other ball holds; needs no model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sampling.batch_rules.candidates import Candidates, Chosen, Parameters, without_chances
from sampling.batch_rules.geometry import nearest, of_candidates, squared_distances

COVERED_AT_MOST: Final = 0.5
"""The radius is such that the balls asked for would hold this share of the sample, if none overlapped."""
_LARGEST_SHARE_A_BALL: Final = 0.05
_FEWEST_A_BALL: Final = 5
_ROWS_A_BLOCK: Final = 512
_SAMPLED_FOR_THE_RADIUS: Final = 500


def pick(candidates: Candidates, *, size: int, seed: int, parameters: Parameters) -> Chosen:
    """Take again and again the item whose ball holds the most points not in the ball of a labelled or chosen one.

    Parameters
    ----------
    candidates
        With embeddings: a random sample of at most `sample_size` of the pool, in order of item ids.
    size
        How many items, >= 0.
    seed
        Of the points from which the radius is measured.
    parameters
        `metric`.

    Returns
    -------
    The batch, without propensities; ties by item id. When everything is covered, items follow in the order of how
    crowded they are.

    Notes
    -----
    The rule is sensitive to its radius. Here it is the distance within which a ball holds on average the share
    1 / (2 (labelled + size)) of the sample, but at least 5 points and at most 5%. Distances are taken 512 rows at a time, and
    only who lies in whose ball is kept: at most 80 MB for 20,000 points.

    References
    ----------
    Yehuda, Dekel, Hacohen, Weinshall: Active Learning Through a Covering Lens. NeurIPS 2022.
    """
    rows, labelled = of_candidates(candidates, parameters)
    size = min(size, len(rows))
    if size == 0:
        return without_chances(np.empty(0, dtype=np.int64))
    radius = _radius(rows, balls=len(labelled) + size, rng=np.random.default_rng(seed))
    starts, neighbours = _balls(rows, radius)
    is_covered = nearest(rows, labelled)[1] <= radius if len(labelled) else np.zeros(len(rows), dtype=np.bool_)
    crowd = np.diff(starts)
    gains = crowd.copy()
    _take_off(gains, np.flatnonzero(is_covered), starts, neighbours)
    chosen: list[int] = []
    is_chosen = np.zeros(len(rows), dtype=np.bool_)
    while len(chosen) < size:
        best = int(np.where(is_chosen, -1, gains).argmax())
        if gains[best] <= 0:
            break
        chosen.append(best)
        is_chosen[best] = True
        ball = neighbours[starts[best] : starts[best + 1]]
        fresh = ball[~is_covered[ball]]
        is_covered[fresh] = True
        _take_off(gains, fresh, starts, neighbours)
    left = np.flatnonzero(~is_chosen)
    rest = left[np.argsort(-crowd[left], kind="stable")[: size - len(chosen)]]
    return without_chances(np.concatenate([np.array(chosen, dtype=np.int64), rest]))


def _radius(rows: NDArray[np.float32], *, balls: int, rng: np.random.Generator) -> float:
    """Squared."""
    share = min(max(COVERED_AT_MOST / balls, _FEWEST_A_BALL / len(rows)), _LARGEST_SHARE_A_BALL)
    some = rng.choice(len(rows), size=min(len(rows), _SAMPLED_FOR_THE_RADIUS), replace=False)
    return float(np.quantile(squared_distances(rows[np.sort(some)], rows), share))


def _balls(rows: NDArray[np.float32], radius: float) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each row who lies in its ball: neighbours[starts[row]:starts[row + 1]]."""
    counts, neighbours = [], []
    for begin in range(0, len(rows), _ROWS_A_BLOCK):
        is_near = squared_distances(rows[begin : begin + _ROWS_A_BLOCK], rows) <= radius
        counts.append(np.count_nonzero(is_near, axis=1))
        neighbours.append(np.nonzero(is_near)[1].astype(np.int32))
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.concatenate(neighbours)


def _take_off(
    gains: NDArray[np.int64], covered: NDArray[np.integer], starts: NDArray[np.int64], neighbours: NDArray[np.int32]
) -> None:
    """Points that are covered count for no ball any more: take them off the gains of all balls that hold them."""
    for row in covered.tolist():
        gains[neighbours[starts[row] : starts[row + 1]]] -= 1
