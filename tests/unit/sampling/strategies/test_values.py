"""Scores against values by hand and against other people's code."""

import math

import numpy as np
import pytest
import scipy.stats
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty
from numpy.typing import NDArray

from labeling.probability import normalise
from sampling.strategies import (
    confidence,
    entropy,
    least_confidence,
    margin,
    multi_label_margin,
    multi_label_worst_margin,
    rating_variance,
    uniform,
)


class _Stored:
    """A classifier for modAL that predicts what it was given."""

    def __init__(self, probabilities: NDArray[np.float32]) -> None:
        self.probabilities = probabilities

    def predict_proba(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.probabilities[rows].astype(np.float64)


@pytest.fixture(params=[2, 3, 10, 77])
def rows(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    n_classes: int = request.param
    return normalise(np.random.default_rng(n_classes).dirichlet(np.full(n_classes, 0.3), 500))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.5, 0.5], 1.0),
        ([1.0, 0.0], 0.0),
        ([0.7, 0.2, 0.1], 0.5),
        ([0.1, 0.2, 0.7], 0.5),
        ([0.25, 0.25, 0.25, 0.25], 1.0),
        ([0.4, 0.4, 0.2], 1.0),
        ([0.3, 0.3, 0.4], 0.9),
        ([1.0], 0.0),
    ],
)
def test_margin_by_hand(row: list[float], expected: float) -> None:
    assert margin.informativeness(np.array([row], dtype=np.float32))[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.5, 0.5], 1.0),
        ([1.0, 0.0], 0.0),
        ([0.7, 0.2, 0.1], 0.45),  # 3/2 * 0.3
        ([0.25, 0.25, 0.25, 0.25], 1.0),
        ([0.5, 0.5, 0.0, 0.0], 2 / 3),  # 4/3 * 1/2
        ([1.0], 0.0),
    ],
)
def test_least_confidence_by_hand(row: list[float], expected: float) -> None:
    assert least_confidence.informativeness(np.array([row], dtype=np.float32))[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "nats", "share"),
    [
        ([0.5, 0.5], math.log(2), 1.0),
        ([1.0, 0.0], 0.0, 0.0),
        ([0.5, 0.25, 0.25], 1.5 * math.log(2), 1.5 * math.log(2) / math.log(3)),
        ([0.25, 0.25, 0.25, 0.25], 2 * math.log(2), 1.0),
        ([0.5, 0.5, 0.0, 0.0], math.log(2), 0.5),
        ([1.0], 0.0, 0.0),
    ],
)
def test_entropy_by_hand(row: list[float], nats: float, share: float) -> None:
    rows = np.array([row], dtype=np.float32)
    assert entropy.entropy_nats(rows)[0] == pytest.approx(nats, abs=1e-6)
    assert entropy.informativeness(rows)[0] == pytest.approx(share, abs=1e-6)


def test_the_entropy_of_certainty_is_plus_zero() -> None:
    assert not np.signbit(entropy.entropy_nats(np.eye(3, dtype=np.float32))).any()


def test_denormal_probabilities_add_no_entropy() -> None:
    rows = np.array([[1.0, 1e-40]], dtype=np.float32)
    assert entropy.entropy_nats(rows)[0] == pytest.approx(0.0, abs=1e-30)


def test_uniform_is_one_everywhere() -> None:
    assert uniform.informativeness(np.eye(3, dtype=np.float32)).tolist() == [1.0, 1.0, 1.0]


def test_margin_agrees_with_modal(rows: NDArray[np.float32]) -> None:
    theirs = 1.0 - classifier_margin(_Stored(rows), np.arange(len(rows)))
    np.testing.assert_allclose(margin.informativeness(rows), theirs, atol=1e-6)


def test_margin_agrees_with_sorting(rows: NDArray[np.float32]) -> None:
    ordered = np.sort(rows.astype(np.float64), axis=1)
    np.testing.assert_allclose(margin.informativeness(rows), 1 - (ordered[:, -1] - ordered[:, -2]), atol=1e-6)


