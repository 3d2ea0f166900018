"""Import jobs: rows in, errors named, interrupted and gone on with, twice without a change."""

import datetime as dt
import io
import json
import logging
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.errors import Conflict, InvalidInput
from labeling.locks import LockKind, held
from labeling.models import (
    Annotation,
    AnnotationTask,
    ImportJob,
    ImportRowError,
    Item,
    MediaFile,
    ModelVersion,
    PoolEntry,
    Prediction,
    Project,
)
from labeling.services import import_chunks, imports
from labeling.tasks import forget_import_files, run_import, sweep_imports
from tests.factories.imports import NOW, done, errors, figures, lines, made, named


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Settings) -> Path:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    return tmp_path


def contents() -> list[Any]:
    """Everything an import may write, but ids and its own job."""
    return [
        list(Item.objects.order_by("key").values_list("key", "payload", "segments", "created_at", "updated_at")),
        list(Prediction.objects.order_by("pk").values_list()),
        list(AnnotationTask.objects.order_by("pk").values_list()),
        list(Annotation.objects.order_by("pk").values_list()),
        list(PoolEntry.objects.order_by("pk").values_list("item_id", "state", "probabilities")),
        list(ModelVersion.objects.order_by("pk").values_list()),
    ]


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_become_items_with_labels_and_predictions(project: Project, owner: User) -> None:
    header = "key;text;segment.lang;prob.cat;prob.dog;prob.bird;label"
    content = f"{header}\na;one;de;0.7;0.2;0.1;cat\nb;two;en;0.1;0.8;0.1;\nc;drei;;;;;dog\n"
    job = done(project, content.encode(), "rows.csv", by=owner)
    assert (job.format, job.state, job.position) == ("csv", "succeeded", 3)
    assert figures(job) == {"created": 3, "annotation": 2}
    items = {item.key: item for item in Item.objects.all()}
    assert items["a"].payload == {"text": "one"}
    assert items["a"].segments == {"lang": "de"}
    assert Prediction.objects.get(item=items["b"]).predicted_class == "dog"
    assert not Prediction.objects.filter(item=items["c"]).exists()
    annotation = Annotation.objects.get(item=items["c"])
    assert (annotation.answer, annotation.annotator, annotation.import_key) == ({"choice": "dog"}, owner, "label")
    task = annotation.task
    assert (task.state, task.reason, task.answers_wanted, task.answers_count) == ("answered", "imported", 1, 1)
    states = dict(PoolEntry.objects.values_list("item__key", "state"))
    assert states == {"a": PoolEntry.State.ANSWERED, "b": PoolEntry.State.AVAILABLE, "c": PoolEntry.State.ANSWERED}


def test_importing_again_changes_nothing(project: Project, owner: User) -> None:
    content = lines(20, label="cat", prediction="dog", confidence=0.6) + b'{"text": "no key", "label": "bird"}\n' * 2
    first = done(project, content, by=owner)
    assert figures(first) == {"created": 21, "skipped": 1, "annotation": 21}
    before = contents()
    again = done(project, content, by=owner)
    assert figures(again) == {"skipped": 22}
    assert contents() == before


def test_existing_items_are_changed_or_refused_as_asked(project: Project, owner: User) -> None:
    done(project, lines(3), by=owner)
    changed = done(project, lines(3, start=1).replace(b"text ", b"new "), by=owner, on_conflict="update")
    assert figures(changed) == {"created": 1, "updated": 2}
    assert Item.objects.get(key="k2").payload == {"text": "new 2"}
    refused = done(project, lines(2), by=owner, on_conflict="error")
    assert errors(refused) == [(0, "k0", "already_exists"), (1, "k1", "already_exists")]


