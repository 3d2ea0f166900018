"""From scores to a batch: stochastic acquisition with exact propensities, and the uniform audit draws.

Every draw first decides between two groups of items by a coin: with probability `epsilon` it is an *audit draw*,
uniform over what is left of the audit reserve; otherwise it is an *active draw*, proportional to informativeness ** beta
over what is left outside the reserve. Within a group, drawing one after the other without replacement is done at once
by the Gumbel-top-k trick. See docs/algorithms/stochastic_acquisition.md and docs/algorithms/audit_reserve.md.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DEFAULT_BETA: Final = 12.0
DEFAULT_EPSILON: Final = 0.1
# Scores below this count as this. It keeps every propensity above zero (what unbiased estimation from active draws
# needs), makes an all-zero pool uniform, and is far above the float32 rounding of a score (6e-8) that beta would blow up.
SCORE_FLOOR: Final = 1e-3
# SCORE_FLOOR ** LARGEST_BETA = 1e-150 leaves room for a division by the pool's size in float64.
LARGEST_BETA: Final = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """The selected items, in draw order. All arrays have the same length.

    index
        Positions in the pool.
    proposal
        q: the probability that this item would have been the *first* draw. NaN where a deterministic rule chose.
    propensity
        The probability of this item at its own draw, given the ones drawn before it (what LURE weights need). NaN where
        a deterministic rule chose.
    is_audit
        True for audit draws: uniform over the reserve, whatever the score.
    """

    index: NDArray[np.int64]
    proposal: NDArray[np.float64]
    propensity: NDArray[np.float64]
    is_audit: NDArray[np.bool_]


def draw_batch(
    informativeness: NDArray[np.float32],
    in_reserve: NDArray[np.bool_],
    *,
    size: int,
    beta: float = DEFAULT_BETA,
    epsilon: float = DEFAULT_EPSILON,
    rng: np.random.Generator,
) -> Draw:
    """Draw a batch without replacement: informative items with high probability, audit items uniformly.

    At the first draw item i has the probability

        q_i = (1 - epsilon) * s_i ** beta / sum_{active} s ** beta      outside the reserve ("active"),
        q_i = epsilon / (items in the reserve)                          in the reserve,

    with s_i = max(informativeness_i, 1e-3). At every later draw the same holds over the items that are left. When one
    group is used up, or has no item at all, the other gets all the mass.

    Parameters
    ----------
    informativeness
        Shape (N,), >= 0, higher = ask first. Ignored for items in the reserve, but checked.
    in_reserve
        Shape (N,), True for items of the audit reserve.
    size
        Number of items to draw, >= 0. More than there are: all of them, still in random order.
    beta
        In [0, 50]. 0 draws the active part uniformly; large values approach `draw_top_k`.
    epsilon
        In [0, 1], the expected share of audit draws. At 0 the reserve is never drawn and at 1 nothing else is, even if
        the batch stays short: such items have probability zero.
    rng
        The source of chance. The same generator state, pool and parameters give the same batch.

    Returns
    -------
    A `Draw`, empty when nothing can be drawn.

    Raises
    ------
    ValueError
        For parameters out of range, arrays of different shapes, or naming the first row whose score is NaN, infinite or
        negative.

    Notes
    -----
    Weights are handled as logarithms: key_i = beta ln s_i - ln E_i with E_i standard exponential, the `size` largest
    keys in descending order. The remaining weight before each draw is summed from the back, undrawn items first, so it
    loses no digits when the drawn items held nearly all of it. O(N) time plus sorting the batch; about 40 bytes an item.

    >>> scores = np.array([0.9, 0.1, 0.5, 0.3], dtype=np.float32)
    >>> reserve = np.array([False, False, True, False])
    >>> draw = draw_batch(scores, reserve, size=4, rng=np.random.default_rng(0))
    >>> sorted(draw.index.tolist()), draw.is_audit.sum().item(), draw.propensity[-1].item()
    ([0, 1, 2, 3], 1, 1.0)

    References
    ----------
    Kirsch, Farquhar et al.: Stochastic Batch Acquisition: A Simple Baseline for Deep Active Learning. TMLR 2023 (power
    acquisition). Kool, van Hoof, Welling: Stochastic Beams and Where to Find Them. ICML 2019 (Gumbel-top-k). Farquhar,
    Gal, Rainforth: On Statistical Bias in Active Learning. ICLR 2021 (LURE).
    """
    if not 0.0 <= beta <= LARGEST_BETA:
        raise ValueError(f"beta must lie in [0, {LARGEST_BETA:g}], not be {beta}")
    active, reserve = _groups(informativeness, in_reserve, size=size, epsilon=epsilon)
    is_audit = _audit_positions(len(active), len(reserve), size=size, epsilon=epsilon, rng=rng)
    n_active = int(np.count_nonzero(~is_audit))

    log_weights = beta * np.log(np.maximum(informativeness[active].astype(np.float64), SCORE_FLOOR))
    order = _gumbel_order(log_weights, n_active, rng=rng)
    weights = np.exp(log_weights - log_weights.max()) if len(log_weights) else log_weights
    drawn = weights[order]
    total = weights.sum()
    weights[order] = 0.0
    left = weights.sum() + np.cumsum(drawn[::-1])[::-1]

    return _assemble(
        active[order],
        _uniform_sample(reserve, len(is_audit) - n_active, rng=rng),
        is_audit,
        active_proposal=drawn / total,
        active_propensity=drawn / left,
        n_active_pool=len(active),
        n_reserve=len(reserve),
        epsilon=epsilon,
    )


def coins(n_active: int, n_reserve: int, *, size: int, epsilon: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Toss the coin of every draw: True for audit draws. For batches whose active part a batch rule chooses.

    Parameters
    ----------
    n_active, n_reserve
        Items outside and in the audit reserve.
    size, epsilon, rng
        As in `draw_batch`.

    Returns
    -------
    One coin per draw, in draw order: min(size, items that may be drawn). At epsilon 0 the reserve is never drawn, and at 1
    nothing else is; a group that is used up leaves its draws to the other.
    """
    if size < 0:
        raise ValueError(f"size must not be negative, not {size}")
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon must lie in [0, 1], not be {epsilon}")
    active, reserve = (n_active if epsilon < 1.0 else 0), (n_reserve if epsilon > 0.0 else 0)
    return _audit_positions(active, reserve, size=size, epsilon=epsilon, rng=rng)


