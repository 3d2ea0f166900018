import math

import pytest
from scipy.stats import ttest_ind

from sampling.ask_funnel import Bin, Count, Crowd, Funnel, Group, anchoring, guardrails, representation


def funnel(opportunities: float, answered: float, **others: Count) -> Funnel:
    return Funnel(opportunities=Count(opportunities), answered=Count(answered), **others)


def test_stages_are_shares_of_the_one_before() -> None:
    said = Funnel(
        opportunities=Count(200, 50),
        eligible=Count(100, 40),
        selected=Count(20, 20),
        shown=Count(16, 16),
        answered=Count(8, 7),
        accepted=Count(2, 2),
        dismissed=Count(4, 4),
    )
    assert said.share("opportunities") is None
    assert [said.share(stage) for stage in ("eligible", "selected", "shown", "answered", "accepted")] == [
        *(0.5, 0.2, 0.8, 0.5, 0.25)
    ]
    assert (said.response.value, said.response.n) == (0.5, 16)
    assert said.response.low < 0.5 < said.response.high
    assert said.dismissal.value == 0.25
    assert said.response_of_respondents.value == 7 / 16
    assert said.dismissal_of_respondents.value == 0.25
    assert said.only_seen == 4


def test_an_empty_funnel_has_no_rates() -> None:
    said = Funnel()
    assert said.share("shown") is None
    assert said.response.value is None
    assert (said.response.low, said.response.high) == (0.0, 1.0)


def test_a_bin_compares_announced_with_asked() -> None:
    said = Bin(low=0.2, high=0.3, decisions=400.0, expected=100.0, asked=118)
    assert said.rate == 0.295
    assert said.gap == pytest.approx(18 / math.sqrt(75))
    assert Bin(0.0, 0.1, 0.0, 0.0, 0).rate is None
    assert Bin(0.0, 0.1, 0.0, 0.0, 0).gap == 0.0
    assert Bin(0.9, 1.0, 5.0, 5.0, 5).gap == 0.0


def test_reference_anchoring() -> None:
    said = anchoring(agree_shown=850, shown=1000, agree_blind=780, blind=1000)
    assert said.shown.value == 0.85
    assert said.effect.value == pytest.approx(0.07)
    assert (said.effect.low, said.effect.high) == pytest.approx((0.0361, 0.1039), abs=3e-4)
    assert anchoring(agree_shown=0, shown=0, agree_blind=1, blind=2).effect.value is None


def test_guardrails_compare_means_and_shares() -> None:
    visits_asked, visits_holdout = [1, 2, 2, 5, 1, 3], [4, 4, 2, 6]
    asked = Crowd(6, sum(visits_asked), sum(each**2 for each in visits_asked), 3, {"abandonment": 3})
    holdout = Crowd(4, sum(visits_holdout), sum(each**2 for each in visits_holdout), 0, {"abandonment": 1})
    visits, abandonment = guardrails(asked, holdout, ["abandonment"])
    assert visits.value == pytest.approx(14 / 6 - 4)
    welch = ttest_ind(visits_asked, visits_holdout, equal_var=False)
    assert visits.value is not None
    error = (visits.high - visits.value) / 1.959963984540054
    assert visits.value / error == pytest.approx(float(welch.statistic))
    assert not visits.is_share
    assert (abandonment.asked, abandonment.holdout, abandonment.value) == (0.5, 0.25, 0.25)
    assert not abandonment.is_clear


def test_guardrails_without_a_holdout_say_nothing() -> None:
    nobody = Crowd(0, 0.0, 0.0, 0, {})
    for said in guardrails(Crowd(1, 3.0, 9.0, 1, {}), nobody, ["retry"]):
        assert said.value is None
        assert not said.is_clear
    one_each, _ = guardrails(Crowd(1, 3.0, 9.0, 1, {}), Crowd(1, 1.0, 1.0, 0, {}), ["retry"])
    assert (one_each.value, one_each.low, one_each.high) == (2.0, -math.inf, math.inf)


def test_representation_names_who_is_missing() -> None:
    said = representation([Group("de", funnel(200, 60)), Group("fr", funnel(500, 60)), Group("it", funnel(300, 15))])
    assert said is not None
    assert said.indicator.observed.indicator == pytest.approx(0.824216, abs=5e-7)
    assert [part.name for part in said.parts] == ["it", "fr", "de"]
    assert said.parts[0].opportunities == 0.3
    assert said.parts[0].answered == pytest.approx(15 / 135)


def test_small_groups_are_put_together() -> None:
    said = representation([Group("de", funnel(100, 50)), *(Group(f"s{n}", funnel(10, 1)) for n in range(4))])
    assert said is not None
    assert {part.name: part.opportunities for part in said.parts} == {"de": 100 / 140, "others": 40 / 140}


@pytest.mark.parametrize(
    "groups",
    [[], [Group("", funnel(500, 20))], [Group("a", funnel(100, 0)), Group("b", funnel(100, 0))]],
)
def test_there_is_nothing_to_compare(groups: list[Group]) -> None:
    assert representation(groups) is None
