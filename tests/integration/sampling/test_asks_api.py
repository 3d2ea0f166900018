"""POST /asks and the ask policies over HTTP: who may say what, and how it is refused."""

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from labeling.models import ApiKey, Ask, Correction, Feedback, Item, Prediction, Project
from labeling.services import api_keys
from sampling.models import AskDecision, AskPolicy
from tests.factories import asking as make
from tests.factories import asks as answering
from tests.factories.labeling import other_project

pytestmark = pytest.mark.django_db

URL = "/api/v1/projects/pets/asks"
PREDICTION = {"model_version": "m1", "probabilities": [0.5, 0.3, 0.2]}
BODY: dict[str, Any] = {
    "opportunity_id": "o-1",
    "key": "t-1",
    "payload": {"text": "a cat"},
    "prediction": PREDICTION,
    "respondent": "user-1",
}


def ask(client: APIClient, *, query: str = "", **changes: Any) -> Any:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return client.post(URL + query, body, format="json")


def browser(project: Project, origin: str = answering.PAGE) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answering.publishable(project)}", HTTP_ORIGIN=origin)
    return client


@pytest.fixture
def asking(project: Project) -> Project:
    make.asking(project)
    return project


def test_an_app_asks_and_the_respondent_answers_by_the_token(app_client: APIClient, asking: Project) -> None:
    answer = ask(app_client, locale="de-AT")
    assert answer.status_code == 200
    said = answer.json()
    assert (said["ask"], said["reason"], said["key"], said["policy_version"]) == (True, "selected", "t-1", 2)
    assert (said["question"]["text"], said["question"]["prediction"]["answer"]) == ("Stimmt das?", {"choice": "cat"})
    told = answering.tell(APIClient(), f"/api/v1/asks/{said['token']}", "answered", answer={"is_right": True})
    assert told.status_code == 200
    assert Ask.objects.get().state == "answered"


def test_of_an_item_without_a_prediction_the_respondent_is_asked_what_it_is(
    app_client: APIClient, asking: Project
) -> None:
    said = ask(app_client, prediction=...).json()
    assert (said["ask"], said["is_blind"], said["prediction_id"]) == (True, False, None)
    assert (said["question"]["text"], said["question"]["prediction"]) == ("What is it?", None)
    url = f"/api/v1/asks/{said['token']}"
    refused = answering.tell(APIClient(), url, "answered", answer={"is_right": True})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_answer")
    assert Ask.objects.get().state == "offered"
    assert answering.tell(APIClient(), url, "answered", answer={"correction": {"choice": "dog"}}).status_code == 200
    stated = Correction.objects.get()
    assert (stated.answer, stated.is_anchored, Feedback.objects.count()) == ({"choice": "dog"}, False, 0)


def test_the_same_body_again_is_the_same_decision(app_client: APIClient, asking: Project) -> None:
    first, again = ask(app_client).json(), ask(app_client).json()
    first.pop("token")
    assert again.pop("token")
    first["expires_at"] = again["expires_at"]
    assert first == again
    assert AskDecision.objects.count() == 1


def test_a_revoked_key_is_refused_when_what_was_known_of_it_is_old(
    app_client: APIClient, asking: Project, settings: Settings
) -> None:
    settings.ASK_KEY_SECONDS = 3600.0
    assert ask(app_client).status_code == 200
    api_keys.revoke(ApiKey.objects.get(), now=timezone.now())
    assert ask(app_client).status_code == 200
    # Everything else looks at the key itself.
    assert app_client.get("/api/v1/projects/pets").json()["code"] == "revoked_api_key"
    settings.ASK_KEY_SECONDS = 0.0
    refused = ask(app_client, opportunity_id="o-2")
    assert (refused.status_code, refused.json()["code"]) == (401, "revoked_api_key")
    assert AskDecision.objects.count() == 1


