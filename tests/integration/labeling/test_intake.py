"""Items sent over HTTP: forms of the body, what is stored, what is refused, and by whom it may be sent."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.models import ApiKey, Item, PoolEntry, Prediction, Project
from labeling.probability import unpack
from labeling.services import api_keys, bulk, recording
from labeling.splitting import bucket_of
from tests.factories.labeling import NDJSON, item_row, model_version, ndjson, other_project, prediction_part

URL = "/api/v1/projects/pets/items"
GOOD = item_row("good")


def send(client: APIClient, body: bytes | object, *, query: str = "", content_type: str = "", **headers: Any) -> Any:
    """Bytes go out as NDJSON unless told otherwise, everything else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    default = NDJSON if isinstance(body, bytes) else "application/json"
    return client.post(f"{URL}{query}", raw, content_type=content_type or default, **headers)


def send_stream(client: Any, content_type: str, stream: io.RawIOBase | io.BytesIO, **environ: Any) -> Any:
    """As a server hands it over: an input that ends by itself and perhaps no length."""
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_LENGTH": "", **environ}
    return client.generic("POST", URL, b"", content_type, **environ)


def counts(answer: Any) -> dict[str, int]:
    names = ("received", "created", "updated", "skipped", "failed")
    return {name: answer.json()[name] for name in names if answer.json()[name]}


def failures(answer: Any) -> list[tuple[int, str | None, str]]:
    return [(row["index"], row["key"], row["code"]) for row in answer.json()["results"] if row["status"] == "failed"]


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


# -- bad rows ------------------------------------------------------------------------------------------------------

BAD_ROWS = [
    (b"{broken", "invalid_json"),
    (b"nonsense", "invalid_json"),
    (b'{"key":"x","payload":{"a":NaN}}', "invalid_json"),
    (b'{"key":"x","payload":{"a":Infinity}}', "invalid_json"),
    (b'{"key":"x","payload":{"a":"\xff"}}', "invalid_json"),
    (b'{"key":"x","payload":{"a":"\\ud800"}}', "invalid_json"),
    (b'{"key":"\\udc00","payload":{}}', "invalid_json"),
    (b'"text"', "invalid_row"),
    (b"[1,2]", "invalid_row"),
    (b"null", "invalid_row"),
    (b'{"payload":{}}', "missing_field"),
    (b'{"key":"x"}', "missing_field"),
    (b'{"key":"x","payload":{},"sgements":{}}', "unknown_field"),
    (b'{"key":1,"payload":{}}', "invalid_key"),
    (b'{"key":null,"payload":{}}', "invalid_key"),
    (b'{"key":"","payload":{}}', "invalid_key"),
    (b'{"key":" ","payload":{}}', "invalid_key"),
    (b'{"key":"%s","payload":{}}' % (b"x" * 201), "invalid_key"),
    (b'{"key":"a\\u0000b","payload":{}}', "nul_character"),
    (b'{"key":"x","payload":{"a":"\\u0000"}}', "nul_character"),
    (b'{"key":"x","payload":{"a":{"\\u0000":1}}}', "nul_character"),
    (b'{"key":"x","payload":{},"segments":{"a":"\\u0000"}}', "nul_character"),
    (b'{"key":"x","payload":[]}', "invalid_payload"),
    (b'{"key":"x","payload":"text"}', "invalid_payload"),
    (b'{"key":"x","payload":null}', "invalid_payload"),
    (b'{"key":"x","payload":{"a":1e400}}', "invalid_payload"),
    (b'{"key":"x","payload":{"a":%s}}' % (b"9" * 5000), "invalid_payload"),
    (b'{"key":"x","payload":{"a":%s%s}}' % (b"[" * 64, b"]" * 64), "too_deeply_nested"),
    (b'{"key":"x","payload":%s1%s}' % (b'{"a":' * 65, b"}" * 65), "too_deeply_nested"),
    (b'{"key":"x","payload":{"a":%s}}' % (b"[" * 100_000 + b"]" * 100_000), "too_deeply_nested"),
    (b'{"key":"x","payload":{"a":"%s"}}' % (b"x" * 2**20), "row_too_large"),
    (b'{"key":"x","payload":{},"segments":["a"]}', "invalid_segments"),
    (b'{"key":"x","payload":{},"segments":{"a":1}}', "invalid_segments"),
    (b'{"key":"x","payload":{},"segments":{"a":{"b":"c"}}}', "invalid_segments"),
    (b'{"key":"x","payload":{},"segments":{"":"c"}}', "invalid_segments"),
    (b'{"key":"x","payload":{},"segments":{"a":"%s"}}' % (b"x" * 201), "invalid_segments"),
    (b'{"key":"x","payload":{},"prediction":[]}', "invalid_row"),
]
BAD_PREDICTIONS = [
    (b'{"probabilities":[0.5,0.3,0.2]}', "missing_field"),
    (b'{"model_version":"m1"}', "missing_field"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2],"conetxt":{}}', "unknown_field"),
    (b'{"model_version":"","probabilities":[0.5,0.3,0.2]}', "invalid_model_version"),
    (b'{"model_version":7,"probabilities":[0.5,0.3,0.2]}', "invalid_model_version"),
    (b'{"model_version":"m9","probabilities":[0.5,0.3,0.2]}', "unknown_model_version"),
    (b'{"model_version":"elsewhere","probabilities":[0.5,0.3,0.2]}', "unknown_model_version"),
    (b'{"model_version":"m1","probabilities":0.5}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":null}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":["0.5",0.3,0.2]}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":[null,0.5,0.5]}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":[true,0,0]}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":{"cat":null,"dog":0.5,"bird":0.5}}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":[1e400,0,0]}', "invalid_probabilities"),
    (b'{"model_version":"m1","probabilities":[NaN,0.5,0.5]}', "invalid_json"),
    (b'{"model_version":"m1","probabilities":[]}', "wrong_number_of_probabilities"),
    (b'{"model_version":"m1","probabilities":[0.5,0.5]}', "wrong_number_of_probabilities"),
    (b'{"model_version":"m1","probabilities":[0.25,0.25,0.25,0.25]}', "wrong_number_of_probabilities"),
    (b'{"model_version":"m1","probabilities":{"cat":0.5,"dog":0.5}}', "missing_class"),
    (b'{"model_version":"m1","probabilities":{"cat":0.5,"dog":0.3,"fish":0.2}}', "unknown_class"),
    (b'{"model_version":"m1","probabilities":{"cat":0.5,"dog":0.3,"bird":0.2,"fish":0}}', "unknown_class"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.1]}', "probabilities_do_not_sum_to_one"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2011]}', "probabilities_do_not_sum_to_one"),
    (b'{"model_version":"m1","probabilities":[0,0,0]}', "probabilities_do_not_sum_to_one"),
    (b'{"model_version":"m1","probabilities":[0.5,0.6,-0.1]}', "negative_probability"),
    (b'{"model_version":"m1","probabilities":[1.5,0,0]}', "probability_above_one"),
    (b'{"model_version":"m1","probabilities":[1e308,1e308,0]}', "probability_above_one"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2],"context":[]}', "invalid_context"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2],"context":{"a":"\\u0000"}}', "nul_character"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2],"respondent":5}', "invalid_respondent"),
    (b'{"model_version":"m1","probabilities":[0.5,0.3,0.2],"respondent":"%s"}' % (b"x" * 501), "invalid_respondent"),
    (b'{"model_version":"m\\u0000","probabilities":[0.5,0.3,0.2]}', "nul_character"),
]


