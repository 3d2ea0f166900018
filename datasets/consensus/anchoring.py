"""Anchoring: how much people agree with a model's answer because they saw it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

LEAST_WEIGHT: Final = 0.1


@dataclass(frozen=True)
class Anchoring:
    """The anchoring effect: agreement with the model when its answer is shown minus agreement when it is hidden.

    effect
        In [-1, 1]; above 0: people follow what they see. NaN if either arm is empty.
    low, high
        The normal interval of the difference.
    z
        The pooled test statistic; 0 where nothing varies.
    """

    shown: float
    blind: float
    effect: float
    standard_error: float
    low: float
    high: float
    z: float


def anchoring_effect(
    agree_shown: int, n_shown: int, agree_blind: int, n_blind: int, *, confidence: float = 0.95
) -> Anchoring:
    """Estimate the anchoring effect from answers that were randomly given with and without the model's answer in view.

        effect = a/n - b/m,   se = sqrt(p (1 - p) / n + q (1 - q) / m)

    Unbiased only because chance decided who saw the answer. The interval is the textbook one: fine from some tens of answers in
    each arm.

    >>> found = anchoring_effect(850, 1000, 780, 1000)
    >>> [round(each, 4) for each in (found.effect, found.standard_error, found.low, found.high, found.z)]
    [0.07, 0.0173, 0.0361, 0.1039, 4.0311]
    """
    if not (0 <= agree_shown <= n_shown and 0 <= agree_blind <= n_blind):
        raise ValueError("no more answers can agree than were given")
    if not n_shown or not n_blind:
        nan = float("nan")
        shown = agree_shown / n_shown if n_shown else nan
        return Anchoring(shown, agree_blind / n_blind if n_blind else nan, nan, nan, nan, nan, nan)
    p, q = agree_shown / n_shown, agree_blind / n_blind
    error = float(np.sqrt(p * (1 - p) / n_shown + q * (1 - q) / n_blind))
    together = (agree_shown + agree_blind) / (n_shown + n_blind)
    pooled = float(np.sqrt(together * (1 - together) * (1 / n_shown + 1 / n_blind)))
    reach = float(norm.ppf((1 + confidence) / 2)) * error
    return Anchoring(p, q, p - q, error, p - q - reach, p - q + reach, (p - q) / pooled if pooled else 0.0)


def anchored_weight(effect: Anchoring) -> float:
    """Return what an answer that agrees with a shown model answer still counts: the share that would have agreed unseen.

        weight = blind / shown = 1 - effect / shown,   from 0.1 to 1

    Of 85 that agree when shown, 78 would have agreed anyway; which ones is not known, so each counts 78/85. Answers that
    disagree with what was shown count in full. 1 where the effect is unknown or not above 0.

    >>> round(anchored_weight(anchoring_effect(850, 1000, 780, 1000)), 4)
    0.9176
    """
    if np.isnan(effect.effect) or effect.effect <= 0 or not effect.shown:
        return 1.0
    return max(LEAST_WEIGHT, effect.blind / effect.shown)


def anchored_weights(agrees: NDArray[np.bool_], was_shown: NDArray[np.bool_], effect: Anchoring) -> NDArray[np.float64]:
    """Return the weight of each answer, shape (n,): `anchored_weight` where it agrees with what was shown, else 1."""
    return np.where(agrees & was_shown, anchored_weight(effect), 1.0)
