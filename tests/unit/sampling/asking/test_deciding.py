"""Decisions: logged propensities are the frequencies they promise, audit draws are uniform, replays repeat."""

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest

from sampling.asking import deciding, draws
from sampling.asking.deciding import Decision
from sampling.asking.draws import Draws
from sampling.asking.policy import GATES, Policy, Reason
from sampling.asking.situation import Situation, Spending
from sampling.models import AskDecision
from tests.unit.sampling.asking.situations import candidate, past, situation

KEY = draws.key_for("a secret", 1)
OPPORTUNITIES = 100_000


def decided(number: int, where: Situation, policy: Policy | None = None) -> Decision:
    return deciding.decide(policy or Policy(), where, draws.of_opportunity(KEY, f"o-{number}"))


def test_reasons_are_those_of_the_log_in_the_order_of_the_gates() -> None:
    assert {each.value for each in Reason} == set(AskDecision.Reason.values)
    logged = [each for each in AskDecision.Reason.values if each in {gate.value for gate in GATES}]
    assert logged == [gate.value for gate in GATES]


def test_asks_come_as_often_as_the_logged_propensities_say() -> None:
    """Of 100,000 opportunities, in each decile of the propensity, within three standard errors."""
    rng = np.random.default_rng(4)
    values = rng.beta(1.0, 2.0, OPPORTUNITIES)
    prices = rng.uniform(0.0, 0.3, OPPORTUNITIES)
    made = [
        decided(number, situation(candidate(float(value)), spending=Spending(price=float(price))))
        for number, (value, price) in enumerate(zip(values, prices, strict=True))
    ]
    chances = np.array([each.propensity for each in made], dtype=np.float64)
    asked = np.array([each.is_ask for each in made])
    edges = np.quantile(chances, np.linspace(0.0, 1.0, 11))
    for low, high in itertools.pairwise(edges):
        inside = (chances >= low) & (chances <= high)
        expected = chances[inside].mean()
        error = np.sqrt((chances[inside] * (1 - chances[inside])).sum()) / inside.sum()
        assert abs(asked[inside].mean() - expected) < 3 * error

    audit = np.array([each.is_audit for each in made])
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        inside = (values >= low) & (values < high)
        assert abs(audit[inside].mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / inside.sum())


def test_the_audit_share_is_uniform_over_a_respondents_opportunities() -> None:
    """Whatever their number in the respondent's history is."""
    counts = np.zeros(10)
    for number in range(OPPORTUNITIES):
        counts[number % 10] += decided(number, situation(candidate(0.9))).is_audit
    expected = OPPORTUNITIES * 0.05 / 10
    assert (((counts - expected) ** 2) / (expected * 0.95)).sum() < 30  # chi-squared of 10, p < 0.001


@pytest.mark.parametrize(("share", "times", "exposed"), [(0.10, 20, 0.8784), (0.05, 20, 0.6415), (0.01, 50, 0.3950)])
def test_a_share_drawn_anew_each_time_reaches_most_people_and_the_holdout_does_not(
    share: float, times: int, exposed: float
) -> None:
    """1 - (1 - p)^m of the people are asked at least once when each of their m opportunities is drawn by itself."""
    people = 1_000
    policy = Policy(audit_share=share, least_propensity=share, most_propensity=share, holdout_share=share)
    asked_once, never = 0, 0
    for person in range(people):
        where = situation(holdout_draw=draws.uniform(KEY, "holdout", f"user-{person}"))
        made = [
            deciding.decide(policy, where, draws.of_opportunity(KEY, f"{person}-{number}")) for number in range(times)
        ]
        is_held_out = {each.reason == Reason.HOLDOUT for each in made}
        assert len(is_held_out) == 1, "whoever is in the holdout stays there"
        never += is_held_out == {True}
        asked_once += any(each.is_ask for each in made)
    for found, of, expected in ((never, people, share), (asked_once, people - never, exposed)):
        assert abs(found / of - expected) < 4 * np.sqrt(expected * (1 - expected) / of)


