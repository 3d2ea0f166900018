"""Projects and label schemas over HTTP."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.errors import Conflict
from labeling.models import ApiKey, LabelSchema, Membership, Project
from labeling.services import api_keys, intake, projects
from tests.factories.labeling import item_row, model_version

URL = "/api/v1/projects"
DEFINITION = {"classes": [{"key": "spam", "title": "Spam"}, {"key": "ham"}], "guidelines": "Read it."}
NEW = {"slug": "mails", "name": "Mails", "definition": DEFINITION}


def test_a_person_creates_a_project_and_owns_it(api_client: APIClient, stranger: User) -> None:
    api_client.force_login(stranger)
    answer = api_client.post(URL, NEW | {"objective": "Sort mail."}, format="json")
    assert answer.status_code == 201, answer.content
    created = answer.json()
    assert (created["slug"], created["name"], created["objective"]) == ("mails", "Mails", "Sort mail.")
    assert created["is_paused"] is False
    assert created["champion"] is None
    assert created["label_schema"]["version"] == 1
    assert created["label_schema"]["definition"] == DEFINITION
    assert created["item_counts"] == {"available": 0, "queued": 0, "answered": 0, "unusable": 0}
    assert Membership.objects.get(project__slug="mails").role == Membership.Role.OWNER


def test_an_app_may_not_create_a_project(app_client: APIClient) -> None:
    answer = app_client.post(URL, NEW, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "person_required")
    assert not Project.objects.filter(slug="mails").exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"slug": "pets"}, 409, "slug_taken"),
        ({"slug": "not a slug"}, 400, "invalid_input"),
        ({"slug": "x" * 65}, 400, "invalid_input"),
        ({"name": ""}, 400, "invalid_input"),
        ({"name": "a\u0000b"}, 400, "nul_character"),
        ({"kind": "spans"}, 400, "invalid_input"),
        ({"definition": {"classes": [{"key": "one"}]}}, 400, "invalid_schema"),
        ({"definition": {"classes": [{"key": "a"}, {"key": "a"}]}}, 400, "invalid_schema"),
        ({"definition": {"classes": [{"key": "a"}, {"key": "b"}], "colour": "red"}}, 400, "invalid_schema"),
        ({"definition": "spam, ham"}, 400, "invalid_schema"),
        ({"definition": None}, 400, "invalid_input"),
    ],
)
def test_a_project_that_cannot_be_is_refused(
    owner_client: APIClient, project: Project, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = owner_client.post(URL, NEW | changes, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(Project.objects.all()) == [project]
    assert LabelSchema.objects.count() == 1


def test_people_see_their_own_projects(
    api_client: APIClient, project: Project, stranger: User, annotator: User, owner: User
) -> None:
    seen = {}
    for user in (stranger, annotator, owner):
        api_client.force_login(user)
        seen[user.username] = [found["slug"] for found in api_client.get(URL).json()["results"]]
    assert seen == {"stranger": ["other"], "annotator": ["pets"], "owner": ["pets"]}


def test_a_superuser_sees_all_projects(api_client: APIClient, project: Project, stranger: User) -> None:
    api_client.force_login(User.objects.create_superuser("root"))
    assert [found["slug"] for found in api_client.get(URL).json()["results"]] == ["pets", "other"]


def test_a_key_sees_its_project(app_client: APIClient, stranger: User) -> None:
    assert [found["slug"] for found in app_client.get(URL).json()["results"]] == ["pets"]


def test_a_publishable_key_sees_none(api_client: APIClient, project: Project, owner: User) -> None:
    created = api_keys.create(project, name="widget", kind=ApiKey.Kind.PUBLISHABLE, by=owner)
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {created.key}")
    for url in (URL, f"{URL}/pets", f"{URL}/pets/schemas", f"{URL}/pets/items"):
        answer = api_client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_the_detail_counts_items_and_names_the_champion(app_client: APIClient, project: Project) -> None:
    model_version(project, "m1")
    intake.record_items(project, [item_row("a"), item_row("b")])
    found = app_client.get(f"{URL}/pets").json()
    assert found["champion"] == "m1"
    assert found["item_counts"]["available"] == 2


def test_an_annotator_reads_the_project_but_does_not_change_it(annotator_client: APIClient, project: Project) -> None:
    assert annotator_client.get(f"{URL}/pets").status_code == 200
    answer = annotator_client.patch(f"{URL}/pets", {"name": "Mine"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    project.refresh_from_db()
    assert project.name == "Pets"


@pytest.mark.parametrize("method", ["get", "patch"])
def test_a_stranger_finds_no_project(api_client: APIClient, project: Project, stranger: User, method: str) -> None:
    api_client.force_login(stranger)
    answer = getattr(api_client, method)(f"{URL}/pets", {"name": "Mine"})
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    assert answer.json() | {"request_id": ""} == getattr(api_client, method)(f"{URL}/nothing").json() | {
        "request_id": ""
    }
    project.refresh_from_db()
    assert project.name == "Pets"


def test_a_manager_changes_name_objective_and_pause(api_client: APIClient, project: Project, manager: User) -> None:
    api_client.force_login(manager)
    changed = api_client.patch(f"{URL}/pets", {"name": "Animals", "is_paused": True}, format="json").json()
    assert (changed["name"], changed["objective"], changed["is_paused"]) == ("Animals", "Sort pet photos.", True)
    project.refresh_from_db()
    paused_at = project.queue_paused_at
    api_client.patch(f"{URL}/pets", {"is_paused": True, "objective": ""}, format="json")
    project.refresh_from_db()
    assert (project.queue_paused_at, project.objective) == (paused_at, "")
    assert api_client.patch(f"{URL}/pets", {"is_paused": False}, format="json").json()["is_paused"] is False
    project.refresh_from_db()
    assert project.is_queue_open


def test_a_new_schema_comes_into_force_and_the_same_again_does_not_count(
    owner_client: APIClient, project: Project
) -> None:
    first = owner_client.post(f"{URL}/pets/schemas", {"definition": DEFINITION}, format="json")
    again = owner_client.post(f"{URL}/pets/schemas", {"definition": DEFINITION}, format="json")
    assert first.status_code == 201
    assert first.json()["version"] == again.json()["version"] == 2
    versions = owner_client.get(f"{URL}/pets/schemas").json()["results"]
    assert [version["version"] for version in versions] == [1, 2]
    assert owner_client.get(f"{URL}/pets").json()["label_schema"]["definition"] == DEFINITION


def test_an_annotator_may_not_change_the_schema(annotator_client: APIClient, project: Project) -> None:
    answer = annotator_client.post(f"{URL}/pets/schemas", {"definition": DEFINITION}, format="json")
    assert answer.status_code == 403
    assert LabelSchema.objects.count() == 1


def test_the_service_refuses_what_the_database_would(owner: User, project: Project) -> None:
    with pytest.raises(Conflict) as caught:
        projects.create(slug="pets", name="Again", definition=DEFINITION, by=owner)
    assert caught.value.code == "slug_taken"
    assert Project.objects.count() == 1