def test_bad_rows_are_named_and_the_others_kept(project: Project, owner: User) -> None:
    rows = [
        b'{"key": "a", "text": "good"}',
        b"{broken",
        b'{"key": "b", "text": "x", "label": "horse"}',
        b'{"key": "a", "text": "again", "label": "dog"}',
        b'{"key": "c", "text": "nul \\u0000"}',
        b'{"key": "d", "text": "x", "prob.cat": 0.5, "prob.dog": 0.1, "prob.bird": 0.1}',
        b'{"key": "e", "text": "good", "label": "cat"}',
    ]
    job = done(project, b"\n".join(rows), by=owner)
    assert errors(job) == [
        (1, "", "invalid_json"),
        (2, "b", "unknown_class"),
        (3, "a", "duplicate_key_in_request"),
        (4, "c", "nul_character"),
        (5, "d", "probabilities_do_not_sum_to_one"),
    ]
    assert figures(job) == {"created": 2, "failed": 5, "annotation": 1}
    assert sorted(Item.objects.values_list("key", flat=True)) == ["a", "e"]
    assert Annotation.objects.get().item.key == "e"


def test_listed_errors_are_bounded_and_all_are_counted(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chunks, "LISTED_ERRORS", 5)
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 4)
    job = done(project, b"{broken\n" * 11, by=owner)
    assert job.failed_count == 11
    assert [row for row, _, _ in errors(job)] == [0, 1, 2, 3, 4]


def test_predictions_alone_are_kept_for_items_that_exist(project: Project, owner: User) -> None:
    done(project, lines(2), by=owner)
    rows = [{"key": key, "model_version": "m1", "probabilities": [0.2, 0.3, 0.5]} for key in ("k0", "k1", "k9")]
    job = done(project, b"\n".join(json.dumps(row).encode() for row in rows), by=owner)
    assert figures(job) == {"created": 2, "failed": 1}
    assert errors(job) == [(2, "k9", "unknown_item")]
    assert Prediction.objects.count() == 2


def test_an_item_that_waits_in_the_queue_need_not_be_asked_any_more(project: Project, owner: User) -> None:
    done(project, lines(4), by=owner)
    entries = PoolEntry.objects.all()
    entries.update(state=PoolEntry.State.QUEUED)
    tasks = {
        item.key: AnnotationTask.objects.create(project=project, item=item, reason="uncertain")
        for item in Item.objects.all()
    }
    AnnotationTask.objects.filter(pk=tasks["k1"].pk).update(is_pinned=True)
    AnnotationTask.objects.filter(pk=tasks["k2"].pk).update(
        leased_to=owner, lease_expires_at=NOW + dt.timedelta(hours=1)
    )
    done(project, lines(3, label="cat"), by=owner)
    open_keys = set(AnnotationTask.objects.filter(state="open").values_list("item__key", flat=True))
    assert open_keys == {"k1", "k2", "k3"}
    states = dict(entries.values_list("item__key", "state"))
    queued, answered = PoolEntry.State.QUEUED, PoolEntry.State.ANSWERED
    assert states == {"k0": answered, "k1": queued, "k2": queued, "k3": queued}


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_folder_brings_class_names_and_images(project: Project, owner: User) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (4, 3), "teal").save(picture, "PNG")
    card = b"---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: ['cat', 'dog']\n---\n"
    rows = [
        {"file_name": "1.png", "label": 1},
        {"file_name": "missing.png", "label": 0},
        {"file_name": "broken.png", "label": 0},
    ]
    content = zipped(
        {
            "README.md": card,
            "train/metadata.jsonl": b"\n".join(json.dumps(row).encode() for row in rows),
            "train/1.png": picture.getvalue(),
            "train/broken.png": b"no image",
        }
    )
    job = done(project, content, "pets.zip", by=owner)
    assert [(row, code) for row, _, code in errors(job)] == [(1, "image_missing"), (2, "not_an_image")]
    item = Item.objects.get()
    media = MediaFile.objects.get()
    assert item.payload == {"image": media.url}
    assert item.segments == {"split": "train"}
    assert Annotation.objects.get().answer == {"choice": "dog"}
    before = contents()
    done(project, content, "pets.zip", by=owner)
    assert contents() == before


