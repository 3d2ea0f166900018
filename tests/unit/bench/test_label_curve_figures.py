"""Figures that are read off learning curves, by worked values and by other packages."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.sparse import csr_matrix

from tests.bench.label_curves import curve
from tests.bench.label_curves.data import DataSet
from tests.bench.label_curves.state import State

Points = list[tuple[int, float]]


def test_area_is_the_mean_height_of_the_curve() -> None:
    assert curve.area([(20, 0.5), (40, 0.5), (100, 0.5)]) == pytest.approx(0.5)
    # 20 labels at 0.6 on average, then 60 at 0.8.
    assert curve.area([(20, 0.5), (40, 0.7), (100, 0.9)]) == pytest.approx((20 * 0.6 + 60 * 0.8) / 80)


@pytest.mark.parametrize(
    ("score", "labels"),
    [(0.4, 20.0), (0.5, 20.0), (0.6, 30.0), (0.7, 40.0), (0.75, 85.0), (0.95, None)],
)
def test_labels_to_a_score_are_those_of_the_first_time_it_is_reached(score: float, labels: float | None) -> None:
    dips: Points = [(20, 0.5), (40, 0.7), (60, 0.6), (80, 0.7), (100, 0.9)]
    assert curve.labels_to(dips, score) == (None if labels is None else pytest.approx(labels))


def test_a_curve_is_cut_at_the_budget_and_averaged_point_by_point() -> None:
    assert curve.within([(20, 0.5), (40, 0.7), (60, 0.6)], 40) == [(20, 0.5), (40, 0.7)]
    labels, scores = zip(*curve.mean_curve([[(20, 0.5), (40, 0.7)], [(20, 0.7), (40, 0.8)]]), strict=True)
    assert labels == (20, 40)
    assert scores == pytest.approx((0.6, 0.75))


def test_ranks_are_shared_by_ties() -> None:
    assert curve.ranks({"a": 0.8, "b": 0.9, "c": 0.8, "d": 0.7}) == {"a": 2.5, "b": 1.0, "c": 2.5, "d": 4.0}


def test_the_paired_interval_is_that_of_a_paired_t_test() -> None:
    ours, theirs = [0.82, 0.79, 0.85, 0.80, 0.83], [0.80, 0.78, 0.80, 0.81, 0.79]
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    mean, low, high = curve.paired_interval(ours, theirs)
    assert (mean, low, high) == pytest.approx((np.mean(ours) - np.mean(theirs), expected.low, expected.high))
    assert curve.paired_interval([0.9], [0.8]) == pytest.approx((0.1, -math.inf, math.inf))


@pytest.mark.parametrize("items", [12, 40, 427, 5_452, 20_000])
@pytest.mark.parametrize("classes", [2, 6, 150])
@pytest.mark.parametrize("batch", [None, 1, 50, 10_000])
def test_every_plan_ends_with_more_labels_than_it_began_with(items: int, classes: int, batch: int | None) -> None:
    plan = curve.plan_for(items, classes, batch)
    assert 1 <= plan.start < plan.budget <= items
    assert plan.batch == batch or (batch is None and 1 <= plan.batch <= plan.budget)
    labels, sizes = plan.start, []
    while (size := curve.next_size(labels, plan, items, to_the_end=True)) > 0:
        sizes.append(size)
        labels += size
    assert labels == items
    assert plan.budget in np.cumsum([plan.start, *sizes])


def _digits_like(classes: int = 2) -> DataSet:
    rng = np.random.default_rng(0)
    y = np.arange(60) % classes
    x = rng.normal(size=(60, 3)) + 4.0 * y[:, None]
    return DataSet("made", x[:40], y[:40], x[40:], y[40:], x[:40].astype(np.float32), classes, "digest")


def test_an_arm_is_followed_with_the_labels_it_asked_for() -> None:
    seen: list[State] = []

    def last(state: State) -> np.ndarray:
        seen.append(state)
        return state.unlabelled[-state.size :]

    data = _digits_like()
    plan = curve.plan_for(40, 2, 3)
    points = curve.follow(data, last, plan, seed=1)
    assert [labels for labels, _ in points] == [10, 13]
    assert points[-1][1] > 0.9
    assert np.array_equal(seen[0].labels, data.y[seen[0].labelled])
    assert not set(seen[0].labelled) & set(seen[0].unlabelled)
    assert curve.follow(data, last, plan, seed=1) == points
    with pytest.raises(RuntimeError, match="twice or labelled already"):
        curve.follow(data, lambda state: state.labelled[: state.size], plan, seed=1)


def test_words_that_no_labelled_text_holds_do_not_change_the_model() -> None:
    rng = np.random.default_rng(1)
    x = np.where(rng.random((60, 30)) < 0.1, rng.random((60, 30)), 0.0)
    x[:, 20:] = 0.0
    y = (x[:, 0] + x[:, 1] > 0.1).astype(np.int64)
    sparse, dense = curve._fit(csr_matrix(x), y), curve._fit(x, y)
    assert sparse is not None
    assert dense is not None
    assert sparse.coef_ == pytest.approx(dense.coef_, abs=1e-4)
    assert not sparse.coef_[:, 20:].any()
    assert sparse.predict_proba(csr_matrix(x)) == pytest.approx(dense.predict_proba(x), abs=1e-4)
