"""Gates: each refuses for its own reason, in the order of the reasons, and says when it opens."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling.asking import gates
from sampling.asking.gates import Passed, Refusal
from sampling.asking.policy import GATES, Policy, Reason
from sampling.asking.situation import Situation, Spending
from tests.unit.sampling.asking.situations import DAY, HOUR, candidate, past, situation

LABELLED = candidate(is_labelled=True)
NO_QUOTA = candidate(segment="de", quota_spent=5)

# One situation that a gate refuses and every gate before it passes, with when it opens.
CASES: list[tuple[Reason, Policy, Situation, float | None]] = [
    (Reason.OFF, Policy(is_asking=False), situation(), None),
    (Reason.NO_QUESTION, Policy(), situation(has_question=False), None),
    (Reason.NO_CONSENT, Policy(needs_consent=True), situation(), None),
    (Reason.NO_CONSENT, Policy(), situation(consent=False), None),
    (Reason.OPTED_OUT, Policy(), situation(opted_out_seconds=90.0), 90.0),
    (Reason.BLOCKED, Policy(), situation(is_blocked=True), None),
    (Reason.HOLDOUT, Policy(), situation(holdout_draw=0.049), None),
    (Reason.QUIET, Policy(), situation(is_quiet=True), None),
    (Reason.CONCURRENT, Policy(), situation(history=(past(60.0, "open", open_seconds=40.0),)), 40.0),
    (Reason.COOLDOWN_SHOWN, Policy(), situation(history=(past(DAY - 10),)), 10.0),
    (Reason.COOLDOWN_DISMISSED, Policy(), situation(history=(past(2 * DAY, "dismissed"),)), 5 * DAY),
    (Reason.COOLDOWN_ANSWERED, Policy(), situation(history=(past(2 * DAY, "answered"),)), 1 * DAY),
    (Reason.QUESTION_COOLDOWN, Policy(), situation(history=(past(2 * DAY, is_same_question=True),)), 5 * DAY),
    (Reason.SESSION_CAP, Policy(), situation(history=(past(2 * DAY, is_same_session=True),)), None),
    (Reason.WEEK_CAP, Policy(), situation(history=(past(2 * DAY), past(4 * DAY))), 3 * DAY),
    (Reason.MONTH_CAP, Policy(), situation(history=tuple(past((8 + day) * DAY) for day in range(6))), 17 * DAY),
    (Reason.LABELLED, Policy(), situation(LABELLED), None),
    (Reason.PRIVACY_BUDGET, Policy(), situation(epsilon_needed=1.0, epsilon_spent=7.5), None),
    (Reason.SEGMENT_QUOTA, Policy(segment_quotas={"de": 5}), situation(NO_QUOTA), 30 * DAY),
    (Reason.BUDGET, Policy(budget_asks=30), situation(spending=Spending(1, 0.0)), DAY),
    (Reason.BUDGET, Policy(budget_asks=30), situation(spending=Spending(30, 29 * DAY)), DAY),
    (Reason.DEGRADED, Policy(), situation(spending=None), gates.DEGRADED_RETRY_SECONDS),
]


@pytest.mark.parametrize(("reason", "policy", "refused", "opens"), CASES, ids=[str(case[0]) for case in CASES])
def test_each_gate_refuses_and_says_when_it_opens(
    reason: Reason, policy: Policy, refused: Situation, opens: float | None
) -> None:
    checked = gates.check(policy, refused)
    assert isinstance(checked, Refusal)
    assert checked.reason == reason
    assert checked.retry_after == (None if opens is None else pytest.approx(opens))


def test_every_gate_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(GATES)


def test_a_situation_without_objections_passes() -> None:
    assert gates.check(Policy(), situation()) == Passed((0,))


def _merged(first: Situation, second: Situation) -> Situation:
    """The first situation with whatever the second one has that is not usual."""
    usual = situation()
    changed = {
        name: getattr(second, name)
        for name in second.__struct_fields__
        if getattr(second, name) != getattr(usual, name)
    }
    if "history" in changed:
        changed["history"] = first.history + second.history
    return msgspec.structs.replace(first, **changed)


@pytest.mark.parametrize("earlier", range(len(CASES) - 1))
def test_of_two_gates_the_earlier_one_is_the_reason(earlier: int) -> None:
    reason, policy, refused, _ = CASES[earlier]
    for later_reason, later_policy, later, _ in CASES[earlier + 1 :]:
        if later_reason in (reason, Reason.SEGMENT_QUOTA) or reason in (Reason.LABELLED, Reason.SEGMENT_QUOTA):
            continue  # these are about the same candidates
        both = Policy(
            is_asking=policy.is_asking,
            needs_consent=policy.needs_consent,
            budget_asks=later_policy.budget_asks or policy.budget_asks,
        )
        checked = gates.check(both, _merged(later, refused))
        assert isinstance(checked, Refusal)
        assert checked.reason == reason


def test_a_clock_is_over_when_its_full_time_has_passed() -> None:
    assert gates.check(Policy(), situation(history=(past(DAY),))) == Passed((0,))
    assert gates.check(Policy(), situation(history=(past(DAY - 1e-3),))) != Passed((0,))


def test_the_question_clock_does_not_stop_other_questions() -> None:
    assert gates.check(Policy(), situation(history=(past(2 * DAY),))) == Passed((0,))


def test_an_open_ask_whose_time_is_over_is_not_concurrent() -> None:
    assert gates.check(Policy(), situation(history=(past(2 * DAY, "open", open_seconds=0.0),))) == Passed((0,))


def test_a_cap_of_nothing_refuses_everybody_who_was_ever_asked_and_everybody_else_too() -> None:
    checked = gates.check(Policy(most_per_7_days=0), situation(history=(past(20 * DAY),)))
    assert checked == Refusal(Reason.WEEK_CAP)


def test_gates_of_items_take_candidates_out_one_by_one() -> None:
    mixed = situation(LABELLED, NO_QUOTA, candidate(segment="fr", quota_spent=9), candidate())
    assert gates.check(Policy(segment_quotas={"de": 5, "fr": 10}), mixed) == Passed((2, 3))


def test_nobody_named_is_in_no_holdout() -> None:
    assert gates.check(Policy(holdout_share=0.5), situation(holdout_draw=None)) == Passed((0,))


@given(
    ages=st.lists(st.floats(0.0, 40 * DAY), max_size=12),
    outcomes=st.lists(st.sampled_from(["ignored", "dismissed", "answered"]), min_size=12, max_size=12),
)
def test_whoever_passes_was_asked_no_more_than_the_policy_says(ages: list[float], outcomes: list[Any]) -> None:
    policy = Policy()
    history = tuple(past(age, outcome) for age, outcome in zip(ages, outcomes, strict=False))
    checked = gates.check(policy, situation(history=history))
    if isinstance(checked, Passed):
        assert all(age >= DAY for age in ages)
        assert sum(age < 7 * DAY for age in ages) < policy.most_per_7_days
        assert sum(age < 30 * DAY for age in ages) < policy.most_per_30_days
    else:
        assert ages
        # Waiting as long as it says opens this gate.
        if checked.retry_after is not None:
            waited = checked.retry_after + 1e-3
            later = tuple(past(ask.asked_age + waited, ask.outcome) for ask in history)
            again = gates.check(policy, situation(history=later))
            assert isinstance(again, Passed) or again.reason != checked.reason


def test_waiting_an_hour_less_does_not_open_a_clock() -> None:
    checked = gates.check(Policy(), situation(history=(past(DAY - 2 * HOUR),)))
    assert isinstance(checked, Refusal)
    assert checked.retry_after == pytest.approx(2 * HOUR)