def test_a_key_is_known_to_its_own_project_alone_however_recent(
    app_client: APIClient, asking: Project, settings: Settings
) -> None:
    settings.ASK_KEY_SECONDS = 3600.0
    other_project()
    assert ask(app_client).status_code == 200
    answer = app_client.post("/api/v1/projects/elsewhere/asks", BODY, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")


def test_a_key_that_nobody_knows_is_refused_each_time(asking: Project, settings: Settings) -> None:
    settings.ASK_KEY_SECONDS = 3600.0
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer fb_sk_nobody")
    for _ in range(2):
        answer = ask(client)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")


def test_a_dry_run_leaves_nothing_behind(app_client: APIClient, asking: Project) -> None:
    answer = ask(app_client, query="?dry_run=1")
    assert (answer.json()["ask"], answer.json()["token"]) == (True, None)
    assert (Item.objects.count(), Prediction.objects.count(), AskDecision.objects.count()) == (0, 0, 0)


def test_a_list_is_asked_about_once(app_client: APIClient, asking: Project) -> None:
    candidates = [
        {"key": f"k-{place}", "payload": {"text": str(place)}, "prediction": PREDICTION} for place in range(5)
    ]
    answer = ask(app_client, key=..., payload=..., prediction=..., candidates=candidates)
    assert answer.json()["ask"]
    assert answer.json()["key"] in {each["key"] for each in candidates}
    assert Prediction.objects.count() == 5
    assert Ask.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"payload": ...}, "unknown_item"),
        ({"key": ...}, "missing_field"),
        ({"key": ""}, "invalid_key"),
        ({"key": "k" * 201}, "invalid_key"),
        ({"opportunity_id": ""}, "invalid_input"),
        ({"opportunity_id": "o" * 201}, "invalid_input"),
        ({"respondent": 7}, "invalid_input"),
        ({"surprise": 1}, "invalid_input"),
        ({"question": "none"}, "unknown_question"),
        ({"key": "t\x00"}, "nul_character"),
        ({"prediction": {**PREDICTION, "model_version": "m9"}}, "unknown_model_version"),
        ({"prediction": {**PREDICTION, "probabilities": [0.5, 0.5]}}, "wrong_number_of_probabilities"),
        ({"prediction": {"model_version": "m1"}}, "missing_field"),
        ({"candidates": [{"key": "a"}]}, "invalid_input"),
        ({"key": ..., "payload": ..., "prediction": ..., "candidates": []}, "invalid_input"),
        (
            {"key": ..., "payload": ..., "prediction": ..., "candidates": [{"key": "a"}, {"key": "a"}]},
            "duplicate_key_in_request",
        ),
    ],
)
def test_bad_bodies_are_refused_with_a_code(
    app_client: APIClient, asking: Project, changes: dict[str, Any], code: str
) -> None:
    answer = ask(app_client, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (Item.objects.count(), AskDecision.objects.count()) == (0, 0)


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"\xff"])
def test_what_is_no_object_is_refused(app_client: APIClient, asking: Project, body: bytes) -> None:
    assert app_client.post(URL, body, content_type="application/json").status_code == 400


def test_a_body_that_is_too_large_or_of_another_type_is_refused(
    app_client: APIClient, asking: Project, settings: Settings
) -> None:
    settings.API_MAX_BODY_BYTES = 1_000
    large = ask(app_client, payload={"text": "a" * 1_000})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    form = app_client.post(URL, {"key": "t-1"}, format="multipart")
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")
    assert AskDecision.objects.count() == 0


@pytest.mark.parametrize(
    ("accepted", "status"),
    [("*/*", 200), ("application/json", 200), ("text/html, application/json;q=0.5", 200), ("text/html", 406)],
)
def test_the_answer_is_json_for_whoever_takes_it(
    app_client: APIClient, asking: Project, accepted: str, status: int
) -> None:
    answer = app_client.post(URL, BODY, format="json", headers={"Accept": accepted})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert AskDecision.objects.count() == (status == 200)