@pytest.mark.parametrize(
    ("row", "code"),
    BAD_ROWS + [(b'{"key":"x","payload":{},"prediction":%s}' % part, code) for part, code in BAD_PREDICTIONS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_row_fails_alone_with_its_code(app_client: APIClient, project: Project, row: bytes, code: str) -> None:
    model_version(project)
    model_version(other_project(), "elsewhere")
    before, after = item_row("before", prediction=prediction_part()), item_row("after")
    answer = send(app_client, ndjson([before, row, after]))
    assert answer.status_code == 207, answer.content
    assert [(index, reason) for index, _, reason in failures(answer)] == [(1, code)]
    assert counts(answer) == {"received": 3, "created": 2, "failed": 1}
    assert list(Item.objects.order_by("id").values_list("key", flat=True)) == ["before", "after"]
    assert Prediction.objects.count() == 1
    assert PoolEntry.objects.count() == 2


def test_rows_that_all_fail_change_nothing_and_are_answered_one_by_one(app_client: APIClient) -> None:
    answer = send(app_client, [{"key": "a"}, 5])
    assert answer.status_code == 207
    assert failures(answer) == [(0, "a", "missing_field"), (1, None, "invalid_row")]
    assert not Item.objects.exists()


def test_a_deep_but_allowed_payload_and_brackets_in_texts_pass(app_client: APIClient) -> None:
    deep = {"key": "deep", "payload": {"a": json.loads("[" * 63 + "]" * 63)}}
    wide = {"key": "wide", "payload": {"pixels": [[0] * 8] * 100, "points": [{"x": 1, "y": 2}] * 100}}
    text = {"key": "text", "payload": {"text": "[{" * 500}}
    answer = send(app_client, [deep, wide, text])
    assert answer.status_code == 200, answer.content
    assert app_client.get(URL).json()["results"][0]["payload"] == deep["payload"]


def test_a_line_that_never_ends_fails_alone(app_client: APIClient, settings: Settings) -> None:
    settings.INTAKE_MAX_ROW_BYTES = 1000
    endless = b'{"key":"x","payload":{"text":"%s"}}' % (b"x" * 2_000_000)
    answer = send(app_client, ndjson([item_row("a"), endless, item_row("b"), endless]))
    assert failures(answer) == [(1, None, "row_too_large"), (3, None, "row_too_large")]
    assert list(Item.objects.order_by("id").values_list("key", flat=True)) == ["a", "b"]


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


# -- bodies that cannot be used ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_body"),
        (b"5", "invalid_body"),
        (b'"text"', "invalid_body"),
        (b"{broken", "invalid_json"),
        (b'[{"key":"a","payload":{}},', "invalid_json"),
        (b'[{"key":"a","payload":{}}] trailing', "invalid_json"),
        (b"[" * 200_000, "invalid_json"),
    ],
)
def test_a_body_that_is_no_json_changes_nothing(app_client: APIClient, body: bytes, code: str) -> None:
    answer = send(app_client, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "message", "fields", "request_id"}
    assert not Item.objects.exists()


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_types_are_refused(app_client: APIClient, content_type: str) -> None:
    answer = send(app_client, ndjson([GOOD]), content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert not Item.objects.exists()


def test_compressed_bodies_are_refused(app_client: APIClient) -> None:
    answer = send(app_client, b"\x1f\x8b", HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize(
    ("query", "code"), [("?on_conflict=merge", "invalid_on_conflict"), ("?results=none", "invalid_results")]
)
def test_unknown_options_are_refused(app_client: APIClient, query: str, code: str) -> None:
    answer = send(app_client, GOOD, query=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Item.objects.exists()


class Untouchable(io.RawIOBase):
    """A body of which nobody may read a byte."""

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize("content_type", [NDJSON, "application/json"])
@pytest.mark.parametrize("is_terminated", [True, False])
def test_two_gigabytes_are_refused_unread(app_client: APIClient, content_type: str, is_terminated: bool) -> None:
    environ = {"wsgi.input_terminated": is_terminated, "CONTENT_LENGTH": str(2 * 1024**3)}
    answer = send_stream(app_client, content_type, Untouchable(), **environ)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert not Item.objects.exists()


def test_a_stream_that_grows_too_large_keeps_what_was_stored_and_says_so(
    app_client: APIClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "CHUNK_ROWS", 2)
    settings.INTAKE_MAX_NDJSON_BYTES = 300_000
    body = ndjson([item_row("a"), item_row("b"), b" " * 290_000, *[item_row(str(number)) for number in range(2000)]])
    answer = send_stream(app_client, NDJSON, io.BytesIO(body))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["fields"]["created"] == str(Item.objects.count()) == "2"


def test_a_chunked_body_is_read_to_its_end(app_client: APIClient) -> None:
    assert send_stream(app_client, NDJSON, io.BytesIO(ndjson([GOOD]))).status_code == 200
    assert Item.objects.get().key == "good"


def test_a_body_shorter_than_announced_is_an_error(app_client: APIClient) -> None:
    raw = json.dumps(GOOD).encode()
    answer = send_stream(app_client, "application/json", io.BytesIO(raw), CONTENT_LENGTH=str(len(raw) + 5))
    assert (answer.status_code, answer.json()["code"]) == (400, "incomplete_body")
    assert not Item.objects.exists()


# -- who may send --------------------------------------------------------------------------------------------------


def test_a_key_that_is_not_known_is_refused(api_client: APIClient, project: Project) -> None:
    api_client.credentials(HTTP_AUTHORIZATION="Bearer fb_sk_wrong")
    answer = send(api_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")
    assert not Item.objects.exists()


def test_a_revoked_key_is_refused(app_client: APIClient, project: Project) -> None:
    api_keys.revoke(ApiKey.objects.get(), now=project.created_at)
    answer = send(app_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (401, "revoked_api_key")
    assert not Item.objects.exists()


def test_a_publishable_key_may_not_send(api_client: APIClient, project: Project, owner: User) -> None:
    created = api_keys.create(project, name="widget", kind=ApiKey.Kind.PUBLISHABLE, by=owner)
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {created.key}")
    answer = send(api_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not Item.objects.exists()


def test_a_key_of_another_project_sees_none(api_client: APIClient, project: Project, owner: User) -> None:
    created = api_keys.create(other_project(), name="app", kind=ApiKey.Kind.SECRET, by=owner)
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {created.key}")
    answer = send(api_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    assert not Item.objects.exists()


def test_nobody_is_asked_to_log_in(api_client: APIClient, project: Project) -> None:
    answer = send(api_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert not Item.objects.exists()


def test_a_stranger_sees_no_project(api_client: APIClient, project: Project, stranger: User) -> None:
    api_client.force_login(stranger)
    answer = send(api_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    assert not Item.objects.exists()


def test_an_annotator_may_not_send(annotator_client: APIClient) -> None:
    answer = send(annotator_client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not Item.objects.exists()


def test_an_owner_may_send_from_a_session(owner_client: APIClient) -> None:
    assert send(owner_client, GOOD).status_code == 200


def test_a_session_without_a_csrf_token_may_not_send(project: Project, owner: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = send(client, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not Item.objects.exists()


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
