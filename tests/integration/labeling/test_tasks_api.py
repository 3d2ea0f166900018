"""/api/v1/projects/{slug}/tasks: every verb, every role, every refusal."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.models import Annotation, AnnotationTask, ApiKey, ModelVersion, PoolEntry, Project, Skip
from labeling.services import annotation_queue, api_keys, projects
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

BASE = "/api/v1/projects/pets/tasks"
CAT = {"answer": {"choice": "cat"}}
VERBS = ("submit", "skip", "release", "extend")


@pytest.fixture
def task(project: Project) -> AnnotationTask:
    (task,) = make.queue(project, 1, now=timezone.now())
    return task


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def post(client: APIClient, path: str, body: object = None) -> Any:
    return client.post(f"{BASE}/{path}", body if body is not None else {}, format="json")


def next_tasks(client: APIClient, limit: int = 1) -> dict[str, Any]:
    response = post(client, "next", {"limit": limit})
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def facts() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (AnnotationTask, Annotation, Skip, PoolEntry)]


def assert_refused(send: Callable[[], Any], status: int, code: str) -> dict[str, Any]:
    before = facts()
    response = send()
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert set(body) == {"code", "message", "fields", "request_id"}
    assert facts() == before
    return body


def let_expire(task: AnnotationTask) -> None:
    AnnotationTask.objects.filter(pk=task.pk).update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))


# -- next --------------------------------------------------------------------------------------------------------


def test_next_leases_a_task_and_shows_it_whole(annotator_client: APIClient, task: AnnotationTask) -> None:
    served = next_tasks(annotator_client)

    (shown,) = served["tasks"]
    task.refresh_from_db()
    assert shown == {
        "id": task.pk,
        "item": {"key": task.item.key, "payload": {"text": "text 0"}, "segments": {}},
        "reason": "uncertain",
        "why": "A small model that learned from the labels so far is not sure about this item.",
        "informativeness": 0.5,
        "propensity": 0.25,
        "is_audit": False,
        "suggestion": None,
        "draft": None,
        "is_assigned": False,
        "due_at": None,
        "answers_wanted": 1,
        "lease_expires_at": shown["lease_expires_at"],
        "label_schema_version": 1,
    }
    assert task.lease_expires_at is not None
    assert dt.datetime.fromisoformat(shown["lease_expires_at"]) == task.lease_expires_at
    assert served["counts"] == {"open": 1, "leased": 1, "answered_today": 0}
    assert (served["reason"], served["first_free_at"]) == (None, None)


def test_next_takes_the_limit_from_the_address_too(annotator_client: APIClient, project: Project) -> None:
    make.queue(project, 4)
    assert len(post(annotator_client, "next?limit=3").json()["tasks"]) == 3
    assert len(post(annotator_client, "next").json()["tasks"]) == 1


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 11}, {"limit": "many"}, {"limit": None}, [1]])
def test_next_refuses_a_limit_that_makes_no_sense(
    annotator_client: APIClient, task: AnnotationTask, body: object
) -> None:
    assert_refused(lambda: post(annotator_client, "next", body), 400, "invalid_input")


def suggest(project: Project, *, is_audit: bool, probabilities: list[float]) -> None:
    (item,) = make.pool(project, 1)
    make.scores(make.champion(project), [item], np.array([probabilities]))
    annotation_queue.enqueue(
        project, [make.new_task(item, is_audit=is_audit)], batch=uuid.uuid4(), pool_size=1, now=timezone.now()
    )


def test_next_shows_what_the_model_says_and_why_it_asks(annotator_client: APIClient, project: Project) -> None:
    suggest(project, is_audit=False, probabilities=[0.4, 0.15, 0.45])
    (shown,) = next_tasks(annotator_client)["tasks"]
    assert shown["suggestion"] == {
        "answer": {"choice": "bird"},
        "confidence": 0.45,
        "probabilities": {"bird": 0.45, "cat": 0.4, "dog": 0.15},
        "model_version": "champion",
    }
    assert shown["why"] == "The model is torn between bird (45%) and cat (40%)."


def test_next_says_when_the_model_is_sure(annotator_client: APIClient, project: Project) -> None:
    suggest(project, is_audit=False, probabilities=[0.9, 0.05, 0.05])
    (shown,) = next_tasks(annotator_client)["tasks"]
    assert shown["why"] == "The model says cat (90%); an answer shows whether it may be so sure."


def test_next_hides_the_suggestion_of_an_audit_task(annotator_client: APIClient, project: Project) -> None:
    suggest(project, is_audit=True, probabilities=[0.9, 0.05, 0.05])
    (shown,) = next_tasks(annotator_client)["tasks"]
    assert shown["is_audit"]
    assert shown["suggestion"] is None
    assert "cat" not in shown["why"]


@pytest.mark.parametrize(
    ("reason", "begin"),
    [("cold_start", "Chosen without asking a model"), ("random", "Drawn at random"), ("manual", "Put into the")],
)
def test_next_says_why_without_a_model(
    annotator_client: APIClient, task: AnnotationTask, reason: str, begin: str
) -> None:
    AnnotationTask.objects.update(reason=reason)
    assert next_tasks(annotator_client)["tasks"][0]["why"].startswith(begin)


def test_next_of_an_empty_queue_says_so(annotator_client: APIClient) -> None:
    served = next_tasks(annotator_client)
    assert served["tasks"] == []
    assert served["reason"] == "empty"
    assert served["counts"] == {"open": 0, "leased": 0, "answered_today": 0}


def test_next_says_when_the_first_task_of_others_is_free(
    annotator_client: APIClient, task: AnnotationTask, reviewer: User
) -> None:
    next_tasks(client_of(reviewer))
    served = next_tasks(annotator_client)
    task.refresh_from_db()
    assert (served["tasks"], served["reason"]) == ([], "all_leased")
    assert dt.datetime.fromisoformat(served["first_free_at"]) == task.lease_expires_at


def test_next_of_a_paused_queue_says_so(annotator_client: APIClient, project: Project, task: AnnotationTask) -> None:
    projects.pause_queue(project, now=timezone.now())
    served = next_tasks(annotator_client)
    assert (served["tasks"], served["reason"]) == ([], "paused")
    assert not AnnotationTask.objects.filter(leased_to__isnull=False).exists()


# -- submit, skip, release, extend, undo -------------------------------------------------------------------------


def test_submit_records_the_answer(annotator_client: APIClient, task: AnnotationTask, annotator: User) -> None:
    next_tasks(annotator_client)
    response = post(
        annotator_client, f"{task.pk}/submit", {**CAT, "duration_ms": 1500, "suggested_answer": {"choice": "dog"}}
    )
    annotation = Annotation.objects.get()
    assert response.status_code == 201
    assert response.json() == {"annotation_id": annotation.pk, "next": None}
    assert (annotation.answer, annotation.annotator) == ({"choice": "cat"}, annotator)
    assert (annotation.duration_ms, annotation.suggested_answer) == (1500, {"choice": "dog"})


def test_submit_brings_the_next_tasks_along(annotator_client: APIClient, project: Project) -> None:
    tasks = make.queue(project, 5)
    next_tasks(annotator_client, 3)
    answered = post(annotator_client, f"{tasks[0].pk}/submit", {**CAT, "next": 3}).json()
    assert [shown["id"] for shown in answered["next"]["tasks"]] == [task.pk for task in tasks[1:4]]
    assert answered["next"]["counts"] == {"open": 4, "leased": 3, "answered_today": 1}


def test_skip_leaves_the_task_to_others_and_brings_the_next(
    annotator_client: APIClient, project: Project, reviewer: User
) -> None:
    first, second = make.queue(project, 2)
    next_tasks(annotator_client)
    response = post(annotator_client, f"{first.pk}/skip", {"reason": "too dark", "next": 1})
    assert response.status_code == 200
    assert [shown["id"] for shown in response.json()["next"]["tasks"]] == [second.pk]
    assert Skip.objects.get().reason == "too dark"
    assert next_tasks(client_of(reviewer))["tasks"][0]["id"] == first.pk


def test_what_is_left_after_skipping_is_not_for_you(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    skipped = post(annotator_client, f"{task.pk}/skip", {"next": 1}).json()
    assert (skipped["next"]["tasks"], skipped["next"]["reason"]) == ([], "nothing_left_for_you")


def test_release_gives_the_task_back(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    response = post(annotator_client, f"{task.pk}/release")
    assert (response.status_code, response.content) == (204, b"")
    task.refresh_from_db()
    assert task.leased_to is None


def test_extend_tells_the_new_end_of_the_lease(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    AnnotationTask.objects.update(lease_expires_at=timezone.now() + dt.timedelta(seconds=5))
    response = post(annotator_client, f"{task.pk}/extend")
    task.refresh_from_db()
    assert response.status_code == 200
    assert task.lease_expires_at is not None
    assert dt.datetime.fromisoformat(response.json()["lease_expires_at"]) == task.lease_expires_at
    assert task.lease_expires_at > timezone.now() + dt.timedelta(seconds=settings.LEASE_SECONDS - 60)


def test_undo_brings_the_task_and_the_answer_back(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    post(annotator_client, f"{task.pk}/submit", CAT)
    response = post(annotator_client, "undo")
    assert response.status_code == 200
    assert response.json()["task"]["id"] == task.pk
    assert response.json()["undone"] == {"choice": "cat"}
    assert Annotation.objects.get().withdrawn_at is not None
    assert post(annotator_client, f"{task.pk}/submit", {"answer": {"choice": "dog"}}).status_code == 201


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"answer": {"choice": "unicorn"}}, "unknown_class", "answer"),
        ({"answer": {"choice": 1}}, "invalid_answer", "answer"),
        ({"answer": "cat"}, "invalid_answer", "answer"),
        ({"answer": None}, "invalid_answer", "answer"),
        ({}, "invalid_input", "answer"),
        ({**CAT, "duration_ms": -1}, "invalid_input", "duration_ms"),
        ({**CAT, "duration_ms": 2**31}, "invalid_input", "duration_ms"),
        ({**CAT, "next": 11}, "invalid_input", "next"),
        ([CAT], "invalid_input", "body"),
    ],
)
def test_submit_refuses_what_is_no_answer(
    annotator_client: APIClient, task: AnnotationTask, body: object, code: str, field: str
) -> None:
    next_tasks(annotator_client)
    refused = assert_refused(lambda: post(annotator_client, f"{task.pk}/submit", body), 400, code)
    assert set(refused["fields"]) == {field}


@pytest.mark.parametrize(("text", "code"), [("a\x00b", "nul_character"), ("\ud800", "invalid_json")])
def test_submit_refuses_text_that_cannot_be_stored(
    annotator_client: APIClient, task: AnnotationTask, text: str, code: str
) -> None:
    next_tasks(annotator_client)
    for body in ({**CAT, "comment": text}, {"answer": {"choice": text}}):
        raw = json.dumps(body)
        send = partial(annotator_client.post, f"{BASE}/{task.pk}/submit", raw, content_type="application/json")
        assert_refused(send, 400, code)


def test_submit_refuses_broken_json(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    assert_refused(
        lambda: annotator_client.post(f"{BASE}/{task.pk}/submit", b'{"answer": ', content_type="application/json"),
        400,
        "invalid_json",
    )


def test_answering_an_expired_lease_is_refused(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    let_expire(task)
    for verb in ("submit", "extend"):
        assert_refused(partial(post, annotator_client, f"{task.pk}/{verb}", CAT), 409, "lease_expired")
    next_tasks(annotator_client)
    assert post(annotator_client, f"{task.pk}/submit", CAT).status_code == 201


def test_answering_twice_is_refused(annotator_client: APIClient, task: AnnotationTask) -> None:
    next_tasks(annotator_client)
    post(annotator_client, f"{task.pk}/submit", CAT)
    for verb in VERBS:
        assert_refused(partial(post, annotator_client, f"{task.pk}/{verb}", CAT), 409, "already_answered")


def test_a_task_of_somebody_else_is_refused(annotator_client: APIClient, task: AnnotationTask, reviewer: User) -> None:
    next_tasks(annotator_client)
    theirs = client_of(reviewer)
    for verb in VERBS:
        assert_refused(partial(post, theirs, f"{task.pk}/{verb}", CAT), 409, "not_leased")
    post(annotator_client, f"{task.pk}/submit", CAT)
    for verb in VERBS:
        assert_refused(partial(post, theirs, f"{task.pk}/{verb}", CAT), 409, "task_closed")


def test_undo_without_an_answer_is_refused(annotator_client: APIClient, task: AnnotationTask) -> None:
    assert_refused(lambda: post(annotator_client, "undo"), 409, "nothing_to_undo")


@pytest.mark.parametrize("task_id", ["999999999", "99999999999999999999999999"])
def test_an_unknown_task_is_not_found(annotator_client: APIClient, task: AnnotationTask, task_id: str) -> None:
    for verb in VERBS:
        assert_refused(partial(post, annotator_client, f"{task_id}/{verb}", CAT), 404, "task_not_found")


def test_a_task_of_another_project_is_not_found(annotator_client: APIClient, annotator: User, stranger: User) -> None:
    """Also for somebody who annotates in both: the address says which project is meant."""
    other = Project.objects.get(slug="other")
    projects.set_member(other, username=annotator.username, role="annotator", by=stranger)
    (foreign,) = make.queue(other, 1)
    annotation_queue.claim(other, annotator=annotator, now=timezone.now())
    for verb in VERBS:
        assert_refused(partial(post, annotator_client, f"{foreign.pk}/{verb}", CAT), 404, "task_not_found")


# -- who may -----------------------------------------------------------------------------------------------------


def every_call(client: APIClient, task: AnnotationTask) -> list[Callable[[], Any]]:
    paths = ["next", "undo", *(f"{task.pk}/{verb}" for verb in VERBS)]
    return [partial(post, client, path, CAT) for path in paths]


@pytest.mark.parametrize("role", ["owner", "manager", "reviewer", "annotator"])
def test_every_member_may_annotate(
    request: pytest.FixtureRequest, project: Project, task: AnnotationTask, role: str
) -> None:
    client = client_of(request.getfixturevalue(role))
    assert next_tasks(client)["tasks"][0]["id"] == task.pk
    assert post(client, f"{task.pk}/submit", CAT).status_code == 201


def test_an_annotator_of_another_project_finds_nothing(task: AnnotationTask, stranger: User) -> None:
    for call in every_call(client_of(stranger), task):
        assert_refused(call, 404, "project_not_found")


@pytest.mark.parametrize("kind", [ApiKey.Kind.SECRET, ApiKey.Kind.PUBLISHABLE])
def test_no_api_key_may_annotate(project: Project, task: AnnotationTask, owner: User, kind: ApiKey.Kind) -> None:
    client = APIClient()
    key = api_keys.create(project, name="app", kind=kind, by=owner).key
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    for call in every_call(client, task):
        assert_refused(call, 403, "permission_denied")


def test_nobody_annotates_without_a_login(task: AnnotationTask) -> None:
    for call in every_call(APIClient(), task):
        assert_refused(call, 401, "not_authenticated")


def test_a_wrong_key_is_refused(task: AnnotationTask) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer sk_wrong")
    for call in every_call(client, task):
        assert_refused(call, 401, "invalid_api_key")


def test_a_session_needs_the_csrf_token(task: AnnotationTask, annotator: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(annotator)
    for call in every_call(client, task):
        assert_refused(call, 403, "permission_denied")


# -- the listing -------------------------------------------------------------------------------------------------


def listed(client: APIClient, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{BASE}{query}")
    assert response.status_code == 200, response.content
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_the_listing_shows_what_is_queued_and_why(
    owner_client: APIClient, annotator_client: APIClient, project: Project, annotator: User
) -> None:
    version: ModelVersion = make.champion(project)
    first, second = make.queue(project, 2)
    AnnotationTask.objects.filter(pk=first.pk).update(model_version=version)
    next_tasks(annotator_client)

    shown, other = listed(owner_client)

    assert (shown["id"], other["id"]) == (first.pk, second.pk)
    assert (shown["item_key"], shown["reason"], shown["state"]) == (first.item.key, "uncertain", "open")
    assert (shown["informativeness"], shown["propensity"], shown["draw_rank"]) == (0.5, 0.25, 0)
    assert (shown["model_version"], other["model_version"]) == ("champion", None)
    assert (shown["leased_to"], other["leased_to"]) == (annotator.username, None)


def test_the_listing_is_filtered(owner_client: APIClient, annotator_client: APIClient, project: Project) -> None:
    first, second, third = make.queue(project, 3)
    AnnotationTask.objects.filter(pk=third.pk).update(is_audit=True, reason="audit")
    next_tasks(annotator_client)
    post(annotator_client, f"{first.pk}/submit", CAT)

    def ids(query: str) -> list[int]:
        return [task["id"] for task in listed(owner_client, query)]

    assert ids("?state=answered") == [first.pk]
    assert ids("?state=open") == [second.pk, third.pk]
    assert ids("?is_audit=true") == [third.pk]
    assert ids("?is_audit=false&state=open") == [second.pk]
    assert ids("?reason=audit") == [third.pk]
    assert ids(f"?item_key={second.item.key}") == [second.pk]


def test_the_listing_comes_in_pages(owner_client: APIClient, project: Project) -> None:
    tasks = make.queue(project, 5)
    page = owner_client.get(f"{BASE}?page_size=3").json()
    rest = owner_client.get(page["next"]).json()
    assert [task["id"] for task in page["results"] + rest["results"]] == [task.pk for task in tasks]
    assert rest["next"] is None


@pytest.mark.parametrize("query", ["?state=lost", "?reason=whim", "?is_audit=perhaps"])
def test_the_listing_refuses_an_unknown_filter_value(owner_client: APIClient, query: str) -> None:
    assert_refused(lambda: owner_client.get(f"{BASE}{query}"), 400, "invalid_input")


def test_the_listing_is_for_those_who_may_read(
    annotator_client: APIClient, app_client: APIClient, task: AnnotationTask, stranger: User
) -> None:
    assert [shown["id"] for shown in listed(app_client)] == [task.pk]
    assert_refused(lambda: annotator_client.get(BASE), 403, "permission_denied")
    assert_refused(lambda: client_of(stranger).get(BASE), 404, "project_not_found")


def test_the_listing_takes_few_statements_however_many_tasks(
    owner_client: APIClient, project: Project, django_assert_max_num_queries: Any
) -> None:
    make.queue(project, 30)
    with django_assert_max_num_queries(6):
        assert len(listed(owner_client)) == 30
