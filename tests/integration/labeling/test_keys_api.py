"""API keys over HTTP."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import ApiKey, Membership, Project
from labeling.services import api_keys
from tests.factories.labeling import other_project

URL = "/api/v1/projects/pets/keys"


def test_a_key_is_shown_once_and_opens_the_project(owner_client: APIClient, project: Project) -> None:
    created = owner_client.post(URL, {"name": "app", "kind": "secret"}, format="json")
    assert created.status_code == 201
    assert created["Cache-Control"] == "no-store"
    key = created.json()["key"]
    assert key.startswith(created.json()["prefix"])
    listed = owner_client.get(URL)
    assert key not in listed.content.decode()
    assert [(found["name"], found["revoked_at"]) for found in listed.json()["results"]] == [("app", None)]
    assert not ApiKey.objects.filter(key_hash=key).exists()
    app = APIClient()
    app.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert app.get("/api/v1/projects/pets").status_code == 200
    assert owner_client.get(URL).json()["results"][0]["last_used_at"] is not None


def test_a_revoked_key_opens_nothing(owner_client: APIClient, app_client: APIClient, project: Project) -> None:
    key = ApiKey.objects.get()
    assert owner_client.delete(f"{URL}/{key.pk}").status_code == 204
    key.refresh_from_db()
    revoked_at = key.revoked_at
    assert revoked_at is not None
    answer = app_client.get("/api/v1/projects/pets")
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked_api_key")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert owner_client.delete(f"{URL}/{key.pk}").status_code == 204
    key.refresh_from_db()
    assert key.revoked_at == revoked_at


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "a", "kind": "master"}])
def test_a_key_that_cannot_be_is_refused(owner_client: APIClient, project: Project, body: dict[str, str]) -> None:
    answer = owner_client.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert not ApiKey.objects.exists()


def test_a_key_of_another_project_is_not_found(owner_client: APIClient, project: Project) -> None:
    theirs = api_keys.create(other_project(), name="app", kind=ApiKey.Kind.SECRET, by=None).api_key
    answer = owner_client.delete(f"{URL}/{theirs.pk}")
    assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


@pytest.mark.parametrize("role", ["manager", "reviewer", "annotator"])
def test_only_owners_handle_keys(api_client: APIClient, project: Project, role: str) -> None:
    member = User.objects.create_user("member")
    Membership.objects.create(project=project, user=member, role=role)
    api_client.force_login(member)
    assert api_client.get(URL).status_code == 403
    assert api_client.post(URL, {"name": "app"}, format="json").status_code == 403
    assert not ApiKey.objects.exists()


def test_a_key_makes_no_keys(app_client: APIClient) -> None:
    assert app_client.get(URL).status_code == 403
    assert app_client.post(URL, {"name": "app"}, format="json").status_code == 403
    assert ApiKey.objects.count() == 1


def test_a_stranger_finds_no_keys(api_client: APIClient, project: Project, stranger: User) -> None:
    api_client.force_login(stranger)
    assert api_client.get(URL).status_code == 404
    assert api_client.post(URL, {"name": "app"}, format="json").status_code == 404
    assert not ApiKey.objects.exists()