def test_a_browser_may_ask_about_items_that_exist_and_say_nothing_else(app_client: APIClient, asking: Project) -> None:
    client = browser(asking)
    assert ask(client, prediction=...).json()["code"] == "secret_key_needed"
    assert ask(client, payload=...).json()["code"] == "secret_key_needed"
    refused = ask(client, payload=..., prediction=..., query="?dry_run=1")
    assert (refused.status_code, refused.json()["code"]) == (403, "secret_key_needed")
    assert ask(client, payload=..., prediction=...).json()["code"] == "unknown_item"
    ask(app_client, opportunity_id="o-0", consent=False)
    said = ask(client, payload=..., prediction=...).json()
    # The chance of a check by a known answer differs from that of others.
    assert (said["ask"], said["propensity"]) == (True, None)


def test_browsers_and_servers_do_not_take_each_others_opportunities(app_client: APIClient, asking: Project) -> None:
    ask(app_client, opportunity_id="o-0", consent=False)
    in_page: dict[str, Any] = {"payload": ..., "prediction": ..., "respondent": "user-2"}
    first, again = (ask(browser(asking), opportunity_id="o-1", **in_page).json() for _ in range(2))
    assert (first["ask"], first["opportunity_id"]) == (True, "o-1")
    # Each call of `browser` makes a key of its own, and what one page names another cannot.
    assert again["reason"] == "concurrent"
    served = ask(app_client, opportunity_id="o-1", key="t-2").json()
    assert (served["ask"], served["key"], served["opportunity_id"]) == (True, "t-2", "o-1")
    assert Ask.objects.count() == 2


def test_a_browser_repeats_its_own_decision(app_client: APIClient, asking: Project) -> None:
    ask(app_client, opportunity_id="o-0", consent=False)
    client = browser(asking)
    first, again = (ask(client, payload=..., prediction=...).json() for _ in range(2))
    assert (again["ask"], again["ask_id"], again["opportunity_id"]) == (True, first["ask_id"], "o-1")
    theirs = ask(client, payload=..., prediction=..., respondent="user-2").json()
    assert (theirs["ask"], theirs["token"], theirs["opportunity_id"]) == (False, None, "o-1")


def test_a_browser_names_opportunities_by_at_most_150_characters(app_client: APIClient, asking: Project) -> None:
    ask(app_client, opportunity_id="o-0", consent=False)
    answer = ask(browser(asking), payload=..., prediction=..., opportunity_id="o" * 151)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert ask(browser(asking), payload=..., prediction=..., opportunity_id="o" * 150).json()["ask"]


@pytest.mark.parametrize("announces", [True, False])
def test_a_browser_sends_at_most_64_kib_whether_it_announces_them_or_not(asking: Project, announces: bool) -> None:
    body = json.dumps({"key": "t-1", "question": "x" * 70_000}).encode()
    chunked: dict[str, Any] = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answer = browser(asking).post(URL, body, content_type="application/json", **({} if announces else chunked))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert browser(asking).post(URL, b"{", content_type="application/json").json()["code"] == "invalid_json"


def test_a_browser_of_another_origin_may_not_ask(asking: Project) -> None:
    client = browser(asking, origin="https://evil.example")
    answer = ask(client, payload=..., prediction=...)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert not AskDecision.objects.exists()


def test_roles(
    asking: Project, owner_client: APIClient, annotator_client: APIClient, api_client: APIClient, stranger: User
) -> None:
    assert ask(api_client).status_code == 401
    assert ask(annotator_client).status_code == 403
    api_client.force_login(stranger)
    assert ask(api_client).status_code == 404
    assert ask(owner_client).status_code == 200


def test_a_revoked_key_asks_nobody(asking: Project, app_client: APIClient) -> None:
    for key in asking.api_keys.all():
        api_keys.revoke(key, now=make.NOW)
    assert ask(app_client).status_code == 401


POLICIES = "/api/v1/projects/pets/ask-policies"


def test_a_policy_changes_by_version(app_client: APIClient, project: Project, owner_client: APIClient) -> None:
    assert app_client.get(POLICIES).json()["results"][0]["threshold"] == 0.3
    changed = owner_client.post(POLICIES, {"threshold": 0.4, "budget_asks": 500}, format="json")
    assert (changed.status_code, changed.json()["version"], changed.json()["created_by"]) == (201, 2, "owner")
    assert owner_client.post(POLICIES, {"threshold": 0.4}, format="json").json()["version"] == 2
    assert owner_client.post(POLICIES, {"budget_asks": None}, format="json").json()["budget_asks"] is None
    assert [each["version"] for each in app_client.get(POLICIES).json()["results"]] == [3, 2, 1]


