"""What every registered strategy promises. A new strategy is tested by being registered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from labeling.probability import normalise
from sampling.strategies import registry
from sampling.strategies.registry import STRATEGIES, Informativeness

Rows = NDArray[np.float32]

every_strategy = pytest.mark.parametrize("score", STRATEGIES.values(), ids=STRATEGIES.keys())


def _random_rows(n: int, n_classes: int, *, seed: int = 0) -> Rows:
    return normalise(np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), n))


@st.composite
def _rows(draw: st.DrawFn) -> Rows:
    shape = (draw(st.integers(1, 8)), draw(st.integers(1, 6)))
    weights = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 1.0])))
    weights[weights.sum(axis=1) == 0.0, 0] = 1.0
    return normalise(weights)


@every_strategy
@given(rows=_rows(), seed=st.integers(0, 2**32 - 1))
def test_scores_lie_in_0_to_1_and_follow_the_rows_not_the_order_of_classes(
    score: Informativeness, rows: Rows, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = score(rows)
    assert scores.dtype == np.float32
    assert scores.shape == (len(rows),)
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()
    order = rng.permutation(len(rows))
    np.testing.assert_array_equal(score(rows[order]), scores[order])
    np.testing.assert_allclose(score(rows[:, rng.permutation(rows.shape[1])]), scores, atol=1e-6)


@every_strategy
@given(rows=_rows())
def test_no_row_scores_above_a_tie_of_all_classes_or_below_certainty(score: Informativeness, rows: Rows) -> None:
    n_classes = rows.shape[1]
    tie = score(np.full((1, n_classes), 1.0 / n_classes, dtype=np.float32))[0]
    certain = score(np.eye(1, n_classes, dtype=np.float32))[0]
    scores = score(rows)
    assert (scores <= tie + 1e-6).all()
    assert (scores >= certain - 1e-6).all()


@every_strategy
@pytest.mark.parametrize("n_classes", [2, 10, 77, 1000])
def test_a_row_scores_the_same_alone_and_among_many(score: Informativeness, n_classes: int) -> None:
    rows = _random_rows(14_000 if n_classes <= 10 else 5_000, n_classes)
    scores = score(rows)
    for index in (0, 2047, 2048, 4095, len(rows) - 1):
        np.testing.assert_allclose(score(rows[index : index + 1])[0], scores[index], atol=1e-6)


@every_strategy
def test_memory_layout_makes_no_difference(score: Informativeness) -> None:
    rows = _random_rows(300, 5)
    expected = score(rows)
    np.testing.assert_array_equal(score(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(score(np.repeat(rows, 2, axis=0)[::2]), expected)
    read_only = rows.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(score(read_only), expected)


@every_strategy
def test_the_argument_is_not_changed(score: Informativeness) -> None:
    rows = _random_rows(100, 4)
    before = rows.copy()
    score(rows)
    np.testing.assert_array_equal(rows, before)


@every_strategy
@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_an_empty_pool_gives_no_scores(score: Informativeness, n_classes: int) -> None:
    scores = score(np.empty((0, n_classes), dtype=np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@every_strategy
def test_one_class_is_answered_with_one_constant(score: Informativeness) -> None:
    assert len(set(score(np.ones((5, 1), dtype=np.float32)).tolist())) == 1


@every_strategy
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([np.nan, 0.5, 0.5], "not a number"),
        ([-0.1, 0.6, 0.5], "negative"),
        ([np.inf, 0.0, 0.0], "above 1"),
        ([np.inf, -np.inf, 0.0], "negative"),
        ([0.5, 0.5, 0.5], "sum to 1"),
        ([0.0, 0.0, 0.0], "sum to 1"),
    ],
)
def test_a_row_that_is_no_distribution_is_refused_by_its_number(
    score: Informativeness, position: int, row: list[float], reason: str
) -> None:
    rows = _random_rows(50_000, 3)
    rows[position] = row
    with pytest.raises(ValueError, match=f"^row {position}: .*{reason}"):
        score(rows)


@every_strategy
def test_rows_within_the_intake_tolerance_are_scored_inside_the_range(score: Informativeness) -> None:
    scores = score(np.array([[1.0009, 0.0], [0.9991, 0.0], [0.50045, 0.50045]], dtype=np.float32))
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()


@every_strategy
@pytest.mark.parametrize("shape", [(3,), (3, 0), (1, 2, 3)])
def test_anything_but_a_matrix_is_refused(score: Informativeness, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        score(np.zeros(shape, dtype=np.float32))


@every_strategy
def test_a_strategy_is_found_by_its_name(score: Informativeness) -> None:
    (name,) = (name for name, candidate in STRATEGIES.items() if candidate is score)
    assert registry.find(name) is score


def test_an_unknown_strategy_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="unknown strategy 'tarot'; known: entropy, least_confidence, margin, uniform"):
        registry.find("tarot")
