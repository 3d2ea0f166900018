"""What every registered strategy promises. A new strategy is tested by being registered."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from labeling.probability import normalise
from labeling.schema import KINDS, PredictionForm
from sampling.strategies import registry
from sampling.strategies.registry import STRATEGIES, Informativeness

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A strategy on one form of prediction."""

    name: str
    form: PredictionForm
    score: Informativeness
    is_ordinal: bool


CASES = [
    Case(name, form, score, strategy.is_ordinal)
    for name, strategy in STRATEGIES.items()
    for form, score in strategy.scores.items()
]
every_strategy = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{case.form}" for case in CASES])


def _width(case: Case, n_classes: int) -> int:
    return 1 if case.form == "confidence" else n_classes


def _random_rows(case: Case, n: int, n_classes: int, *, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    if case.form == "distribution":
        return normalise(rng.dirichlet(np.full(n_classes, 0.5), n))
    return rng.random((n, _width(case, n_classes)), dtype=np.float32)


@st.composite
def _rows(draw: st.DrawFn, case: Case) -> Rows:
    shape = (draw(st.integers(1, 8)), _width(case, draw(st.integers(1, 6))))
    weights = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 1.0])))
    if case.form != "distribution":
        return weights.astype(np.float32)
    weights[weights.sum(axis=1) == 0.0, 0] = 1.0
    return normalise(weights)


@every_strategy
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_scores_lie_in_0_to_1_and_follow_the_rows_not_the_order_of_classes(
    case: Case, data: st.DataObject, seed: int
) -> None:
    rows = data.draw(_rows(case))
    rng = np.random.default_rng(seed)
    scores = case.score(rows)
    assert scores.dtype == np.float32
    assert scores.shape == (len(rows),)
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()
    order = rng.permutation(len(rows))
    np.testing.assert_array_equal(case.score(rows[order]), scores[order])
    # Levels of a scale may be counted from either end; classes have no order at all.
    reordered = rows[:, ::-1] if case.is_ordinal else rows[:, rng.permutation(rows.shape[1])]
    np.testing.assert_allclose(case.score(reordered), scores, atol=1e-6)


@every_strategy
@given(data=st.data())
def test_no_row_scores_above_the_greatest_doubt_or_below_certainty(case: Case, data: st.DataObject) -> None:
    rows = data.draw(_rows(case))
    n_classes = rows.shape[1]
    doubt = np.full((1, n_classes), {"distribution": 1.0 / n_classes, "independent": 0.5, "confidence": 0.0}[case.form])
    if case.is_ordinal:
        # The widest spread is half at either end of the scale.
        doubt = np.zeros((1, n_classes))
        doubt[0, 0] += 0.5
        doubt[0, -1] += 0.5
    scores = case.score(rows)
    assert (scores <= case.score(doubt.astype(np.float32))[0] + 1e-6).all()
    assert (scores >= case.score(np.eye(1, n_classes, dtype=np.float32))[0] - 1e-6).all()


@every_strategy
@pytest.mark.parametrize("n_classes", [2, 10, 77, 1000])
def test_a_row_scores_the_same_alone_and_among_many(case: Case, n_classes: int) -> None:
    rows = _random_rows(case, 14_000 if n_classes <= 10 else 5_000, n_classes)
    scores = case.score(rows)
    for index in (0, 2047, 2048, 4095, len(rows) - 1):
        np.testing.assert_allclose(case.score(rows[index : index + 1])[0], scores[index], atol=1e-6)


@every_strategy
def test_memory_layout_makes_no_difference(case: Case) -> None:
    rows = _random_rows(case, 300, 5)
    expected = case.score(rows)
    np.testing.assert_array_equal(case.score(np.asfortranarray(rows)), expected)
    np.testing.assert_array_equal(case.score(np.repeat(rows, 2, axis=0)[::2]), expected)
    read_only = rows.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(case.score(read_only), expected)


@every_strategy
def test_the_argument_is_not_changed(case: Case) -> None:
    rows = _random_rows(case, 100, 4)
    before = rows.copy()
    case.score(rows)
    np.testing.assert_array_equal(rows, before)


@every_strategy
@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_an_empty_pool_gives_no_scores(case: Case, n_classes: int) -> None:
    scores = case.score(np.empty((0, _width(case, n_classes)), dtype=np.float32))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@every_strategy
def test_one_class_is_answered_with_one_constant(case: Case) -> None:
    assert len(set(case.score(np.ones((5, 1), dtype=np.float32)).tolist())) == 1


@every_strategy
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize(
    ("value", "reason"), [(np.nan, "not a number"), (-0.1, "negative"), (np.inf, "above 1"), (1.5, "above 1")]
)
def test_a_row_with_what_is_no_probability_is_refused_by_its_number(
    case: Case, position: int, value: float, reason: str
) -> None:
    rows = _random_rows(case, 50_000, 3)
    rows[position, 0] = value
    with pytest.raises(ValueError, match=f"^row {position}: .*{reason}"):
        case.score(rows)


@pytest.mark.parametrize("case", [case for case in CASES if case.form == "distribution"], ids=lambda case: case.name)
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize(
    ("row", "reason"),
    [([np.inf, -np.inf, 0.0], "negative"), ([0.5, 0.5, 0.5], "sum to 1"), ([0.0, 0.0, 0.0], "sum to 1")],
)
def test_a_row_that_is_no_distribution_is_refused_by_its_number(
    case: Case, position: int, row: list[float], reason: str
) -> None:
    rows = _random_rows(case, 50_000, 3)
    rows[position] = row
    with pytest.raises(ValueError, match=f"^row {position}: .*{reason}"):
        case.score(rows)


@pytest.mark.parametrize("case", [case for case in CASES if case.form == "distribution"], ids=lambda case: case.name)
def test_rows_within_the_intake_tolerance_are_scored_inside_the_range(case: Case) -> None:
    scores = case.score(np.array([[1.0009, 0.0], [0.9991, 0.0], [0.50045, 0.50045]], dtype=np.float32))
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()


@every_strategy
@pytest.mark.parametrize("shape", [(3,), (3, 0), (1, 2, 3)])
def test_anything_but_a_matrix_is_refused(case: Case, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        case.score(np.zeros(shape, dtype=np.float32))


def test_a_confidence_is_one_column() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 1\)"):
        registry.find("confidence", "spans")(np.zeros((3, 2), dtype=np.float32))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_default_of_every_kind_fits_it(kind: str) -> None:
    assert registry.default_for(kind) in registry.fitting(kind)
    assert registry.find(registry.default_for(kind), kind) in [
        case.score for case in CASES if case.form == KINDS[kind].prediction_form
    ]


def test_a_strategy_that_does_not_fit_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="'margin' does not fit a spans label schema; these do: confidence, uniform"):
        registry.find("margin", "spans")
    with pytest.raises(ValueError, match="'rating_variance' does not fit a single_choice"):
        registry.find("rating_variance")


def test_an_unknown_strategy_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match="unknown strategy 'tarot'; known: confidence, entropy, least_confidence"):
        registry.find("tarot")
