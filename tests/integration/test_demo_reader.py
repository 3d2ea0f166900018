"""The digit reader is there with its project and its key, and not without."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from feedbackproject import demo_reader
from labeling.models import ApiKey, Project, Question
from labeling.services import api_keys
from sampling.models import AskPolicy
from tests.factories import digits

URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def own_directory(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


@pytest.fixture
def reader(owner: User) -> Project:
    project = digits.project(owner, items=20)
    demo_reader.ensure(project, url=URL, by=owner)
    return project


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/demo/", "/demo/digits/"])
def test_without_the_demo_there_is_nothing(path: str, client: Client) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/demo/", "/demo/digits/"])
def test_a_project_of_the_same_name_is_not_the_demo(path: str, client: Client, owner: User) -> None:
    digits.project(owner, items=20)
    assert client.get(path).status_code == 404


def test_anybody_may_read_digits(client: Client, reader: Project) -> None:
    page = client.get("/demo/").content.decode()
    key = demo_reader.current()
    assert key is not None
    assert key.key.startswith("fb_pk_")
    assert key.key in page
    answered = client.get("/demo/digits/").json()["digits"]
    assert len({digit["key"] for digit in answered}) == 6
    for digit in answered:
        assert len(digit["pixels"]) == 8
        assert digit["answer"] in set("0123456789")
        assert 0.1 <= digit["confidence"] <= 1


def test_it_ends_with_its_key_or_its_project(client: Client, reader: Project) -> None:
    key = ApiKey.objects.get()
    assert api_keys.revoke(key, now=timezone.now())
    assert client.get("/demo/").status_code == 404
    ApiKey.objects.update(revoked_at=None)
    assert client.get("/demo/").status_code == 200
    reader.delete()
    assert client.get("/demo/").status_code == 404


def test_the_key_works_from_the_services_own_pages_only(reader: Project) -> None:
    key = ApiKey.objects.get()
    assert key.kind == ApiKey.Kind.PUBLISHABLE
    assert sorted(key.origins) == ["http://127.0.0.1:8000", "http://localhost:8000"]
    assert set(key.implicit_kinds) == set(demo_reader.IMPLICIT_KINDS)


def test_loading_again_adds_nothing_and_another_port_a_new_key(
    reader: Project, owner: User, tmp_path: Path, client: Client
) -> None:
    before = demo_reader.current(), Question.objects.count(), AskPolicy.objects.count(), ApiKey.objects.count()
    demo_reader.ensure(reader, url=URL, by=owner)
    after = demo_reader.current(), Question.objects.count(), AskPolicy.objects.count(), ApiKey.objects.count()
    assert after == before
    demo_reader.ensure(reader, url="http://127.0.0.1:8001", by=owner)
    moved = demo_reader.current()
    assert moved is not None
    assert moved != before[0]
    key = ApiKey.objects.get(revoked_at=None)
    assert {"http://127.0.0.1:8000", "http://localhost:8001"} <= set(key.origins)
    assert (tmp_path / "demo_reader.json").stat().st_mode & 0o777 == 0o600


def test_the_overview_of_the_demo_leads_there(client: Client, reader: Project, owner: User) -> None:
    client.force_login(owner)
    assert 'href="/demo/"' in client.get("/projects/digits/").content.decode()
    ApiKey.objects.update(revoked_at=timezone.now())
    assert 'href="/demo/"' not in client.get("/projects/digits/").content.decode()
