"""Requests that carry an Idempotency-Key."""

import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from labeling import locks
from labeling.errors import Conflict
from labeling.locks import LockKind
from labeling.models import IdempotentRequest, Item, Project
from labeling.services import idempotency
from labeling.tasks import forget_idempotency_keys
from tests.factories.labeling import item_row, model_version, ndjson, other_project, prediction_row

URL = "/api/v1/projects/pets/items"


def send(
    client: APIClient, rows: Any, key: str = "k1", *, url: str = URL, content_type: str = "application/json"
) -> Any:
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return client.post(url, raw, content_type=content_type, HTTP_IDEMPOTENCY_KEY=key)


def test_a_retry_gets_the_stored_answer_and_changes_nothing(app_client: APIClient) -> None:
    rows = [item_row("a"), {"key": "b"}]
    first = send(app_client, rows)
    Item.objects.all().delete()
    again = send(app_client, rows)
    assert (again.status_code, again.json()) == (207, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert not Item.objects.exists()


def test_a_stream_is_replayed_too(app_client: APIClient) -> None:
    body = ndjson([item_row(str(number)) for number in range(50)])
    first = send(app_client, body, content_type="application/x-ndjson")
    again = send(app_client, body, content_type="application/x-ndjson")
    assert first.json() == again.json()
    assert Item.objects.count() == 50


@pytest.mark.parametrize(
    ("url", "rows"),
    [(URL, [item_row("b")]), (f"{URL}?on_conflict=update", [item_row("a")]), (f"{URL}?results=errors", [])],
)
def test_another_request_under_the_same_key_is_refused(app_client: APIClient, url: str, rows: Any) -> None:
    send(app_client, [item_row("a")])
    answer = send(app_client, rows, url=url)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Item.objects.get().key == "a"
    assert IdempotentRequest.objects.count() == 1


def test_keys_are_apart_by_project_and_endpoint(app_client: APIClient, project: Project) -> None:
    model_version(project)
    with idempotency.claimed(other_project(), endpoint="items", key="k1") as claim:
        claim.keep_answer("", idempotency.StoredAnswer(200, {}))
    assert send(app_client, [item_row("a")]).json()["created"] == 1
    assert send(app_client, [prediction_row("a")], url=URL.replace("items", "predictions")).json()["created"] == 1


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there", "né"])
def test_a_key_must_be_short_and_visible(app_client: APIClient, key: str) -> None:
    answer = send(app_client, [item_row("a")], key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    assert not Item.objects.exists()


def test_a_body_of_unknown_length_cannot_have_a_key(app_client: Any) -> None:
    stream = {"wsgi.input": io.BytesIO(ndjson([item_row("a")])), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answer = app_client.generic("POST", URL, b"", "application/x-ndjson", HTTP_IDEMPOTENCY_KEY="k", **stream)
    assert (answer.status_code, answer.json()["code"]) == (400, "length_required")
    assert not Item.objects.exists()


def test_a_request_that_failed_as_a_whole_leaves_its_key_free(app_client: APIClient) -> None:
    assert send(app_client, b"{broken").status_code == 400
    assert not IdempotentRequest.objects.exists()
    assert send(app_client, [item_row("a")]).json()["created"] == 1


def test_a_failed_row_with_nul_can_be_stored_in_the_answer(app_client: APIClient) -> None:
    rows = b'[{"key":"a\\u0000","payload":{}},{"key":"a","payload":{},"x\\u0000":1}]'
    answers = [send(app_client, rows) for _ in range(2)]
    assert [row["code"] for row in answers[1].json()["results"]] == ["nul_character", "unknown_field"]
    assert answers[0].json() == answers[1].json()


@pytest.mark.django_db(transaction=True)
def test_a_request_in_flight_is_not_done_twice(app_client: APIClient, project: Project) -> None:
    entered, done = threading.Event(), threading.Event()

    def first() -> None:
        with idempotency.claimed(project, endpoint="items", key="k1"):
            entered.set()
            done.wait(timeout=30)
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(timeout=30)
    answer = send(app_client, [item_row("a")])
    done.set()
    thread.join()
    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_flight")
    assert not Item.objects.exists()
    assert send(app_client, [item_row("a")]).json()["created"] == 1  # the first one left no answer


KILLED = """
import os, signal, django
django.setup()
from labeling.models import Project
from labeling.services import idempotency
with idempotency.claimed(Project.objects.get(slug="pets"), endpoint="items", key="k1"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_request_does_not_block_its_key(app_client: APIClient, project: Project) -> None:
    settings = connection.settings_dict
    url = f"postgresql://{settings['USER']}@{settings['HOST'].replace('/', '%2F')}/{settings['NAME']}"
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.test"}
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert IdempotentRequest.objects.get().status is None
    assert send(app_client, [item_row("a")]).json()["created"] == 1
    assert IdempotentRequest.objects.get().status == 200


@pytest.mark.django_db(transaction=True)
def test_old_answers_are_forgotten_but_not_what_is_in_flight(project: Project) -> None:
    now = timezone.now()
    old = now - dt.timedelta(hours=25)
    make = IdempotentRequest.objects.create
    make(project=project, endpoint="items", key="old", status=200, response={}, created_at=old)
    make(project=project, endpoint="items", key="died", created_at=old)
    flying = make(project=project, endpoint="items", key="in flight", created_at=old)
    make(project=project, endpoint="items", key="young", status=200, response={}, created_at=now)
    entered, done = threading.Event(), threading.Event()

    def fly() -> None:
        with locks.held(LockKind.IDEMPOTENT_REQUEST, flying.pk):
            entered.set()
            done.wait(timeout=30)
        connection.close()

    thread = threading.Thread(target=fly)
    thread.start()
    entered.wait(timeout=30)
    forgotten = idempotency.forget_old(now=now)
    done.set()
    thread.join()
    assert forgotten == 2
    assert set(IdempotentRequest.objects.values_list("key", flat=True)) == {"in flight", "young"}
    forget_idempotency_keys()
    assert IdempotentRequest.objects.get().key == "young"


def test_only_one_of_two_claims_at_once_is_granted(project: Project) -> None:
    with idempotency.claimed(project, endpoint="items", key="k") as claim:
        assert not claim.is_answered
    with pytest.raises(Conflict), idempotency.claimed(project, endpoint="items", key="k"):
        raise Conflict("what the block raises comes out", code="x")
    assert not IdempotentRequest.objects.exists()
