"""Labels and snapshots over HTTP: what each caller gets, and what nobody gets."""

import csv
import hashlib
import io
import json

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from datasets import selectors
from datasets.models import AcceptedLabel, Snapshot
from datasets.services import accept, snapshot
from labeling.models import AnnotationTask, ApiKey, Project
from labeling.schema import JSONValue
from labeling.services import api_keys
from tests.factories import datasets as make

NOW = make.NOW
LABELS = "/api/v1/projects/pets/labels"
SNAPSHOTS = "/api/v1/projects/pets/snapshots"
EXPORT = "/api/v1/projects/pets/snapshots/1/export"

NASTY: dict[str, JSONValue] = {
    "text": '<img src=x onerror=alert(1)> שלום \u202eabc\r\nline 2\u2028\t"quoted", 👩🏽‍🚀 =1+1',
    "<b>": ["\n", "ä", None, 0.1, {"א": True}],
}


@pytest.fixture
def labelled(project: Project, annotator: User) -> Project:
    make.annotation(make.item(project, "a"), annotator, "cat")
    audit = make.item(project, "b", payload=NASTY, segments={"país": "españa"})
    make.annotation(audit, annotator, "dog", reason=AnnotationTask.Reason.AUDIT, is_audit=True, propensity=0.1)
    make.annotation(make.item(project, "c"), annotator, "cat", reason=AnnotationTask.Reason.MANUAL, propensity=None)
    accept.accept_pending(project.pk, now=NOW)
    return project


@pytest.fixture
def frozen(labelled: Project) -> Snapshot:
    return snapshot.take(labelled, by=None, now=NOW, note="first")


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def keys_in(response: object) -> list[str]:
    return [row["item_key"] for row in response.json()["results"]]  # type: ignore[attr-defined]  # a test response


# -- labels ---------------------------------------------------------------------------------------------------------


def test_labels_come_with_their_lineage(labelled: Project, app_client: APIClient) -> None:
    response = app_client.get(LABELS)
    assert response.status_code == 200
    assert keys_in(response) == ["a", "b", "c"]
    label = AcceptedLabel.objects.get(item__key="b")
    assert response.json()["results"][1] == {
        "id": label.pk,
        "item_id": label.item_id,
        "item_key": "b",
        "label": "dog",
        "answer": {"choice": "dog"},
        "label_schema_version": 1,
        "probability": 1.0,
        "method": "trusted_annotation",
        "evidence": [label.evidence.get().pk],
        "other_evidence": {},
        "run_id": None,
        "is_audit": True,
        "reason": "audit",
        "propensity": 0.1,
        "accepted_at": "2026-03-01T12:00:00Z",
    }


def test_labels_are_paged_by_cursor(labelled: Project, app_client: APIClient) -> None:
    first = app_client.get(LABELS, {"page_size": 2}).json()
    assert [row["item_key"] for row in first["results"]] == ["a", "b"]
    second = app_client.get(first["next"]).json()
    assert [row["item_key"] for row in second["results"]] == ["c"]
    assert second["next"] is None


def test_labels_are_filtered(labelled: Project, app_client: APIClient) -> None:
    first_id = AcceptedLabel.objects.get(item__key="a").pk
    assert keys_in(app_client.get(LABELS, {"since_id": first_id})) == ["b", "c"]
    assert keys_in(app_client.get(LABELS, {"label": "cat"})) == ["a", "c"]
    assert keys_in(app_client.get(LABELS, {"label": "unicorn"})) == []
    assert keys_in(app_client.get(LABELS, {"is_audit": "true"})) == ["b"]
    assert keys_in(app_client.get(LABELS, {"is_audit": "false"})) == ["a", "c"]
    assert keys_in(app_client.get(f"{LABELS}?since_id={first_id}&label=cat")) == ["c"]
    assert keys_in(app_client.get(LABELS, {"since_id": 10**30})) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [({"since_id": "x"}, "since_id"), ({"since_id": -1}, "since_id"), ({"is_audit": "maybe"}, "is_audit"),
     ({"label": "a\0b"}, "label"), ({"label": ""}, "label")],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_named(
    labelled: Project, app_client: APIClient, query: dict[str, str | int], field: str
) -> None:
    response = app_client.get(LABELS, query)
    assert response.status_code == 400
    assert response.json()["code"] == "invalid_input"
    assert list(response.json()["fields"]) == [field]


