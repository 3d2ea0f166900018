"""Pacing: never beyond the budget, never far ahead, all of it by the end where there is demand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampling import pacing
from sampling.asking import utility
from sampling.asking.policy import Policy

DAY = 86_400
BUDGETS = st.integers(0, 100_000)


@given(BUDGETS, st.floats(0.0, 40.0 * DAY), st.integers(3_600, 60 * DAY))
def test_allowed_is_within_a_burst_of_the_pace_and_within_the_budget(budget: int, elapsed: float, period: int) -> None:
    allowed = pacing.allowed(budget=budget, elapsed_seconds=elapsed, period_seconds=period)
    target = pacing.paced_target(budget=budget, elapsed_seconds=elapsed, period_seconds=period)
    assert 0 <= allowed <= budget
    assert target - 1 <= allowed <= target + pacing.burst(budget) + 1e-6


@given(st.integers(1, 100_000), st.floats(0.0, 1.0), st.integers(3_600, 60 * DAY))
def test_waiting_as_long_as_it_says_allows_one_more(budget: int, share: float, period: int) -> None:
    elapsed = share * period * 0.999
    spent = pacing.allowed(budget=budget, elapsed_seconds=elapsed, period_seconds=period)
    wait = pacing.seconds_until_allowed(budget=budget, spent=spent, elapsed_seconds=elapsed, period_seconds=period)
    assert wait > 0
    if spent < budget and elapsed + wait < period:
        after = pacing.allowed(budget=budget, elapsed_seconds=elapsed + wait + 1.0, period_seconds=period)
        assert after > spent


@given(st.floats(0.0, pacing.HIGHEST_PRICE), st.floats(-50.0, 50.0), st.floats(-50.0, 50.0), st.floats(0.0, 10.0 * DAY))
def test_the_price_stays_in_its_range_and_rises_with_overspending(
    price: float, error: float, last: float, seconds: float
) -> None:
    moved = pacing.next_price(price, error=error, last_error=last, seconds=seconds)
    more = pacing.next_price(price, error=error + 1.0, last_error=last, seconds=seconds)
    assert 0.0 <= moved <= more <= pacing.HIGHEST_PRICE


def test_windows_follow_each_other_without_a_gap() -> None:
    starts = {pacing.window_start(anchor=5.0, period_seconds=10, now=float(now)) for now in range(-20, 40)}
    assert sorted(starts) == [-25.0, -15.0, -5.0, 5.0, 15.0, 25.0, 35.0]


@pytest.mark.parametrize("per_day", [3_000, 10_000])
def test_bursty_traffic_spends_the_budget_by_the_end_and_the_price_picks_the_better_half(per_day: int) -> None:
    """Five days with quiet nights and a rush at noon; utility is drawn at random."""
    rng, policy, budget, days = np.random.default_rng(1), Policy(), 5_000, 5
    weights = np.ones((days, 1440))
    weights[:, :360], weights[:, 720:840] = 0.1, 6.0
    arrivals = np.sort(rng.choice(days * 1440, per_day * days, p=(weights / weights.sum()).ravel()) * 60.0)
    spent, price, moved_at, last_error = 0, 0.0, 0.0, 0.0
    asked: list[float] = []
    for now in arrivals.tolist():
        where = {"budget": budget, "elapsed_seconds": now, "period_seconds": days * DAY}
        if now - moved_at >= pacing.PRICE_SECONDS:
            error = pacing.overspend(spent=spent, **where)
            price = pacing.next_price(price, error=error, last_error=last_error, seconds=now - moved_at)
            moved_at, last_error = now, error
        if spent >= pacing.allowed(**where):
            continue
        value = float(rng.beta(1.0, 2.0))
        if rng.random() < utility.propensities(policy, [value - price])[0][0]:
            spent += 1
            asked.append(value)
    assert 0.97 * budget <= spent <= budget
    # First come, first asked would ask of those that pass the threshold anyway, 0.49 on average.
    assert np.mean(asked) > 0.5
