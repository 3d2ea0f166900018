"""Imports over the API and from the shell."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.errors import TooLarge
from labeling.models import ImportJob, Item, Project
from labeling.services import health, import_chunks
from labeling.tasks import run_import
from tests.factories.imports import lines, made, named

URL = "/api/v1/projects/pets/imports"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Settings) -> Path:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    return tmp_path


# -- the API -------------------------------------------------------------------------------------------------------------


def test_a_file_is_sent_watched_and_its_errors_downloaded(app_client: APIClient, project: Project) -> None:
    content = lines(2) + b'{"key": "bad", "text": "x", "label": "=horse"}\n'
    sent = app_client.post(URL, {"file": named(content), "options": '{"model_version": "m7"}'}, format="multipart")
    assert sent.status_code == 201
    told = sent.json()
    assert (told["state"], told["format"], told["progress"]) == ("pending", "jsonl", 0.0)
    assert told["options"] == {"model_version": "m7"}
    run_import(told["id"])
    told = app_client.get(f"{URL}/{told['id']}").json()
    assert (told["state"], told["progress"], told["rows"]) == ("succeeded", 1.0, 3)
    assert (told["created"], told["failed"], told["worker_alive"], told["notice"]) == (2, 1, True, "")
    assert told["rows_per_second"] > 0
    listed = app_client.get(URL).json()["results"]
    assert [each["id"] for each in listed] == [told["id"]]
    file: Any = app_client.get(f"{URL}/{told['id']}/errors.csv")
    text = b"".join(file.streaming_content).decode()
    assert file["Content-Type"].startswith("text/csv")
    assert text.splitlines()[0] == "row,key,code,message"
    assert text.splitlines()[1].startswith("2,bad,unknown_class,")
    assert app_client.post(f"{URL}/{told['id']}/cancel").status_code == 409
    assert app_client.post(f"{URL}/{told['id']}/retry").json()["state"] == "pending"
    assert app_client.post(f"{URL}/{told['id']}/cancel").json()["state"] == "cancelled"


def test_without_a_worker_the_import_says_so(app_client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_HEARTBEAT_KEY", "heartbeat-of-nobody")
    told = app_client.post(URL, {"file": named(lines(1))}, format="multipart").json()
    assert told["worker_alive"] is False
    assert "manage.py import" in told["notice"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_input"),
        ({"file": named(lines(1)), "format": "xml"}, "unknown_format"),
        ({"file": named(lines(1)), "options": "{"}, "invalid_options"),
        ({"file": named(lines(1)), "options": '{"kye": "id"}'}, "invalid_options"),
        ({"file": named(lines(1)), "options": "[1]"}, "invalid_options"),
    ],
)
def test_requests_that_say_nothing_are_refused(app_client: APIClient, form: dict[str, Any], code: str) -> None:
    if "file" in form:
        form["file"].seek(0)
    answer = app_client.post(URL, form, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not ImportJob.objects.exists()


def test_files_that_are_too_large_are_refused(project: Project, settings: Settings, app_client: APIClient) -> None:
    settings.IMPORT_MAX_BYTES = 10
    assert app_client.post(URL, {"file": named(lines(2))}, format="multipart").json()["code"] == "file_too_large"
    with pytest.raises(TooLarge):
        made(project, lines(2))
    assert not ImportJob.objects.exists()


def test_who_may_do_what(
    api_client: APIClient, annotator: User, reviewer: User, stranger: User, manager: User, app_client: APIClient
) -> None:
    job_id = app_client.post(URL, {"file": named(lines(1))}, format="multipart").json()["id"]
    expected = {stranger: (404, 404), annotator: (403, 403), reviewer: (200, 403), manager: (200, 200)}
    for user, (reading, changing) in expected.items():
        api_client.force_login(user)
        assert api_client.get(URL).status_code == reading
        assert api_client.get(f"{URL}/{job_id}").status_code == reading
        assert api_client.get(f"{URL}/{job_id}/errors.csv").status_code == reading
        assert api_client.post(f"{URL}/{job_id}/cancel").status_code == changing
    api_client.force_login(reviewer)
    assert api_client.post(URL, {"file": named(lines(1))}, format="multipart").status_code == 403
    assert ImportJob.objects.count() == 1


def test_an_import_of_another_project_is_not_found(app_client: APIClient, stranger: User) -> None:
    other = Project.objects.get(slug="other")
    job = ImportJob.objects.create(project=other, format="csv", file_name="a", stored_as="a")
    for path in ("", "/errors.csv"):
        assert app_client.get(f"{URL}/{job.pk}{path}").status_code == 404
    assert app_client.post(f"{URL}/{job.pk}/cancel").json()["code"] == "import_not_found"


# -- the shell -----------------------------------------------------------------------------------------------------------


def shell(*arguments: str) -> str:
    out = io.StringIO()
    call_command("import", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_shell_imports_without_a_worker(project: Project, owner: User, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,text,class\n1,one,cat\n2,two,\n")
    told = shell("pets", str(path), "--key", "id", "--label", "class", "--user", "owner")
    assert "100%" in told
    assert "2 new" in told
    assert "1 annotations" in told
    assert sorted(Item.objects.values_list("key", flat=True)) == ["1", "2"]
    told = shell("pets", str(path), "--key", "id", "--label", "class", "--on-conflict", "update")
    assert "2 changed" in told


def test_the_shell_names_failed_rows_and_ends_with_an_error(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(1) + b"{broken\n" * 12)
    out = io.StringIO()
    with pytest.raises(CommandError, match="12 rows failed"):
        call_command("import", "pets", str(path), stdout=out, stderr=out)
    assert "row 1: invalid_json" in out.getvalue()
    assert "... and more" in out.getvalue()
    assert Item.objects.count() == 1


def test_the_shell_goes_on_with_an_import(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(30))
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 10)

    def interrupting(self: Any, job: ImportJob) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("labeling.management.commands.import.Command._show", interrupting)
        with pytest.raises(CommandError, match="--resume"):
            shell("pets", str(path))
    job = ImportJob.objects.get()
    assert (job.state, job.position) == ("running", 10)
    assert "30 new" in shell("pets", "--resume", str(job.pk))


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere", "rows.jsonl"),
        ("pets", "missing.jsonl"),
        ("pets", __file__, "--format", "parquet"),
        ("pets", __file__, "--options", "{"),
        ("pets", __file__, "--user", "nobody"),
        ("pets", "--resume", "999"),
    ],
)
def test_the_shell_says_what_is_wrong(project: Project, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        shell(*arguments)
    assert not ImportJob.objects.exists()
