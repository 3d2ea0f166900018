"""One arm on one data set with one seed: labels against score, and the figures that are read off such curves."""

import itertools
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.stats import rankdata, t
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from tests.bench.label_curves.data import DataSet, Table
from tests.bench.label_curves.state import Arm, State

START: Final = 20
_MANY_CLASSES: Final = 20
_FEWEST_BATCHES: Final = 5
_MOST_BATCHES: Final = 40
_GROWTH: Final = 0.15
"""Beyond the budget each batch is this share of the labels so far."""


@dataclass(frozen=True)
class Plan:
    """Labels at the start (drawn at random, the same for all arms), per batch, and at the end."""

    start: int
    batch: int
    budget: int


def plan_for(items: int, classes: int, batch: int | None = None) -> Plan:
    """Small batches for few classes; the budget is a third of the pool, at most 40 batches beyond the start.

    Parameters
    ----------
    items, classes
        Of the pool; items >= 4.
    batch
        Labels per batch; None: as many as there are classes twice, 20 at least and a 250th of the pool, but always a few
        batches within the budget.

    >>> plan_for(5452, 6), plan_for(12, 4)
    (Plan(start=20, batch=21, budget=860), Plan(start=3, batch=1, budget=4))
    """
    start = min(max(START, 2 * classes), items // 4)
    most = max(items // 3, start + 1)
    if batch is None:
        batch = min(max(20, 2 * classes, items // 250), max((most - start) // _FEWEST_BATCHES, 1))
    return Plan(start, batch, min(start + _MOST_BATCHES * batch, most))


def full_score(data: DataSet) -> float:
    """The score of the model with every label of the pool."""
    model = _fit(data.x, data.y)
    return _score(data, _probabilities(model, data.test_x, data.classes, int(data.y[0])))


def follow(data: DataSet, arm: Arm, plan: Plan, seed: int, *, to_the_end: bool = False) -> list[tuple[int, float]]:
    """Choose, label and train until the budget is spent, or the whole pool; (labels, score) after every training."""
    stamp = zlib.crc32(data.name.encode())
    labelled = np.random.default_rng([seed, stamp]).choice(len(data.y), plan.start, replace=False)
    draws = np.random.default_rng([seed, stamp, 1])
    curve: list[tuple[int, float]] = []
    while True:
        model = _fit(data.x[labelled], data.y[labelled])
        only = int(data.y[labelled[0]])
        curve.append((len(labelled), _score(data, _probabilities(model, data.test_x, data.classes, only))))
        size = next_size(len(labelled), plan, len(data.y), to_the_end=to_the_end)
        if size <= 0:
            return curve
        state = State(
            probabilities=_probabilities(model, data.x, data.classes, only),
            geometry=data.geometry,
            labelled=labelled,
            labels=data.y[labelled],
            unlabelled=np.setdiff1d(np.arange(len(data.y)), labelled),
            classes=data.classes,
            size=size,
            seed=int(draws.integers(2**62)),
        )
        chosen = arm(state)
        if len(chosen) != size or len(np.union1d(chosen, labelled)) != size + len(labelled):
            raise RuntimeError(f"an arm chose {len(chosen)} items, some of them twice or labelled already")
        labelled = np.concatenate([labelled, chosen])


def next_size(labelled: int, plan: Plan, pool: int, *, to_the_end: bool) -> int:
    """How many labels come next; the same for every arm and seed.

    >>> plan = Plan(start=20, batch=30, budget=100)
    >>> [next_size(labels, plan, 110, to_the_end=True) for labels in (20, 80, 100, 110)]
    [30, 20, 10, 0]
    """
    if labelled < plan.budget:
        return min(plan.batch, plan.budget - labelled)
    return min(max(plan.batch, round(_GROWTH * labelled)), pool - labelled) if to_the_end else 0


def within(curve: list[tuple[int, float]], budget: int) -> list[tuple[int, float]]:
    """The part of a curve up to the budget."""
    return [point for point in curve if point[0] <= budget]


def area(curve: list[tuple[int, float]]) -> float:
    """Mean score over the labels of the curve, straight lines in between.

    >>> area([(0, 0.0), (10, 1.0)])
    0.5
    """
    labels, scores = (np.array(column, dtype=np.float64) for column in zip(*curve, strict=True))
    return float(np.trapezoid(scores, labels) / (labels[-1] - labels[0]))


def labels_to(curve: list[tuple[int, float]], score: float) -> float | None:
    """The number of labels at which the curve first reaches a score, straight lines in between; None if it does not.

    >>> labels_to([(0, 0.0), (10, 1.0)], 0.75), labels_to([(0, 0.0), (10, 0.5)], 0.75)
    (7.5, None)
    """
    if curve[0][1] >= score:
        return float(curve[0][0])
    for (labels, low), (later, high) in itertools.pairwise(curve):
        if high >= score:
            return labels + (score - low) / (high - low) * (later - labels)
    return None


def mean_curve(curves: list[list[tuple[int, float]]]) -> list[tuple[int, float]]:
    return [(points[0][0], float(np.mean([score for _, score in points]))) for points in zip(*curves, strict=True)]


def paired_interval(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Mean difference over the seeds with its 95% t interval.

    >>> paired_interval([1.0, 1.0], [0.0, 0.0])
    (1.0, 1.0, 1.0)
    """
    difference = np.array(ours) - np.array(theirs)
    mean = float(difference.mean())
    if len(difference) < 2:
        return mean, -np.inf, np.inf
    half = float(t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / len(difference) ** 0.5)
    return mean, mean - half, mean + half


def ranks(scores: dict[str, float]) -> dict[str, float]:
    """1 for the best, ties share their mean rank.

    >>> ranks({"a": 0.9, "b": 0.5, "c": 0.9})
    {'a': 1.5, 'b': 3.0, 'c': 1.5}
    """
    return dict(zip(scores, rankdata([-score for score in scores.values()]).tolist(), strict=True))


def _fit(x: Table, y: NDArray[np.int64]) -> LogisticRegression | None:
    """None where there is one class only.

    Words that no labelled text holds have the weight 0 in the optimum, so they are left out while fitting: several
    times faster, and the same model.
    """
    known = len(np.unique(y))
    if known < 2:
        return None
    solver = "newton-cg" if known > _MANY_CLASSES else "lbfgs"
    model = LogisticRegression(C=10.0, solver=solver, max_iter=200, tol=1e-3)
    if not issparse(x):
        return model.fit(x, y)
    there = np.unique(x.indices)
    model.fit(x[:, there], y)
    weights = np.zeros((len(model.coef_), x.shape[1]))
    weights[:, there] = model.coef_
    model.coef_, model.n_features_in_ = weights, x.shape[1]
    return model


def _probabilities(model: LogisticRegression | None, x: Table, classes: int, only: int) -> NDArray[np.float32]:
    result = np.zeros((x.shape[0], classes), dtype=np.float32)
    if model is None:
        result[:, only] = 1.0
    else:
        result[:, model.classes_] = model.predict_proba(x)
    return result


def _score(data: DataSet, probabilities: NDArray[np.float32]) -> float:
    said = probabilities.argmax(axis=1)
    if data.uses_macro_f1:
        return float(f1_score(data.test_y, said, average="macro", zero_division=0))
    return float((said == data.test_y).mean())
