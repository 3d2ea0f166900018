"""Simulated days of traffic by four sessions at once: budget, pace and clocks hold, also when Redis is emptied."""

from functools import partial

import pytest

from labeling.models import Ask, Project
from labeling.redis_client import redis_client
from sampling.models import AskDecision, AskPolicy
from tests import ask_checks
from tests.factories import asking as make
from tests.integration.datasets.concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)

_DAYS, _COUNT, _BUDGET = 2, 600, 60


def test_budget_pace_and_clocks_hold_over_days_of_bursts(project: Project) -> None:
    make.asking(project, threshold=0.3, temperature=0.1, budget_asks=_BUDGET, budget_period_seconds=_DAYS * 86_400)
    AskPolicy.objects.update(created_at=ask_checks.START)
    arrivals = ask_checks.traffic(_COUNT, days=_DAYS, respondents=400, seed=3)
    # Sessions go through the days together, in pieces, as web processes do.
    for begin in range(0, _COUNT, 60):
        piece = arrivals[begin : begin + 60]
        at_once([partial(ask_checks.play, project, piece[place::4]) for place in range(4)])
        if begin in (120, 360):
            redis_client().flushall()

    assert AskDecision.objects.count() == _COUNT
    assert 0.9 * _BUDGET <= Ask.objects.count() <= _BUDGET
    assert ask_checks.most_ahead_of_pace(project) <= 0
    assert ask_checks.clock_violations(project) == []