# -- files that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", b"", "empty_file"),
        ("a.csv", b"\n\n", "empty_file"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "unknown_format"),
        ("a.parquet", b"PAR1 and no more", "invalid_parquet"),
        ("a.zip", b"PK\x03\x04 and no more", "invalid_zip"),
        ("a.zip", zipped({"../a.jsonl": b"{}"}), "unsafe_path"),
        ("a.csv", "key,text".encode("utf-16"), "wrong_encoding"),
    ],
)
def test_files_that_cannot_be_read_are_refused_at_once(
    app_client: APIClient, files: Path, name: str, content: bytes, code: str
) -> None:
    answer = app_client.post("/api/v1/projects/pets/imports", {"file": named(content, name)}, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not ImportJob.objects.exists()
    assert not any(files.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "state", "kept"),
    [
        ("a.json", b'[{"id": 1, "data": {"text": "x"}}, {"id": 2, "da', "failed", 1),
        ("a.json", b"[]", "succeeded", 0),
        ("a.jsonl", b'{"text": "' + b"x" * 10_000_000, "succeeded", 0),
        ("a.csv", b"key,text\na," + b"x" * 10_000_000 + b"\nb,good\n", "succeeded", 1),
        ("a.csv", b"key,text\na,caf\xe9\nb,good\n", "succeeded", 1),
        ("a.zip", zipped({"notes.txt": b"hello"}), "failed", 0),
    ],
    ids=["truncated", "no tasks", "one line of 10 MB", "one cell of 10 MB", "wrong encoding", "no data"],
)
def test_files_that_break_off_keep_their_good_rows(
    project: Project, owner: User, name: str, content: bytes, state: str, kept: int
) -> None:
    job = done(project, content, name, by=owner)
    assert job.state == state
    assert bool(job.message) == (state == "failed")
    assert Item.objects.count() == kept == job.created_count
    assert job.failed_count == (0 if content in (b"[]",) or name == "a.zip" else 1)


def test_a_file_that_the_storage_lost_fails_the_job(project: Project, owner: User, files: Path) -> None:
    job = made(project, lines(1), by=owner)
    (files / job.stored_as).unlink()
    imports.execute(job.pk)
    job.refresh_from_db()
    assert job.state == "failed"
    assert "storage" in job.message


# -- interrupted -------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """As kill -9: nothing of ours catches it."""


