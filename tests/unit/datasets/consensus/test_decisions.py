"""Acceptance, the value of one more answer, anchoring, label errors, calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from datasets.consensus.acceptance import AcceptancePolicy, Action, decide
from datasets.consensus.adaptive_overlap import typical_confusion, value_of_answer, value_of_pairs
from datasets.consensus.anchoring import anchored_weight, anchored_weights, anchoring_effect
from datasets.consensus.evidence import Kind, evidence
from datasets.consensus.label_errors import find_label_errors
from datasets.consensus.label_model import fit
from datasets.consensus.reliability_curve import reliability_curve
from datasets.consensus.without_own import counts_without_own

GOOD = np.array([[0.9, 0.1], [0.1, 0.9]])


def test_information_is_the_mutual_information_of_scipy() -> None:
    q, matrix = np.array([[0.6, 0.3, 0.1]]), np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.4, 0.5]])
    expected = entropy(q[0] @ matrix) - (q[0] * entropy(matrix, axis=1)).sum()
    assert value_of_answer(q, matrix)[0] == pytest.approx(expected)
    gained = sum(max(q[0, k] * matrix[k, said] for k in range(3)) for said in range(3)) - 0.6
    assert value_of_answer(q, matrix, objective="accuracy")[0] == pytest.approx(max(gained, 0.0))


@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), st.floats(0.34, 0.99))
def test_an_answer_never_hurts_and_a_guess_is_worth_nothing(chances: list[float], skill: float) -> None:
    q = np.array([chances]) / sum(chances)
    matrix = np.full((3, 3), (1 - skill) / 2) + (skill - (1 - skill) / 2) * np.eye(3)
    value = value_of_answer(q, matrix)[0]
    assert 0 <= value <= np.log(3)
    assert value <= entropy(q[0]) + 1e-9
    assert value_of_answer(q, np.full((3, 3), 1 / 3))[0] == pytest.approx(0.0, abs=1e-12)


def test_a_good_annotators_answer_is_worth_more() -> None:
    items, sources = np.repeat(np.arange(100), 3), np.tile([0, 1, 2], 100)
    truth = np.arange(100) % 2
    guesses = np.random.default_rng(1).integers(0, 2, 300)
    said = evidence(
        items, sources, np.where(sources == 2, guesses, truth[items]), n_items=100, n_sources=3, n_classes=2
    )
    beliefs = fit(said)
    even = np.full((1, 2), 0.5)
    value = value_of_pairs(even, np.zeros(3, dtype=np.int64), np.arange(3), beliefs.parameters)
    assert value[0] > 0.3 > 0.05 > value[2]
    assert typical_confusion(beliefs.parameters, said).sum(axis=1) == pytest.approx([1.0, 1.0])


def test_nobody_is_judged_by_their_own_word() -> None:
    said = evidence([0, 0, 1], [0, 1, 2], [0, 0, 1], n_items=2, n_sources=3, n_classes=2)
    counts = counts_without_own(said, fit(said).parameters)
    assert counts.sum(axis=(1, 2)).tolist() == [1.0, 1.0, 0.0]  # nobody else spoke of the second item


def _decide(posterior: list[list[float]], policy: AcceptancePolicy, **columns: object) -> tuple[list[str], list[str]]:
    said = evidence(**columns, n_items=len(posterior), n_sources=9, n_classes=2)  # type: ignore[arg-type]
    found = decide(np.array(posterior, dtype=np.float32), said, GOOD, policy)
    return [Action(each).name for each in found.action], found.reason.tolist()


def test_a_threshold_is_reached_by_equality_in_float32() -> None:
    actions, _ = _decide(
        [[0.9, 0.1], [0.89, 0.11]], AcceptancePolicy(least_evidence=1), item=[0, 1], source=[0, 0], answer=[0, 0]
    )
    assert actions == ["ACCEPT", "ASK"]


def test_a_class_may_have_its_own_threshold() -> None:
    policy = AcceptancePolicy(threshold=0.8, by_class={1: 0.99}, least_evidence=1)
    actions, reasons = _decide([[0.9, 0.1], [0.1, 0.9]], policy, item=[0, 1], source=[0, 0], answer=[0, 1])
    assert (actions, reasons) == (["ACCEPT", "ASK"], ["accepted", "below_threshold"])


def test_evidence_is_counted_by_source_and_kind_and_not_when_set_aside() -> None:
    policy = AcceptancePolicy(least_evidence=2, least_by_kind={Kind.ANNOTATION: 1})
    actions, reasons = _decide(
        [[0.99, 0.01]] * 4, policy,
        item=[0, 0, 1, 1, 2, 2, 3, 3], source=[0, 0, 1, 2, 3, 4, 5, 6], answer=[0, 0, 1, 1, 0, 0, 0, 0],
        kind=[0, 0, 2, 2, 0, 1, 0, 0], predicted=[-1, -1, 0, 0, -1, -1, -1, -1], weight=[1, 1, 1, 1, 1, 1, 1, 0],
    )  # fmt: skip
    assert actions == ["ASK", "ASK", "ACCEPT", "ASK"]
    assert reasons == ["too_little_evidence", "kind_missing", "accepted", "too_little_evidence"]


def test_review_when_enough_was_said_or_nothing_can_be_learned() -> None:
    policy = AcceptancePolicy(threshold=0.99, most_answers=3, least_information_nats=0.1)
    actions, reasons = _decide(
        [[0.5, 0.5], [0.95, 0.05], [0.5, 0.5]], policy,
        item=[0, 0, 0, 1, 1, 2, 2], source=[0, 1, 2, 0, 1, 0, 1], answer=[0, 1, 1, 0, 0, 0, 1],
    )  # fmt: skip
    assert actions == ["REVIEW", "REVIEW", "ASK"]
    assert reasons == ["enough_answers", "nothing_to_learn", "below_threshold"]


def test_gold_is_accepted_alone() -> None:
    assert _decide([[1.0, 0.0]], AcceptancePolicy(), item=[0], source=[0], answer=[0], kind=Kind.GOLD) == (
        ["ACCEPT"],
        ["gold"],
    )


@pytest.mark.parametrize(
    "arguments", [{"threshold": 0.0}, {"threshold": 1.1}, {"least_evidence": 0}, {"by_class": {0: 2.0}}, {"most_answers": 1, "least_by_kind": {Kind.ANNOTATION: 2}}]
)  # fmt: skip
def test_policies_that_cannot_be(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"threshold|counts|annotations"):
        AcceptancePolicy(**arguments)  # type: ignore[arg-type]


def test_anchoring_reference_values() -> None:
    found = anchoring_effect(850, 1000, 780, 1000)
    assert (found.effect, found.standard_error, found.z) == pytest.approx((0.07, 0.017295, 4.031), abs=1e-3)
    assert (found.low, found.high) == pytest.approx((0.0361, 0.1039), abs=5e-5)
    assert anchored_weight(found) == pytest.approx(780 / 850)
    weights = anchored_weights(np.array([True, True, False]), np.array([True, False, True]), found)
    assert weights == pytest.approx([780 / 850, 1.0, 1.0])


def test_anchoring_without_an_arm_or_an_effect_takes_nothing_away() -> None:
    assert np.isnan(anchoring_effect(3, 4, 0, 0).effect)
    assert anchored_weight(anchoring_effect(3, 4, 0, 0)) == 1.0
    assert anchored_weight(anchoring_effect(70, 100, 80, 100)) == 1.0
    with pytest.raises(ValueError, match="no more answers"):
        anchoring_effect(5, 4, 0, 0)


def test_flipped_labels_are_found_before_others() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 900)
    chances = rng.dirichlet([1, 1, 1], 900) * 0.4 + 0.6 * np.eye(3)[truth]
    labels = truth.copy()
    labels[:60] = (truth[:60] + 1) % 3
    found = find_label_errors(chances, labels)
    top = found.ranked()[:60]
    assert (top < 60).mean() > 0.9
    assert (found.suggested[top[top < 60]] == truth[top[top < 60]]).all()
    doubted = find_label_errors(chances, labels, label_probability=np.full(900, 0.5))
    assert (doubted.score >= found.score).all()
    assert len(find_label_errors(np.empty((0, 3)), np.empty(0, dtype=np.int64)).ranked()) == 0
    with pytest.raises(ValueError, match="row 1 is no distribution"):
        find_label_errors(np.array([[0.5, 0.5], [0.5, 0.6]]), np.array([0, 1]))


def test_reliability_by_hand_and_of_perfect_chances() -> None:
    found = reliability_curve(np.array([0.85, 0.85, 0.35]), np.array([True, False, False]))
    assert found.expected_error == pytest.approx((2 * 0.35 + 0.35) / 3)
    rng = np.random.default_rng(3)
    p = rng.random(100_000)
    assert reliability_curve(p, rng.random(100_000) < p).expected_error < 4 * (10 / 100_000) ** 0.5
