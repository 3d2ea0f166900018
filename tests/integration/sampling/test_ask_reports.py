"""The figures of the funnel come from the rows they claim to come from."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from datasets.services import accept
from labeling.models import Project, QuestionVersion, Respondent
from sampling import ask_reports
from sampling.ask_funnel import STAGES
from sampling.ask_reports import Period
from sampling.models import AskDecision
from tests.factories import ask_log as log
from tests.factories.datasets import annotation
from tests.factories.labeling import model_version

PERIOD = Period(log.NOW - dt.timedelta(days=7), log.NOW + dt.timedelta(days=1))
CAT, DOG = {"choice": "cat"}, {"choice": "dog"}


@pytest.fixture
def asked(project: Project) -> QuestionVersion:
    return log.question(project)


def test_an_empty_log_is_an_empty_funnel(project: Project) -> None:
    said = ask_reports.breakdown(project, PERIOD)
    assert said.all.opportunities.count == 0
    assert said.all.response.value is None
    assert said.by_segment == ()
    assert ask_reports.reasons(project, PERIOD) == []
    assert all(each.decisions == 0 for each in ask_reports.propensities(project, PERIOD))
    assert ask_reports.harm(project, PERIOD).holdout.respondents == 0
    assert ask_reports.agreement(project, PERIOD).effect.value is None
    assert ask_reports.answers(project, PERIOD) == ask_reports.Answers(0, 0.0, None)


def test_every_stage_counts_its_decisions_and_respondents(
    project: Project, owner: User, asked: QuestionVersion
) -> None:
    log.decision(project, "cooldown_shown", who="a", asked=asked)
    log.decision(project, "not_drawn", who="a", asked=asked)
    log.decision(project, "selected", who="a", asked=asked, fate="answered")
    log.decision(project, "selected", who="b", asked=asked, fate="answered", is_blind=True)
    log.decision(project, "selected", who="b", asked=asked, fate="dismissed")
    log.decision(project, "audit", who="c", asked=asked, fate="shown")
    log.decision(project, "selected", asked=asked, fate="offered")
    annotation(log.item(project, "item-2"), owner, "cat")
    accept.accept_pending(project.pk, now=log.NOW)
    said = ask_reports.breakdown(project, PERIOD)
    stages = [(said.all.stage(name).count, said.all.stage(name).respondents) for name in STAGES]
    assert stages == [(7, 3), (6, 3), (5, 3), (4, 3), (2, 2), (1, 1)]
    assert (said.all.dismissed.count, said.all.only_seen) == (1, 1)
    assert (said.all.response.value, said.all.dismissal.value) == (0.5, 0.25)
    draws = {group.name: group.funnel for group in said.by_draw}
    assert (draws["policy"].selected.count, draws["audit"].selected.count) == (4, 1)
    sights = {group.name: group.funnel for group in said.by_sight}
    assert (sights["shown"].answered.count, sights["blind"].answered.count) == (1, 1)


def test_what_the_log_leaves_out_counts_by_weight(project: Project, asked: QuestionVersion) -> None:
    for number in range(3):
        log.decision(project, "not_drawn", who=f"r{number}", asked=asked, weight=10.0, propensity=0.25)
    log.decision(project, "selected", who="a", asked=asked, fate="shown", propensity=0.25)
    said = ask_reports.breakdown(project, PERIOD).all
    assert (said.opportunities.count, said.eligible.count, said.selected.count) == (31, 31, 1)
    assert {each.reason: each.count for each in ask_reports.reasons(project, PERIOD)} == {
        "not_drawn": 30,
        "selected": 1,
    }
    (step,) = [each for each in ask_reports.propensities(project, PERIOD) if each.decisions]
    assert (step.low, step.decisions, step.expected, step.asked) == (0.2, 31.0, 7.75, 1)


def test_the_ends_of_the_propensities_have_a_step(project: Project, asked: QuestionVersion) -> None:
    log.decision(project, "selected", asked=asked, fate="shown", propensity=1.0)
    log.decision(project, "not_drawn", asked=asked, propensity=0.01)
    bins = ask_reports.propensities(project, PERIOD)
    assert [each.decisions for each in bins] == [1, *[0] * 8, 1]


def test_the_funnel_is_broken_down(project: Project, asked: QuestionVersion) -> None:
    first, second = model_version(project, "m1"), model_version(project, "m2")
    log.decision(project, "selected", asked=asked, fate="answered", segment="de", model_version=first)
    log.decision(project, "not_drawn", asked=asked, segment="de", model_version=second)
    log.decision(project, "quiet", asked=asked, segment="fr")
    said = ask_reports.breakdown(project, PERIOD)
    assert [(group.name, group.funnel.opportunities.count) for group in said.by_segment] == [("de", 2), ("fr", 1)]
    by_model = {group.name: group.funnel.answered.count for group in said.by_model_version}
    assert by_model == {"m1": 1, "m2": 0, "": 0}


def test_other_times_questions_and_projects_do_not_count(
    project: Project, asked: QuestionVersion, stranger: User
) -> None:
    other = Project.objects.get(slug="other")
    log.decision(other, "quiet")
    log.decision(project, "quiet", at=PERIOD.until)
    log.decision(project, "quiet", at=PERIOD.since - dt.timedelta(seconds=1))
    log.decision(project, "selected", asked=log.question(project, "mood", "thumbs"), fate="shown")
    log.decision(project, "not_drawn", asked=asked)
    assert ask_reports.breakdown(project, PERIOD).all.opportunities.count == 2
    only = Period(PERIOD.since, PERIOD.until, question="is_right")
    said = ask_reports.breakdown(project, only).all
    assert (said.opportunities.count, said.selected.count) == (1, 0)


def test_the_holdout_is_compared_with_all_who_may_be_asked(project: Project, asked: QuestionVersion) -> None:
    for number in range(4):
        log.decision(project, "holdout", who=f"h{number}")
    log.decision(project, "holdout", who="h0")
    for number in range(3):
        log.decision(project, "not_drawn", who=f"a{number}", asked=asked)
    log.decision(project, "selected", who="a0", asked=asked, fate="dismissed")
    log.decision(project, "no_consent", who="never got so far")
    log.behaviour(project, "h0", "conversion")
    for who in ("a0", "a1"):
        log.behaviour(project, who, "abandonment")
    log.behaviour(project, "a2", "abandonment", at=PERIOD.until)
    Respondent.objects.create(
        project=project, respondent_hash="a0", opted_out_until=PERIOD.until + dt.timedelta(days=3)
    )
    Respondent.objects.create(project=project, respondent_hash="a1", opted_out_until=log.NOW)
    said = ask_reports.harm(project, PERIOD)
    assert (said.asked.respondents, said.asked.asks, said.holdout.respondents, said.holdout.asks) == (3, 1, 4, 0)
    assert said.opted_out == 1
    found = {each.name: each for each in said.guardrails}
    assert (found["opportunities"].asked, found["opportunities"].holdout) == (4 / 3, 5 / 4)
    assert (found["abandonment"].asked, found["abandonment"].holdout) == (2 / 3, 0.0)
    assert (found["conversion"].asked, found["conversion"].holdout) == (0.0, 0.25)


def test_agreement_is_a_thumb_where_it_was_shown_and_the_stated_truth_where_it_was_blind(
    project: Project, asked: QuestionVersion
) -> None:
    def ask(is_blind: bool) -> AskDecision:
        return log.decision(project, "selected", asked=asked, fate="answered", is_blind=is_blind, predicted=CAT)

    log.answered(ask(is_blind=False), thumb="up", truth=CAT)
    log.answered(ask(is_blind=False), thumb="down")
    log.answered(ask(is_blind=False), thumb="down", truth=DOG)
    log.answered(ask(is_blind=True), truth=CAT)
    log.answered(ask(is_blind=True), truth=DOG)
    changed = ask(is_blind=True)
    log.answered(changed, truth=DOG, superseded_at=log.NOW)
    log.answered(changed, truth=CAT)
    ask(is_blind=True)  # answered by “I do not know”
    said = ask_reports.agreement(project, PERIOD)
    assert (said.shown.value, said.shown.n) == (1 / 3, 3)
    assert (said.blind.value, said.blind.n) == (2 / 3, 3)
    assert said.effect.value == pytest.approx(-1 / 3)


def test_answers_weigh_by_how_likely_they_were_asked(project: Project, asked: QuestionVersion) -> None:
    for propensity, seconds in ((1.0, 2.0), (1.0, 4.0), (0.5, 9.0), (0.25, 30.0)):
        log.decision(project, "selected", asked=asked, fate="answered", propensity=propensity, after_seconds=seconds)
    said = ask_reports.answers(project, PERIOD)
    assert said.n == 4
    assert said.effective_n == pytest.approx(2.909091, abs=5e-7)
    assert said.median_seconds == 6.5


def test_each_report_is_one_statement(project: Project, asked: QuestionVersion) -> None:
    log.decision(project, "selected", asked=asked, fate="answered")
    for report in (
        ask_reports.reasons, ask_reports.propensities, ask_reports.harm, ask_reports.agreement, ask_reports.answers
    ):  # fmt: skip
        with CaptureQueriesContext(
            connection,
        ) as queries:
            report(project, PERIOD)
        assert len(queries) == 1


FUNNEL = "/api/v1/projects/pets/asks/funnel"


def test_a_question_that_is_not_there_is_no_empty_funnel(app_client: APIClient, project: Project) -> None:
    response = app_client.get(FUNNEL, {"question": "is-right"})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_question")


def test_the_api_gives_the_same_numbers(app_client: APIClient, project: Project, asked: QuestionVersion) -> None:
    for number in range(40):
        segment = "de" if number % 2 else "fr"
        log.decision(project, "not_drawn", who=f"r{number}", asked=asked, segment=segment)
    log.decision(project, "selected", who="r1", asked=asked, fate="answered", segment="de")
    log.decision(project, "holdout", who="h")
    response = app_client.get(
        FUNNEL, {"since": PERIOD.since.isoformat(), "until": PERIOD.until.isoformat(), "question": "is_right"}
    )
    assert response.status_code == 200
    said = response.json()
    assert said["funnel"]["stages"][:3] == [
        {"stage": "opportunities", "count": 41.0, "respondents": 40, "share_of_previous": None},
        {"stage": "eligible", "count": 41.0, "respondents": 40, "share_of_previous": 1.0},
        {"stage": "selected", "count": 1.0, "respondents": 1, "share_of_previous": 1 / 41},
    ]
    assert said["funnel"]["response"]["value"] == 1.0
    assert [group["name"] for group in said["by_segment"]] == ["de", "fr"]
    assert said["reasons"][0] == {"reason": "not_drawn", "meaning": "Not drawn", "count": 40.0, "respondents": 40}
    assert len(said["propensities"]) == 10
    assert said["representation"] is None  # both have fewer than 30 opportunities
    assert said["harm"]["guardrails"][0]["low"] is None
    assert said["answers"] == {"n": 1, "effective_n": 1.0, "median_seconds": 5.0}
    assert said["question"] == "is_right"


def test_the_api_s_period_is_the_last_month(app_client: APIClient, project: Project) -> None:
    now = timezone.now()
    log.decision(project, "quiet", at=now - dt.timedelta(days=29))
    log.decision(project, "quiet", at=now - dt.timedelta(days=31))
    assert app_client.get(FUNNEL).json()["funnel"]["stages"][0]["count"] == 1.0


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z", "question=" + "x" * 65]
)
def test_the_api_refuses_what_is_no_period(app_client: APIClient, query: str) -> None:
    response = app_client.get(f"{FUNNEL}?{query}")
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_input"


def test_the_api_is_for_those_who_may_read(
    api_client: APIClient, project: Project, annotator: User, reviewer: User, stranger: User
) -> None:
    assert api_client.get(FUNNEL).status_code == 401
    for person, status in ((annotator, 403), (stranger, 404), (reviewer, 200)):
        api_client.force_login(person)
        assert api_client.get(FUNNEL).status_code == status
