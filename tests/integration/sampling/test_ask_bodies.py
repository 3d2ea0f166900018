"""How the body of POST /asks may come: plain text and gzip from everybody, bounded by what it unfolds to."""

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from labeling.models import Ask, Item, Project
from sampling.models import AskDecision
from tests.factories import asking as make
from tests.factories import asks as answering

pytestmark = pytest.mark.django_db

URL = "/api/v1/projects/pets/asks"
BODY: dict[str, Any] = {"opportunity_id": "o-1", "key": "t-1", "payload": {"text": "a cat"}, "respondent": "user-1"}
PLAIN = "text/plain;charset=UTF-8"


def send(client: APIClient, body: bytes, content_type: str = "application/json", encoding: str = "") -> Any:
    headers = {"Content-Encoding": encoding} if encoding else {}
    return client.post(URL, body, content_type=content_type, headers=headers)


@pytest.fixture
def asking(project: Project) -> Project:
    make.asking(project)
    return project


@pytest.fixture
def page(asking: Project) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answering.publishable(asking)}", HTTP_ORIGIN=answering.PAGE)
    return client


@pytest.mark.parametrize("content_type", ["application/json", PLAIN])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_plain_text_is_read_as_json_and_gzip_unfolded(
    app_client: APIClient, asking: Project, content_type: str, encoding: str
) -> None:
    body = json.dumps(BODY).encode()
    answer = send(app_client, gzip.compress(body) if encoding else body, content_type, encoding)
    assert (answer.status_code, answer.json()["ask"]) == (200, True)
    assert Ask.objects.get().item.payload == {"text": "a cat"}


@pytest.mark.parametrize("content_type", ["application/json", PLAIN])
def test_a_secret_key_sends_at_most_a_mebibyte_unfolded(
    app_client: APIClient, asking: Project, content_type: str
) -> None:
    sizes = (1024**2 + 1, 100 * 1024**2, 400 * 1024**2)
    bodies = [gzip.compress(b" " * size, compresslevel=1) for size in sizes]
    assert len(bodies[1]) < 1024**2 < len(bodies[2]), "one is over the limit only when unfolded"
    tracemalloc.start()
    for packed in bodies:
        answer = send(app_client, packed, content_type, "gzip")
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024**2
    assert not AskDecision.objects.exists()


def test_a_publishable_key_sends_at_most_64_kib_unfolded(page: APIClient, settings: Settings) -> None:
    packed = gzip.compress(json.dumps({"key": "t-1", "question": "x" * settings.BROWSER_MAX_BODY_BYTES}).encode())
    assert len(packed) < 1_000
    answer = send(page, packed, encoding="gzip")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert not AskDecision.objects.exists()


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"no gzip", "gzip", 400, "invalid_gzip"),
        (gzip.compress(json.dumps(BODY).encode())[:-4], "gzip", 400, "invalid_gzip"),
        (gzip.compress(b"{"), "gzip", 400, "invalid_json"),
        (json.dumps(BODY).encode(), "br", 415, "unsupported_content_encoding"),
    ],
)
def test_a_body_that_cannot_be_unfolded_is_refused(
    app_client: APIClient, asking: Project, body: bytes, encoding: str, status: int, code: str
) -> None:
    answer = send(app_client, body, encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not AskDecision.objects.exists()


def test_a_form_of_another_site_cannot_ask_by_a_persons_session(asking: Project, owner: User) -> None:
    """Plain text is what a form may send without asking first; the session's own token is still needed."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = send(client, json.dumps(BODY).encode(), PLAIN)
    assert answer.status_code == 403
    assert not Item.objects.exists()
    assert not AskDecision.objects.exists()
