"""Replaying another policy on the log: what it would have asked is known, what it would have heard is estimated."""

import datetime as dt
import random

import pytest

from labeling.models import Ask, Project
from sampling.models import AskDecision, AskPolicy
from sampling.services import ask_policies, ask_rates, ask_replay
from tests.factories import asking as make
from tests.factories.asking import DAY, HOUR, NOW

pytestmark = pytest.mark.django_db


def _logged(project: Project, count: int = 120) -> AskPolicy:
    """A day of opportunities under a policy that asks half of the time; who is unsure answers more often."""
    make.asking(project)
    policy = make.policy(project, threshold=0.5, temperature=0.3, audit_share=0.1, segment="country")
    rng = random.Random(3)
    for number in range(count):
        unsure = rng.random()
        answer = make.decide(
            project,
            f"o-{number}",
            probabilities=(0.5 + (1 - unsure) / 2, 0.5 - (1 - unsure) / 2, 0.0),
            segments={"country": "de" if number % 3 else "fr"},
            now=NOW + dt.timedelta(minutes=10 * number),
        )
        if answer.ask:
            make.close(answer, "answered" if rng.random() < 0.3 + 0.4 * unsure else "dismissed", at=NOW + DAY)
    return policy


def replay(project: Project, **changes: object) -> ask_replay.Replayed:
    draft = ask_policies.draft(project, **changes)  # type: ignore[arg-type]
    return ask_replay.replay(project, draft, since=NOW, until=NOW + DAY)


def test_the_policy_in_force_is_estimated_as_it_was(project: Project) -> None:
    _logged(project)
    asked, answered = AskDecision.objects.filter(is_ask=True).count(), Ask.objects.filter(state="answered").count()
    replayed = replay(project)
    expected = sum(each.propensity or 0.0 for each in AskDecision.objects.all())
    assert replayed.asks.value == pytest.approx(expected)
    assert replayed.asks.low <= asked <= replayed.asks.high
    assert replayed.answers.low <= answered <= replayed.answers.high
    assert (replayed.logged_asks, replayed.logged_answers, replayed.unsupported_share) == (asked, answered, 0.0)
    # Of its own asks every one counts in full.
    assert replayed.effective_asks == pytest.approx(asked)


def test_a_stricter_policy_asks_less_and_rests_on_fewer_asks(project: Project) -> None:
    _logged(project)
    same, strict = replay(project), replay(project, threshold=1.0, temperature=0.1)
    assert strict.asks.value < 0.6 * same.asks.value
    assert strict.answers.value < same.answers.value
    assert strict.effective_asks < same.effective_asks


def test_segments_are_covered_as_they_are_asked(project: Project) -> None:
    _logged(project)
    coverage = {each.segment: each for each in replay(project).coverage}
    assert set(coverage) == {"de", "fr"}
    assert coverage["de"].opportunities == 80
    assert sum(each.asks for each in coverage.values()) == pytest.approx(replay(project).asks.value)


def test_a_budget_is_replayed_as_the_price_at_which_it_holds(project: Project) -> None:
    _logged(project)
    bounded = replay(project, budget_asks=20, budget_period_seconds=86_400)
    assert bounded.price > 0
    assert bounded.asks.value == pytest.approx(20, rel=0.02)
    assert replay(project, budget_asks=10_000, budget_period_seconds=86_400).price == 0


def test_opportunities_that_were_never_asked_are_said_to_be_unsupported(project: Project) -> None:
    make.asking(project, cooldown_shown_seconds=86_400, question_cooldown_seconds=0)
    for number in range(4):
        make.decide(project, f"o-{number}", respondent="u", now=NOW + number * HOUR)
        Ask.objects.update(state="expired")
    loose = replay(project, cooldown_shown_seconds=0, most_per_7_days=100, most_per_session=100)
    assert loose.asks.value == pytest.approx(4.0)
    assert loose.unsupported_share == pytest.approx(0.75)
    assert replay(project).reasons == {"cooldown_shown": 3.0, "drawn": 1.0}


def test_a_row_of_a_thinned_log_stands_for_those_left_out(project: Project) -> None:
    make.asking(project, threshold=5.0, audit_share=0.0, logged_share_of_no=0.5)
    for number in range(30):
        make.decide(project, f"o-{number}")
    replayed = replay(project)
    # The lowest chance may ask somebody, by the draws of this project.
    asked = AskDecision.objects.filter(is_ask=True).count()
    assert replayed.opportunities == 2.0 * AskDecision.objects.filter(is_ask=False).count() + asked


def test_nothing_logged_is_replayed_as_nothing(project: Project) -> None:
    make.asking(project)
    replayed = replay(project)
    assert (replayed.decisions, replayed.asks.value, replayed.effective_asks) == (0, 0.0, 0.0)


def test_rates_are_of_asks_whose_outcome_is_known(project: Project) -> None:
    make.asking(project)
    for number in range(10):
        answer = make.decide(project, f"o-{number}")
        if number < 6:
            make.close(answer, "answered" if number < 4 else "dismissed", at=NOW)
    early = ask_rates.response_rates(project.pk, now=NOW + HOUR).overall
    assert early.answered == pytest.approx((4 + 20 * 0.2) / (6 + 20))
    late = ask_rates.response_rates(project.pk, now=NOW + 2 * DAY).overall
    assert late.answered == pytest.approx((4 + 20 * 0.2) / (10 + 20))
    assert late.dismissed == pytest.approx((2 + 20 * 0.2) / (10 + 20))
