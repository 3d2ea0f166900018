"""Items sent over HTTP that cannot be taken, or not from this caller: status, code, and a state that stays."""

import io
import json

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.models import ApiKey, Item, PoolEntry, Prediction, Project
from labeling.services import api_keys, recording
from tests.factories.intake import URL, counts, failures, send, send_stream
from tests.factories.labeling import NDJSON, item_row, model_version, ndjson, other_project, prediction_part

GOOD = item_row("good")


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


def test_bodies_compressed_by_anything_but_gzip_are_refused(app_client: APIClient) -> None:
    answer = send(app_client, b"\x1f\x8b", HTTP_CONTENT_ENCODING="br")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content_encoding")
    assert not Item.objects.exists()


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
