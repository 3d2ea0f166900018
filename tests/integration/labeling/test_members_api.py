"""Members over HTTP."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from labeling.errors import Conflict
from labeling.models import Membership, Project
from labeling.services import projects

URL = "/api/v1/projects/pets/members"


def roles(project: Project) -> dict[str, str]:
    return dict(Membership.objects.filter(project=project).values_list("user__username", "role"))


def test_an_owner_adds_changes_and_removes_a_member(owner_client: APIClient, project: Project, stranger: User) -> None:
    added = owner_client.post(URL, {"username": "stranger", "role": "annotator"}, format="json")
    assert (added.status_code, added.json()["role"]) == (200, "annotator")
    owner_client.post(URL, {"username": "stranger", "role": "reviewer"}, format="json")
    listed = owner_client.get(URL).json()["results"]
    assert {member["username"]: member["role"] for member in listed} == {"owner": "owner", "stranger": "reviewer"}
    assert owner_client.delete(f"{URL}/stranger").status_code == 204
    assert roles(project) == {"owner": "owner"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"username": "nobody", "role": "annotator"}, 404, "user_not_found"),
        ({"username": "annotator", "role": "king"}, 400, "invalid_input"),
        ({"username": "annotator"}, 400, "invalid_input"),
        ({"username": "owner", "role": "annotator"}, 409, "last_owner"),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    owner_client: APIClient, project: Project, annotator: User, body: dict[str, str], status: int, code: str
) -> None:
    before = roles(project)
    answer = owner_client.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert roles(project) == before


def test_the_last_owner_stays_until_there_is_another(owner_client: APIClient, project: Project, manager: User) -> None:
    answer = owner_client.delete(f"{URL}/owner")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert roles(project)["owner"] == "owner"
    owner_client.post(URL, {"username": "manager", "role": "owner"}, format="json")
    assert owner_client.delete(f"{URL}/owner").status_code == 204
    assert roles(project) == {"manager": "owner"}


def test_who_is_no_member_cannot_be_removed(owner_client: APIClient, project: Project, stranger: User) -> None:
    answer = owner_client.delete(f"{URL}/stranger")
    assert (answer.status_code, answer.json()["code"]) == (404, "member_not_found")


@pytest.mark.parametrize("role", ["manager", "reviewer", "annotator"])
def test_only_owners_change_members(api_client: APIClient, project: Project, stranger: User, role: str) -> None:
    member = User.objects.create_user("member")
    Membership.objects.create(project=project, user=member, role=role)
    api_client.force_login(member)
    assert api_client.post(URL, {"username": "stranger", "role": "owner"}, format="json").status_code == 403
    assert api_client.delete(f"{URL}/owner").status_code == 403
    assert api_client.get(URL).status_code == (403 if role == "annotator" else 200)
    assert roles(project) == {"owner": "owner", "member": role}


def test_a_secret_key_may_not_change_members(app_client: APIClient, project: Project, stranger: User) -> None:
    assert app_client.post(URL, {"username": "stranger", "role": "owner"}, format="json").status_code == 403
    assert roles(project) == {"owner": "owner"}


def test_a_stranger_finds_no_members(api_client: APIClient, project: Project, stranger: User) -> None:
    api_client.force_login(stranger)
    assert api_client.get(URL).status_code == 404
    assert api_client.delete(f"{URL}/owner").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_leave_at_once_do_not_both_leave(project: Project) -> None:
    second = User.objects.create_user("second")
    Membership.objects.create(project=project, user=second, role=Membership.Role.OWNER)
    refused: list[str] = []

    def leave(username: str) -> None:
        try:
            projects.remove_member(project, username=username, by=None)
        except Conflict as error:
            refused.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(username,)) for username in ("owner", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last_owner"]
    assert list(roles(project).values()) == ["owner"]


# -- skills --------------------------------------------------------------------------------------------------------


def skills(project: Project, username: str) -> list[str]:
    return Membership.objects.get(project=project, user__username=username).skills


def test_skills_are_set_kept_and_taken_away(owner_client: APIClient, project: Project, annotator: User) -> None:
    body = {"username": "annotator", "role": "annotator"}
    answer = owner_client.post(URL, body | {"skills": ["de", " law ", "de"]}, format="json")
    assert (answer.status_code, answer.json()["skills"]) == (200, ["de", "law"])
    assert owner_client.post(URL, body | {"role": "reviewer"}, format="json").json()["skills"] == ["de", "law"]
    listed = {member["username"]: member["skills"] for member in owner_client.get(URL).json()["results"]}
    assert listed == {"owner": [], "annotator": ["de", "law"]}
    assert owner_client.post(URL, body | {"skills": []}, format="json").json()["skills"] == []


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([""], "invalid_input"),
        (["x" * 101], "invalid_input"),
        ("de", "invalid_input"),
        (["a\nb"], "invalid_skills"),
        ([str(number) for number in range(101)], "invalid_skills"),
    ],
)
def test_skills_that_cannot_be_are_refused(
    owner_client: APIClient, project: Project, annotator: User, wanted: object, code: str
) -> None:
    body = {"username": "annotator", "role": "reviewer", "skills": wanted}
    answer = owner_client.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert skills(project, "annotator") == []
    assert roles(project)["annotator"] == "annotator"
