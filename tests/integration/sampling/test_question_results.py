"""What the answers to a question come to."""

import datetime as dt
from typing import Any

import numpy as np
import pytest

from datasets.estimation.randomised_response import channel, estimate
from datasets.estimation.wilson import proportion_interval
from labeling import selectors
from labeling.models import Feedback, Project, QuestionVersion
from sampling import question_results
from sampling.question_results import Results
from tests.factories import ask_log as log

CHOICES = {
    "text": {"en": "Which?"},
    "options": [{"key": "a", "text": {"en": "The first"}}, {"key": "b", "text": {"en": "The second"}}],
}


def said(version: QuestionVersion, kind: str, value: Any, *, propensity: float = 0.5, **others: Any) -> None:
    made = log.decision(version.question.project, "selected", asked=version, fate="answered", propensity=propensity)
    Feedback.objects.create(
        project=version.question.project, client_id=f"answer:{Feedback.objects.count()}", channel="token", ask=made.ask,
        question_version=version, kind=kind, value=value, occurred_at=log.NOW, received_at=log.NOW, **others,
    )  # fmt: skip


def results(version: QuestionVersion) -> Results:
    schema = selectors.parsed_schema(version.question.project)
    return question_results.results(version.question, version, schema, now=log.NOW)


def shares(found: Results, tally: int = 0) -> dict[str, tuple[int | None, float]]:
    return {each.name: (each.count, each.value) for each in found.tallies[tally].shares}


def test_no_answers_are_no_shares(project: Project) -> None:
    found = results(log.question(project, "mood", "thumbs"))
    assert (found.asks, found.answered, found.done) == (0, 0, None)
    assert found.tallies[0].n == 0


def test_shares_have_intervals_and_are_weighted_by_the_chance_of_being_asked(project: Project) -> None:
    version = log.question(project, "which", "single_choice", CHOICES, target_answers=10)
    for propensity in (0.1, 0.1, 0.1):
        said(version, "choice", "a", propensity=propensity)
    for propensity in (0.5, 0.5):
        said(version, "choice", "b", propensity=propensity)
    said(version, "choice", "b", superseded_at=log.NOW)
    found = results(version)
    assert shares(found) == {"The first": (3, 0.6), "The second": (2, 0.4)}
    first = found.tallies[0].shares[0]
    assert (first.low, first.high) == (proportion_interval(3, 5).low, proportion_interval(3, 5).high)
    assert first.weighted is not None
    assert first.weighted.value == pytest.approx(30 / 34)
    assert found.done == 0.6  # of ten, six asks are answered: the superseded one was answered as well


def test_answers_of_equal_chance_are_not_weighted(project: Project) -> None:
    version = log.question(project, "mood", "thumbs")
    said(version, "thumb", "up")
    said(version, "thumb", "down")
    found = results(version)
    assert shares(found) == {"Good": (1, 0.5), "Not good": (1, 0.5)}
    assert not found.tallies[0].is_weighted


def test_ratings_have_a_mean_and_several_choices_sum_to_more_than_one(project: Project) -> None:
    rating = log.question(project, "stars", "rating", {"text": {"en": "How?"}})
    for level in (2, 4, 5, 5):
        said(rating, "rating", level)
    found = results(rating)
    assert shares(found)["5"] == (2, 0.5)
    assert found.tallies[0].mean is not None
    assert found.tallies[0].mean.value == 4.0
    several = log.question(project, "all", "multiple_choice", CHOICES)
    said(several, "choice", ["a", "b"])
    said(several, "choice", ["a"])
    assert shares(results(several)) == {"The first": (2, 1.0), "The second": (1, 0.5)}


def test_options_of_older_versions_come_last_by_their_key(project: Project) -> None:
    version = log.question(project, "which", "single_choice", CHOICES)
    said(version, "choice", "gone")
    said(version, "choice", "a")
    assert list(shares(results(version))) == ["The first", "The second", "gone"]


def test_corrections_tell_of_the_model_and_of_the_truth(project: Project) -> None:
    version = log.question(project)
    cat, dog = {"choice": "cat"}, {"choice": "dog"}
    for thumb, truth, is_blind in (("up", cat, False), ("down", dog, False), ("down", None, False), ("", dog, True)):
        made = log.decision(project, "selected", asked=version, fate="answered", is_blind=is_blind, predicted=cat)
        log.answered(made, thumb=thumb, truth=truth)
    found = results(version)
    assert shares(found) == {"The model is right": (1, 1 / 3), "The model is wrong": (2, 2 / 3)}
    assert shares(found, 1) == {"dog": (2, 2 / 3), "cat": (1, 1 / 3)}


