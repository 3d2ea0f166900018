"""Spending a budget of asks evenly over its period: how many are allowed by now, and what an ask must be worth.

See docs/algorithms/ask_pacing.md.
"""

import math
from typing import Final

BURST_SHARE: Final = 0.01
"""So much of the budget may be spent ahead of the even pace, at least one ask."""
PRICE_SECONDS: Final = 60.0
"""How often the price moves."""
HIGHEST_PRICE: Final = 1.5
"""No utility is above the sum of this and a threshold that anybody would choose: it shuts everything but the audit share."""
_PROPORTIONAL: Final = 0.1
_INTEGRAL_AHEAD: Final = 0.0005
_INTEGRAL_BEHIND: Final = 0.002
_MOST_STEPS: Final = 10.0
"""After a pause the price moves by no more than so many steps at once."""


def window_start(*, anchor: float, period_seconds: int, now: float) -> float:
    """When the budget period that holds `now` began; periods follow each other from `anchor` on, both ways.

    >>> window_start(anchor=100.0, period_seconds=60, now=219.0), window_start(anchor=100.0, period_seconds=60, now=99.0)
    (160.0, 40.0)
    """
    if period_seconds <= 0:
        raise ValueError(f"a period has seconds, not {period_seconds}")
    return anchor + math.floor((now - anchor) / period_seconds) * period_seconds


def burst(budget: int) -> int:
    """How many asks may be ahead of the even pace.

    >>> burst(1), burst(100), burst(5000)
    (1, 1, 50)
    """
    return max(1, math.ceil(BURST_SHARE * budget))


def paced_target(*, budget: int, elapsed_seconds: float, period_seconds: int) -> float:
    """Asks that an even pace has spent by now, in [0, budget].

    >>> paced_target(budget=300, elapsed_seconds=86_400.0, period_seconds=30 * 86_400)
    10.0
    """
    return budget * min(max(elapsed_seconds / period_seconds, 0.0), 1.0)


def allowed(*, budget: int, elapsed_seconds: float, period_seconds: int) -> int:
    """The hard stop: so many asks may have been spent by now, at most the budget.

    allowed = min(B, floor(B t / T + burst)). What was not spent stays allowed, so a quiet night is made up for.

    >>> allowed(budget=100, elapsed_seconds=0.0, period_seconds=1000), allowed(budget=100, elapsed_seconds=999.0, period_seconds=1000)
    (1, 100)
    """
    paced = paced_target(budget=budget, elapsed_seconds=elapsed_seconds, period_seconds=period_seconds)
    return min(budget, math.floor(paced + burst(budget) + 1e-9)) if budget > 0 else 0


def seconds_until_allowed(*, budget: int, spent: int, elapsed_seconds: float, period_seconds: int) -> float:
    """Seconds until one more ask is allowed: 0 where it is now; where the budget is used up, until the period ends.

    >>> seconds_until_allowed(budget=100, spent=1, elapsed_seconds=0.0, period_seconds=1000)
    10.0
    """
    if spent < allowed(budget=budget, elapsed_seconds=elapsed_seconds, period_seconds=period_seconds):
        return 0.0
    left = max(period_seconds - elapsed_seconds, 0.001)
    if spent >= budget:
        return left
    due = (spent + 1 - burst(budget)) / budget * period_seconds
    return min(max(due - elapsed_seconds, 0.001), left)


def overspend(*, budget: int, spent: int, elapsed_seconds: float, period_seconds: int) -> float:
    """How far spending is ahead of the even pace, in bursts: 1 is where the hard stop bites, negative is behind."""
    target = paced_target(budget=budget, elapsed_seconds=elapsed_seconds, period_seconds=period_seconds)
    return (spent - target) / burst(budget)


def next_price(price: float, *, error: float, last_error: float, seconds: float) -> float:
    r"""Move the price by a proportional-integral rule on the overspend.

    mu <- clip(mu + k_p (e - e_last) + k_i e min(s / 60, 10), 0, 1.5), with e the overspend in bursts, held within [-4, 1.5].

    The dual of "maximise utility within the budget" raises the price by the spending of a step beyond its share, which is
    the proportional term; the integral one takes away the offset that is left, faster where spending is behind, so that
    the budget is used up after a rush that has driven the price up. e is bounded, so that a day without
    traffic does not make the next one free for hours.

    Parameters
    ----------
    price
        mu >= 0, in utility.
    error, last_error
        `overspend` now and when the price was last moved.
    seconds
        Since then.

    Returns
    -------
    The new price, in [0, 1.5]. Higher = fewer asks.

    >>> next_price(0.1, error=1.0, last_error=0.0, seconds=60.0) > 0.1 > next_price(0.1, error=-1.0, last_error=0.0, seconds=60.0)
    True
    """
    now, before = (min(max(each, -4.0), 1.5) for each in (error, last_error))
    steps = min(max(seconds / PRICE_SECONDS, 0.0), _MOST_STEPS)
    integral = _INTEGRAL_AHEAD if now > 0.0 else _INTEGRAL_BEHIND
    moved = price + _PROPORTIONAL * (now - before) + integral * now * steps
    return min(max(moved, 0.0), HIGHEST_PRICE)
