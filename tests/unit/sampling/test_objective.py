"""Objectives: answers for a width, asks for the answers, and when a question ends."""

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from sampling import objective
from sampling.objective import Objective

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@given(st.floats(0.005, 0.4), st.floats(0.0, 1.0))
def test_as_many_answers_reach_the_width_and_one_less_does_not(half_width: float, share: float) -> None:
    needed = objective.answers_needed(half_width, share=share)
    z = norm.ppf(0.975)
    assert z * math.sqrt(share * (1 - share) / needed) <= half_width * (1 + 1e-9)
    if needed > 1:
        assert z * math.sqrt(share * (1 - share) / (needed - 1)) > half_width * (1 - 1e-6)


def test_randomised_answers_need_more_and_all_but_none_at_a_large_budget() -> None:
    plain = objective.answers_needed(0.05)
    assert objective.answers_needed(0.05, epsilon=1.0) > objective.answers_needed(0.05, epsilon=3.0) > plain
    assert objective.answers_needed(0.05, epsilon=20.0) == plain
    # Warner: the variance of the estimate is at most 1 / (4 n (2P - 1)^2), and (2P - 1) = tanh(1 / 2) at epsilon 1.
    assert objective.answers_needed(0.05, epsilon=1.0) == math.ceil(
        norm.ppf(0.975) ** 2 / 4 / (0.05 * math.tanh(0.5)) ** 2
    )


@pytest.mark.parametrize(("half_width", "share"), [(0.5, 0.5), (0.0, 0.5), (0.1, 1.5)])
def test_nonsense_is_refused(half_width: float, share: float) -> None:
    with pytest.raises(ValueError, match="lies in"):
        objective.answers_needed(half_width, share=share)


def test_a_question_goes_on_until_its_target_and_says_what_is_missing() -> None:
    wanted = Objective(half_width=0.05)
    open_ = objective.progress(wanted, answers=185, answer_rate=0.25, now=NOW)
    assert (open_.wanted, open_.asks, open_.ended_because) == (385, 800, "")
    done = objective.progress(wanted, answers=385, answer_rate=0.25, now=NOW)
    assert (done.asks, done.ended_because) == (0, "The target of 385 answers is reached.")


def test_a_target_of_answers_goes_before_a_width_and_a_deadline_before_both() -> None:
    both = Objective(target_answers=10, half_width=0.05, deadline=NOW)
    assert both.wanted == 10
    ended = objective.progress(both, answers=10, answer_rate=0.2, now=NOW)
    assert ended.ended_because == "The deadline, 2026-03-01 12:00 UTC, has passed with 10 answers."
    earlier = objective.progress(both, answers=9, answer_rate=0.0, now=NOW - dt.timedelta(seconds=1))
    assert (earlier.asks, earlier.ended_because) == (None, "")


def test_a_question_without_an_objective_goes_on_for_ever() -> None:
    assert objective.progress(Objective(), answers=10**9, answer_rate=0.5, now=NOW) == (10**9, None, None, "")
