"""Rows in a body compressed by gzip: taken like others, and refused without unfolding a bomb."""

import gzip
import io
import json
import tracemalloc
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling import request_body
from labeling.models import Item, Prediction, Project
from tests.factories.intake import URL, counts, send, send_stream
from tests.factories.labeling import NDJSON, item_row, model_version, ndjson, prediction_row

ROWS = [item_row(str(number)) for number in range(50)]
PACKED = gzip.compress(ndjson(ROWS))


def send_packed(client: APIClient, packed: bytes, *, content_type: str = NDJSON, **headers: Any) -> Any:
    return send(client, packed, content_type=content_type, HTTP_CONTENT_ENCODING="gzip", **headers)


# -- taken ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packed", "content_type"),
    [
        (PACKED, NDJSON),
        (gzip.compress(json.dumps(ROWS).encode()), "application/json"),
        (gzip.compress(ndjson(ROWS[:20]) + b"\n") + gzip.compress(ndjson(ROWS[20:])), NDJSON),
        (PACKED + bytes(512), NDJSON),
        (gzip.compress(b"") + PACKED, NDJSON),
    ],
    ids=["ndjson", "json", "two members", "padded", "an empty member"],
)
@pytest.mark.parametrize("block", [7, 256 * 1024])
def test_compressed_rows_are_taken(
    app_client: APIClient, packed: bytes, content_type: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "_BLOCK_BYTES", block)
    answer = send_packed(app_client, packed, content_type=content_type)
    assert (answer.status_code, counts(answer)) == (200, {"received": 50, "created": 50}), answer.content
    assert sorted(Item.objects.values_list("key", flat=True)) == sorted(str(number) for number in range(50))


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
def test_the_encoding_may_be_written_in_several_ways(app_client: APIClient, name: str) -> None:
    assert send(app_client, PACKED, HTTP_CONTENT_ENCODING=name).status_code == 200
    assert Item.objects.count() == 50


def test_an_empty_body_has_no_rows(app_client: APIClient) -> None:
    assert counts(send_packed(app_client, gzip.compress(b""))) == {}
    assert counts(send_packed(app_client, b"")) == {}


def test_predictions_may_come_compressed(app_client: APIClient, project: Project) -> None:
    model_version(project)
    send(app_client, item_row("a"))
    url = "/api/v1/projects/pets/predictions"
    packed = gzip.compress(ndjson([prediction_row("a")]))
    answer = app_client.post(url, packed, content_type=NDJSON, HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, counts(answer)) == (200, {"received": 1, "created": 1})
    assert Prediction.objects.count() == 1


def test_a_compressed_body_of_unknown_length_is_taken(app_client: APIClient) -> None:
    assert send_stream(app_client, NDJSON, io.BytesIO(PACKED), HTTP_CONTENT_ENCODING="gzip").status_code == 200
    assert Item.objects.count() == 50


def test_a_retry_may_be_compressed_or_not(app_client: APIClient) -> None:
    first = send_packed(app_client, PACKED, HTTP_IDEMPOTENCY_KEY="k")
    plain = send(app_client, ndjson(ROWS), HTTP_IDEMPOTENCY_KEY="k")
    other = send_packed(app_client, gzip.compress(ndjson(ROWS[:3])), HTTP_IDEMPOTENCY_KEY="k")
    assert plain["Idempotent-Replayed"] == "true"
    assert plain.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Item.objects.count() == 50


# -- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packed",
    [
        b"no gzip at all",
        ndjson(ROWS),
        PACKED[:5],
        PACKED[:-1],
        PACKED[:-8],
        PACKED[:-8] + bytes(8),
        PACKED + b"garbage",
        PACKED + PACKED[:20],
    ],
    ids=["text", "plain", "header", "length", "trailer", "checksum", "garbage behind", "half a member"],
)
def test_broken_gzip_is_said_to_be_so(app_client: APIClient, packed: bytes) -> None:
    answer = send_packed(app_client, packed)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_gzip")
    assert int(answer.json()["fields"].get("created", 0)) == Item.objects.count()
    as_json = send_packed(app_client, packed, content_type="application/json")
    assert (as_json.status_code, as_json.json()["code"]) == (400, "invalid_gzip")


def test_rows_before_the_break_stay(app_client: APIClient) -> None:
    answer = send_packed(app_client, PACKED[:-8])
    assert answer.json()["fields"]["received"] == answer.json()["fields"]["created"] == "49"  # the last line has no end
    assert "49 good ones are stored" in answer.json()["message"]
    assert Item.objects.count() == 49


def test_a_broken_json_body_changes_nothing(app_client: APIClient) -> None:
    packed = gzip.compress(json.dumps(ROWS).encode())[:-8]
    assert send_packed(app_client, packed, content_type="application/json").json()["code"] == "invalid_gzip"
    assert not Item.objects.exists()


@pytest.mark.parametrize("content_type", [NDJSON, "application/json"])
def test_a_bomb_is_given_up_at_the_limit(app_client: APIClient, settings: Settings, content_type: str) -> None:
    settings.INTAKE_MAX_NDJSON_BYTES = settings.INTAKE_MAX_JSON_BYTES = 4 * 1024**2
    bomb = gzip.compress(b" " * 400 * 1024**2, compresslevel=1)
    assert len(bomb) < 4 * 1024**2
    tracemalloc.start()
    answer = send_packed(app_client, bomb, content_type=content_type)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert peak < 32 * 1024**2
    assert not Item.objects.exists()


def test_endless_compressed_nothing_is_given_up_at_the_limit(app_client: APIClient, settings: Settings) -> None:
    settings.INTAKE_MAX_NDJSON_BYTES = 100_000
    endless = gzip.compress(b"") * 10_000
    answer = send_stream(app_client, NDJSON, io.BytesIO(endless), HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_compressed_body_shorter_than_announced_is_incomplete(app_client: APIClient) -> None:
    answer = send_stream(
        app_client, NDJSON, io.BytesIO(PACKED), CONTENT_LENGTH=str(len(PACKED) + 5), HTTP_CONTENT_ENCODING="gzip"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "incomplete_body")
    assert app_client.get(URL).json()["results"] != []
