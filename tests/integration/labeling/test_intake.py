"""Items sent over HTTP: forms of the body, and what is stored. What is refused is in test_intake_refusals."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection, transaction
from rest_framework.test import APIClient

from labeling.models import Item, PoolEntry, Prediction, Project
from labeling.probability import unpack
from labeling.services import bulk, recording
from labeling.splitting import bucket_of
from tests.factories.intake import URL, counts, failures, send
from tests.factories.labeling import item_row, model_version, ndjson, other_project, prediction_part

GOOD = item_row("good")


# -- forms of the body ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (item_row("a"), 1),
        ([item_row("a"), item_row("b")], 2),
        ([], 0),
        (ndjson([item_row("a"), item_row("b")]), 2),
        (ndjson([item_row("a"), b"", b"  ", item_row("b"), b""]), 2),
        (b"\xef\xbb\xbf" + ndjson([item_row("a"), item_row("b")]).replace(b"\n", b"\r\n"), 2),
        (b"", 0),
    ],
)
def test_an_object_an_array_and_lines_are_taken(app_client: APIClient, body: object, received: int) -> None:
    answer = send(app_client, body)
    assert answer.status_code == 200, answer.content
    assert counts(answer) == ({"received": received, "created": received} if received else {})
    assert Item.objects.count() == PoolEntry.objects.count() == received


def test_results_name_index_key_and_status_of_every_row(app_client: APIClient) -> None:
    answer = send(app_client, ndjson([item_row("a"), b"", b"{broken", item_row("b")]))
    assert answer.status_code == 207
    assert [(row["index"], row["key"], row["status"]) for row in answer.json()["results"]] == [
        (0, "a", "created"),
        (2, None, "failed"),
        (3, "b", "created"),
    ]
    assert answer.json()["results"][1]["code"] == "invalid_json"


def test_results_errors_leaves_out_the_good_rows(app_client: APIClient) -> None:
    answer = send(app_client, [item_row("a"), {"key": "b"}], query="?results=errors")
    assert failures(answer) == [(1, "b", "missing_field")]
    assert len(answer.json()["results"]) == 1
    assert counts(answer) == {"received": 2, "created": 1, "failed": 1}


def test_no_more_results_are_listed_than_fit(app_client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LISTED_RESULTS", 2)
    monkeypatch.setattr(recording, "CHUNK_ROWS", 2)
    answer = send(app_client, [item_row(str(number)) for number in range(5)])
    assert [row["key"] for row in answer.json()["results"]] == ["0", "1"]
    assert answer.json()["results_truncated"] is True
    assert counts(answer) == {"received": 5, "created": 5}


# -- what is stored ------------------------------------------------------------------------------------------------


def test_an_item_gets_its_bucket_and_a_pool_entry(app_client: APIClient, project: Project) -> None:
    send(app_client, item_row("a", segments={"country": "de"}))
    item = Item.objects.get()
    assert (item.key, item.payload, item.segments) == ("a", {"text": "text of a"}, {"country": "de"})
    assert item.bucket == bucket_of(project.pk, "a") == item.pool_entry.bucket
    assert item.pool_entry.state == PoolEntry.State.AVAILABLE
    assert item.pool_entry.probabilities is None
    assert item.pool_entry.scored_at is None


@pytest.mark.parametrize("probabilities", [[0.1, 0.7, 0.2], {"bird": 0.2, "cat": 0.1, "dog": 0.7}])
def test_the_champions_prediction_reaches_the_pool(app_client: APIClient, project: Project, probabilities: Any) -> None:
    champion = model_version(project)
    part = {"model_version": "m1", "probabilities": probabilities, "context": {"position": 3, "app": {"a": [1]}}}
    assert send(app_client, item_row("a", prediction=part)).status_code == 200
    prediction, entry = Prediction.objects.get(), PoolEntry.objects.get()
    expected = np.array([0.1, 0.7, 0.2], dtype=np.float32)
    np.testing.assert_array_almost_equal_nulp(unpack(bytes(prediction.probabilities), 3), expected, nulp=2)
    assert bytes(entry.probabilities or b"") == bytes(prediction.probabilities)
    assert (entry.model_version, entry.scored_at) == (champion, prediction.created_at)
    assert prediction.predicted_class == "dog"
    assert prediction.confidence == pytest.approx(0.7)
    assert prediction.context == {"position": 3, "app": {"a": [1]}}


def test_another_versions_prediction_leaves_the_pool_alone(app_client: APIClient, project: Project) -> None:
    model_version(project, "m1")
    candidate = model_version(project, "m2")
    send(app_client, item_row("a", prediction=prediction_part(model_version="m2")))
    assert Prediction.objects.get().model_version == candidate
    entry = PoolEntry.objects.get()
    assert (entry.model_version, entry.probabilities, entry.scored_at) == (None, None, None)


def test_rows_of_several_versions_with_other_classes_go_in_together(app_client: APIClient, project: Project) -> None:
    model_version(project, "m1")
    model_version(project, "m2", ["dog", "cat"])
    rows = [
        item_row("a", prediction=prediction_part(0.2, 0.2, 0.6)),
        item_row("b", prediction=prediction_part(0.9, 0.1, model_version="m2")),
        item_row("c"),
    ]
    assert send(app_client, rows).status_code == 200
    predicted = Prediction.objects.order_by("item__key").values_list("item__key", "predicted_class")
    assert list(predicted) == [("a", "bird"), ("b", "dog")]


def test_probabilities_are_normalised_within_the_tolerance(app_client: APIClient, project: Project) -> None:
    model_version(project)
    send(app_client, item_row("a", prediction=prediction_part(0.2, 0.3, 0.5005)))
    assert unpack(bytes(Prediction.objects.get().probabilities), 3).sum() == pytest.approx(1.0, abs=1e-6)


def test_a_respondent_is_stored_as_a_keyed_hash_of_the_project(app_client: APIClient, project: Project) -> None:
    model_version(project)
    rows = [
        item_row(key, prediction=prediction_part(respondent=who)) for key, who in [("a", "x"), ("b", "x"), ("c", "y")]
    ]
    assert send(app_client, rows).status_code == 200
    a, b, c = Prediction.objects.order_by("item__key").values_list("respondent_hash", flat=True)
    assert a == b != c
    assert len(a) == 64
    elsewhere = other_project()
    model_version(elsewhere)
    recording.ItemRecorder(elsewhere, on_conflict=recording.OnConflict.SKIP, lists_good_rows=False).record(rows)
    there = Prediction.objects.filter(item__project=elsewhere, item__key="a").values_list("respondent_hash", flat=True)
    assert there.get() != a


@pytest.mark.parametrize(
    "text",
    [
        '<script>alert("1")</script><img src=x onerror=alert(2)>',
        "שלום עולם ‮ gnirts desrever ‬ مرحبا",
        "emoji 👩‍👩‍👧 and combining e\u0301",
        'back\\slash \\u0000 \\n tab\t newline\n quote" and \u2028',
        "\x1f\x7f\ufeff\uffff",
    ],
)
def test_texts_come_back_unchanged(app_client: APIClient, text: str) -> None:
    row = {"key": text[:200], "payload": {"text": text, text: [text]}, "segments": {"s": text}}
    assert send(app_client, [row]).status_code == 200
    found = app_client.get(URL).json()["results"][0]
    assert {name: found[name] for name in row} == row


def test_numbers_that_postgresql_would_refuse_are_stored_as_floats_or_as_they_are(app_client: APIClient) -> None:
    body = b'{"key":"a","payload":{"long":1.%s,"tiny":1e-20000,"whole":%s}}' % (b"1" * 20_000, b"9" * 300)
    assert send(app_client, body).status_code == 200
    assert Item.objects.get().payload == {"long": 10 / 9, "tiny": 0.0, "whole": 10**300 - 1}


@pytest.mark.parametrize("chunk_rows", [1, 2, 5000])
def test_the_first_good_row_of_a_key_counts(
    app_client: APIClient, monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(recording, "CHUNK_ROWS", chunk_rows)
    rows = [
        {"key": "a", "payload": 5},
        {"key": "a", "payload": {"n": 1}},
        item_row("b"),
        {"key": "a", "payload": {"n": 2}},
        {"key": "a", "payload": {"n": 3}},
    ]
    answer = send(app_client, rows, query="?on_conflict=update")
    assert failures(answer) == [
        (0, "a", "invalid_payload"),
        (3, "a", "duplicate_key_in_request"),
        (4, "a", "duplicate_key_in_request"),
    ]
    assert counts(answer) == {"received": 5, "created": 2, "failed": 3}
    assert Item.objects.get(key="a").payload == {"n": 1}


# -- rows that exist already ---------------------------------------------------------------------------------------


@pytest.fixture
def stored(app_client: APIClient, project: Project) -> Item:
    """Item a with a prediction of the champion m1; m2 has said nothing yet."""
    model_version(project, "m1")
    model_version(project, "m2")
    assert send(app_client, item_row("a", prediction=prediction_part(0.5, 0.3, 0.2))).status_code == 200
    return Item.objects.get()


NEW_A = {"key": "a", "payload": {"n": 2}, "segments": {"s": "t"}, "prediction": prediction_part(0.1, 0.1, 0.8)}


def test_skip_leaves_an_item_and_its_prediction_as_they_are(app_client: APIClient, stored: Item) -> None:
    answer = send(app_client, [NEW_A, item_row("b")])
    assert answer.status_code == 200
    assert counts(answer) == {"received": 2, "created": 1, "skipped": 1}
    stored.refresh_from_db()
    assert stored.payload == {"text": "text of a"}
    assert Prediction.objects.get().predicted_class == "cat"


def test_skip_still_takes_a_prediction_that_is_new(app_client: APIClient, stored: Item) -> None:
    answer = send(app_client, NEW_A | {"prediction": prediction_part(0.1, 0.8, 0.1, model_version="m2")})
    assert counts(answer) == {"received": 1, "updated": 1}
    stored.refresh_from_db()
    assert stored.payload == {"text": "text of a"}
    assert list(stored.predictions.order_by("id").values_list("predicted_class", flat=True)) == ["cat", "dog"]
    assert unpack(bytes(stored.pool_entry.probabilities or b""), 3)[0] == pytest.approx(0.5)


def test_update_replaces_payload_segments_and_prediction(app_client: APIClient, stored: Item) -> None:
    answer = send(app_client, [NEW_A, item_row("b")], query="?on_conflict=update")
    assert counts(answer) == {"received": 2, "created": 1, "updated": 1}
    bucket, created_at = stored.bucket, stored.created_at
    stored.refresh_from_db()
    assert (stored.payload, stored.segments) == ({"n": 2}, {"s": "t"})
    assert (stored.bucket, stored.created_at) == (bucket, created_at)
    assert stored.updated_at > created_at
    assert stored.predictions.get().predicted_class == "bird"
    assert unpack(bytes(stored.pool_entry.probabilities or b""), 3)[2] == pytest.approx(0.8)


def test_error_refuses_the_whole_row(app_client: APIClient, stored: Item) -> None:
    row = NEW_A | {"prediction": prediction_part(0.1, 0.8, 0.1, model_version="m2")}
    answer = send(app_client, [row, item_row("b")], query="?on_conflict=error")
    assert answer.status_code == 207
    assert failures(answer) == [(0, "a", "already_exists")]
    stored.refresh_from_db()
    assert stored.payload == {"text": "text of a"}
    assert stored.predictions.get().predicted_class == "cat"
    assert Item.objects.filter(key="b").exists()


def test_the_same_import_again_is_all_skipped(app_client: APIClient, stored: Item) -> None:
    rows = [item_row(str(number), prediction=prediction_part()) for number in range(20)]
    assert counts(send(app_client, rows)) == {"received": 20, "created": 20}
    before = list(Item.objects.order_by("id").values_list("id", "updated_at"))
    assert counts(send(app_client, rows)) == {"received": 20, "skipped": 20}
    assert list(Item.objects.order_by("id").values_list("id", "updated_at")) == before


def test_keys_belong_to_their_project(app_client: APIClient, project: Project) -> None:
    elsewhere = other_project()
    recording.ItemRecorder(elsewhere, on_conflict=recording.OnConflict.SKIP, lists_good_rows=False).record([GOOD])
    assert counts(send(app_client, GOOD)) == {"received": 1, "created": 1}
    assert Item.objects.filter(key="good").count() == 2


# -- cost ----------------------------------------------------------------------------------------------------------


def test_the_number_of_statements_does_not_grow_with_the_rows(app_client: APIClient, project: Project) -> None:
    model_version(project)

    def statements(count: int, prefix: str) -> int:
        rows = [item_row(f"{prefix}{number}", prediction=prediction_part()) for number in range(count)]
        counter = Counter()
        with connection.execute_wrapper(counter):
            assert send(app_client, rows).status_code == 200
        return counter.count

    statements(1, "first")  # notes the use of the key
    assert statements(1, "a") == statements(200, "b")


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_breaks_while_rows_are_copied_is_a_database_error(project: Project) -> None:
    def rows() -> Iterator[bulk.StagedRow]:
        pid = connection.connection.info.backend_pid
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
        for position in range(100_000):
            yield bulk.StagedRow(position, "k", 0, None, None, None, None, None, None, "", b"\x01{}")

    with pytest.raises(OperationalError), transaction.atomic():
        bulk.Chunk(project, champion_id=None, now=project.created_at).stage(rows())
    connection.close()
    assert not Item.objects.exists()


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
def test_a_person_sends_rows_by_their_session(owner: User, project: Project, content_type: str) -> None:
    """With the CSRF check of a real request, which must not read the body: it may be a long stream."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.cookies["csrftoken"] = token = "t" * 32
    body = '{"key": "by-hand", "payload": {"text": "a"}}'
    url = f"/api/v1/projects/{project.slug}/items"
    refused = client.generic("POST", url, body, content_type=content_type)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert not Item.objects.exists()
    taken = client.generic("POST", url, body, content_type=content_type, HTTP_X_CSRFTOKEN=token)
    assert (taken.status_code, taken.json()["created"]) == (200, 1)


def test_a_person_uploads_an_image_by_their_session(owner: User, project: Project) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    client.cookies["csrftoken"] = token = "t" * 32
    url = f"/api/v1/projects/{project.slug}/media"
    file = SimpleUploadedFile("note.txt", b"no image")
    assert client.post(url, {"file": file}, format="multipart").status_code == 403
    response = client.post(url, {"file": file}, format="multipart", HTTP_X_CSRFTOKEN=token)
    assert response.json()["code"] == "not_an_image"
