"""What a publishable key may do in a browser: origins, beacons, rate limits, CORS."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.errors import RateLimited
from labeling.models import ApiKey, Ask, Feedback, Project
from labeling.redis_client import redis_client
from labeling.services import api_keys, ask_keys, rate_limits
from labeling.services.rate_limits import Bucket
from tests.factories import asks
from tests.factories.asks import PAGE, tell
from tests.factories.intake import failures
from tests.factories.labeling import other_project

URL = "/api/v1/projects/pets/feedback"
CLICK = {"id": "f-1", "kind": "click", "key": "a"}


@pytest.fixture(autouse=True)
def no_charges() -> Iterator[None]:
    def forget() -> None:
        for name in redis_client().scan_iter("rate:*"):
            redis_client().delete(name)

    forget()
    yield
    forget()


@pytest.fixture
def slow_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is refilled so slowly that it makes no difference how long a test takes."""
    monkeypatch.setattr(rate_limits, "PER_ADDRESS", (0.001, 60.0))


@pytest.fixture
def key(project: Project) -> str:
    return asks.publishable(project, "click", "dwell")


def send(key: str, body: Any, origin: str | None = PAGE, **headers: str) -> Any:
    headers["authorization"] = f"Bearer {key}"
    if origin is not None:
        headers["origin"] = origin
    return APIClient().post(URL, json.dumps(body).encode(), content_type="application/json", headers=headers)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


# -- origins and kinds ------------------------------------------------------------------------------------------------


def test_a_page_of_a_known_origin_sends_what_its_key_allows(key: str) -> None:
    answer = send(
        key,
        [CLICK, {"id": "f-2", "kind": "copy", "key": "a"}, {"id": "f-3", "kind": "thumb", "value": "up", "key": "a"}],
    )
    assert answer.status_code == 207
    assert [failed[2] for failed in failures(answer)] == ["kind_not_allowed", "kind_not_allowed"]
    kept = Feedback.objects.get()
    assert (kept.client_id, kept.channel, kept.kind) == ("browser:f-1", "browser", "click")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "missing_origin"),
        ("", "missing_origin"),
        ("null", "origin_not_allowed"),
        ("https://evil.example", "origin_not_allowed"),
        ("http://app.example.org", "origin_not_allowed"),
        ("https://app.example.org:8443", "origin_not_allowed"),
        ("https://app.example.org.evil.example", "origin_not_allowed"),
    ],
)
def test_another_origin_is_refused(key: str, origin: str | None, expected: str) -> None:
    answer = send(key, CLICK, origin)
    assert code(answer) == (403, expected)
    assert "Access-Control-Allow-Origin" not in answer
    assert not Feedback.objects.exists()


def test_an_origin_of_another_key_does_not_do(key: str, project: Project) -> None:
    asks.publishable(project, "click", origins=("https://other.example.org",))
    assert code(send(key, CLICK, "https://other.example.org")) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ask_id": 1, "key": ""}, "target_not_allowed"),
        ({"supersedes": "f-0"}, "supersedes_not_allowed"),
    ],
)
def test_a_browser_does_not_touch_what_others_said(key: str, fields: dict[str, Any], expected: str) -> None:
    assert [failed[2] for failed in failures(send(key, {**CLICK, **fields}))] == [expected]
    assert not Feedback.objects.exists()


def test_a_browser_takes_no_id_of_a_server(key: str, app_client: APIClient) -> None:
    send(key, CLICK)
    answer = app_client.post(URL, {**CLICK, "kind": "conversion"}, format="json")
    assert answer.json()["created"] == 1


def test_a_token_lets_say_what_was_done_and_not_what_is_answered(key: str, project: Project) -> None:
    ask = asks.ask(project)
    token = ask_keys.token_for(ask)
    rows = [
        {"id": "f-1", "kind": "thumb", "value": "up", "token": token},
        {"id": "f-3", "kind": "copy", "token": token},
        {"id": "f-4", "kind": "copy", "token": token},
    ]
    refused = [code for row in rows for _, _, code in failures(send(key, row))]
    assert refused == ["use_token_endpoint"]
    kept = Feedback.objects.order_by("client_id").values_list("kind", "value", "ask_id")
    assert sorted(kept, key=str) == [("copy", None, ask.pk), ("copy", None, ask.pk)]