def test_superseded_labels_are_not_listed(labelled: Project, app_client: APIClient) -> None:
    AcceptedLabel.objects.filter(item__key="a").update(superseded_at=NOW)
    assert keys_in(app_client.get(LABELS)) == ["b", "c"]


def test_listing_labels_takes_the_same_number_of_queries_for_any_number(
    labelled: Project, annotator: User, app_client: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make.accepted(labelled, annotator, {f"more-{number}": "bird" for number in range(10)})
    with django_assert_max_num_queries(4):
        assert len(keys_in(app_client.get(LABELS))) == 13


# -- snapshots ------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_taken_and_read(labelled: Project, owner: User, owner_client: APIClient) -> None:
    response = owner_client.post(SNAPSHOTS, {"note": "for march"}, format="json")
    assert response.status_code == 201
    taken = Snapshot.objects.get()
    assert taken.created_by == owner
    described = response.json()
    assert described == {
        "number": 1,
        "state": "ready",
        "note": "for march",
        "content_hash": taken.content_hash,
        "row_count": 3,
        "split_counts": taken.split_counts,
        "class_counts": {"cat": 2, "dog": 1, "bird": 0},
        "audit_count": 1,
        "label_schema_version": 1,
        "created_at": described["created_at"],
        "created_by": "owner",
    }
    assert owner_client.get(f"{SNAPSHOTS}/1").json() == described
    assert owner_client.get(SNAPSHOTS).json()["results"] == [described]


def test_an_app_takes_a_snapshot_without_a_body(labelled: Project, app_client: APIClient) -> None:
    response = app_client.post(SNAPSHOTS)
    assert response.status_code == 201
    assert response.json()["created_by"] is None
    assert Snapshot.objects.get().created_by is None


def test_snapshots_are_listed_newest_first(labelled: Project, app_client: APIClient) -> None:
    for _ in range(3):
        app_client.post(SNAPSHOTS)
    assert [row["number"] for row in app_client.get(SNAPSHOTS).json()["results"]] == [3, 2, 1]


def test_without_labels_no_snapshot_is_taken(project: Project, app_client: APIClient) -> None:
    response = app_client.post(SNAPSHOTS)
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_snapshot")
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("note", ["x" * 301, "a\0b", {"a": 1}])
def test_a_note_that_cannot_be_kept_is_refused(labelled: Project, app_client: APIClient, note: object) -> None:
    response = app_client.post(SNAPSHOTS, {"note": note}, format="json")
    assert response.status_code == 400
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("number", [0, 2, 10**30])
@pytest.mark.parametrize("rest", ["", "/export"])
def test_a_snapshot_that_does_not_exist_is_not_found(
    frozen: Snapshot, app_client: APIClient, number: int, rest: str
) -> None:
    response = app_client.get(f"{SNAPSHOTS}/{number}{rest}")
    assert (response.status_code, response.json()["code"]) == (404, "snapshot_not_found")


# -- export ---------------------------------------------------------------------------------------------------------


def test_the_jsonl_export_has_the_content_hash(frozen: Snapshot, app_client: APIClient) -> None:
    response = app_client.get(EXPORT)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Content-Disposition"] == 'attachment; filename="pets-snapshot-1.jsonl"'
    assert response["ETag"] == f'"{frozen.content_hash}"'
    assert response.streaming
    file = response.getvalue()
    assert hashlib.sha256(file).hexdigest() == frozen.content_hash
    rows = [json.loads(line) for line in file.split(b"\n")[:-1]]
    assert [row["key"] for row in rows] == ["a", "b", "c"]
    assert (rows[1]["payload"], rows[1]["segments"]) == (NASTY, {"país": "españa"})
    assert [row["propensity"] for row in rows] == [0.25, 0.1, None]


def test_the_csv_export_holds_the_same_rows(frozen: Snapshot, app_client: APIClient) -> None:
    response = app_client.get(EXPORT, {"export_format": "csv"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="pets-snapshot-1.csv"'
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode(), newline="")))
    assert [row["label"] for row in rows] == ["cat", "dog", "cat"]
    assert rows[1]["text"] == NASTY["text"]
    assert json.loads(rows[1]["payload"]) == NASTY
    assert [row["is_audit"] for row in rows] == ["false", "true", "false"]
    assert [row.split for row in selectors.snapshot_rows(frozen)] == [row["split"] for row in rows]