def test_a_policy_says_nothing_that_has_no_effect(app_client: APIClient, project: Project) -> None:
    """How long an opt-out lasts is for the installation to say: people choose it whatever version is in force."""
    assert "opt_out_seconds" not in app_client.get(POLICIES).json()["results"][0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"holdout_share": 0.9}, "holdout_share"),
        ({"least_propensity": 0.9, "most_propensity": 0.5}, "least_propensity"),
        ({"temperature": 0}, "temperature"),
        ({"budget_asks": -1}, "budget_asks"),
        ({"budget_period_seconds": 60}, "budget_period_seconds"),
        ({"ask_lifetime_seconds": 1}, "ask_lifetime_seconds"),
        ({"segment_quotas": {"de": 5}}, "segment_quotas"),
        ({"segment": "country", "segment_quotas": {"de": -5}}, "segment_quotas"),
        ({"segment": "country", "segment_targets": {"de": 0.9, "fr": 0.9}}, "segment_targets"),
        ({"segment_targets": {"de": 0.9}}, "segment_targets"),
        ({"logged_share_of_no": 0}, "logged_share_of_no"),
        ({"most_per_7_days": 1_000_000}, "most_per_7_days"),
        ({"threshold": "high"}, "threshold"),
        ({"buget_asks": 100}, "buget_asks"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    app_client: APIClient, project: Project, changes: dict[str, Any], field: str
) -> None:
    answer = app_client.post(POLICIES, changes, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["fields"]
    assert not AskPolicy.objects.filter(version__gt=1).exists()


def test_a_range_is_told_in_plain_numbers(app_client: APIClient, project: Project) -> None:
    answer = app_client.post(POLICIES, {"cooldown_shown_seconds": -1}, format="json")
    assert answer.json()["fields"] == {"cooldown_shown_seconds": "must lie between 0 and 31,622,400"}


def test_a_slip_in_dry_run_does_not_ask_in_earnest(app_client: APIClient, asking: Project) -> None:
    answer = ask(app_client, query="?dry_run=yes")
    assert (answer.status_code, answer.json()["fields"]) == (400, {"dry_run": "1 or 0"})
    assert not Ask.objects.exists()
    assert ask(app_client, query="?dry_run=true").json()["token"] is None
    assert ask(app_client, query="?dry_run=0").json()["token"]


def test_a_preview_replays_the_log_and_changes_nothing(app_client: APIClient, asking: Project) -> None:
    for number in range(5):
        ask(app_client, opportunity_id=f"o-{number}", key=f"t-{number}", respondent=f"user-{number}")
    preview = app_client.post(f"{POLICIES}/preview?hours=2", {"threshold": 5.0, "audit_share": 0.2}, format="json")
    said = preview.json()
    assert preview.status_code == 200
    assert (said["decisions"], said["logged_asks"], said["reasons"]) == (5, 5.0, {"drawn": 5.0})
    assert said["asks"]["value"] == pytest.approx(1.0)
    assert AskPolicy.objects.count() == 2
    refused = app_client.post(f"{POLICIES}/preview", {"temperature": -1}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_policy")
    assert app_client.post(f"{POLICIES}/preview?hours=0", {}, format="json").status_code == 400


def test_policies_are_for_those_who_manage(
    project: Project, annotator_client: APIClient, reviewer: User, api_client: APIClient
) -> None:
    api_client.force_login(reviewer)
    assert api_client.get(POLICIES).status_code == 200
    assert api_client.post(POLICIES, {"threshold": 0.4}, format="json").status_code == 403
    assert api_client.post(f"{POLICIES}/preview", {}, format="json").status_code == 403
    assert annotator_client.get(POLICIES).status_code == 403