def test_a_forged_or_expired_token_lets_say_nothing(key: str, project: Project) -> None:
    old = asks.ask(project, now=timezone.now() - dt.timedelta(days=3))
    theirs = asks.ask(other_project(), opportunity="x")
    tokens = [ask_keys.token_for(old), ask_keys.token_for(theirs), ask_keys.token_for(asks.ask(project))[:-2] + "zz"]
    rows = [{"id": f"t-{n}", "kind": "copy", "token": token} for n, token in enumerate(tokens)]
    answer = send(key, rows)
    assert [failed[2] for failed in failures(answer)] == ["expired_token", "invalid_token", "invalid_token"]
    assert not Feedback.objects.exists()


# -- beacons ----------------------------------------------------------------------------------------------------------


def beacon(query: str, body: Any = CLICK, origin: str = PAGE, path: str = URL) -> Any:
    raw = json.dumps(body).encode()
    return APIClient().post(
        f"{path}?key={query}", raw, content_type="text/plain;charset=UTF-8", headers={"origin": origin}
    )


def test_a_beacon_shows_its_key_in_the_address(key: str) -> None:
    assert beacon(key).status_code == 200
    assert Feedback.objects.get().kind == "click"
    assert code(beacon(key, origin="https://evil.example")) == (403, "origin_not_allowed")


def test_no_secret_stands_in_an_address(secret_key: str, project: Project) -> None:
    assert code(beacon(secret_key)) == (401, "secret_key_in_address")
    assert code(beacon("fb_pk_unknown")) == (401, "invalid_api_key")
    assert not Feedback.objects.exists()


def test_the_address_opens_nothing_but_feedback(key: str, secret_key: str, project: Project) -> None:
    for path in ("/api/v1/projects/pets/items", "/api/v1/projects/pets/questions"):
        assert APIClient().get(f"{path}?key={key}", headers={"origin": PAGE}).status_code == 401


def test_a_revoked_key_opens_nothing(key: str) -> None:
    api_keys.revoke(ApiKey.objects.get(), now=timezone.now())
    assert code(beacon(key)) == (401, "revoked_api_key")
    assert code(send(key, CLICK)) == (401, "revoked_api_key")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "questions"),
        ("post", "questions"),
        ("post", "items"),
        ("post", "predictions"),
        ("get", "keys"),
        ("get", "respondents/user-1/export"),
        ("delete", "respondents/user-1"),
    ],
)
def test_a_publishable_key_opens_nothing_else(key: str, method: str, path: str) -> None:
    client = APIClient()
    headers = {"authorization": f"Bearer {key}", "origin": PAGE}
    answer = getattr(client, method)(f"/api/v1/projects/pets/{path}", {}, format="json", headers=headers)
    assert code(answer) == (403, "permission_denied")


# -- sizes and rates --------------------------------------------------------------------------------------------------


def test_a_browser_sends_little_at_a_time(key: str) -> None:
    many = [{"id": f"f-{n}", "kind": "click", "key": "a"} for n in range(51)]
    assert code(send(key, many)) == (413, "too_many_rows")
    assert code(send(key, {**CLICK, "comment": "x" * 70_000})) == (413, "body_too_large")
    assert code(send(key, {**CLICK, "comment": "x" * 1_000_000})) == (413, "body_too_large")
    assert not Feedback.objects.exists()
    assert send(key, many[:20]).status_code == 200


