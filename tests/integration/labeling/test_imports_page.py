"""The page of imports: sending, seeing first, watching, cancelling, repeating."""

import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from labeling.models import ImportJob, Item, Project
from labeling.services import health, imports

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
PAGE = "/projects/pets/imports/"
ROWS = b'{"key": "a", "text": "<b>one</b>", "label": "cat"}\n{"key": "b", "text": "two", "label": "horse"}\n'


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Settings) -> None:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": options}


@pytest.fixture
def page(client: Client, manager: User) -> Client:
    client.force_login(manager)
    return client


def form(content: bytes = ROWS, name: str = "rows.jsonl", **others: str) -> dict[str, Any]:
    file = io.BytesIO(content)
    file.name = name
    return {"file": file, "label": "label", "on_conflict": "skip", **others}


def test_the_empty_page_says_how_to_begin(page: Client, project: Project) -> None:
    text = page.get(PAGE).content.decode()
    assert "No file yet" in text
    assert "/api/v1/projects/pets/imports" in text
    assert "manage.py import pets" in text
    assert "hx-get" not in text


def test_a_file_is_sent_watched_and_repeated(page: Client, manager: User) -> None:
    sent = page.post(PAGE, form(options='{"segments": []}'), follow=True)
    assert "It is imported in the background" in sent.content.decode()
    job = ImportJob.objects.get()
    assert (job.created_by, job.state) == (manager, "pending")
    running = page.get(PAGE, headers={"HX-Request": "true"}).content.decode()
    assert 'hx-trigger="every 1s"' in running
    assert "<html" not in running
    imports.execute(job.pk)
    done = page.get(PAGE).content.decode()
    assert "every 1s" not in done
    assert f"/api/v1/projects/pets/imports/{job.pk}/errors.csv" in done
    assert "1 failed" in done
    page.post(PAGE, {"action": "retry", "job": str(job.pk)})
    job.refresh_from_db()
    assert job.state == "pending"
    page.post(PAGE, {"action": "cancel", "job": str(job.pk)})
    job.refresh_from_db()
    assert job.state == "cancelled"
    assert page.post(PAGE, {"action": "cancel", "job": str(job.pk)}).status_code == 409
    assert page.post(PAGE, {"action": "cancel", "job": "x"}).status_code == 404


def test_the_page_says_when_no_worker_is_alive(page: Client, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_HEARTBEAT_KEY", "heartbeat-of-nobody")
    page.post(PAGE, form())
    text = page.get(PAGE).content.decode()
    assert "No worker is alive" in text


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"content": b"", "name": "a.jsonl"}, "empty"),
        ({"content": b"\x89PNG", "name": "a.png"}, "none of"),
        ({"options": "{"}, "no JSON object"),
        ({"options": '{"kye": "x"}'}, "kye"),
        ({"on_conflict": "merge"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_imported_is_said_at_the_form(page: Client, others: dict[str, Any], said: str) -> None:
    answer = page.post(PAGE, form(**others))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not ImportJob.objects.exists()


def test_the_preview_shows_what_rows_become_and_stores_nothing(page: Client) -> None:
    text = page.post(f"{PAGE}preview/", form()).content.decode()
    assert "JSON lines" in text
    assert "&lt;b&gt;one&lt;/b&gt;" in text
    assert "refused" in text
    assert "horse" in text
    assert not Item.objects.exists()
    assert not ImportJob.objects.exists()
    assert "<html" not in text


@pytest.mark.parametrize(
    ("content", "name", "cut", "rows"),
    [
        (b'{"key": "a", "text": "x"}\n{"key": "b", "te', "rows.jsonl", "1", 1),
        (b'[{"id": 1, "data": {"text": "x"}}, {"id": 2, "da', "rows.json", "1", 1),
        (b"key,text\na,x\nb,y\nc,", "rows.csv", "1", 2),
        (b"key,text\na,x\n", "rows.csv", "0", 1),
    ],
)
def test_the_preview_knows_that_the_file_goes_on(page: Client, content: bytes, name: str, cut: str, rows: int) -> None:
    text = page.post(f"{PAGE}preview/", form(content, name, is_cut=cut)).content.decode()
    assert text.count("<li ") == rows
    assert "refused" not in text


@pytest.mark.parametrize("broken", [{"content": b""}, {"options": "{"}, {"options": '{"kye": 1}'}])
def test_the_preview_says_what_is_wrong(page: Client, broken: dict[str, Any]) -> None:
    answer = page.post(f"{PAGE}preview/", form(**broken))
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert page.post(f"{PAGE}preview/", {}).status_code == 200


def test_who_sees_the_page(
    client: Client, owner: User, manager: User, reviewer: User, annotator: User, stranger: User
) -> None:
    for user, status in {owner: 200, manager: 200, reviewer: 403, annotator: 403, stranger: 404}.items():
        client.force_login(user)
        assert client.get(PAGE).status_code == status
        if status != 200:
            assert client.post(PAGE, form()).status_code == status
            assert client.post(f"{PAGE}preview/", form()).status_code == status
    assert not ImportJob.objects.exists()
