"""Utility and chances: worked values, and what must hold whatever the numbers are."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from sampling.asking import utility
from sampling.asking.policy import Policy
from sampling.asking.situation import Rates, Spending
from tests.unit.sampling.asking.situations import DAY, candidate, past, situation

UTILITIES = st.floats(-3.0, 6.0)
POLICIES = st.builds(
    Policy,
    threshold=st.floats(-1.0, 1.0),
    temperature=st.floats(0.01, 1.0),
    audit_share=st.floats(0.0, 0.3),
    least_propensity=st.floats(0.001, 0.1),
    most_propensity=st.floats(0.3, 1.0),
)


@pytest.mark.parametrize(("right", "wrong", "expected"), [(9, 1, 0.6356), (3, 3, 0.2253), (1, 4, 0.0628)])
def test_reliability_is_the_reference_lower_bound_of_the_posterior(right: int, wrong: int, expected: float) -> None:
    """Reference values of Beta(10, 2), (4, 4) and (2, 5): one right answer less than they say, for our prior has two."""
    assert utility.reliability(right - 1, wrong) == pytest.approx(beta.ppf(0.05, right + 1, wrong + 1))
    assert beta.ppf(0.05, right + 1, wrong + 1) == pytest.approx(expected, abs=5e-5)


def test_a_typical_respondent_without_history_is_worth_the_informativeness_less_fatigue() -> None:
    (terms,) = utility.of_candidates(Policy(fatigue_weight=0.1), situation(candidate(0.7)), [0])
    # 0.1 * (0.25 * 0.2 answered + 1 * 0.2 dismissed + 0.5 * 0.6 ignored)
    assert terms.fatigue == pytest.approx(0.055)
    assert (terms.answering, terms.reliability, terms.weight) == (1.0, 1.0, 1.0)
    assert terms.utility == pytest.approx(0.7 - 0.055)


def test_the_utility_is_the_formula_of_its_terms() -> None:
    where = situation(
        candidate(0.8, segment="de", label_share=0.2),
        right_count=4,
        wrong_count=1,
        history=(past(7 * DAY, "answered"), past(14 * DAY, "dismissed")),
        rates=Rates(answered=0.3, dismissed=0.1, strength=10.0, typical=0.25),
        spending=Spending(price=0.07),
    )
    (terms,) = utility.of_candidates(Policy(segment_targets={"de": 0.5}, fatigue_weight=0.2), where, [0])
    answered, dismissed = (10 * 0.3 + 1) / 12, (10 * 0.1 + 1) / 12
    tired = 0.25 / 2 + 1.0 / 4
    assert terms.weight == 2.5
    assert terms.answering == pytest.approx(answered / 0.25)
    assert terms.reliability == pytest.approx(min(beta.ppf(0.05, 6, 2) / beta.ppf(0.05, 2, 1), 2.0))
    assert terms.fatigue == pytest.approx(
        0.2 * (0.25 * answered + dismissed + 0.5 * (1 - answered - dismissed)) * (1 + tired)
    )
    assert terms.utility == pytest.approx(2.5 * 0.8 * terms.answering * terms.reliability - terms.fatigue - 0.07)


def test_fatigue_halves_in_a_half_life() -> None:
    now = utility.fatigue([past(0.0, "dismissed"), past(0.0), past(0.0, "answered")], half_life_seconds=7 * DAY)
    later = utility.fatigue(
        [past(7 * DAY, "dismissed"), past(7 * DAY), past(7 * DAY, "answered")], half_life_seconds=7 * DAY
    )
    assert (now, later) == (1.75, 0.875)


def test_the_chance_is_the_reference_formula() -> None:
    policy = Policy(threshold=0.3, temperature=0.1, audit_share=0.05, least_propensity=0.01, most_propensity=0.9)
    for worth in (-2.0, 0.1, 0.3, 0.55, 4.0):
        expected = 0.05 + 0.95 / (1 + math.exp(-(worth - 0.3) / 0.1))
        assert utility.propensities(policy, [worth])[0][0] == pytest.approx(min(max(expected, 0.01), 0.9))


def test_the_floor_holds_without_an_audit_share() -> None:
    assert utility.propensities(Policy(audit_share=0.0, least_propensity=0.02), [-50.0])[0] == [0.02]


@given(POLICIES, UTILITIES, UTILITIES)
def test_the_chance_rises_with_the_utility_between_floor_and_ceiling(policy: Policy, one: float, other: float) -> None:
    low, high = (utility.propensities(policy, [each])[0][0] for each in sorted((one, other)))
    assert policy.least_propensity <= low <= high + 1e-12 <= policy.most_propensity + 1e-11


@given(POLICIES, st.lists(UTILITIES, min_size=1, max_size=20))
def test_chances_of_candidates_are_the_chances_of_one_event(policy: Policy, utilities: list[float]) -> None:
    chances, audit = utility.propensities(policy, utilities)
    assert sum(chances) <= policy.most_propensity + 1e-9
    assert all(0.0 < each <= 1.0 for each in chances)
    assert all(0.0 <= part <= each for part, each in zip(audit, chances, strict=True))
    # Better candidates never get less.
    order = sorted(range(len(utilities)), key=utilities.__getitem__)
    assert all(chances[low] <= chances[high] + 1e-12 for low, high in itertools.pairwise(order))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_informative_is_never_worth_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    below, above = utility.of_candidates(Policy(), situation(candidate(low), candidate(high)), [0, 1])
    assert below.utility <= above.utility


def test_whoever_answers_more_is_worth_more_and_whoever_is_tired_less() -> None:
    answers = tuple(past((20 + day) * DAY, "answered") for day in range(5))
    silence = tuple(past((20 + day) * DAY) for day in range(5))
    willing, silent, fresh = (
        utility.of_candidates(Policy(), situation(candidate(0.8), history=history), [0])[0]
        for history in (answers, silence, ())
    )
    assert willing.answering > fresh.answering > silent.answering
    assert silent.fatigue > fresh.fatigue
    assert willing.utility > silent.utility


@pytest.mark.parametrize(("target", "share", "weight"), [(0.5, 0.25, 2.0), (0.9, 0.1, 3.0), (0.1, 0.9, 0.5)])
def test_segments_short_of_labels_weigh_more_within_bounds(target: float, share: float, weight: float) -> None:
    assert utility.segment_weight(target, share) == pytest.approx(weight)
