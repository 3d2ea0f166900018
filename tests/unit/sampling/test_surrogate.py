"""Bagged committees over vectors."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skops import io as skops_io

from sampling import surrogate

CLASSES = ["red", "green", "blue", "unused"]


def _three_heaps(n: int, *, seed: int = 0, spread: float = 0.4) -> tuple[NDArray[np.float32], list[str]]:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 3
    vectors = np.eye(3, 8)[codes] * 2 + rng.normal(scale=spread, size=(n, 8))
    return vectors.astype(np.float32), [CLASSES[code] for code in codes]


def _share_right(committee: surrogate.FittedCommittee, vectors: NDArray[np.float32], labels: list[str]) -> float:
    said = committee.probabilities(vectors).mean(axis=1).argmax(axis=1)
    return float(np.mean([committee.classes[code] == label for code, label in zip(said, labels, strict=True)]))


def test_a_committee_learns_and_leaves_out_classes_without_labels() -> None:
    committee = surrogate.fit(*_three_heaps(60), classes=CLASSES, members=4, seed=1)
    assert committee.classes == ("red", "green", "blue")
    unseen, labels = _three_heaps(300, seed=9)
    said = committee.probabilities(unseen)
    assert said.shape == (300, 4, 3)
    assert said.dtype == np.float32
    np.testing.assert_allclose(said.sum(axis=2), 1.0, atol=1e-5)
    assert _share_right(committee, unseen, labels) > 0.95


def test_members_differ_and_the_seed_decides() -> None:
    vectors, labels = _three_heaps(40, spread=1.5)
    first, again = (surrogate.fit(vectors, labels, classes=CLASSES, seed=3).probabilities(vectors) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.ptp(first, axis=1).max() > 0.05
    other = surrogate.fit(vectors, labels, classes=CLASSES, seed=4).probabilities(vectors)
    assert not np.array_equal(first, other)


def test_calibration_makes_confidence_match_how_often_it_is_right() -> None:
    vectors, labels = _three_heaps(300, spread=1.2)
    committee = surrogate.fit(vectors, labels, classes=CLASSES, members=10, seed=0)
    assert committee.temperature.held_out > 250
    unseen, truth = _three_heaps(3_000, seed=5, spread=1.2)
    consensus = committee.probabilities(unseen).mean(axis=1)
    assert abs(consensus.max(axis=1).mean() - _share_right(committee, unseen, truth)) < 0.08


def test_it_goes_on_learning_what_is_new() -> None:
    vectors, labels = _three_heaps(30)
    committee = surrogate.fit(vectors, labels, classes=CLASSES, seed=0)
    # From now on what looked red is called green.
    moved = ["green" if label == "red" else label for label in labels]
    before = _share_right(committee, vectors, moved)
    for seed in range(60):
        committee.learn(vectors, moved, seed=seed)
    assert _share_right(committee, vectors, moved) > before + 0.2
    with pytest.raises(ValueError, match="row 1: the label 'unused' is not among"):
        committee.learn(vectors[:2], ["red", "unused"], seed=0)


def test_learning_the_same_with_the_same_seed_gives_the_same() -> None:
    vectors, labels = _three_heaps(30, spread=1.0)
    results = []
    for _ in range(2):
        committee = surrogate.fit(vectors, labels, classes=CLASSES, seed=0)
        committee.learn(*_three_heaps(20, seed=8, spread=1.0), seed=5)
        results.append(committee.probabilities(vectors))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_the_scale_of_the_vectors_does_not_matter(factor: float) -> None:
    vectors, labels = _three_heaps(60)
    committee = surrogate.fit(vectors * np.float32(factor), labels, classes=CLASSES, seed=0)
    plain = surrogate.fit(vectors, labels, classes=CLASSES, seed=0)
    np.testing.assert_allclose(
        committee.probabilities(vectors * np.float32(factor)), plain.probabilities(vectors), atol=1e-3
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_are_answered_alone_as_among_many_to_the_last_bit(classes: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20_000, 64)).astype(np.float16)
    committee = surrogate.fit(vectors[:300], [CLASSES[row % classes] for row in range(300)], classes=CLASSES, seed=0)
    untouched = vectors.copy()
    said = committee.probabilities(vectors)
    np.testing.assert_array_equal(vectors, untouched)
    for step in (1, 3, 1_000, 16_384):
        some = range(0, min(len(vectors), 500 * step), step)
        pieces = [committee.probabilities(vectors[begin : begin + step]) for begin in some]
        together = np.concatenate(pieces)
        np.testing.assert_array_equal(together, said[: len(together)])
    np.testing.assert_array_equal(committee.probabilities(vectors[16_383:16_390]), said[16_383:16_390])
    assert committee.probabilities(vectors[:0]).shape == (0, 5, classes)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_committee_says_what_its_members_say(classes: int) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((300, 64)).astype(np.float32)
    committee = surrogate.fit(vectors, [CLASSES[row % classes] for row in range(300)], classes=CLASSES, seed=0)
    temperature = committee.temperature.value
    length = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1).mean())
    for place, member in enumerate(committee._members):
        plain = member.predict_proba(vectors / length) ** (1.0 / temperature)
        np.testing.assert_allclose(
            committee.probabilities(vectors)[:, place], plain / plain.sum(axis=1, keepdims=True), atol=2e-5
        )


def test_an_artifact_says_what_the_committee_said() -> None:
    vectors, labels = _three_heaps(50)
    committee = surrogate.fit(vectors, labels, classes=CLASSES, seed=0)
    read = surrogate.loads(committee.dumps())
    assert read.classes == committee.classes
    np.testing.assert_array_equal(read.probabilities(vectors), committee.probabilities(vectors))
    read.learn(vectors, labels, seed=1)


@pytest.mark.parametrize("content", [b"", b"no zip", skops_io.dumps({"format": 2}), skops_io.dumps([1])])
def test_anything_else_is_no_artifact(content: bytes) -> None:
    with pytest.raises(ValueError, match="this is no committee"):
        surrogate.loads(content)


def test_bad_input_is_refused_by_its_row() -> None:
    vectors, labels = _three_heaps(6)
    with pytest.raises(ValueError, match="at least two classes"):
        surrogate.fit(vectors, ["red"] * 6, classes=CLASSES)
    with pytest.raises(ValueError, match="row 2: the label 'pink'"):
        surrogate.fit(vectors, [*labels[:2], "pink", *labels[3:]], classes=CLASSES)
    with pytest.raises(ValueError, match="do not pair up"):
        surrogate.fit(vectors, labels[:5], classes=CLASSES)
    with pytest.raises(ValueError, match="1 to 20 members"):
        surrogate.fit(vectors, labels, classes=CLASSES, members=0)
    committee = surrogate.fit(vectors, labels, classes=CLASSES)
    with pytest.raises(ValueError, match=r"shape \(n, 8\)"):
        committee.probabilities(vectors[:, :3])
    vectors[4, 0] = np.nan
    with pytest.raises(ValueError, match="row 4: a vector must be finite"):
        surrogate.fit(vectors, labels, classes=CLASSES)
    with pytest.raises(ValueError, match="row 4: a vector must be finite"):
        committee.probabilities(vectors)