@pytest.mark.parametrize("place", ["before the chunk", "in the chunk", "after its rows"])
def test_a_killed_import_goes_on_with_the_chunk_that_was_lost(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 10)
    job = made(project, lines(35, label="cat", prediction="dog") + b"{broken\n", by=owner)
    method = {
        "before the chunk": "_gather",
        "in the chunk": "_store_errors",
        "after its rows": "_advance",
    }[place]
    original = getattr(import_chunks.ChunkImporter, method)
    calls = 0

    def killing(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Killed
        return original(self, *args)

    monkeypatch.setattr(import_chunks.ChunkImporter, method, killing)
    with pytest.raises(Killed):
        imports.execute(job.pk)
    job.refresh_from_db()
    assert (job.state, job.position, job.created_count) == ("running", 20, 20)
    assert Item.objects.count() == Annotation.objects.count() == 20
    assert imports.unfinished_ids() == [job.pk]
    resumed = imports.execute(job.pk)
    assert resumed is not None
    assert (resumed.state, resumed.position) == ("succeeded", 36)
    assert figures(resumed) == {"created": 35, "failed": 1, "annotation": 35}
    assert Item.objects.count() == Annotation.objects.count() == Prediction.objects.count() == 35
    assert errors(resumed) == [(35, "", "invalid_json")]


def test_an_import_that_is_stopped_goes_on_where_it_was(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 10)
    job = made(project, lines(30), by=owner)
    turns = 0
    while (turned := imports.execute(job.pk, should_stop=lambda: True)) is not None and turned.finished_at is None:
        turns += 1
        assert turned.position == 10 * turns
    assert turns == 3
    job.refresh_from_db()
    assert (job.state, job.created_count, job.done_bytes) == ("succeeded", 30, job.total_bytes)


def test_an_import_that_always_dies_is_given_up(project: Project, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(self: Any, chunk: Any) -> None:
        raise Killed

    monkeypatch.setattr(import_chunks.ChunkImporter, "_record", dying)
    job = made(project, lines(3), by=owner)
    for _ in range(imports.MOST_ATTEMPTS):
        with pytest.raises(Killed):
            imports.execute(job.pk)
    assert imports.execute(job.pk) is None
    job.refresh_from_db()
    assert (job.state, job.created_count) == ("failed", 0)
    assert "Given up at row 0" in job.message


@pytest.mark.django_db(transaction=True)
def test_one_process_at_a_time_works_on_a_job(project: Project, owner: User) -> None:
    job = made(project, lines(3), by=owner)
    taken, finish = threading.Event(), threading.Event()

    def other_worker() -> None:
        with held(LockKind.IMPORT_JOB, job.pk):
            taken.set()
            finish.wait(30)
        connection.close()

    thread = threading.Thread(target=other_worker)
    thread.start()
    assert taken.wait(30)
    assert imports.execute(job.pk) is None
    assert not Item.objects.exists()
    finish.set()
    thread.join()
    assert imports.execute(job.pk) is not None
    assert Item.objects.count() == 3


def test_cancelling_stops_before_the_next_chunk(project: Project, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 10)
    job = made(project, lines(30), by=owner)

    def cancelling(running: ImportJob) -> None:
        imports.cancel(project, running.pk, now=NOW)

    stopped = imports.execute(job.pk, on_chunk=cancelling)
    assert stopped is not None
    assert (stopped.state, stopped.position, stopped.finished_at) == ("cancelled", 10, NOW)
    assert Item.objects.count() == 10
    with pytest.raises(Conflict):
        imports.cancel(project, job.pk, now=NOW)
    assert imports.execute(job.pk) is None
    again = imports.retry(project, job.pk)
    assert (again.state, again.position) == ("pending", 10)
    finished = imports.execute(job.pk)
    assert finished is not None
    assert (finished.state, finished.created_count, Item.objects.count()) == ("succeeded", 30, 30)
    with pytest.raises(Conflict):
        imports.retry(project, job.pk)


def test_failed_rows_can_be_tried_again(project: Project, owner: User) -> None:
    content = b'{"key": "a", "text": "x", "label": "horse"}\n{"key": "b", "text": "y"}\n'
    job = done(project, content, by=owner)
    assert figures(job) == {"created": 1, "failed": 1}
    classes = [{"key": key} for key in ("cat", "dog", "bird", "horse")]
    project.label_schemas.create(version=2, kind="single_choice", definition={"classes": classes})
    imports.retry(project, job.pk)
    assert not ImportRowError.objects.exists()
    again = imports.execute(job.pk)
    assert again is not None
    assert figures(again) == {"created": 1, "skipped": 1, "annotation": 1}


def test_files_of_old_imports_are_deleted(project: Project, owner: User, files: Path, settings: Settings) -> None:
    old, fresh = done(project, lines(1), by=owner), done(project, lines(1), by=owner)
    ImportJob.objects.filter(pk=old.pk).update(finished_at=NOW - dt.timedelta(days=settings.IMPORT_KEEP_DAYS + 1))
    ImportJob.objects.filter(pk=fresh.pk).update(finished_at=NOW)
    assert imports.forget_files(now=NOW) == 1
    old.refresh_from_db()
    assert old.stored_as == ""
    assert [str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()] == [fresh.stored_as]
    assert imports.forget_files(now=NOW) == 0


# -- the task ------------------------------------------------------------------------------------------------------------


def test_the_task_runs_an_import_and_the_sweep_finds_it(project: Project, owner: User) -> None:
    job = made(project, lines(3), by=owner)
    sweep_imports()
    run_import(job.pk)
    run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.created_count) == ("succeeded", 3)
    sweep_imports()
    forget_import_files()


def test_the_task_fails_an_import_that_breaks_in_an_unknown_way(
    project: Project, owner: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Any, chunk: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(import_chunks.ChunkImporter, "_record", broken)
    job = made(project, lines(3), by=owner)
    with caplog.at_level(logging.CRITICAL):
        run_import(job.pk)
    job.refresh_from_db()
    assert (job.state, job.message) == ("failed", "Unexpected error: surprise")


def test_the_format_can_be_said(project: Project, owner: User) -> None:
    content = b'{"id": 1, "data": {"text": "x"}}'
    job = imports.create(
        project, name="x.json", content=io.BytesIO(content), size=len(content), by=owner, now=NOW, file_format="jsonl"
    )
    assert job.format == "jsonl"
    with pytest.raises(InvalidInput):
        imports.create(project, name="x", content=io.BytesIO(content), size=1, by=owner, now=NOW, file_format="parquet")