def test_one_of_many_is_asked_with_its_joint_propensity() -> None:
    where = situation(candidate(0.1), candidate(0.95, is_labelled=True), candidate(0.5), candidate(0.35))
    made = [decided(number, where) for number in range(OPPORTUNITIES // 2)]
    chances = made[0].propensities
    assert made[0].eligible == (0, 2, 3)
    for place, chance in zip((0, 2, 3), chances, strict=True):
        chosen = [each for each in made if each.chosen == place]
        assert {each.propensity for each in chosen} == {chance}
        error = (chance * (1 - chance) / len(made)) ** 0.5
        assert abs(len(chosen) / len(made) - chance) < 3 * error
    (of_a_no,) = {each.propensity for each in made if not each.is_ask}
    assert of_a_no == pytest.approx(sum(chances))


def test_a_replay_is_identical_also_from_the_log() -> None:
    where = situation(candidate(0.4), candidate(0.6), spending=Spending(12, 3.5, 0.125))
    logged = msgspec.json.decode(msgspec.json.encode(where), type=Situation)
    assert logged == where
    for number in range(500):
        assert decided(number, logged) == decided(number, where)


def test_a_fifth_of_the_asks_is_blind_where_there_is_something_to_hide() -> None:
    asked = [each for number in range(20_000) if (each := decided(number, situation(candidate(0.9)))).is_ask]
    blind = sum(each.is_blind for each in asked) / len(asked)
    assert abs(blind - 0.2) < 3 * (0.16 / len(asked)) ** 0.5
    shown = situation(candidate(0.9), can_be_blind=False)
    assert not any(decided(number, shown).is_blind for number in range(500))


def test_a_refusal_has_no_propensity_and_no_draw() -> None:
    refused = decided(1, situation(is_quiet=True))
    assert (refused.reason, refused.is_ask, refused.is_eligible) == (Reason.QUIET, False, False)
    assert (refused.propensity, refused.draw, refused.terms) == (None, None, ())


def test_the_draw_alone_decides_between_yes_and_no() -> None:
    where = situation(candidate(0.3))
    chance = deciding.decide(Policy(), where, Draws(0.5, 0.5)).propensity
    assert chance is not None
    outcomes = [
        deciding.decide(Policy(), where, Draws(at, 0.5)).reason for at in (0.0, 0.0499, 0.0501, chance - 1e-9, chance)
    ]
    assert outcomes == [Reason.AUDIT, Reason.AUDIT, Reason.SELECTED, Reason.SELECTED, Reason.NOT_DRAWN]


def test_draws_are_uniform_and_independent_between_purposes() -> None:
    drawn = np.array([draws.of_opportunity(KEY, f"o-{number}") for number in range(50_000)])
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 3 * (1 / 12 / 50_000) ** 0.5
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 3 / 50_000**0.5
    assert draws.uniform(KEY, "draw", "o-1") != draws.uniform(draws.key_for("a secret", 2), "draw", "o-1")


CHECKING = Policy(check_share=0.3, check_until_answers=5)


def test_a_known_answer_is_asked_about_with_the_check_share_of_whom_little_is_known() -> None:
    where = situation(candidate(0.9, is_labelled=True, is_gold=True), right_count=3, wrong_count=1)
    made = [decided(number, where, CHECKING) for number in range(20_000)]
    assert {each.propensity for each in made} == {0.3}
    asked = [each for each in made if each.is_ask]
    assert {each.reason for each in asked} == {Reason.CHECK}
    assert abs(len(asked) / len(made) - 0.3) < 3 * (0.21 / len(made)) ** 0.5
    assert not any(each.is_audit for each in made)


@pytest.mark.parametrize(
    ("policy", "right"),
    [(CHECKING, 5), (Policy(), 0), (Policy(check_share=0.3, check_until_answers=0), 0)],
)
def test_whose_record_is_long_enough_is_not_checked_nor_anybody_where_the_policy_does_not(
    policy: Policy, right: int
) -> None:
    where = situation(candidate(0.9, is_labelled=True, is_gold=True), right_count=right)
    assert decided(1, where, policy).reason == Reason.LABELLED


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"holdout_draw": 0.0}, Reason.HOLDOUT),
        ({"is_quiet": True}, Reason.QUIET),
        ({"history": (past(10.0, "dismissed"),)}, Reason.COOLDOWN_SHOWN),
        ({"spending": None}, Reason.DEGRADED),
        ({"spending": Spending(spent=10)}, Reason.BUDGET),
    ],
)
def test_checks_pass_no_gate_that_others_do_not(others: dict[str, Any], reason: Reason) -> None:
    policy = msgspec.structs.replace(CHECKING, budget_asks=10)
    where = situation(candidate(0.9, is_labelled=True, is_gold=True), **others)
    assert decided(1, where, policy).reason == reason


def test_checks_among_others_have_their_joint_propensity_and_leave_that_of_the_others() -> None:
    unknown = (candidate(0.2), candidate(0.35))
    alone = decided(1, situation(*unknown), CHECKING)
    where = situation(candidate(0.9, is_labelled=True, is_gold=True), *unknown, candidate(0.1, is_labelled=True))
    made = [decided(number, where, CHECKING) for number in range(50_000)]
    assert made[0].eligible == (0, 1, 2)
    assert made[0].propensities == pytest.approx((0.3, *alone.propensities))
    for place, chance in zip((0, 1, 2), made[0].propensities, strict=True):
        chosen = [each for each in made if each.chosen == place]
        assert abs(len(chosen) / len(made) - chance) < 3 * (chance * (1 - chance) / len(made)) ** 0.5
        assert {each.reason for each in chosen} == ({Reason.CHECK} if place == 0 else {Reason.AUDIT, Reason.SELECTED})
    audited = sum(each.is_audit for each in made) / len(made)
    assert abs(audited - 0.05) < 3 * (0.05 * 0.95 / len(made)) ** 0.5


def test_with_checks_the_ceiling_holds() -> None:
    policy = msgspec.structs.replace(CHECKING, check_share=0.8, most_propensity=0.5)
    where = situation(candidate(0.9, is_labelled=True, is_gold=True), candidate(0.9))
    assert sum(decided(1, where, policy).propensities) == pytest.approx(0.5)


def test_an_app_is_not_told_which_asks_are_checks() -> None:
    assert Reason.CHECK.told == Reason.SELECTED
    assert all(each.told is each for each in Reason if each is not Reason.CHECK)