def test_a_file_that_the_client_has_is_not_sent_again(frozen: Snapshot, app_client: APIClient) -> None:
    response = app_client.get(EXPORT, headers={"if-none-match": f'"{frozen.content_hash}"'})
    assert (response.status_code, response.content) == (304, b"")
    response = app_client.get(EXPORT, headers={"if-none-match": '"another"'})
    assert response.status_code == 200
    assert len(response.getvalue().splitlines()) >= 3


@pytest.mark.parametrize("accept_header", ["text/csv", "application/x-ndjson", "*/*", "image/png"])
def test_the_accept_header_does_not_matter(frozen: Snapshot, app_client: APIClient, accept_header: str) -> None:
    response = app_client.get(EXPORT, {"export_format": "csv"}, headers={"accept": accept_header})
    assert response.status_code == 200
    assert response.getvalue().startswith(b"key,label,")


def test_an_unknown_export_format_is_refused(frozen: Snapshot, app_client: APIClient) -> None:
    response = app_client.get(EXPORT, {"export_format": "xml"}, headers={"accept": "application/xml"})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_export_format")


# -- who may --------------------------------------------------------------------------------------------------------

READS = [LABELS, SNAPSHOTS, f"{SNAPSHOTS}/1", EXPORT]


@pytest.mark.parametrize("url", READS)
def test_owner_manager_and_reviewer_may_read(
    frozen: Snapshot, owner: User, manager: User, reviewer: User, url: str
) -> None:
    assert [client_of(user).get(url).status_code for user in (owner, manager, reviewer)] == [200, 200, 200]


@pytest.mark.parametrize("url", READS)
def test_an_annotator_may_not_read(frozen: Snapshot, annotator_client: APIClient, url: str) -> None:
    response = annotator_client.get(url)
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("url", READS)
def test_a_stranger_learns_nothing(frozen: Snapshot, stranger: User, url: str) -> None:
    response = client_of(stranger).get(url)
    assert (response.status_code, response.json()["code"]) == (404, "project_not_found")


@pytest.mark.parametrize("url", READS)
def test_a_key_of_another_project_learns_nothing(frozen: Snapshot, stranger: User, url: str) -> None:
    other = Project.objects.get(slug="other")
    key = api_keys.create(other, name="theirs", kind=ApiKey.Kind.SECRET, by=stranger).key
    response = APIClient().get(url, headers={"authorization": f"Bearer {key}"})
    assert (response.status_code, response.json()["code"]) == (404, "project_not_found")


@pytest.mark.parametrize("url", READS)
def test_a_publishable_key_may_not_read(frozen: Snapshot, owner: User, url: str) -> None:
    key = api_keys.create(frozen.project, name="widget", kind=ApiKey.Kind.PUBLISHABLE, by=owner).key
    response = APIClient().get(url, headers={"authorization": f"Bearer {key}"})
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("url", READS)
def test_without_a_login_there_is_nothing(frozen: Snapshot, api_client: APIClient, url: str) -> None:
    assert api_client.get(url).status_code == 401


def test_only_those_who_manage_take_snapshots(
    labelled: Project, manager: User, reviewer: User, annotator: User, stranger: User
) -> None:
    statuses = [client_of(user).post(SNAPSHOTS).status_code for user in (reviewer, annotator, stranger)]
    assert statuses == [403, 403, 404]
    assert not Snapshot.objects.exists()
    assert client_of(manager).post(SNAPSHOTS).status_code == 201


def test_a_snapshot_of_another_project_is_not_found(frozen: Snapshot, stranger: User) -> None:
    response = client_of(stranger).get("/api/v1/projects/other/snapshots/1")
    assert (response.status_code, response.json()["code"]) == (404, "snapshot_not_found")


def test_the_routes_have_names(project: Project) -> None:
    assert reverse("api:snapshot-export", args=["pets", 1]) == EXPORT
    assert reverse("api:labels", args=["pets"]) == LABELS
