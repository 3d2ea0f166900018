"""The product's loop in memory: train, score, draw, label, again. For simulations that would be slow through the database.

Everything that decides is the product's own code (splitting, strategies, selection); what is left out is storage.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labeling.splitting import bucket_of, is_in_audit_reserve
from sampling.selection import Draw, draw_batch, draw_top_k
from sampling.strategies import registry

Rows = NDArray[np.int64]
Predict = Callable[[Rows], NDArray[np.float32]]
"""Row numbers -> class probabilities, one column per class."""
Learn = Callable[[Rows], Predict]
"""Row numbers of labelled rows -> a model."""
Accept = Callable[[Predict, Predict, Rows], bool]
"""(candidate, champion, audit rows) -> whether the candidate replaces the champion."""

Audit = Literal["reserve", "from_what_is_left"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a loop is run.

    audit
        "reserve": audit draws come from a reserve fixed by a hash, which active draws never touch (the product's way).
        "from_what_is_left": a share epsilon of each batch is drawn uniformly from all unlabelled items (for comparison).
    """

    start_per_class: int = 3
    budget: int
    batch: int
    strategy: str = "margin"
    rule: Literal["stochastic", "top_k"] = "stochastic"
    beta: float = 6.0
    epsilon: float = 0.1
    audit: Audit = "reserve"

    @classmethod
    def random_arm(cls, *, budget: int, batch: int, start_per_class: int = 3) -> "Settings":
        """Uniform draws from the whole pool, all trained on."""
        return cls(start_per_class=start_per_class, budget=budget, batch=batch, strategy="uniform", epsilon=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """The deployed model after a training, and everything that was labelled before it."""

    predict: Predict
    trained: Rows
    audit: Rows
    asked_as: NDArray[np.int64]
    """What the model that chose them predicted of the actively chosen rows: positions of classes."""
    chosen: Rows
    """The actively chosen rows, in the order of `asked_as`."""

    @property
    def n_labels(self) -> int:
        return len(self.trained) + len(self.audit)


def run(
    labels: NDArray[np.int64],
    pool: Rows,
    learn: Learn,
    settings: Settings,
    *,
    seed: int,
    rng: np.random.Generator,
    accept: Accept | None = None,
) -> Iterator[Round]:
    """Yield a round per training, from the start set until the budget is spent.

    `labels` holds the class positions of all rows, `pool` the numbers of those that may be asked. `seed` decides the start
    set and the reserve, so that two arms with one seed begin alike; `rng` decides the draws. Without `accept` every new
    model is deployed.
    """
    has_reserve = settings.epsilon > 0.0 and settings.audit == "reserve"
    fixed = np.array([is_in_audit_reserve(bucket_of(seed, str(row))) for row in pool.tolist()])
    trained = _start_set(labels, pool[~fixed], settings.start_per_class, seed=seed)
    left = np.setdiff1d(pool, trained)
    in_reserve = np.isin(left, pool[fixed]) if has_reserve else np.zeros(len(left), dtype=np.bool_)
    audit, chosen, asked_as = (np.empty(0, dtype=np.int64) for _ in range(3))
    champion: Predict | None = None
    while True:
        candidate = learn(trained)
        if champion is None or accept is None or accept(candidate, champion, audit):
            champion = candidate
        predict = champion
        yield Round(predict, trained, audit, asked_as, chosen)
        size = min(settings.batch, settings.budget - len(trained) - len(audit), len(left))
        if size <= 0:
            return
        probabilities = predict(left)
        draw = _draw(probabilities, in_reserve, settings, size=size, rng=rng)
        rows = left[draw.index]
        active = rows[~draw.is_audit]
        audit = np.concatenate([audit, rows[draw.is_audit]])
        trained, chosen = np.concatenate([trained, active]), np.concatenate([chosen, active])
        asked_as = np.concatenate([asked_as, probabilities[draw.index[~draw.is_audit]].argmax(axis=1)])
        left, in_reserve = np.delete(left, draw.index), np.delete(in_reserve, draw.index)


def _start_set(labels: NDArray[np.int64], candidates: Rows, per_class: int, *, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.permutation(candidates[labels[candidates] == position])[:per_class]
            for position in np.unique(labels[candidates])
        ]
    )


def _draw(
    probabilities: NDArray[np.float32],
    in_reserve: NDArray[np.bool_],
    settings: Settings,
    *,
    size: int,
    rng: np.random.Generator,
) -> Draw:
    scores = registry.find(settings.strategy)(probabilities)
    if settings.epsilon > 0.0 and settings.audit == "from_what_is_left":
        return _draw_marking_uniform(scores, settings, size=size, rng=rng)
    if settings.rule == "top_k":
        return draw_top_k(scores, in_reserve, size=size, epsilon=settings.epsilon, rng=rng)
    return draw_batch(scores, in_reserve, size=size, beta=settings.beta, epsilon=settings.epsilon, rng=rng)


def _draw_marking_uniform(
    scores: NDArray[np.float32], settings: Settings, *, size: int, rng: np.random.Generator
) -> Draw:
    """The alternative that was not taken: each draw is uniform over what is left with probability epsilon."""
    uniform = rng.permutation(len(scores))[: rng.binomial(size, settings.epsilon)]
    is_taken = np.zeros(len(scores), dtype=np.bool_)
    is_taken[uniform] = True
    free = np.flatnonzero(~is_taken)
    nobody = np.zeros(len(free), dtype=np.bool_)
    active = draw_batch(scores[free], nobody, size=size - len(uniform), beta=settings.beta, epsilon=0.0, rng=rng)
    index = np.concatenate([uniform, free[active.index]])
    unknown = np.full(len(index), np.nan)
    return Draw(index=index, proposal=unknown, propensity=unknown, is_audit=np.arange(len(index)) < len(uniform))