def chances(
    is_audit: NDArray[np.bool_],
    *,
    active_proposal: NDArray[np.float64],
    active_propensity: NDArray[np.float64],
    n_active: int,
    n_reserve: int,
    epsilon: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multiply the probabilities within the two groups by those of the coins.

    Parameters
    ----------
    is_audit
        The coins, as from `coins`.
    active_proposal, active_propensity
        Of the active draws in draw order, within their group.
    n_active, n_reserve, epsilon
        As given to `coins`.

    Returns
    -------
    `proposal` and `propensity` of every draw; see `Draw`.
    """
    active_pool, reserve = (n_active if epsilon < 1.0 else 0), (n_reserve if epsilon > 0.0 else 0)
    audits_before: NDArray[np.int64] = np.cumsum(is_audit) - is_audit
    actives_before: NDArray[np.int64] = np.arange(len(is_audit)) - audits_before
    # The coin counts only while both groups have items left.
    audit_chance = np.where(audits_before == reserve, 0.0, np.where(actives_before == active_pool, 1.0, epsilon))
    chance = np.where(is_audit, audit_chance, 1.0 - audit_chance)

    within = np.empty(len(is_audit))
    within[is_audit] = 1.0 / (reserve - audits_before[is_audit])
    within[~is_audit] = active_propensity

    first_audit_chance = audit_chance[0] if len(audit_chance) else 0.0
    proposal = np.empty(len(is_audit))
    proposal[is_audit] = first_audit_chance / max(reserve, 1)
    proposal[~is_audit] = (1.0 - first_audit_chance) * active_proposal
    return proposal, chance * within


def draw_top_k(
    informativeness: NDArray[np.float32],
    in_reserve: NDArray[np.bool_],
    *,
    size: int,
    epsilon: float = DEFAULT_EPSILON,
    rng: np.random.Generator,
) -> Draw:
    """Take the most informative items outside the reserve, and the audit share at random from the reserve.

    The active part is deterministic: highest score first, ties by position. Items that were not on top had no chance, so
    nothing can be estimated from the active part, and its `proposal` and `propensity` are NaN. The audit draws are as
    good as those of `draw_batch`.

    Parameters, errors and empty cases are those of `draw_batch`, without beta. O(N) time plus sorting the batch.

    >>> scores = np.array([0.2, 0.9, 0.9, 0.1], dtype=np.float32)
    >>> draw_top_k(scores, np.zeros(4, dtype=bool), size=2, rng=np.random.default_rng(0)).index.tolist()
    [1, 2]
    """
    active, reserve = _groups(informativeness, in_reserve, size=size, epsilon=epsilon)
    is_audit = _audit_positions(len(active), len(reserve), size=size, epsilon=epsilon, rng=rng)
    n_active = int(np.count_nonzero(~is_audit))
    order = _largest(informativeness[active], n_active)
    unknown = np.full(n_active, np.nan)
    return _assemble(
        active[order],
        _uniform_sample(reserve, len(is_audit) - n_active, rng=rng),
        is_audit,
        active_proposal=unknown,
        active_propensity=unknown,
        n_active_pool=len(active),
        n_reserve=len(reserve),
        epsilon=epsilon,
    )


def _groups(
    informativeness: NDArray[np.float32], in_reserve: NDArray[np.bool_], *, size: int, epsilon: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Check the arguments; return the positions that active and audit draws may take."""
    if informativeness.ndim != 1 or informativeness.shape != in_reserve.shape:
        raise ValueError(
            f"informativeness and in_reserve must have one shape (N,), not {informativeness.shape}, {in_reserve.shape}"
        )
    if in_reserve.dtype != np.bool_:
        # ~ of an integer array is no negation, and would put every item into the active group.
        raise ValueError(f"in_reserve must be boolean, not {in_reserve.dtype}")
    if size < 0:
        raise ValueError(f"size must not be negative, not {size}")
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon must lie in [0, 1], not be {epsilon}")
    if len(informativeness) and not (informativeness.min() >= 0.0 and informativeness.max() < np.inf):
        row = int(np.argmin((informativeness >= 0.0) & (informativeness < np.inf)))
        raise ValueError(f"row {row}: informativeness must be finite and >= 0, not {informativeness[row]}")
    nothing = np.empty(0, dtype=np.int64)
    active = np.flatnonzero(~in_reserve) if epsilon < 1.0 else nothing
    reserve = np.flatnonzero(in_reserve) if epsilon > 0.0 else nothing
    return active, reserve


def _audit_positions(
    n_active: int, n_reserve: int, *, size: int, epsilon: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Toss the coin of every draw; a group that is used up leaves its remaining draws to the other."""
    is_audit: NDArray[np.bool_] = rng.random(min(size, n_active + n_reserve)) < epsilon
    is_audit &= np.cumsum(is_audit) <= n_reserve
    is_audit |= np.cumsum(~is_audit) > n_active
    return is_audit


def _gumbel_order(log_weights: NDArray[np.float64], count: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of `count` draws without replacement, each proportional to the weights that are left."""
    # float64, because float32 exponentials are multiples of about 1e-7: in a pool of a million, just the smallest ones,
    # which decide, would tie. -ln of a standard exponential is standard Gumbel.
    exponentials = rng.standard_exponential(len(log_weights))
    keys = log_weights - np.log(exponentials, out=exponentials)
    return _largest(keys, count)


def _largest(keys: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Positions of the `count` largest keys, largest first, ties by position (at the cut as well)."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    threshold = np.partition(keys, len(keys) - count)[len(keys) - count]
    above = np.flatnonzero(keys > threshold)
    ties = np.flatnonzero(keys == threshold)[: count - len(above)]
    candidates = np.concatenate([above, ties])
    return candidates[np.argsort(-keys[candidates], kind="stable")]


def _uniform_sample(positions: NDArray[np.int64], count: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(positions, size=count, replace=False, shuffle=True)


def _assemble(
    active: NDArray[np.int64],
    audit: NDArray[np.int64],
    is_audit: NDArray[np.bool_],
    *,
    active_proposal: NDArray[np.float64],
    active_propensity: NDArray[np.float64],
    n_active_pool: int,
    n_reserve: int,
    epsilon: float,
) -> Draw:
    """Interleave the two groups' draws and multiply their probabilities by the coin's."""
    index = np.empty(len(is_audit), dtype=np.int64)
    index[is_audit], index[~is_audit] = audit, active
    proposal, propensity = chances(
        is_audit,
        active_proposal=active_proposal,
        active_propensity=active_propensity,
        n_active=n_active_pool,
        n_reserve=n_reserve,
        epsilon=epsilon,
    )
    return Draw(index=index, proposal=proposal, propensity=propensity, is_audit=is_audit)
