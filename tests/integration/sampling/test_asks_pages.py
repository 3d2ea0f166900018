"""The pages of asks: who sees what, what they say of the log, what they say when there is none, and the policy."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from labeling.models import ApiKey, Project
from labeling.schema import parse_definition
from labeling.services import api_keys, projects
from sampling.models import AskPolicy
from sampling.pages import ask_snippets
from sampling.services import ask_policies, asks
from tests.factories import ask_log as log
from tests.factories import asking as make
from tests.factories import kinds
from tests.factories.labeling import model_version

FUNNEL = "/projects/pets/asks/"
POLICY = "/projects/pets/asks/policy/"
SNIPPETS = "/projects/pets/asks/snippets/"


@pytest.fixture
def page(client: Client, owner: User, project: Project) -> Client:
    client.force_login(owner)
    return client


def read(page: Client, address: str) -> str:
    response = page.get(address)
    assert response.status_code == 200
    return response.content.decode()


def filled_in(page: Client, address: str, form_name: str = "form") -> dict[str, str]:
    """What a browser would send of the form as it came."""
    form = page.get(address).context[form_name]
    said: dict[str, str] = {}
    for field in form:
        value = field.value()
        if field.widget_type == "checkbox":
            said |= {field.html_name: "on"} if value else {}
        else:
            said[field.html_name] = "" if value is None else str(value)
    return said


def test_without_questions_and_opportunities_the_funnel_says_what_to_do(page: Client, reviewer: User) -> None:
    content = read(page, FUNNEL)
    assert "There is nothing to ask yet" in content
    assert 'href="/projects/pets/asks/new-question/"' in content
    assert "No opportunities in the last 30 days" in content
    assert "/api/v1/projects/pets/asks" in content
    page.force_login(reviewer)
    assert "A manager of this project can make one." in read(page, FUNNEL)


def test_the_funnel_shows_its_stages_and_rates(page: Client, project: Project) -> None:
    asked, now = log.question(project), timezone.now()
    for number in range(8):
        log.decision(project, "not_drawn", who=f"r{number}", asked=asked, at=now, propensity=0.2)
    for fate in ("answered", "answered", "dismissed", "shown"):
        log.decision(project, "selected", who="r1", asked=asked, at=now, fate=fate, propensity=0.2)
    log.decision(project, "week_cap", who="r2", asked=asked, at=now)
    response = page.get(FUNNEL)
    stages = [(stage.name, stage.count, stage.respondents) for stage in response.context["stages"]]
    assert stages == [
        ("Opportunities", 13, 8), ("Eligible", 12, 8), ("Selected", 4, 1), ("Shown", 4, 1), ("Answered", 2, 1),
        ("Accepted", 0, 0),
    ]  # fmt: skip
    content = response.content.decode()
    assert "50.0% <small>15.0% to 85.0%</small>" in content
    assert "Was asked often enough in 7 days" in content
    assert "20% to 30%: 12 decisions, 4 asked, 2.4 announced" in content
    assert "The log keeps a sample" not in content


def test_the_funnel_is_of_the_period_and_question_that_is_asked_for(page: Client, project: Project) -> None:
    now = timezone.now()
    log.decision(project, "not_drawn", asked=log.question(project), at=now)
    log.decision(project, "not_drawn", asked=log.question(project, "mood", "thumbs"), at=now - dt.timedelta(days=20))
    for query, count in (("", 2), ("?days=7", 1), ("?question=mood", 1), ("?days=90&question=is_right", 1)):
        assert page.get(FUNNEL + query).context["all"].opportunities.count == count, query
    for nonsense in ("?days=x", "?question=none", "?days=-1"):
        assert page.get(FUNNEL + nonsense).context["all"].opportunities.count == 2


def test_a_sampled_log_says_so(page: Client, project: Project) -> None:
    log.decision(project, "not_drawn", asked=log.question(project), at=timezone.now(), weight=4.0)
    assert "The log keeps a sample" in read(page, FUNNEL)


def test_the_budget_is_shown_beside_an_even_pace(page: Client, project: Project) -> None:
    assert "The policy sets no budget" in _with_one_decision(page, project)
    ask_policies.new_version(project, by=None, budget_asks=120, budget_period_seconds=12 * 86_400)
    now = timezone.now()
    AskPolicy.objects.filter(project=project, version=2).update(created_at=now - dt.timedelta(days=15))
    asked = log.question(project, "mood", "thumbs")
    for days in (0.5, 1.0, 2.5, 4.0):  # the last one was in the period before
        log.decision(project, "selected", asked=asked, fate="shown", at=now - dt.timedelta(days=days))
    spending = page.get(FUNNEL).context["spending"]
    assert (spending.budget, spending.spent) == (120, 3)
    assert spending.target == pytest.approx(30, abs=0.1)
    assert "3 asks spent of 120; an even pace has spent 30 by now." in read(page, FUNNEL)


def _with_one_decision(page: Client, project: Project) -> str:
    log.decision(project, "not_drawn", asked=log.question(project), at=timezone.now())
    return read(page, FUNNEL)


def test_harm_anchoring_and_representation_say_what_they_need(page: Client, project: Project) -> None:
    content = _with_one_decision(page, project)
    assert "Nobody of the never-ask holdout came by yet" in content
    assert "Needs answers to a correction question from both arms" in content
    assert "Needs answers and at least two segments" in content


def test_harm_anchoring_and_representation_are_shown(page: Client, project: Project) -> None:
    asked, now = log.question(project), timezone.now()
    cat = {"choice": "cat"}
    for number in range(80):
        segment = "de" if number % 2 else "fr"
        made = log.decision(
            project, "selected", who=f"a{number}", asked=asked, at=now, segment=segment, predicted=cat,
            fate="answered" if segment == "de" or number < 8 else "shown", is_blind=number % 5 == 0,
        )  # fmt: skip
        if made.ask is not None and made.ask.answered_at:
            log.answered(made, thumb="" if made.is_blind else "up", truth=cat if number % 3 else {"choice": "dog"})
    for number in range(5):
        log.decision(project, "holdout", who=f"h{number}", at=now, segment="de")
    log.behaviour(project, "a1", "abandonment", at=now)
    content = read(page, FUNNEL)
    assert "80 respondents who may be asked beside 5 who never are" in content
    assert "points more agreement where it is seen" in content
    assert "R-indicator; 1 is everybody alike" in content
    assert "Model&#x27;s answer hidden" in content


def test_snippets_name_the_project_s_own_things(page: Client, project: Project, owner: User) -> None:
    content = read(page, SNIPPETS)
    assert "Pages need a publishable key" in content
    assert "No question is live" in content
    model_version(project, "resnet-3")
    log.question(project)
    made = api_keys.create(
        project, name="shop", kind=ApiKey.Kind.PUBLISHABLE, by=owner, origins=["https://shop.example.org"]
    )
    content = read(page, SNIPPETS)
    assert f"data-key=&quot;{made.api_key.prefix}...&quot;" in content
    assert made.key not in content
    assert "https://shop.example.org" in content
    assert "http://testserver/widget.js" in content
    assert "data-question=&quot;is_right&quot;" in content
    assert "model_version=&quot;resnet-3&quot;" in content
    assert "[0.666, 0.167, 0.167]" in content


def test_the_python_snippet_can_be_run_whatever_the_model_is_called(page: Client, project: Project) -> None:
    model_version(project, 'odd"; name')
    snippets = {each.name: each.text for each in page.get(SNIPPETS).context["snippets"]}
    compile(snippets["snippet-python"], "snippet", "exec")
    assert "odd" not in "".join(snippets.values())


@pytest.mark.parametrize("kind", sorted(kinds.DEFINITIONS))
def test_the_shell_snippets_register_a_model_and_ask_about_what_it_says(client: Client, owner: User, kind: str) -> None:
    made = projects.create(slug="kind", name=kind, kind=kind, definition=kinds.DEFINITIONS[kind], by=owner)
    log.question(made, "helpful", "thumbs", {"text": {"en": "Helpful?"}})
    ask_policies.new_version(made, by=owner, holdout_share=0.0, audit_share=1.0, most_propensity=1.0)
    key = api_keys.create(made, name="server", kind=ApiKey.Kind.SECRET, by=owner).key
    client.force_login(owner)
    snippets = _snippets(client)
    assert _run(snippets["snippet-model"], key).status_code == 201
    assert _run(snippets["snippet-curl"], key).status_code == 200
    snippets = _snippets(client)  # now there is a model
    assert "snippet-model" not in snippets
    answer = _run(snippets["snippet-curl"], key)
    assert answer.json()["ask"]
    answer = _run(snippets["snippet-answer"].replace("$TOKEN", answer.json()["token"]), key)
    assert answer.json()["state"] == "answered"


@pytest.mark.parametrize("n", range(2, 40))
def test_the_probabilities_of_a_snippet_sum_to_one(page: Client, project: Project, n: int) -> None:
    schema = parse_definition({"kind": "single_choice", "classes": [{"key": f"c{number}"} for number in range(n)]})
    said = json.loads(f"{{{ask_snippets.predicted(schema, None)}}}")["probabilities"]
    assert len(said) == n
    assert sum(said) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "definition", "answer"),
    [
        ("single_choice", {"options": [{"key": "fast", "text": {"en": "Fast"}}]}, '{"choice": "fast"}'),
        ("multiple_choice", {"options": [{"key": "fast", "text": {"en": "Fast"}}]}, '{"choices": ["fast"]}'),
        ("rating", {"maximum": 3}, '{"rating": 3}'),
        ("preference", {}, '{"preferred": "a"}'),
    ],
)
def test_the_answer_snippet_answers_the_question(
    page: Client, project: Project, kind: str, definition: dict[str, object], answer: str
) -> None:
    log.question(project, "one", kind, {"text": {"en": "Well?"}, **definition})
    snippets = {each.name: each.text for each in page.get(SNIPPETS).context["snippets"]}
    assert f'"answer": {answer}}}' in snippets["snippet-answer"]


def _snippets(page: Client) -> dict[str, str]:
    return {each.name: each.text for each in page.get("/projects/kind/asks/snippets/").context["snippets"]}


def _run(command: str, key: str) -> Any:
    """Send what a shell command sends."""
    (path,) = re.findall(r"curl http://testserver(\S+)", command)
    (body,) = re.findall(r"-d '(.*?)'$", command, re.DOTALL)
    return Client().post(path, body, content_type="application/json", headers={"Authorization": f"Bearer {key}"})


def test_the_policy_page_keeps_a_form_that_changes_nothing(page: Client, project: Project) -> None:
    said = filled_in(page, POLICY)
    assert (said["cooldown_dismissed_seconds"], said["holdout_share"], said["budget_asks"]) == ("7 d", "5", "")
    response = page.post(POLICY, {**said, "action": "policy"}, follow=True)
    assert "in force already: nothing changed" in response.content.decode()
    assert AskPolicy.objects.get(project=project).version == 1


def test_a_policy_is_changed_in_the_units_of_the_page(page: Client, project: Project) -> None:
    changes = {
        "cooldown_shown_seconds": "1 d 12 h",
        "audit_share": "7.5",
        "budget_asks": "500",
        "budget_period_seconds": "7 days",
        "segment": "country",
        "segment_quotas": "de = 100\nfr = 50",
        "segment_targets": "de = 50%",
    }
    said = {**filled_in(page, POLICY), **changes, "action": "policy"}
    response = page.post(POLICY, said, follow=True)
    assert "Version 2 of the ask policy is in force from now on" in response.content.decode()
    policy = ask_policies.current_policy(project)
    assert (policy.cooldown_shown_seconds, policy.audit_share, policy.budget_asks) == (129_600, 0.075, 500)
    assert (policy.segment_quotas, policy.segment_targets) == ({"de": 100, "fr": 50}, {"de": 0.5})
    again = page.post(POLICY, {**filled_in(page, POLICY), **changes, "action": "policy"}, follow=True)
    assert "nothing changed" in again.content.decode()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cooldown_shown_seconds", "soon", "Say it as 7 d"),
        ("cooldown_shown_seconds", "400 d", "At most 366 d"),
        ("ask_lifetime_seconds", "1 s", "Must lie between 60 and"),
        ("audit_share", "101", "less than or equal to 100"),
        ("holdout_share", "60", "less than or equal to 50"),
        ("segment_quotas", "de: 5", "is not of the form"),
        ("segment_quotas", "de = 5", "Needs a segment"),
        ("least_propensity", "95", "Must not be above"),
        ("most_per_session", "-1", "greater than or equal to 0"),
    ],
)
def test_a_policy_that_is_not_valid_is_refused_at_its_field(
    page: Client, project: Project, field: str, value: str, said: str
) -> None:
    response = page.post(POLICY, {**filled_in(page, POLICY), field: value, "action": "policy"})
    assert response.status_code == 422
    assert said in " ".join(response.context["form"].errors[field])
    assert ask_policies.current_policy(project).version == 1


def test_a_policy_is_previewed_on_the_log(page: Client, project: Project) -> None:
    now = timezone.now()
    make.forget_counters()
    model_version(project)
    make.question(project)
    make.policy(project, **make.ALWAYS)
    for number in range(6):
        asks.decide(project, make.opportunity(f"o{number}"), now=now - dt.timedelta(minutes=number + 1))
    said = {**filled_in(page, POLICY), "threshold": "5", "least_propensity": "1", "action": "preview"}
    response = page.post(POLICY, said, headers={"HX-Request": "true"})
    assert response.status_code == 200
    content = response.content.decode()
    assert content.lstrip().startswith("<section")
    replayed = response.context["replayed"]
    assert (replayed.opportunities, replayed.logged_asks) == (6, 6)
    assert replayed.asks.value == pytest.approx(0.06)
    assert "was 6" in content
    whole = page.post(POLICY, said)
    assert 'value="5"' in whole.content.decode()
    assert ask_policies.current_policy(project).version == 2


def test_a_preview_of_nothing_or_nonsense_says_so(page: Client, project: Project) -> None:
    said = {**filled_in(page, POLICY), "action": "preview"}
    assert "there is nothing to replay" in page.post(POLICY, said, headers={"HX-Request": "true"}).content.decode()
    wrong = page.post(POLICY, {**said, "threshold": "much"}, headers={"HX-Request": "true"})
    assert "Worth an even chance" in wrong.content.decode()
    assert page.post(POLICY, {"action": "dance"}).status_code == 400
