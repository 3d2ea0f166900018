"""Scores of committees, vectors, pairs and parts against values by hand and against other people's code."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from modAL import disagreement
from numpy.typing import NDArray

from labeling.probability import normalise
from sampling.strategies import (
    bald,
    consensus_entropy,
    entropy,
    expected_model_change,
    kl_disagreement,
    margin,
    multi_label_entropy,
    preference_probability,
    regression_variance,
    sequence_confidence,
    vote_entropy,
)

ROWS, MEMBERS = 200, 5


class _Stored:
    """A committee for modAL whose members say what they were given."""

    def __init__(self, committee: NDArray[np.float32]) -> None:
        self.committee = committee.astype(np.float64)
        self.classes_ = np.arange(committee.shape[2])

    def __len__(self) -> int:
        n_members: int = self.committee.shape[1]
        return n_members

    def __iter__(self):  # type: ignore[no-untyped-def]  # modAL only counts
        return iter(range(len(self)))

    def vote(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        votes: NDArray[np.int64] = self.committee[rows].argmax(axis=2)
        return votes

    def vote_proba(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.committee[rows]

    def predict_proba(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.committee[rows].mean(axis=1)
        return mean


@pytest.fixture(params=[2, 3, 10, 77])
def committee(request: pytest.FixtureRequest) -> NDArray[np.float32]:
    n_classes: int = request.param
    rng = np.random.default_rng(n_classes)
    return normalise(rng.dirichlet(np.full(n_classes, 0.3), ROWS * MEMBERS)).reshape(ROWS, MEMBERS, n_classes)


def test_committee_scores_agree_with_modal(committee: NDArray[np.float32]) -> None:
    stored, rows, n_classes = _Stored(committee), np.arange(ROWS), committee.shape[2]
    votes = disagreement.vote_entropy(stored, rows) / math.log(min(MEMBERS, n_classes))
    np.testing.assert_allclose(vote_entropy.informativeness(committee), votes, atol=2e-6)
    consensus = disagreement.consensus_entropy(stored, rows) / math.log(n_classes)
    np.testing.assert_allclose(consensus_entropy.informativeness(committee), consensus, atol=2e-6)
    furthest = disagreement.KL_max_disagreement(stored, rows) / math.log(MEMBERS)
    np.testing.assert_allclose(kl_disagreement.informativeness(committee), furthest, atol=2e-6)


def test_bald_is_the_entropy_of_the_mean_less_the_mean_entropy(committee: NDArray[np.float32]) -> None:
    exact = committee.astype(np.float64)
    information = scipy.stats.entropy(exact.mean(axis=1), axis=1) - scipy.stats.entropy(exact, axis=2).mean(axis=1)
    expected = information / math.log(min(MEMBERS, committee.shape[2]))
    np.testing.assert_allclose(bald.informativeness(committee), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("members", "votes", "consensus", "furthest", "information"),
    [
        ([[1, 0], [0, 1]], 1.0, 1.0, 1.0, 1.0),
        ([[1, 0], [1, 0]], 0.0, 0.0, 0.0, 0.0),
        ([[0.5, 0.5], [0.5, 0.5]], 1.0, 1.0, 0.0, 0.0),  # each vote is divided between the two
        ([[1, 0, 0, 0], [0, 1, 0, 0]], 1.0, 0.5, 1.0, 1.0),
        # Shares 3/4 and 1/4 in bits: 0.8113; the odd one out is ln 4 from the mean.
        ([[1, 0], [1, 0], [1, 0], [0, 1]], 0.811278, 0.811278, 1.0, 0.811278),
        ([[0.7, 0.2, 0.1]], 0.0, 0.729847, 0.0, 0.0),  # one member disagrees with nobody
        ([[1.0], [1.0]], 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_committee_scores_by_hand(
    members: list[list[float]], votes: float, consensus: float, furthest: float, information: float
) -> None:
    committee = np.array([members], dtype=np.float32)
    assert vote_entropy.informativeness(committee)[0] == pytest.approx(votes, abs=1e-6)
    assert consensus_entropy.informativeness(committee)[0] == pytest.approx(consensus, abs=1e-6)
    assert kl_disagreement.informativeness(committee)[0] == pytest.approx(furthest, abs=1e-6)
    assert bald.informativeness(committee)[0] == pytest.approx(information, abs=1e-6)


def test_one_member_is_a_model(committee: NDArray[np.float32]) -> None:
    alone = committee[:, :1]
    np.testing.assert_allclose(
        consensus_entropy.informativeness(alone), entropy.informativeness(alone[:, 0]), atol=1e-6
    )
    for score in (vote_entropy.informativeness, kl_disagreement.informativeness, bald.informativeness):
        assert not score(alone).any()


def test_votes_divided_wider_than_whole_ones_can_be_are_cut_off_at_1() -> None:
    assert vote_entropy.informativeness(np.full((1, 2, 4), 0.25, dtype=np.float32)).tolist() == [1.0]


def test_expected_model_change_is_the_mean_length_of_gradients_written_out() -> None:
    rng = np.random.default_rng(3)
    probabilities = normalise(rng.dirichlet(np.full(4, 0.5), 50))
    embeddings = rng.normal(0.0, 3.0, (50, 6)).astype(np.float32)
    expected = []
    for p, x in zip(probabilities.astype(np.float64), embeddings.astype(np.float64), strict=True):
        gradients = [np.outer(p - np.eye(4)[label], np.append(x, 1.0)) for label in range(4)]
        length = sum(chance * np.linalg.norm(each) for chance, each in zip(p, gradients, strict=True))
        expected.append(length / (1.0 + length))
    np.testing.assert_allclose(expected_model_change.informativeness(probabilities, embeddings), expected, atol=1e-6)


def test_with_vectors_of_length_1_a_uniform_row_reaches_the_stated_bound() -> None:
    for n_classes in (2, 3, 10):
        reached = math.sqrt(2 * (1 - 1 / n_classes))
        uniform = np.full((1, n_classes), 1 / n_classes, dtype=np.float32)
        score = expected_model_change.informativeness(uniform, np.array([[0.6, 0.8]], dtype=np.float32))[0]
        assert score == pytest.approx(reached / (1 + reached), abs=1e-6)


def test_expected_model_change_refuses_vectors_of_other_items() -> None:
    probabilities = np.full((3, 2), 0.5, dtype=np.float32)
    with pytest.raises(ValueError, match="as many rows"):
        expected_model_change.informativeness(probabilities, np.zeros((2, 4), dtype=np.float32))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.5, 0.5], 1.0),
        ([0.9, 0.1], 0.2),
        ([0.5, 0.5, 0.0, 0.0], 1.0),
        ([0.05, 0.05, 0.9], 0.1),
        ([0.5, 0.0, 0.5], 0.0),
        ([0.3, 0.2, 0.4, 0.1], 0.4),  # a decision 0.5 times the closeness 1 - |0.6 - 0.4|
        ([1.0], 0.0),
    ],
)
def test_preference_probability_by_hand(row: list[float], expected: float) -> None:
    score = preference_probability.informativeness(np.array([row], dtype=np.float32))[0]
    assert score == pytest.approx(expected, abs=1e-6)


def test_without_ties_preference_probability_is_margin() -> None:
    first = np.linspace(0.0, 1.0, 101)
    rows = normalise(np.stack([first, 1.0 - first], axis=1))
    np.testing.assert_allclose(preference_probability.informativeness(rows), margin.informativeness(rows), atol=1e-6)


def test_multi_label_entropy_is_the_mean_of_binary_entropies() -> None:
    rows = np.random.default_rng(5).random((300, 12), dtype=np.float32)
    exact = rows.astype(np.float64)
    expected = scipy.stats.entropy(np.stack([exact, 1 - exact]), base=2, axis=0).mean(axis=1)
    np.testing.assert_allclose(multi_label_entropy.informativeness(rows), expected, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_regression_variance_is_that_of_numpy(dtype: type[np.floating]) -> None:
    predictions = np.random.default_rng(7).uniform(-5.0, 15.0, (40_000, 6)).astype(dtype)
    scores = regression_variance.informativeness(predictions, low=-5.0, high=15.0)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, predictions.astype(np.float64).var(axis=1) / 100.0, atol=1e-6)
    np.testing.assert_allclose(
        regression_variance.informativeness(predictions[-1:], low=-5.0, high=15.0), scores[-1:], atol=1e-7
    )


def test_regression_variance_at_its_edges() -> None:
    score = regression_variance.informativeness
    assert score(np.array([[0.0, 1.0], [-9.0, 9.0], [0.3, 0.3]]), low=0.0, high=1.0).tolist() == [1.0, 1.0, 0.0]
    assert score(np.array([[7.0]]), low=0.0, high=10.0).tolist() == [0.0]
    assert score(np.empty((0, 3)), low=0.0, high=1.0).shape == (0,)
    with pytest.raises(ValueError, match="row 1: a prediction is not finite"):
        score(np.array([[0.0, 1.0], [0.0, np.nan]]), low=0.0, high=1.0)
    with pytest.raises(ValueError, match="low < high"):
        score(np.zeros((1, 2)), low=1.0, high=1.0)
    with pytest.raises(ValueError, match="shape"):
        score(np.zeros(3), low=0.0, high=1.0)


def test_sequence_confidence_is_that_of_numpy_and_scipy() -> None:
    rng = np.random.default_rng(9)
    answers = [rng.uniform(0.01, 1.0, int(rng.integers(1, 50))) for _ in range(200)]
    combinations: dict[sequence_confidence.Rule, Callable[[NDArray[np.float64]], float]] = {
        "least": np.min,
        "mean": np.mean,
        "geometric_mean": scipy.stats.gmean,
    }
    for rule, combine in combinations.items():
        scores = sequence_confidence.informativeness(answers, rule)
        np.testing.assert_allclose(scores, [1.0 - combine(each) for each in answers], atol=1e-6)


def test_sequence_confidence_at_its_edges() -> None:
    score = sequence_confidence.informativeness
    assert score([], "mean").shape == (0,)
    assert score([np.array([0.0, 1.0]), np.ones(3)], "geometric_mean").tolist() == [1.0, 0.0]
    long = np.full(100_000, 0.5)
    assert score([long], "geometric_mean")[0] == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ValueError, match=r"row 1: .*k >= 1"):
        score([np.ones(2), np.ones(0)], "least")
    for value in (np.nan, -0.1, 1.1, np.inf):
        with pytest.raises(ValueError, match=r"row 2: a confidence must lie in \[0, 1\]"):
            score([np.ones(2), np.ones(1), np.array([1.0, value])], "least")
    with pytest.raises(ValueError, match="unknown rule 'best'"):
        score([np.ones(1)], "best")  # type: ignore[arg-type]
