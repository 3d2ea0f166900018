"""Reviewers: a channel that is known, so nothing is learned of it."""

import numpy as np
import pytest

from datasets.consensus.acceptance import AcceptancePolicy, Action, decide
from datasets.consensus.evidence import Kind, evidence
from datasets.consensus.label_model import Settings, fit, posterior_of
from datasets.consensus.parameters import Parameters

EVEN = Parameters(np.array([0.5, 0.25, 0.25]), np.array([0]), np.ones((2, 3, 3)) + 3 * np.eye(3), {}, 0.9)


def test_a_review_is_weighed_as_computed_by_hand() -> None:
    # Prior (1/2, 1/4, 1/4); an annotator right with 4/6 and wrong with 1/6 each says 0, a reviewer right with 0.9 says 1.
    said = evidence([0, 0], [0, 1], [0, 1], kind=[Kind.ANNOTATION, Kind.REVIEW], n_items=1, n_sources=2, n_classes=3)
    joint = np.array([1 / 2 * 4 / 6 * 0.05, 1 / 4 * 1 / 6 * 0.9, 1 / 4 * 1 / 6 * 0.05])
    assert posterior_of(said, EVEN)[0] == pytest.approx(joint / joint.sum())


def test_two_reviewers_who_differ_cancel_out() -> None:
    kinds = [Kind.ANNOTATION, Kind.REVIEW, Kind.REVIEW]
    both = evidence([0] * 3, [0, 1, 2], [2, 0, 2], kind=kinds, n_items=1, n_sources=3, n_classes=3)
    q, alone = posterior_of(both, EVEN)[0], posterior_of(both.rows(np.array([0])), EVEN)[0]
    assert q[0] / q[2] == pytest.approx(alone[0] / alone[2])


def test_reviews_are_not_learned_of_however_often_they_are_contradicted() -> None:
    items = np.repeat(np.arange(30), 4)
    source = np.tile([0, 1, 2, 3], 30)
    truth = np.arange(30) % 2
    answer = np.where(source == 3, 1 - truth[items], truth[items])
    kind = np.where(source == 3, Kind.REVIEW, Kind.ANNOTATION).astype(np.int64)
    said = evidence(items, source, answer, kind=kind, n_items=30, n_sources=4, n_classes=2)
    beliefs = fit(said, settings=Settings(review_accuracy=0.75))
    assert beliefs.parameters.channels == {}
    assert beliefs.parameters.review_accuracy == 0.75
    assert beliefs.parameters.annotators.tolist() == [0, 1, 2]
    assert (beliefs.posterior.argmax(axis=1) == truth).all()
    again = fit(said, start=beliefs.parameters, settings=Settings(review_accuracy=0.9))
    assert again.parameters.review_accuracy == 0.9


def test_a_randomised_review_is_refused() -> None:
    with pytest.raises(ValueError, match=r"row 0: epsilon .* randomises gold or a review"):
        evidence([0], [0], [0], kind=Kind.REVIEW, epsilon=1.0, n_items=1, n_sources=1, n_classes=2)


def test_what_a_reviewer_looked_at_needs_no_other_evidence() -> None:
    said = evidence([0, 1], [0, 1], [1, 1], kind=[Kind.REVIEW, Kind.ANNOTATION], n_items=2, n_sources=2, n_classes=2)
    posterior = np.array([[0.02, 0.98], [0.02, 0.98]], dtype=np.float32)
    found = decide(posterior, said, np.eye(2) * 0.8 + 0.1, AcceptancePolicy(least_by_kind={Kind.ANNOTATION: 1}))
    assert [Action(each).name for each in found.action] == ["ACCEPT", "ASK"]
    assert found.reason.tolist() == ["accepted", "too_little_evidence"]


@pytest.mark.parametrize(
    ("probability", "standing", "action", "reason"),
    [
        (0.86, 1, Action.ACCEPT, "stands"),
        (0.86, 0, Action.ASK, "below_threshold"),
        (0.86, -1, Action.ASK, "below_threshold"),
        (0.84, 1, Action.ASK, "below_threshold"),
        (0.91, 1, Action.ACCEPT, "accepted"),
    ],
)
def test_a_label_that_stands_falls_late(probability: float, standing: int, action: Action, reason: str) -> None:
    said = evidence([0, 0], [0, 1], [1, 1], n_items=1, n_sources=2, n_classes=2)
    posterior = np.array([[1 - probability, probability]], dtype=np.float32)
    found = decide(posterior, said, np.eye(2) * 0.8 + 0.1, AcceptancePolicy(), standing=np.array([standing]))
    assert (found.action[0], found.reason[0]) == (action, reason)


def test_a_label_does_not_stand_on_too_little_evidence() -> None:
    said = evidence([0], [0], [1], n_items=1, n_sources=2, n_classes=2)
    posterior = np.array([[0.05, 0.95]], dtype=np.float32)
    found = decide(posterior, said, np.eye(2), AcceptancePolicy(), standing=np.array([1]))
    assert (found.action[0], found.reason[0]) == (Action.ASK, "too_little_evidence")
