"""The retention policy over the API and on its page: who may change it, what it would delete, what it deleted."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.models import Feedback, Project, RetentionPolicy
from labeling.services import feedback, retention, retention_policies
from sampling.models import AskDecision
from tests.factories import ask_log as log
from tests.factories import asks

pytestmark = pytest.mark.django_db

URL = "/api/v1/projects/pets/retention-policies"
RUNS = "/api/v1/projects/pets/retention-runs"
PAGE = "/projects/pets/asks/retention/"


@pytest.fixture
def old(project: Project) -> Project:
    """Three clicks and two logged refusals of forty days ago, and one of each of today."""
    asks.items(project, "a")
    feedback.record_feedback(project, [{"id": f"c-{n}", "kind": "click", "key": "a"} for n in range(4)])
    before = timezone.now() - dt.timedelta(days=40)
    Feedback.objects.exclude(client_id="c-0").update(received_at=before)
    for at in (before, before, timezone.now()):
        log.decision(project, "holdout", at=at)
    return project


def test_a_policy_changes_by_version_and_says_what_is_in_force(old: Project, app_client: APIClient) -> None:
    assert app_client.get(URL).json()["results"] == []
    with override_settings(RESPONDENT_KEEP_DAYS=365):
        made = app_client.post(URL, {"behaviour_days": 30}, format="json")
        assert made.status_code == 201
        assert (made.json()["version"], made.json()["behaviour_days"], made.json()["created_by"]) == (1, 30, None)
        assert made.json()["days_in_force"] == {"behaviour_days": 30, "respondent_days": 365}
    assert app_client.post(URL, {"behaviour_days": 30}, format="json").json()["version"] == 1
    assert app_client.post(URL, {"behaviour_days": None}, format="json").json()["days_in_force"] == {}
    assert [each["version"] for each in app_client.get(URL).json()["results"]] == [2, 1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"behaviour_days": 0}, "behaviour_days"),
        ({"behaviour_days": 61}, "behaviour_days"),
        ({"behaviour_days": "soon"}, "behaviour_days"),
        ({"behavior_days": 10}, "behavior_days"),
        ({"idle_respondent_days": 10**9}, "idle_respondent_days"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_at_its_field(
    old: Project, app_client: APIClient, changes: dict[str, object], field: str
) -> None:
    with override_settings(FEEDBACK_KEEP_DAYS=60):
        for address in (URL, f"{URL}/preview"):
            answer = app_client.post(address, changes, format="json")
            assert answer.status_code == 400
            assert field in answer.json()["fields"]
    assert not RetentionPolicy.objects.exists()


def test_a_preview_counts_and_changes_nothing(old: Project, app_client: APIClient) -> None:
    answer = app_client.post(f"{URL}/preview", {"behaviour_days": 30, "decision_days": 30}, format="json")
    rows = {each["name"]: each["rows"] for each in answer.json()}
    assert (answer.status_code, len(rows), sum(rows.values())) == (200, 6, 5)
    assert (rows["behaviour_days"], rows["decision_days"]) == (3, 2)
    assert (Feedback.objects.count(), AskDecision.objects.count(), RetentionPolicy.objects.count()) == (4, 3, 0)


def test_a_preview_counts_no_further_than_it_must(
    old: Project, app_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_COUNTED", 2)
    answer = app_client.post(f"{URL}/preview", {"behaviour_days": 30, "decision_days": 30}, format="json").json()
    found = {each["name"]: (each["rows"], each["is_more"]) for each in answer}
    assert (found["behaviour_days"], found["decision_days"]) == ((2, True), (2, False))


def test_what_went_is_told(old: Project, app_client: APIClient) -> None:
    assert app_client.get(RUNS).json()["results"] == []
    retention_policies.new_version(old, by=None, behaviour_days=30)
    retention.apply(old, now=timezone.now())
    (run,) = app_client.get(RUNS).json()["results"]
    assert (run["policy_version"], run["days"], run["counts"]) == (1, {"behaviour_days": 30}, {"behaviour_days": 3})


@pytest.mark.parametrize(
    ("role", "reads", "changes"),
    [
        ("owner", 200, 201),
        ("manager", 200, 403),
        ("reviewer", 200, 403),
        ("annotator", 403, 403),
        ("stranger", 404, 404),
    ],
)
def test_who_may_read_and_who_may_change(
    request: pytest.FixtureRequest, project: Project, role: str, reads: int, changes: int
) -> None:
    client = APIClient()
    client.force_login(request.getfixturevalue(role))
    assert client.get(URL).status_code == client.get(RUNS).status_code == reads
    assert client.post(f"{URL}/preview", {}, format="json").status_code == reads
    assert client.post(URL, {"text_days": 30}, format="json").status_code == changes
    assert RetentionPolicy.objects.exists() == (changes == 201)
    page = Client()
    page.force_login(request.getfixturevalue(role))
    assert page.get(PAGE).status_code == reads
    saved = page.post(PAGE, {"action": "policy", "text_days": "20"})
    assert saved.status_code == {201: 302}.get(changes, changes)
    assert RetentionPolicy.objects.filter(text_days=20).exists() == (changes == 201)


@pytest.fixture
def page(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def test_the_page_counts_what_would_go_and_keeps_what_was_typed(old: Project, page: Client) -> None:
    answer = page.post(PAGE, {"action": "preview", "behaviour_days": "30"})
    content = answer.content.decode()
    assert answer.status_code == 200
    assert "If a sweep ran now" in content
    assert 'value="30"' in content
    assert dict(answer.context["due"])["Behaviour"].rows == 3
    fragment = page.post(PAGE, {"action": "preview", "behaviour_days": "30"}, headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode()
    assert Feedback.objects.count() == 4
    bad = page.post(PAGE, {"action": "preview", "behaviour_days": "0"}, headers={"HX-Request": "true"})
    assert "Must lie between 1 and 36,500, or be empty." in bad.content.decode()


def test_the_page_saves_shows_and_refuses(old: Project, page: Client) -> None:
    assert "for ever" in page.get(PAGE).content.decode()
    with override_settings(FEEDBACK_KEEP_DAYS=60):
        refused = page.post(PAGE, {"action": "policy", "behaviour_days": "90"})
        assert refused.status_code == 422
        assert "Must not exceed the installation&#x27;s 60 days." in refused.content.decode()
        assert not RetentionPolicy.objects.exists()
        saved = page.post(PAGE, {"action": "policy", "behaviour_days": "30"}, follow=True).content.decode()
    assert "Version 1 of the retention policy is in force from now on." in saved
    assert "60 <small>days, by the installation</small>" in saved
    retention.apply(old, now=timezone.now())
    assert 'Behaviour: 3 <span class="muted">after 30 days</span>' in page.get(PAGE).content.decode()
    assert page.post(PAGE, {"action": "nonsense"}).status_code == 400


def test_the_page_warns_where_pauses_look_back_further_than_people_are_known(old: Project, page: Client) -> None:
    retention_policies.new_version(old, by=None, respondent_days=7)
    assert "look back 30 days" in page.get(PAGE).content.decode()
    retention_policies.new_version(old, by=None, respondent_days=30)
    assert "look back" not in page.get(PAGE).content.decode()