def test_least_confidence_agrees_with_modal(rows: NDArray[np.float32]) -> None:
    theirs = classifier_uncertainty(_Stored(rows), np.arange(len(rows)))
    scale = rows.shape[1] / (rows.shape[1] - 1)
    np.testing.assert_allclose(least_confidence.informativeness(rows), scale * theirs, atol=1e-6)


def test_entropy_agrees_with_modal_and_scipy(rows: NDArray[np.float32]) -> None:
    ours = entropy.entropy_nats(rows)
    np.testing.assert_allclose(ours, classifier_entropy(_Stored(rows), np.arange(len(rows))), atol=2e-6)
    np.testing.assert_allclose(ours, scipy.stats.entropy(rows.astype(np.float64), axis=1), atol=2e-6)
    share = scipy.stats.entropy(rows.astype(np.float64), base=rows.shape[1], axis=1)
    np.testing.assert_allclose(entropy.informativeness(rows), share, atol=2e-6)


def test_with_two_classes_all_strategies_rank_alike() -> None:
    first = np.linspace(0.5, 1.0, 200)
    rows = normalise(np.stack([first, 1.0 - first], axis=1))
    for score in (margin.informativeness, entropy.informativeness, least_confidence.informativeness):
        assert (np.diff(score(rows)) < 0).all()


@pytest.mark.parametrize(
    ("row", "mean", "worst"),
    [
        ([0.5, 0.5, 0.5], 1.0, 1.0),
        ([0.0, 1.0, 0.0], 0.0, 0.0),
        ([0.5, 1.0, 0.0], 1 / 3, 1.0),
        ([0.75, 0.25], 0.5, 0.5),
        ([0.9], 0.2, 0.2),
    ],
)
def test_multi_label_margins_by_hand(row: list[float], mean: float, worst: float) -> None:
    rows = np.array([row], dtype=np.float32)
    assert multi_label_margin.informativeness(rows)[0] == pytest.approx(mean, abs=1e-6)
    assert multi_label_worst_margin.informativeness(rows)[0] == pytest.approx(worst, abs=1e-6)


def test_a_multi_label_margin_is_the_mean_of_the_binary_margins_of_its_classes() -> None:
    """A class that applies with p is a binary decision with the probabilities p and 1 - p."""
    rows = np.random.default_rng(5).random((300, 12), dtype=np.float32)
    binary = np.stack([margin.informativeness(np.stack([p, 1 - p], axis=1)) for p in rows.T])
    np.testing.assert_allclose(multi_label_margin.informativeness(rows), binary.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(multi_label_worst_margin.informativeness(rows), binary.max(axis=0), atol=1e-5)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.5, 0.0, 0.0, 0.0, 0.5], 1.0),
        ([0.0, 0.0, 1.0, 0.0, 0.0], 0.0),
        ([0.0, 0.0, 0.0, 0.5, 0.5], 0.0625),
        ([0.2, 0.2, 0.2, 0.2, 0.2], 0.5),
    ],
)
def test_rating_variance_by_hand(row: list[float], expected: float) -> None:
    assert rating_variance.informativeness(np.array([row], dtype=np.float32))[0] == pytest.approx(expected, abs=1e-6)


def test_rating_variance_is_that_of_scipy(rows: NDArray[np.float32]) -> None:
    levels = rows.shape[1]
    expected = [
        scipy.stats.rv_discrete(values=(np.arange(levels), row / row.sum())).var() / ((levels - 1) / 2) ** 2
        for row in rows[:50].astype(np.float64)
    ]
    np.testing.assert_allclose(rating_variance.informativeness(rows[:50]), expected, atol=1e-5)


def test_confidence_is_turned_round() -> None:
    rows = np.array([[0.0], [0.25], [1.0]], dtype=np.float32)
    np.testing.assert_array_equal(confidence.informativeness(rows), np.array([1.0, 0.75, 0.0], dtype=np.float32))