@pytest.mark.usefixtures("slow_refill")
def test_a_flooding_page_is_told_to_wait_and_loses_nothing_else(key: str, project: Project, secret_key: str) -> None:
    answers = [send(key, {**CLICK, "id": f"f-{n}"}) for n in range(65)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert code(refused[0]) == (429, "rate_limited")
    assert int(refused[0]["Retry-After"]) >= 1
    assert refused[0]["Access-Control-Allow-Origin"] == PAGE
    assert Feedback.objects.count() == 60
    server = APIClient().post(URL, CLICK, format="json", headers={"authorization": f"Bearer {secret_key}"})
    assert server.status_code == 200


@pytest.mark.usefixtures("slow_refill")
def test_rows_are_charged_one_by_one(key: str) -> None:
    rows = [{"id": f"f-{n}", "kind": "click", "key": "a"} for n in range(50)]
    assert send(key, rows).status_code == 200
    assert code(send(key, [{**row, "id": f"g-{row['id']}"} for row in rows])) == (429, "rate_limited")
    assert Feedback.objects.count() == 50


@pytest.mark.usefixtures("slow_refill")
def test_behind_a_proxy_the_address_is_the_one_it_adds(key: str) -> None:
    with override_settings(PROXY_COUNT=1):
        answers = [
            send(key, {**CLICK, "id": f"f-{n}"}, **{"x-forwarded-for": f"6.6.6.{n}, 10.0.0.{n % 2}"}) for n in range(80)
        ]
        assert {answer.status_code for answer in answers} == {200}
        forged = [
            send(key, {**CLICK, "id": f"g-{n}"}, **{"x-forwarded-for": f"6.6.6.{n}, 10.0.0.9"}) for n in range(61)
        ]
        assert 429 in {answer.status_code for answer in forged}


@pytest.mark.usefixtures("slow_refill")
def test_tokens_are_limited_by_address(project: Project) -> None:
    ask = asks.ask(project)
    answers = [tell(APIClient(), ask, "shown") for _ in range(61)]
    assert code(answers[-1]) == (429, "rate_limited")
    assert [answer.status_code for answer in answers[:60]] == [200] * 60


def test_without_redis_answers_pass_and_publishable_rows_wait(
    key: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = redis.Redis(port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr(rate_limits, "_script", lambda: gone.register_script(rate_limits._TAKE))
    assert tell(APIClient(), asks.ask(project), "answered", answer={"thumb": "up"}).status_code == 200
    assert code(send(key, CLICK)) == (503, "rate_limits_unavailable")
    assert [kept.channel for kept in Feedback.objects.all()] == ["token"]


def test_a_bucket_holds_its_burst_and_refuses_without_charging() -> None:
    slow, fast = Bucket("rate:test:slow", 0.001, 3), Bucket("rate:test:fast", 0.001, 100)
    for _ in range(3):
        rate_limits.take((slow, fast))
    with pytest.raises(RateLimited) as refused:
        rate_limits.take((slow, fast))
    assert 990 <= refused.value.retry_after_seconds <= 1000
    level = redis_client().hget("rate:test:fast", "level")
    assert round(float(level or 0)) == 97


def test_addresses_are_known_for_a_day_and_by_network() -> None:
    noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    same = rate_limits.hashed_address("2001:db8::1", noon)
    assert rate_limits.hashed_address("2001:db8::ffff", noon) == same
    assert rate_limits.hashed_address("2001:db8:0:1::1", noon) != same
    assert rate_limits.hashed_address("2001:db8::1", noon + dt.timedelta(days=1)) != same
    assert rate_limits.hashed_address("::ffff:10.0.0.1", noon) == rate_limits.hashed_address("10.0.0.1", noon)
    assert rate_limits.hashed_address("no address", noon)


# -- CORS -------------------------------------------------------------------------------------------------------------


def preflight(path: str, origin: str = PAGE) -> Any:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return APIClient().options(path, headers=headers)


def test_a_preflight_is_answered_for_known_origins(key: str, project: Project) -> None:
    ask = asks.ask(project)
    for path in (URL, "/api/v1/projects/pets/asks", asks.url(ask)):
        answer = preflight(path)
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert answer["Access-Control-Allow-Headers"] == "authorization, content-type, idempotency-key"
        assert answer["Access-Control-Max-Age"] == "600"
        assert "Origin" in answer["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*"])
def test_a_preflight_of_another_origin_is_refused(key: str, project: Project, origin: str) -> None:
    token = asks.url(asks.ask(project))
    for path in (URL, token, token[:-1] + "!", "/api/v1/projects/nowhere/feedback"):
        answer = preflight(path, origin)
        assert "Access-Control-Allow-Origin" not in answer
    assert code(preflight(URL, origin)) == (403, "origin_not_allowed")


def test_other_addresses_have_no_cors(key: str) -> None:
    for path in ("/api/v1/projects/pets/items", "/api/v1/projects/pets", "/projects/"):
        assert "Access-Control-Allow-Origin" not in preflight(path)


def test_refusals_are_readable_for_the_page(key: str, project: Project) -> None:
    expired = asks.ask(project, now=timezone.now() - dt.timedelta(days=3))
    answer = tell(APIClient(), expired, "shown", headers={"origin": PAGE})
    assert (code(answer), answer["Access-Control-Allow-Origin"]) == ((403, "expired_token"), PAGE)
    assert "Retry-After" in answer["Access-Control-Expose-Headers"]


def test_the_origins_of_a_revoked_key_are_forgotten(key: str) -> None:
    api_keys.revoke(ApiKey.objects.get(), now=timezone.now())
    assert preflight(URL).status_code == 403


# -- keys -------------------------------------------------------------------------------------------------------------

KEYS = "/api/v1/projects/pets/keys"


def test_a_key_is_made_with_origins_and_kinds(owner_client: APIClient) -> None:
    wanted = {
        "name": "page",
        "kind": "publishable",
        "origins": ["https://App.example.org:443/", "http://localhost:3000", "http://[::1]:8000"],
        "implicit_kinds": ["click", "click"],
    }
    made = owner_client.post(KEYS, wanted, format="json").json()
    assert made["origins"] == [PAGE, "http://localhost:3000", "http://[::1]:8000"]
    assert made["implicit_kinds"] == ["click"]
    changed = owner_client.patch(f"{KEYS}/{made['id']}", {"implicit_kinds": ["dwell"]}, format="json")
    assert (changed.json()["implicit_kinds"], changed.json()["origins"]) == (["dwell"], made["origins"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"origins": ["*"]}, "invalid_origins"),
        ({"origins": ["null"]}, "invalid_origins"),
        ({"origins": ["app.example.org"]}, "invalid_origins"),
        ({"origins": ["https://app.example.org/path"]}, "invalid_origins"),
        ({"origins": ["https://app.example.org:65536"]}, "invalid_origins"),
        ({"origins": ["https://*.example.org"]}, "invalid_origins"),
        ({"origins": ["https://a.example.org\r\nX: y"]}, "invalid_origins"),
        ({"origins": [f"https://{n}.example.org" for n in range(51)]}, "invalid_origins"),
        ({"implicit_kinds": ["thumb"]}, "invalid_implicit_kinds"),
        ({"kind": "secret", "origins": [PAGE]}, "invalid_origins"),
        ({"kind": "secret", "implicit_kinds": ["click"]}, "invalid_implicit_kinds"),
    ],
)
def test_origins_and_kinds_that_cannot_be_are_refused(
    owner_client: APIClient, wanted: dict[str, Any], expected: str
) -> None:
    answer = owner_client.post(KEYS, {"name": "page", "kind": "publishable", **wanted}, format="json")
    assert code(answer) == (400, expected)
    assert not ApiKey.objects.exists()


def test_only_owners_change_keys(key: str, project: Project, manager: User, stranger: User) -> None:
    address = f"{KEYS}/{ApiKey.objects.get().pk}"
    for user, status in ((manager, 403), (stranger, 404)):
        client = APIClient()
        client.force_login(user)
        assert client.patch(address, {"origins": []}, format="json").status_code == status
    assert ApiKey.objects.get().origins == [PAGE]
    assert not Ask.objects.exists()
