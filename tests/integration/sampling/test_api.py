"""/api/v1/projects/{slug}/refills and /queue-policies."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import Project
from labeling.services import projects
from sampling import tasks
from sampling.models import QueuePolicy, RefillRun
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

REFILLS = "/api/v1/projects/pets/refills"
POLICIES = "/api/v1/projects/pets/queue-policies"


@pytest.fixture(autouse=True)
def broker() -> Iterator["redis.Redis"]:
    """The Celery broker, emptied of what these tests enqueue."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete("score")
    yield client
    client.delete("score", *client.scan_iter("wakeup:sampling.*"))
    client.close()


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def post(client: APIClient, path: str, body: object = None) -> Any:
    return client.post(path, {} if body is None else body, format="json")


def assert_refused(response: Any, status: int, code: str) -> dict[str, str]:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert not RefillRun.objects.exists()
    assert QueuePolicy.objects.count() <= 1
    fields: dict[str, str] = body["fields"]
    return fields


# -- refills -----------------------------------------------------------------------------------------------------


def test_a_started_refill_is_executed_by_the_worker_that_gets_its_message(
    owner_client: APIClient, project: Project, owner: User, broker: "redis.Redis"
) -> None:
    make.scored_pool(project, 60)

    response = post(owner_client, REFILLS, {"seed": 11})

    started = response.json()
    assert response.status_code == 202
    assert (started["state"], started["trigger"], started["seed"]) == ("pending", "manual", 11)
    assert (started["created_by"], started["policy_version"], started["replaces_open_tasks"]) == ("owner", 1, False)
    assert broker.llen("score") == 1

    tasks.run_refill(started["id"])

    done = owner_client.get(f"{REFILLS}/{started['id']}").json()
    assert (done["state"], done["pool_size"], done["selected_count"]) == ("succeeded", 60, 60)
    assert (done["model_version"], done["batch"]) == ("champion", started["batch"])
    assert all(done[field] >= 0 for field in ("read_ms", "score_ms", "write_ms"))
    assert done["finished_at"] is not None


def test_a_second_start_returns_the_run_that_waits(owner_client: APIClient, app_client: APIClient) -> None:
    first = post(owner_client, REFILLS).json()
    again = post(app_client, REFILLS, {"replaces_open_tasks": True})
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert RefillRun.objects.count() == 1


def test_an_app_may_start_a_refill(app_client: APIClient) -> None:
    started = post(app_client, REFILLS).json()
    assert (started["created_by"], started["trigger"]) == (None, "manual")


def test_refills_are_listed_newest_first(owner_client: APIClient, project: Project) -> None:
    ids = []
    for _ in range(3):
        ids.append(post(owner_client, REFILLS).json()["id"])
        tasks.run_refill(ids[-1])
    listed = owner_client.get(REFILLS).json()["results"]
    assert [run["id"] for run in listed] == ids[::-1]


def test_a_paused_queue_refuses_a_refill(owner_client: APIClient, project: Project) -> None:
    projects.pause_queue(project, now=make.NOW)
    assert_refused(post(owner_client, REFILLS), 409, "queue_paused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "lucky"}, "seed"),
        ({"replaces_open_tasks": "perhaps"}, "replaces_open_tasks"),
        ([], "body"),
    ],
)
def test_a_refill_with_wrong_fields_is_refused(owner_client: APIClient, body: object, field: str) -> None:
    assert set(assert_refused(post(owner_client, REFILLS, body), 400, "invalid_input")) == {field}


def test_a_refill_of_another_project_is_not_found(owner_client: APIClient, stranger: User, owner: User) -> None:
    run = post(owner_client, REFILLS).json()["id"]
    assert client_of(stranger).get(f"/api/v1/projects/other/refills/{run}").json()["code"] == "refill_not_found"
    assert owner_client.get(f"{REFILLS}/{run + 1}").status_code == 404


# -- queue policies ----------------------------------------------------------------------------------------------


def test_the_policy_in_force_is_listed_first(owner_client: APIClient) -> None:
    (first,) = owner_client.get(POLICIES).json()["results"]
    assert (first["version"], first["strategy"], first["beta"], first["batch_size"]) == (1, "margin", 12.0, 100)

    response = post(owner_client, POLICIES, {"strategy": "entropy", "epsilon": 0.2})

    assert response.status_code == 201
    listed = owner_client.get(POLICIES).json()["results"]
    assert [policy["version"] for policy in listed] == [2, 1]
    assert listed[0] == response.json()
    assert (listed[0]["strategy"], listed[0]["epsilon"], listed[0]["created_by"]) == ("entropy", 0.2, "owner")
    assert listed[0]["low_watermark"] == 20


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({"strategy": "astrology"}, "invalid_policy", {"strategy"}),
        ({"beta": 1000, "epsilon": 2}, "invalid_policy", {"beta", "epsilon"}),
        ({"low_watermark": 500}, "invalid_policy", {"low_watermark"}),
        ({"batch_size": 0}, "invalid_policy", {"batch_size", "low_watermark"}),
        ({"beta": "much"}, "invalid_input", {"beta"}),
        ({"batch_rule": "whim"}, "invalid_input", {"batch_rule"}),
        ({"epsilon": None}, "invalid_input", {"epsilon"}),
    ],
)
def test_a_policy_with_wrong_fields_is_refused(
    owner_client: APIClient, body: object, code: str, fields: set[str]
) -> None:
    assert set(assert_refused(post(owner_client, POLICIES, body), 400, code)) == fields


# -- who may -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["reviewer", "annotator"])
def test_members_below_manager_change_nothing(request: pytest.FixtureRequest, project: Project, role: str) -> None:
    client = client_of(request.getfixturevalue(role))
    assert_refused(post(client, REFILLS), 403, "permission_denied")
    assert_refused(post(client, POLICIES, {"beta": 1}), 403, "permission_denied")


@pytest.mark.parametrize("path", [REFILLS, POLICIES])
def test_reviewers_may_look_and_annotators_may_not(reviewer: User, annotator: User, path: str) -> None:
    assert client_of(reviewer).get(path).status_code == 200
    assert client_of(annotator).get(path).json()["code"] == "permission_denied"


@pytest.mark.parametrize("path", [REFILLS, POLICIES])
def test_strangers_find_nothing(project: Project, stranger: User, path: str) -> None:
    client = client_of(stranger)
    assert_refused(client.get(path), 404, "project_not_found")
    assert_refused(post(client, path), 404, "project_not_found")
    assert_refused(APIClient().get(path), 401, "not_authenticated")
