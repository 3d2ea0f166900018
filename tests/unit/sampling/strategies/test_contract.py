"""What every registered strategy promises. A new strategy is tested by being registered.

So do the two scores that no policy names, because what they read is no column of a pool: the spread of several predicted
numbers, and the confidences of an answer's parts.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from labeling.probability import normalise
from labeling.schema import PredictionForm
from sampling.strategies import registry, regression_variance, sequence_confidence
from sampling.strategies.inputs import NEEDS, Inputs, Need
from sampling.strategies.registry import STRATEGIES, Scorer

Rows = NDArray[np.float32]
Form: TypeAlias = PredictionForm | Literal["numbers", "parts"]

_KINDS_OF_FORMS: Final[dict[PredictionForm, str]] = {
    "distribution": "single_choice",
    "independent": "multi_label",
    "confidence": "spans",
}
MEMBERS: Final = 4
DIMENSIONS: Final = 3


@dataclass(frozen=True)
class Case:
    """A strategy on one form of prediction."""

    name: str
    form: Form
    kind: str
    score: Scorer
    needs: frozenset[Need]

    @property
    def reads_predictions_of(self) -> Need:
        return "committee" if "committee" in self.needs else "probabilities"


def _cases() -> list[Case]:
    cases = []
    for name, strategy in STRATEGIES.items():
        for form in strategy.scores:
            kind = min(strategy.kinds) if strategy.kinds else _KINDS_OF_FORMS[form]
            cases.append(Case(name, form, kind, registry.scorer(name, kind), strategy.needs))
    return cases


def _of_numbers(inputs: Inputs) -> Rows:
    assert inputs.probabilities is not None
    return regression_variance.informativeness(inputs.probabilities, low=0.0, high=1.0)


def _of_parts(inputs: Inputs, *, rule: sequence_confidence.Rule) -> Rows:
    assert inputs.probabilities is not None
    return sequence_confidence.informativeness(list(inputs.probabilities), rule)


def _other_cases() -> list[Case]:
    """Members that predict a number, and answers of as many parts, in the place of classes."""
    plain: frozenset[Need] = frozenset({"probabilities"})
    rules: tuple[sequence_confidence.Rule, ...] = get_args(sequence_confidence.Rule)
    return [
        Case("regression_variance", "numbers", "numeric", _of_numbers, plain),
        *(Case(f"sequence_{rule}", "parts", "spans", partial(_of_parts, rule=rule), plain) for rule in rules),
    ]


CASES = [*_cases(), *_other_cases()]
DISTRIBUTION_CASES = [case for case in CASES if case.form == "distribution"]
every_strategy = pytest.mark.parametrize("case", CASES, ids=[f"{case.name}-{case.form}" for case in CASES])
every_strategy_on_distributions = pytest.mark.parametrize("case", DISTRIBUTION_CASES, ids=lambda case: case.name)


def _width(case: Case, n_classes: int) -> int:
    return 1 if case.form == "confidence" else n_classes


def _predictions_shape(case: Case, n: int, n_classes: int, members: int = MEMBERS) -> tuple[int, ...]:
    width = _width(case, n_classes)
    return (n, members, width) if case.reads_predictions_of == "committee" else (n, width)


def _inputs(case: Case, predictions: Rows, embeddings: Rows | None = None) -> Inputs:
    """Exactly what the strategy needs; vectors that differ by the row unless given."""
    if embeddings is None:
        embeddings = np.random.default_rng(11).normal(0.0, 2.0, (len(predictions), DIMENSIONS)).astype(np.float32)
    arrays: dict[str, Any] = {case.reads_predictions_of: predictions}
    if "embeddings" in case.needs:
        arrays["embeddings"] = embeddings
    return Inputs(**arrays)


def _each(inputs: Inputs, change: Any) -> Inputs:
    """The same change made to every array that is there."""
    return replace(
        inputs, **{need: change(array) for need in NEEDS if (array := getattr(inputs, need, None)) is not None}
    )


def _random(case: Case, n: int, n_classes: int, *, seed: int = 0) -> Inputs:
    rng = np.random.default_rng(seed)
    shape = _predictions_shape(case, n, n_classes)
    if case.form == "distribution":
        rows = normalise(rng.dirichlet(np.full(n_classes, 0.5), int(np.prod(shape[:-1])))).reshape(shape)
    else:
        rows = rng.random(shape, dtype=np.float32)
    return _inputs(case, rows)


def _predictions(case: Case, inputs: Inputs) -> Rows:
    predictions: Rows = getattr(inputs, case.reads_predictions_of)
    return predictions


@st.composite
def _drawn(draw: st.DrawFn, case: Case) -> Inputs:
    """Few different values, so that ties abound; whole members too."""
    shape = _predictions_shape(case, draw(st.integers(1, 8)), draw(st.integers(1, 6)), draw(st.integers(1, 5)))
    weights = draw(hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1e-6, 0.1, 0.5, 1.0])))
    vectors = draw(hnp.arrays(np.float32, (shape[0], DIMENSIONS), elements=st.sampled_from([-100.0, 0.0, 0.5, 1.0])))
    if case.form != "distribution":
        return _inputs(case, weights.astype(np.float32), vectors)
    flat = weights.reshape(-1, shape[-1])
    flat[flat.sum(axis=1) == 0.0, 0] = 1.0
    return _inputs(case, normalise(flat).reshape(shape), vectors)


@every_strategy
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_scores_lie_in_0_to_1_and_follow_the_rows_not_the_order_of_classes_or_members(
    case: Case, data: st.DataObject, seed: int
) -> None:
    inputs = data.draw(_drawn(case))
    rng = np.random.default_rng(seed)
    scores = case.score(inputs)
    assert scores.dtype == np.float32
    assert scores.shape == (len(inputs),)
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()
    order = rng.permutation(len(inputs))
    np.testing.assert_array_equal(case.score(_each(inputs, lambda array: array[order])), scores[order])
    predictions = _predictions(case, inputs)
    columns = rng.permutation(predictions.shape[-1])
    if case.kind == "rating":
        # Levels of a scale may be counted from either end; classes have no order at all.
        columns = np.arange(len(columns))[::-1]
    if case.kind == "preference":
        # The sides may be exchanged, and so may the answers that name none.
        columns = np.concatenate([rng.permutation(len(columns[:2])), 2 + rng.permutation(len(columns[2:]))])
    reordered = predictions[..., columns]
    if predictions.ndim == 3:
        reordered = reordered[:, rng.permutation(predictions.shape[1])]
    np.testing.assert_allclose(case.score(_inputs(case, reordered, inputs.embeddings)), scores, atol=1e-6)


def _greatest_doubt(case: Case, shape: tuple[int, ...]) -> Rows:
    """One row of which no strategy of the form could be in more doubt."""
    n_classes = shape[-1]
    even: dict[Form, float] = {
        "distribution": 1.0 / n_classes, "independent": 0.5, "confidence": 0.0, "numbers": 0.0, "parts": 0.0,
    }  # fmt: skip
    doubt = np.full((1, *shape[1:]), even[case.form])
    if case.form == "numbers":
        # Half of the members say the one end of the range, half the other.
        doubt[0, : n_classes // 2] = 1.0
    if case.kind in ("rating", "preference"):
        # The widest spread is half at either end of the scale; the closest contest leaves no chance to a tie.
        ends = [0, -1] if case.kind == "rating" else [0, min(1, n_classes - 1)]
        doubt = np.zeros((1, n_classes))
        for end in ends:
            doubt[0, end] += 0.5
    if case.name in ("vote_entropy", "bald"):
        # Each member is certain, and they are spread over the classes.
        doubt = np.eye(n_classes)[np.arange(shape[1]) % n_classes][np.newaxis]
    if case.name == "kl_disagreement":
        # One member is certain of what all others rule out.
        doubt = np.eye(n_classes)[np.minimum(np.arange(shape[1]) == 0, n_classes - 1).astype(int)][np.newaxis]
    return doubt.astype(np.float32)


def _certainty(case: Case, shape: tuple[int, ...]) -> Rows:
    certainty = np.zeros((1, *shape[1:]), dtype=np.float32)
    if case.form == "parts":
        certainty[:] = 1.0
    elif case.form != "numbers":  # of which equal ones are certain
        certainty[..., 0] = 1.0
    return certainty


@every_strategy
@given(data=st.data())
def test_no_row_scores_above_the_greatest_doubt_or_below_certainty(case: Case, data: st.DataObject) -> None:
    inputs = data.draw(_drawn(case))
    predictions = _predictions(case, inputs)
    if case.name == "vote_entropy":
        # Whole votes only: a vote that is divided among tied classes can be spread wider than a whole one.
        inputs = _inputs(case, np.eye(predictions.shape[-1], dtype=np.float32)[predictions.argmax(axis=-1)])
    longest = np.full((1, DIMENSIONS), 100.0, dtype=np.float32)
    scores = case.score(inputs)
    doubt = _greatest_doubt(case, predictions.shape)
    certainty = _certainty(case, predictions.shape)
    assert (scores <= case.score(_inputs(case, doubt, longest))[0] + 1e-6).all()
    assert (scores >= case.score(_inputs(case, certainty, longest))[0] - 1e-6).all()


@every_strategy
@pytest.mark.parametrize("n_classes", [2, 10, 77, 1000])
def test_a_row_scores_the_same_alone_and_among_many(case: Case, n_classes: int) -> None:
    inputs = _random(case, 14_000 if n_classes <= 10 else 2_500, n_classes)
    scores = case.score(inputs)
    for index, count in ((0, 1), (255, 2), (256, 3), (2047, 1), (2048, 7), (len(inputs) - 1, 1)):
        alone = case.score(_each(inputs, lambda array, some=slice(index, index + count): array[some]))
        # To the last bit: shards and replays cut a pool at other places.
        np.testing.assert_array_equal(alone, scores[index : index + count])


@every_strategy
@pytest.mark.parametrize("begin", [1, 255, 256, 257, 2047, 2049, 3276, 3277])
def test_where_a_block_begins_makes_no_difference(case: Case, begin: int) -> None:
    inputs = _random(case, 8_000, 10)
    scores = case.score(inputs)
    rest = case.score(_each(inputs, lambda array: array[begin:]))
    np.testing.assert_array_equal(rest, scores[begin:])


@every_strategy
def test_memory_layout_makes_no_difference(case: Case) -> None:
    inputs = _random(case, 300, 5)
    expected = case.score(inputs)
    np.testing.assert_array_equal(case.score(_each(inputs, np.asfortranarray)), expected)
    np.testing.assert_array_equal(case.score(_each(inputs, lambda a: np.repeat(a, 2, axis=0)[::2])), expected)

    def read_only(array: Rows) -> Rows:
        frozen = array.copy()
        frozen.flags.writeable = False
        return frozen

    np.testing.assert_array_equal(case.score(_each(inputs, read_only)), expected)


@every_strategy
@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_float64_scores_as_float32_does(case: Case, n_classes: int) -> None:
    inputs = _random(case, 500, n_classes)
    exact = case.score(_each(inputs, lambda array: array.astype(np.float64)))
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact, case.score(inputs), atol=1e-5)


@every_strategy
def test_the_argument_is_not_changed(case: Case) -> None:
    inputs = _random(case, 100, 4)
    before = _each(inputs, np.copy)
    case.score(inputs)
    for need in case.needs:
        np.testing.assert_array_equal(getattr(inputs, need), getattr(before, need))


@every_strategy
@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_an_empty_pool_gives_no_scores(case: Case, n_classes: int) -> None:
    empty = np.empty(_predictions_shape(case, 0, n_classes), dtype=np.float32)
    scores = case.score(_inputs(case, empty))
    assert scores.shape == (0,)
    assert scores.dtype == np.float32


@every_strategy
def test_one_item_is_answered(case: Case) -> None:
    assert case.score(_random(case, 1, 3)).shape == (1,)


@every_strategy
def test_one_class_is_answered_with_one_constant(case: Case) -> None:
    ones = np.ones(_predictions_shape(case, 5, 1), dtype=np.float32)
    assert len(set(case.score(_inputs(case, ones)).tolist())) == 1


@every_strategy
def test_rows_that_are_alike_score_alike(case: Case) -> None:
    inputs = _each(_random(case, 1, 6), lambda array: np.repeat(array, 5_001, axis=0))
    assert len(set(case.score(inputs).tolist())) == 1


@pytest.mark.parametrize("case", _other_cases(), ids=lambda case: case.name)
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_what_is_no_number_is_refused_by_its_number(case: Case, position: int, value: float) -> None:
    inputs = _random(case, 50_000, 3)
    _predictions(case, inputs)[position, 1] = value
    with pytest.raises(ValueError, match=rf"^row {position}: .*(is not finite|must lie in \[0, 1\])"):
        case.score(inputs)


@pytest.mark.parametrize("case", _cases(), ids=lambda case: f"{case.name}-{case.form}")
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize(
    ("value", "reason"), [(np.nan, "not a number"), (-0.1, "negative"), (np.inf, "above 1"), (1.5, "above 1")]
)
def test_a_row_with_what_is_no_probability_is_refused_by_its_number(
    case: Case, position: int, value: float, reason: str
) -> None:
    inputs = _random(case, 50_000, 3)
    _predictions(case, inputs)[position, ..., 0] = value
    with pytest.raises(ValueError, match=f"^row {position}: .*{reason}"):
        case.score(inputs)


@every_strategy_on_distributions
@pytest.mark.parametrize("position", [0, 20_000, 49_999])
@pytest.mark.parametrize(
    ("row", "reason"),
    [([np.inf, -np.inf, 0.0], "negative"), ([0.5, 0.5, 0.5], "sum to 1"), ([0.0, 0.0, 0.0], "sum to 1")],
)
def test_a_row_that_is_no_distribution_is_refused_by_its_number(
    case: Case, position: int, row: list[float], reason: str
) -> None:
    inputs = _random(case, 50_000, 3)
    _predictions(case, inputs)[position] = row
    with pytest.raises(ValueError, match=f"^row {position}: .*{reason}"):
        case.score(inputs)


@pytest.mark.parametrize("case", [case for case in CASES if "committee" in case.needs], ids=lambda case: case.name)
def test_of_a_committee_the_member_is_named_that_says_no_probability(case: Case) -> None:
    inputs = _random(case, 5_000, 3)
    _predictions(case, inputs)[3_000, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"^row 3000: member 2: a probability is not a number"):
        case.score(inputs)


@pytest.mark.parametrize("case", [case for case in CASES if "embeddings" in case.needs], ids=lambda case: case.name)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_its_number(case: Case, value: float) -> None:
    inputs = _random(case, 50_000, 3)
    assert inputs.embeddings is not None
    inputs.embeddings[49_999, 1] = value
    with pytest.raises(ValueError, match=r"^row 49999: an embedding is not finite"):
        case.score(inputs)


@every_strategy_on_distributions
def test_rows_within_the_intake_tolerance_are_scored_inside_the_range(case: Case) -> None:
    rows = np.array([[1.0009, 0.0], [0.9991, 0.0], [0.50045, 0.50045]], dtype=np.float32)
    if case.reads_predictions_of == "committee":
        rows = np.stack([rows, rows[:, ::-1]], axis=1)
    scores = case.score(_inputs(case, rows))
    assert (scores >= 0.0).all()
    assert (scores <= 1.0).all()


@every_strategy
@pytest.mark.parametrize("shape", [(3,), (3, 0), (3, 0, 2), (3, 2, 0), (1, 2, 3, 4)])
def test_anything_but_rows_of_predictions_is_refused(case: Case, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        case.score(_inputs(case, np.zeros(shape, dtype=np.float32)))


def test_a_confidence_is_one_column() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 1\)"):
        registry.find("confidence", "spans")(np.zeros((3, 2), dtype=np.float32))
    with pytest.raises(ValueError, match=r"shape \(n, M, 1\)"):
        registry.scorer("confidence", "spans")(Inputs(committee=np.zeros((3, 4, 2), dtype=np.float32)))