def test_a_survey_has_a_tally_for_each_step_and_shows_its_texts(project: Project) -> None:
    steps = [
        {"key": "s1", "kind": "rating", "text": {"en": "How?"}, "maximum": 3},
        {"key": "s2", "kind": "multiple_choice", **CHOICES},
        {"key": "s3", "kind": "text", "text": {"en": "Why?"}},
    ]
    version = log.question(project, "both", "survey", {"text": {"en": "Three things"}, "steps": steps})
    said(version, "survey", {"s1": {"rating": 3}, "s3": {"text": "It is fast."}})
    said(version, "survey", {"s1": {"rating": 1}, "s2": {"choices": ["b"]}})
    found = results(version)
    assert [(tally.title, tally.n) for tally in found.tallies] == [("How?", 2), ("Which?", 1)]
    assert shares(found, 1)["The second"] == (1, 1.0)
    assert [each.text for each in found.texts] == ["It is fast."]


def test_texts_are_the_newest(project: Project) -> None:
    version = log.question(project, "why", "text", {"text": {"en": "Why?"}})
    for number in range(question_results.NEWEST_TEXTS + 2):
        said(version, "text", f"text {number}")
    found = results(version)
    assert len(found.texts) == question_results.NEWEST_TEXTS
    assert found.texts[0].text == f"text {question_results.NEWEST_TEXTS + 1}"


@pytest.mark.parametrize("kind", ["rating", "text", "multiple_choice", "correction"])
def test_only_answers_are_results_whatever_else_is_said_of_the_ask(project: Project, kind: str) -> None:
    definition = CHOICES if kind == "multiple_choice" else {"text": {"en": "How good?"}}
    version = log.question(project, "one", kind, definition)
    made = log.decision(project, "selected", asked=version, fate="answered")
    opinions = [("thumb", "up"), ("click", None), ("dwell", 3), ("text", "a"), ("choice", ["zz"]), ("rating", 9)]
    for number, (said_kind, value) in enumerate(opinions):
        Feedback.objects.create(
            project=project, client_id=f"app-{number}", channel="token" if number % 2 else "app", ask=made.ask,
            question_version=version, kind=said_kind, value=value, occurred_at=log.NOW, received_at=log.NOW,
        )  # fmt: skip
    found = results(version)
    assert (found.answered, found.texts) == (1, ())
    assert {tally.n for tally in found.tallies} <= {0}


def _private_answers(version: QuestionVersion, counts: dict[float, tuple[int, int]]) -> None:
    """Answers without asks of their own would not count, so they share one; what is estimated is not changed by that."""
    made = log.decision(version.question.project, "selected", asked=version, fate="answered")
    Feedback.objects.bulk_create(
        Feedback(
            project=version.question.project, client_id=f"answer:{epsilon}-{value}-{number}", channel="token", ask=made.ask,
            question_version=version, kind="thumb", value=value, epsilon=epsilon, occurred_at=log.NOW,
        )
        for epsilon, pair in counts.items()
        for value, count in zip(("down", "up"), pair, strict=True)
        for number in range(count)
    )  # fmt: skip


def test_private_answers_are_estimated_from_what_was_reported(project: Project) -> None:
    version = log.question(project, "trust", "thumbs", {"text": {"en": "Do you?"}}, epsilon=1.0)
    _private_answers(version, {1.0: (200, 400)})
    found = results(version)
    expected = estimate(np.array([200, 400]), epsilon=1.0)
    assert found.too_few is None
    assert [(each.name, each.count) for each in found.tallies[0].shares] == [("Good", None), ("Not good", None)]
    assert [each.value for each in found.tallies[0].shares] == pytest.approx(expected.values[::-1].tolist())
    assert found.tallies[0].n == 600
    low, _, high = found.tallies[0].shares[0].shown
    assert 0.0 <= low <= high <= 1.0


def test_answers_under_several_epsilons_are_put_together(project: Project) -> None:
    version = log.question(project, "trust", "thumbs", {"text": {"en": "Do you?"}}, epsilon=2.0)
    truth = 0.75
    counts = {}
    for epsilon, n in ((1.0, 4_000), (2.0, 3_000)):
        said_up = channel(epsilon, 2)
        up = round(n * (said_up.flip + said_up.gain * truth))
        counts[epsilon] = (n - up, up)
    _private_answers(version, counts)
    (tally,) = results(version).tallies
    assert tally.shares[0].value == pytest.approx(truth, abs=1e-3)


def test_few_private_answers_tell_nothing(project: Project) -> None:
    version = log.question(project, "trust", "thumbs", {"text": {"en": "Do you?"}}, epsilon=1.0)
    assert results(version).too_few is not None
    _private_answers(version, {1.0: (200, 299)})
    found = results(version)
    assert found.too_few is not None
    assert (found.too_few.n, found.tallies) == (499, ())


def test_the_objective_counts_down(project: Project) -> None:
    version = log.question(project, "mood", "thumbs", target_half_width=0.1, deadline=log.NOW + dt.timedelta(days=1))
    for fate in ("answered", "answered", "dismissed", "shown"):
        log.decision(project, "selected", asked=version, fate=fate)
    found = results(version)
    assert (found.progress.wanted, found.progress.answers, found.progress.asks) == (97, 2, 190)
    assert found.progress.ended_because == ""
    late = question_results.results(
        version.question, version, selectors.parsed_schema(project), now=log.NOW + dt.timedelta(days=2)
    )
    assert "deadline" in late.progress.ended_because
