"""Bulk actions of managers, and annotators' histories, edits, drafts and heartbeats over HTTP."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import Annotation, AnnotationTask, Project
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

URL = "/api/v1/projects/pets"
CAT, DOG = {"choice": "cat"}, {"choice": "dog"}


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def bulk(client: APIClient, **body: Any) -> Any:
    return client.post(f"{URL}/tasks/bulk", body, format="json")


def answered(client: APIClient, answer: dict[str, str] = CAT) -> int:
    task = client.post(f"{URL}/tasks/next", {}, format="json").json()["tasks"][0]
    response = client.post(f"{URL}/tasks/{task['id']}/submit", {"answer": answer}, format="json")
    assert response.status_code == 201
    annotation_id: int = response.json()["annotation_id"]
    return annotation_id


def test_tasks_are_named_by_id_or_by_the_keys_of_their_items(owner_client: APIClient, project: Project) -> None:
    first, second = make.queue(project, 2)
    assert bulk(owner_client, action="pin", task_ids=[first.pk]).json() == {"changed": 1, "refused": []}
    response = bulk(owner_client, action="boost", item_keys=[second.item.key, "unknown"], value=3)
    assert response.json()["changed"] == 1
    assert [(each["key"], each["code"]) for each in response.json()["refused"]] == [("unknown", "item_not_found")]
    assert list(AnnotationTask.objects.order_by("pk").values_list("is_pinned", "boost")) == [(True, 0.0), (False, 3.0)]


@pytest.mark.parametrize(
    ("action", "value", "field", "stored"),
    [
        ("due", "2026-05-04T12:00:00Z", "due_at", dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)),
        ("skill", "german", "required_skill", "german"),
        ("answers", 3, "answers_wanted", 3),
    ],
)
def test_an_action_takes_its_value(
    owner_client: APIClient, project: Project, action: str, value: Any, field: str, stored: Any
) -> None:
    (task,) = make.queue(project, 1)
    assert bulk(owner_client, action=action, task_ids=[task.pk], value=value).json()["changed"] == 1
    task.refresh_from_db()
    assert getattr(task, field) == stored


def test_assigning_and_requeueing_name_people(owner_client: APIClient, project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    assert bulk(owner_client, action="assign", task_ids=[task.pk], value="annotator").json()["changed"] == 1
    task.refresh_from_db()
    assert task.assigned_to == annotator
    (listed,) = owner_client.get(f"{URL}/tasks").json()["results"]
    assert listed["assigned_to"] == "annotator"
    assert bulk(owner_client, action="unassign", task_ids=[task.pk]).json()["changed"] == 1
    answered(client_of(annotator))
    requeued = bulk(owner_client, action="requeue", item_keys=[task.item.key], value="owner", answers_wanted=2)
    assert requeued.json() == {"changed": 1, "refused": []}
    again = AnnotationTask.objects.get(state="open")
    assert (again.reason, again.answers_wanted, str(again.assigned_to)) == ("relabel", 2, "owner")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "explode", "task_ids": [1]}, "invalid_input"),
        ({"action": "pin"}, "invalid_input"),
        ({"action": "pin", "task_ids": [1], "item_keys": ["a"]}, "invalid_input"),
        ({"action": "boost", "task_ids": [1], "value": "much"}, "invalid_value"),
        ({"action": "boost", "task_ids": [1], "value": 5000}, "invalid_boost"),
        ({"action": "due", "task_ids": [1], "value": "tomorrow"}, "invalid_value"),
        ({"action": "due", "task_ids": [1], "value": "2026-05-04T12:00:00"}, "invalid_value"),
        ({"action": "assign", "task_ids": [1], "value": "nobody"}, "invalid_value"),
        ({"action": "assign", "task_ids": [1], "value": "stranger"}, "not_an_annotator"),
        ({"action": "answers", "task_ids": [1], "value": True}, "invalid_value"),
    ],
)
def test_a_request_that_makes_no_sense_changes_nothing(
    owner_client: APIClient, project: Project, stranger: User, body: dict[str, Any], code: str
) -> None:
    make.queue(project, 1)
    before = list(AnnotationTask.objects.values())
    response = bulk(owner_client, **body)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert list(AnnotationTask.objects.values()) == before


def test_bulk_actions_are_for_managers(
    project: Project, annotator: User, reviewer: User, manager: User, stranger: User
) -> None:
    (task,) = make.queue(project, 1)
    for person, status in ((annotator, 403), (reviewer, 403), (stranger, 404), (manager, 200)):
        assert bulk(client_of(person), action="pin", task_ids=[task.pk]).status_code == status
        task.refresh_from_db()
        assert task.is_pinned == (status == 200)


def test_the_history_shows_ones_own_answers_newest_first(
    annotator_client: APIClient, project: Project, reviewer: User
) -> None:
    make.queue(project, 3)
    first, second = answered(annotator_client), answered(annotator_client, DOG)
    answered(client_of(reviewer))
    response = annotator_client.post(f"{URL}/annotations/{first}/edit", {"answer": DOG, "comment": "oh"}, format="json")
    assert response.status_code == 201
    new = response.json()["annotation_id"]
    rows = annotator_client.get(f"{URL}/tasks/history").json()["results"]
    assert [row["id"] for row in rows] == [new, second, first]
    assert [row["is_standing"] for row in rows] == [True, True, False]
    assert rows[2]["superseded_by"] == new
    assert (rows[0]["comment"], rows[0]["item"]["payload"]) == ("oh", {"text": "text 0"})
    by_key = annotator_client.get(f"{URL}/tasks/history?key_prefix={rows[1]['item']['key']}").json()["results"]
    assert [row["id"] for row in by_key] == [second]


def test_edits_are_refused_where_they_make_no_sense(
    annotator_client: APIClient, project: Project, reviewer: User, stranger: User
) -> None:
    make.queue(project, 2)
    own = answered(annotator_client)
    others = answered(client_of(reviewer))

    def edit(client: APIClient, annotation_id: int, answer: Any) -> tuple[int, str]:
        response = client.post(f"{URL}/annotations/{annotation_id}/edit", {"answer": answer}, format="json")
        return response.status_code, response.json().get("code", "")

    before = list(Annotation.objects.values())
    assert edit(annotator_client, own, {"choice": "unicorn"}) == (400, "unknown_class")
    assert edit(annotator_client, others, DOG) == (404, "annotation_not_found")
    assert edit(client_of(stranger), own, DOG) == (404, "project_not_found")
    assert list(Annotation.objects.values()) == before
    assert edit(client_of(reviewer), own, DOG)[0] == 201


def test_a_draft_is_kept_and_an_older_one_refused(annotator_client: APIClient, project: Project) -> None:
    make.queue(project, 1)
    task = annotator_client.post(f"{URL}/tasks/next", {}, format="json").json()["tasks"][0]
    url = f"{URL}/tasks/{task['id']}/draft"
    body = {"answer": {"choice": "ca"}, "comment": "hm", "version": 2}
    assert annotator_client.put(url, body, format="json").json() == {"version": 2}
    refused = annotator_client.put(url, {**body, "version": 1}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "draft_outdated")
    large = annotator_client.put(url, {**body, "version": 3, "answer": "x" * 600_000}, format="json")
    assert (large.status_code, large.json()["code"]) == (400, "draft_too_large")
    again = annotator_client.post(f"{URL}/tasks/next", {}, format="json").json()["tasks"][0]
    assert again["draft"] == {"answer": {"choice": "ca"}, "comment": "hm", "version": 2}


def test_one_heartbeat_is_enough_for_all_held_tasks(annotator_client: APIClient, project: Project) -> None:
    first, second, third = make.queue(project, 3)
    annotator_client.post(f"{URL}/tasks/next", {"limit": 2}, format="json")
    response = annotator_client.post(
        f"{URL}/tasks/extend", {"task_ids": [first.pk, second.pk, third.pk]}, format="json"
    )
    assert response.json()["task_ids"] == [first.pk, second.pk]


def test_a_skip_says_which_kind(annotator_client: APIClient, project: Project) -> None:
    make.queue(project, 3)

    def skip(**body: Any) -> Any:
        task = annotator_client.post(f"{URL}/tasks/next", {}, format="json").json()["tasks"][0]
        return annotator_client.post(f"{URL}/tasks/{task['id']}/skip", body, format="json")

    assert skip(kind="unusable").json()["code"] == "reason_required"
    assert skip(kind="sometime").status_code == 400
    assert skip(kind="unusable", reason="blank").status_code == 200
    assert skip(kind="someone_else").status_code == 200
    served = skip(kind="later", minutes=5, next=1).json()["next"]
    assert (served["tasks"], served["reason"]) == ([], "later")
    assert dt.datetime.fromisoformat(served["first_free_at"]).tzinfo is not None
