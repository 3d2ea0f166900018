"""Projects and label schemas over HTTP."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from labeling.errors import Conflict, DomainError
from labeling.models import ApiKey, LabelSchema, Membership, Project
from labeling.schema import KINDS
from labeling.services import api_keys, intake, projects
from tests.factories import datasets as factory
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
        ({"kind": "telepathy"}, 400, "invalid_input"),
        ({"kind": "numeric"}, 400, "invalid_schema"),
        ({"definition": DEFINITION | {"kind": "telepathy"}}, 400, "invalid_schema"),
        ({"kind": "rating", "definition": {"kind": "numeric", "minimum": 0, "maximum": 1}}, 400, "invalid_schema"),
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
    page = "https://app.example.org"
    created = api_keys.create(project, name="widget", kind=ApiKey.Kind.PUBLISHABLE, origins=[page], by=owner)
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {created.key}", HTTP_ORIGIN=page)
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


# -- task types ----------------------------------------------------------------------------------------------------

BY_KIND: dict[str, dict[str, Any]] = {
    "single_choice": DEFINITION,
    "multi_label": DEFINITION | {"min_choices": 1, "max_choices": 2},
    "rating": {"minimum": 0, "maximum": 10, "minimum_title": "awful"},
    "text_correction": {"source": "draft"},
    "preference": {"a": "left", "b": "right", "allows_tie": False},
    "spans": DEFINITION | {"field": "body", "allows_overlap": True},
    "numeric": {"minimum": -1.5, "maximum": 2.0, "unit": "EUR", "step": 0.5},
    "boxes": DEFINITION | {"field": "photo"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_of_every_kind_is_created(owner_client: APIClient, kind: str) -> None:
    body = NEW | {"kind": kind, "definition": BY_KIND[kind]}
    answer = owner_client.post(URL, body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["label_schema"]["kind"] == kind
    assert answer.json()["label_schema"]["definition"] == BY_KIND[kind]
    again = owner_client.post(f"{URL}/mails/schemas", {"definition": BY_KIND[kind]}, format="json")
    assert (again.status_code, again.json()["version"]) == (201, 1)


def test_the_kind_may_stand_in_the_definition(owner_client: APIClient) -> None:
    body = NEW | {"definition": {"kind": "rating", "maximum": 3}}
    schema = owner_client.post(URL, body, format="json").json()["label_schema"]
    assert (schema["kind"], schema["definition"]) == ("rating", {"maximum": 3})


def test_the_kind_changes_while_nothing_was_said_in_it(owner_client: APIClient, project: Project) -> None:
    answer = owner_client.post(f"{URL}/pets/schemas", {"kind": "rating", "definition": {}}, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (201, "rating")


@pytest.mark.parametrize("said", ["annotation", "model version"])
def test_the_kind_stays_once_something_was_said_in_it(
    owner_client: APIClient, project: Project, owner: User, said: str
) -> None:
    if said == "annotation":
        factory.annotation(factory.item(project, "a"), owner, "cat")
    else:
        model_version(project)
    answer = owner_client.post(f"{URL}/pets/schemas", {"kind": "rating", "definition": {}}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "schema_kind_fixed")
    assert LabelSchema.objects.filter(project=project).count() == 1
    same = owner_client.post(f"{URL}/pets/schemas", {"definition": DEFINITION}, format="json")
    assert (same.status_code, same.json()["version"]) == (201, 2)


# -- how a project is labelled -------------------------------------------------------------------------------------


def test_a_manager_says_how_the_project_is_labelled(api_client: APIClient, project: Project, manager: User) -> None:
    api_client.force_login(manager)
    before = api_client.get(f"{URL}/pets").json()
    assert (before["shows_suggestions"], before["skill_segment"], before["image_origins"]) == (True, "", [])
    wanted = {
        "shows_suggestions": False,
        "blind_share": 0.25,
        "skill_segment": "language",
        "image_origins": ["https://Images.example.org/", "http://localhost:9000", "https://images.example.org"],
    }
    changed = api_client.patch(f"{URL}/pets", wanted, format="json").json()
    expected = wanted | {"image_origins": ["https://images.example.org", "http://localhost:9000"]}
    assert {name: changed[name] for name in wanted} == expected
    api_client.patch(f"{URL}/pets", {"name": "Animals"}, format="json")
    project.refresh_from_db()
    assert {name: getattr(project, name) for name in wanted} == expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        *[
            ({"image_origins": [origin]}, "invalid_image_origin")
            for origin in (
                "http://images.example.org", "http://localhost.example.org", "ftp://localhost", "https://", "*", "https:",
                "https://*.example.org", "https://example.org/path", "https://example.org?x", "https://me@example.org",
                "https://example.org; script-src *", "https://example.org https://b.org", "https://example.org:0",
                "https://example.org:65536", "https://exämple.org", "'self'", "data:", "https://-a.org", "https://a..org",
            )
        ],
        ({"image_origins": [""]}, "invalid_input"),
        ({"image_origins": "https://example.org"}, "invalid_input"),
        ({"image_origins": [f"https://h{number}.example.org" for number in range(21)]}, "invalid_image_origin"),
        ({"skill_segment": "x" * 101}, "invalid_input"),
        ({"shows_suggestions": "perhaps"}, "invalid_input"),
        ({"blind_share": 1.5}, "invalid_input"),
        ({"blind_share": "nan"}, "invalid_input"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(
    owner_client: APIClient, project: Project, changes: dict[str, Any], code: str
) -> None:
    answer = owner_client.patch(f"{URL}/pets", changes | {"name": "Changed"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    project.refresh_from_db()
    assert (project.name, project.image_origins, project.skill_segment) == ("Pets", [], "")


@pytest.mark.django_db(transaction=True)
def test_a_kind_and_a_model_version_that_arrive_at_once_agree(project: Project) -> None:
    outcomes: dict[str, str] = {}
    begin = threading.Barrier(2)

    def attempt(name: str, call: Callable[[], object]) -> None:
        begin.wait()
        try:
            call()
            outcomes[name] = "done"
        except DomainError as error:
            outcomes[name] = error.code
        finally:
            connection.close()

    calls: dict[str, Callable[[], object]] = {
        "kind": lambda: projects.new_schema_version(project, kind="rating", definition={}, by=None),
        "version": lambda: model_version(project),
    }
    threads = [threading.Thread(target=attempt, args=pair) for pair in calls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes in (
        {"kind": "done", "version": "unknown_class"},
        {"kind": "schema_kind_fixed", "version": "done"},
    )
