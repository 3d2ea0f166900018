"""The error envelope: whatever goes wrong, the API answers in one form."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.models import Item, Project
from labeling.services import projects
from tests.factories.labeling import item_row

PROJECT = "/api/v1/projects/pets"


def assert_envelope(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    body: dict[str, Any] = json.loads(answer.content)
    assert set(body) == {"code", "message", "fields", "request_id"}
    assert body["code"] == code
    assert body["message"]
    assert body["request_id"] == answer["X-Request-Id"]
    return body


def test_an_address_that_does_not_exist(api_client: APIClient, db: None) -> None:
    assert_envelope(api_client.get("/api/v1/nothing/here"), 404, "not_found")


def test_a_method_that_does_not_exist(owner_client: APIClient) -> None:
    assert_envelope(owner_client.put(PROJECT, {}, format="json"), 405, "method_not_allowed")


def test_nobody_is_told_how_to_log_in(api_client: APIClient, project: Project) -> None:
    answer = api_client.get(PROJECT)
    assert_envelope(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "bearer fb_sk_wrong", "Bearer \xe9\xff"])
def test_a_key_that_is_none(api_client: APIClient, project: Project, header: str) -> None:
    api_client.credentials(HTTP_AUTHORIZATION=header)
    assert_envelope(api_client.get(PROJECT), 401, "invalid_api_key")


def test_fields_to_blame_are_named(owner_client: APIClient) -> None:
    body = assert_envelope(
        owner_client.post(f"{PROJECT}/members", {"role": "king"}, format="json"), 400, "invalid_input"
    )
    assert set(body["fields"]) == {"username", "role"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{broken", "invalid_json"),
        (b'{"name": NaN}', "invalid_json"),
        (b'{"name": "\xff"}', "invalid_json"),
        (b'{"name": "\\ud800"}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"name": "a\\u0000b"}', "nul_character"),
        (b'{"x": [{"\\u0000": 1}]}', "nul_character"),
        (b"[1, 2]", "invalid_input"),
        (b'"text"', "invalid_input"),
        (b"null", "invalid_input"),
    ],
)
def test_an_ordinary_body_that_cannot_be_used(owner_client: APIClient, project: Project, raw: bytes, code: str) -> None:
    answer = owner_client.patch(PROJECT, raw, content_type="application/json")
    assert_envelope(answer, 400, code)
    project.refresh_from_db()
    assert project.name == "Pets"


def test_a_backslash_before_u0000_is_text(owner_client: APIClient) -> None:
    answer = owner_client.patch(PROJECT, b'{"objective": "the text \\\\u0000"}', content_type="application/json")
    assert answer.json()["objective"] == "the text \\u0000"


def test_an_ordinary_body_that_is_too_large(owner_client: APIClient, project: Project, settings: Settings) -> None:
    settings.API_MAX_BODY_BYTES = 100
    assert_envelope(owner_client.patch(PROJECT, {"objective": "x" * 200}, format="json"), 413, "body_too_large")
    project.refresh_from_db()
    assert project.objective == "Sort pet photos."


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
def test_an_ordinary_body_of_another_type(owner_client: APIClient, content_type: str) -> None:
    assert_envelope(owner_client.patch(PROJECT, b"name=Mine", content_type=content_type), 415, "unsupported_media_type")


def test_a_form_from_a_session_is_not_even_read(project: Project, owner: User, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.cookies["csrftoken"] = token = "x" * 32
    form = "application/x-www-form-urlencoded"
    # The token counts in the header only: to find it in the form, the form would have to be read.
    answer = client.post(f"{PROJECT}/members", b"x" * 200, content_type=form)
    assert_envelope(answer, 403, "permission_denied")
    answer = client.post(f"{PROJECT}/members", b"x" * 200, content_type=form, HTTP_X_CSRFTOKEN=token)
    assert_envelope(answer, 415, "unsupported_media_type")


def test_a_host_that_is_not_ours(api_client: APIClient, db: None) -> None:
    assert_envelope(api_client.get("/api/v1/projects", HTTP_HOST="evil.example"), 400, "bad_request")


def test_nul_in_an_address(owner_client: APIClient) -> None:
    assert_envelope(owner_client.delete(f"{PROJECT}/members/a%00b"), 400, "unstorable_value")


def test_a_fault_of_our_own(owner_client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(projects, "describe", fail)
    owner_client.raise_request_exception = False
    answer = owner_client.patch(PROJECT, {"name": "Mine"}, format="json")
    assert_envelope(answer, 500, "internal_error")
    assert "secret" not in answer.content.decode()


# -- the database is gone ------------------------------------------------------------------------------------------


@pytest.fixture
def unreachable_database(transactional_db: None) -> Iterator[None]:
    """Connections are refused, as while PostgreSQL restarts. To be asked for after the fixtures that write."""
    settings = connection.settings_dict
    host = settings["HOST"]
    connection.close()
    settings["HOST"] = "/nowhere"
    yield
    connection.close()
    settings["HOST"] = host


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["", "/items", "/members"])
def test_without_a_database_a_key_gets_503(app_client: APIClient, unreachable_database: None, path: str) -> None:
    answer = app_client.get(PROJECT + path)
    assert_envelope(answer, 503, "database_unavailable")
    assert answer["Retry-After"] == "2"


@pytest.mark.django_db(transaction=True)
def test_without_a_database_a_session_gets_503(owner_client: APIClient, unreachable_database: None) -> None:
    assert_envelope(owner_client.get(PROJECT), 503, "database_unavailable")


@pytest.mark.django_db(transaction=True)
def test_without_a_database_nothing_is_taken_in(app_client: APIClient, unreachable_database: None) -> None:
    answer = app_client.post(f"{PROJECT}/items", item_row("a"), format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert_envelope(answer, 503, "database_unavailable")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_breaks_is_replaced(app_client: APIClient, project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
    answer = app_client.post(f"{PROJECT}/items", item_row("a"), format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert_envelope(answer, 503, "database_unavailable")
    connection.close()  # what Django does before the next request
    answer = app_client.post(f"{PROJECT}/items", item_row("a"), format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert answer.json()["created"] == 1
    assert Item.objects.count() == 1
