"""The control arm: does the same learner do better on labels that were chosen than on labels drawn at random?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from datasets.estimation.wilson import proportion_interval

FEWEST_RANDOM: Final = 30
FEWEST_ACTIVE: Final = 20
FOLDS: Final = 5
REPEATS: Final = 4
_FEWEST_TRAINED_ON: Final = 10

Verdict = Literal["better", "undecided", "worse", "too_few"]
Learn = Callable[[NDArray[np.floating], NDArray[np.int64], NDArray[np.floating], int], NDArray[np.int64]]
"""(training rows, their classes, rows to predict, seed) -> predicted classes."""


@dataclass(frozen=True, slots=True)
class ArmPoint:
    """Accuracy of the learner on the random labels, after so many labels of one arm; `correct` may be no whole number."""

    arm: Literal["active", "random"]
    labels: int
    correct: float
    evaluated_on: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.evaluated_on

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95%."""
        estimate = proportion_interval(round(self.correct), self.evaluated_on)
        return estimate.low or 0.0, estimate.high or 0.0


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """The learner on as many chosen labels as random ones, measured on the same random labels.

    trained_on
        Labels each arm was trained on.
    difference, low, high
        Accuracy of the active arm minus the random arm's, with its 95% interval; None with too few labels.
    curve
        Both arms after growing numbers of labels; the active one goes on where the random one has no more.
    """

    verdict: Verdict
    reason: str
    trained_on: int
    evaluated_on: int
    difference: float | None
    low: float | None
    high: float | None
    curve: tuple[ArmPoint, ...]


def compare(
    active: tuple[NDArray[np.floating], NDArray[np.int64]],
    random: tuple[NDArray[np.floating], NDArray[np.int64]],
    learn: Learn,
    *,
    seed: int = 0,
) -> ArmComparison:
    """Compare the arms by cross-fitting on the random one.

    The random labels are cut into 5 folds. For each, the random arm learns from m labels of the other folds, and the active arm
    from m of its own; both predict the fold, so every random label measures both, and neither learned from it. m is the
    largest number that both have. All of it 4 times with other folds and other subsets.

    Parameters
    ----------
    active, random
        Vectors (n, d) and classes (n,) of the chosen labels, and of labels drawn uniformly.
    learn
        The learner.
    seed
        Of folds, subsets and learners.

    Returns
    -------
    "better" or "worse" when the 95% interval of the difference leaves out 0, else "undecided"; "too_few" with fewer than 30
    random or 20 chosen labels.

    Notes
    -----
    The variance of the difference is that between the measured labels, of which both arms are measured on the same, plus
    that between the repetitions: which labels an arm happens to have matters when there are few. m is limited by the random arm,
    about a tenth of all labels; so this tells whether the *kind* of labels is worse, not what all of them together are worth,
    which is what the curve shows.

    References
    ----------
    Attenberg, Provost: Inactive Learning? Difficulties Employing Active Learning in Practice. 2011 (random controls).
    """
    n_active, n_random = len(active[1]), len(random[1])
    if n_random < FEWEST_RANDOM or n_active < FEWEST_ACTIVE or len(np.unique(random[1])) < 2:
        reason = (
            f"{n_active} chosen and {n_random} random labels: at least {FEWEST_ACTIVE} and {FEWEST_RANDOM} are needed."
        )
        if len(np.unique(random[1])) < 2 <= n_random:
            reason = "All random labels are of one class."
        return ArmComparison("too_few", reason, 0, n_random, None, None, None, ())
    most_random = n_random - -(-n_random // FOLDS)
    largest = min(most_random, n_active)
    sizes = _sizes(largest, max(most_random, n_active))
    points: list[ArmPoint] = []
    by_repeat: NDArray[np.float64] = np.empty(0)
    for size in sizes:
        hits = {
            arm: _hits(rows, random, size, learn, is_random=arm == "random", seed=seed)
            for arm, rows, most in (("active", active, n_active), ("random", random, most_random))
            if size <= most
        }
        for arm, found in hits.items():
            points.append(
                ArmPoint("active" if arm == "active" else "random", size, float(found.mean(axis=0).sum()), n_random)
            )
        if size == largest:
            by_repeat = hits["active"] - hits["random"]
    difference, low, high = _interval(by_repeat)
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    said = {
        "better": "Chosen labels teach more than random ones.",
        "worse": "Chosen labels teach less than random ones.",
        "undecided": "No difference between chosen and random labels is settled.",
    }[verdict]
    return ArmComparison(verdict, said, largest, n_random, difference, low, high, tuple(points))


def _sizes(largest: int, most: int) -> list[int]:
    """Doubling up to the largest common number, that number, and doubling on."""
    sizes = {largest, most}
    size = _FEWEST_TRAINED_ON
    while size < most:
        sizes.add(size)
        size *= 2
    return sorted(sizes)


def _hits(
    arm: tuple[NDArray[np.floating], NDArray[np.int64]],
    random: tuple[NDArray[np.floating], NDArray[np.int64]],
    size: int,
    learn: Learn,
    *,
    is_random: bool,
    seed: int,
) -> NDArray[np.float64]:
    """Whether the arm was right about each random label: shape (REPEATS, n), 0 or 1."""
    hits = np.empty((REPEATS, len(random[1])))
    for repeat in range(REPEATS):
        rng = np.random.default_rng([seed, repeat])
        folds = rng.permutation(len(random[1])) % FOLDS
        for fold in range(FOLDS):
            measured = np.flatnonzero(folds == fold)
            free = np.flatnonzero(folds != fold) if is_random else np.arange(len(arm[1]))
            rows = np.random.default_rng([seed, repeat, fold, size]).permutation(free)[:size]
            said = _learned(learn, arm[0][rows], arm[1][rows], random[0][measured], seed + repeat)
            hits[repeat, measured] = said == random[1][measured]
    return hits


def _learned(
    learn: Learn, rows: NDArray[np.floating], classes: NDArray[np.int64], measured: NDArray[np.floating], seed: int
) -> NDArray[np.int64]:
    if (classes == classes[0]).all():
        return np.full(len(measured), classes[0])
    return learn(rows, classes, measured, seed)


def _interval(difference: NDArray[np.float64]) -> tuple[float, float, float]:
    repeats, n = difference.shape
    per_label, per_repeat = difference.mean(axis=0), difference.mean(axis=1)
    mean = float(per_label.mean())
    variance = per_label.var(ddof=1) / n + per_repeat.var(ddof=1) / repeats
    half = float(t.ppf(0.975, min(n, 30) - 1) * np.sqrt(variance))
    return mean, mean - half, mean + half
