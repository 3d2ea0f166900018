"""Images: uploaded once, kept in the storage, shown to members only."""

import datetime as dt
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from moto.server import ThreadedMotoServer
from PIL import Image
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.errors import TooLarge
from labeling.models import MediaFile, Project
from labeling.services import media

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
URL = "/api/v1/projects/pets/media"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, settings: Settings) -> Path:
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    return tmp_path


def png(width: int = 4, height: int = 3, image_format: str = "PNG") -> BytesIO:
    content = BytesIO()
    Image.new("RGB", (width, height), "teal").save(content, image_format)
    content.seek(0)
    content.name = "teal.png"
    return content


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_an_uploaded_image_can_be_read_by_members_only(
    app_client: APIClient, annotator_client: APIClient, stranger: User, client: Client
) -> None:
    content = png().getvalue()
    uploaded = app_client.post(URL, {"file": png()}, format="multipart")
    assert uploaded.status_code == 201
    told = uploaded.json()
    assert (told["content_type"], told["width"], told["height"], told["size"]) == ("image/png", 4, 3, len(content))
    seen = annotator_client.get(told["url"])
    assert (seen.status_code, seen["Content-Type"], seen["X-Content-Type-Options"]) == (200, "image/png", "nosniff")
    assert "private" in seen["Cache-Control"]
    assert body(seen) == content
    assert body(app_client.get(told["url"])) == content
    assert client.get(told["url"]).status_code == 401
    client.force_login(stranger)
    assert client.get(told["url"]).status_code == 404


def test_the_same_bytes_are_stored_once(app_client: APIClient, project: Project, files: Path) -> None:
    first = app_client.post(URL, {"file": png()}, format="multipart").json()
    again = app_client.post(URL, {"file": png()}, format="multipart").json()
    assert first == again
    assert MediaFile.objects.filter(project=project).count() == 1
    assert len([path for path in files.rglob("*") if path.is_file()]) == 1
    assert [row["url"] for row in app_client.get(URL).json()["results"]] == [first["url"]]


def test_a_file_left_by_a_crash_is_taken_over_and_a_cut_one_replaced(project: Project, files: Path) -> None:
    stored = media.store(project, name="a.png", content=png(), by=None, now=NOW)
    stored.delete()
    (files / stored.stored_as).write_bytes(b"cut")
    again = media.store(project, name="a.png", content=png(), by=None, now=NOW)
    assert again.stored_as == stored.stored_as
    with media.opened(again) as file:
        assert file.read() == png().getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        png().getvalue()[:40],
        png(image_format="BMP").getvalue(),
    ],
    ids=["empty", "text", "svg", "truncated", "bmp"],
)
def test_what_is_no_image_is_refused(app_client: APIClient, files: Path, content: bytes) -> None:
    file = BytesIO(content)
    file.name = "image.png"
    response = app_client.post(URL, {"file": file}, format="multipart")
    assert response.status_code == 400
    assert response.json()["code"] in {"not_an_image", "invalid_input"}
    assert not MediaFile.objects.exists()
    assert not any(files.iterdir())


def test_large_files_and_large_pictures_are_refused(project: Project, settings: Settings, files: Path) -> None:
    settings.MEDIA_MAX_BYTES = 50
    with pytest.raises(TooLarge):
        media.store(project, name="a.png", content=png(), by=None, now=NOW)
    settings.MEDIA_MAX_BYTES, settings.MEDIA_MAX_PIXELS = 10_000, 11
    with pytest.raises(TooLarge):
        media.store(project, name="a.png", content=png(), by=None, now=NOW)
    assert not any(files.iterdir())


def test_upload_needs_the_right_and_a_file(annotator_client: APIClient, app_client: APIClient) -> None:
    assert annotator_client.post(URL, {"file": png()}, format="multipart").status_code == 403
    missing = app_client.post(URL, {"picture": png()}, format="multipart")
    assert (missing.status_code, missing.json()["fields"]) == (400, {"file": "missing"})
    assert app_client.post(URL, {"file": "x"}, format="json").status_code == 415
    assert not MediaFile.objects.exists()


def test_an_image_of_another_project_is_not_found(app_client: APIClient, project: Project) -> None:
    other = Project.objects.create(slug="other", name="Other")
    stored = media.store(other, name="a.png", content=png(), by=None, now=NOW)
    assert app_client.get(f"{URL}/{stored.sha256}").status_code == 404
    assert app_client.get(f"{URL}/{'0' * 64}").json()["code"] == "media_not_found"


def test_a_file_that_the_storage_lost_is_told(app_client: APIClient, project: Project, files: Path) -> None:
    stored = media.store(project, name="a.png", content=png(), by=None, now=NOW)
    (files / stored.stored_as).unlink()
    assert app_client.get(stored.url).status_code == 404


def test_pages_may_load_images_of_the_origins_the_project_allows(client: Client, owner: User, project: Project) -> None:
    client.force_login(owner)
    page = reverse("annotate", args=["pets"])
    assert "images.example.org" not in client.get(page)["Content-Security-Policy"]
    Project.objects.filter(pk=project.pk).update(image_origins=["https://images.example.org"])
    policy = client.get(page)["Content-Security-Policy"]
    (images,) = [part.split() for part in policy.split(";") if part.strip().startswith("img-src")]
    assert set(images) == {"img-src", "'self'", "data:", "https://images.example.org"}


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of an S3 server on this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="images")
    options = {"bucket_name": "images", "endpoint_url": url, "file_overwrite": False}
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options},
    }
    yield url
    server.stop()


def test_images_can_live_in_s3(bucket: str, app_client: APIClient, annotator_client: APIClient) -> None:
    told = app_client.post(URL, {"file": png()}, format="multipart").json()
    assert app_client.post(URL, {"file": png()}, format="multipart").json() == told
    objects = boto3.client("s3", endpoint_url=bucket).list_objects_v2(Bucket="images")["Contents"]
    assert [each["Size"] for each in objects] == [len(png().getvalue())]
    assert body(annotator_client.get(told["url"])) == png().getvalue()
    default_storage.delete(objects[0]["Key"])
    assert annotator_client.get(told["url"]).status_code == 404
