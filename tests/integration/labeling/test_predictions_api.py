"""Predictions sent over HTTP for items that exist."""

import json
from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient

from labeling.models import Item, PoolEntry, Prediction, Project
from labeling.probability import unpack
from labeling.services import intake, recording
from tests.factories.labeling import NDJSON, item_row, model_version, ndjson, prediction_row

URL = "/api/v1/projects/pets/predictions"


@pytest.fixture
def items(project: Project) -> list[Item]:
    """Items a, b and c, the champion m1 and the candidate m2, and no predictions."""
    model_version(project, "m1")
    model_version(project, "m2")
    intake.record_items(project, [item_row(key) for key in "abc"])
    return list(Item.objects.order_by("id"))


def send(client: APIClient, body: bytes | object, query: str = "") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(f"{URL}{query}", raw, content_type=NDJSON if isinstance(body, bytes) else "application/json")


def statuses(answer: Any) -> list[str]:
    return [row.get("code") or row["status"] for row in answer.json()["results"]]


def pool(item: Item) -> list[float] | None:
    entry = PoolEntry.objects.get(item=item)
    return None if entry.probabilities is None else unpack(bytes(entry.probabilities), 3).round(3).tolist()


def test_the_champions_predictions_reach_the_pool_and_others_do_not(app_client: APIClient, items: list[Item]) -> None:
    rows = [
        prediction_row("a", 0.7, 0.2, 0.1),
        prediction_row("a", 0.1, 0.2, 0.7, model_version="m2"),
        prediction_row("b", 0.3, 0.3, 0.4, model_version="m2"),
    ]
    answer = send(app_client, rows)
    assert answer.status_code == 200
    assert statuses(answer) == ["created"] * 3
    np.testing.assert_allclose(pool(items[0]) or [], [0.7, 0.2, 0.1])
    assert pool(items[1]) is None
    assert Prediction.objects.count() == 3


def test_a_stream_with_a_broken_line_keeps_the_rest(app_client: APIClient, items: list[Item]) -> None:
    answer = send(app_client, ndjson([prediction_row("a"), b'{"key":"b",', prediction_row("c")]))
    assert answer.status_code == 207
    assert statuses(answer) == ["created", "invalid_json", "created"]
    assert list(Prediction.objects.order_by("id").values_list("item__key", flat=True)) == ["a", "c"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (prediction_row("nobody"), "unknown_item"),
        (prediction_row("b", model_version="m3"), "unknown_model_version"),
        (prediction_row("b", 0.5, 0.4, 0.0), "probabilities_do_not_sum_to_one"),
        (prediction_row("b", probabilities={"cat": 0.5, "fish": 0.5, "dog": 0}), "unknown_class"),
        (prediction_row("b", payload={}), "unknown_field"),
        (prediction_row(""), "invalid_key"),
        ({"key": "b"}, "missing_field"),
        (prediction_row("a"), "duplicate_key_in_request"),
    ],
)
def test_a_bad_row_fails_alone_with_its_code(app_client: APIClient, items: list[Item], row: Any, code: str) -> None:
    answer = send(app_client, [prediction_row("a"), row, prediction_row("c")])
    assert answer.status_code == 207
    assert statuses(answer) == ["created", code, "created"]
    assert list(Prediction.objects.order_by("id").values_list("item__key", flat=True)) == ["a", "c"]
    assert pool(items[1]) is None


def test_an_item_may_have_predictions_of_two_versions_in_one_request(
    app_client: APIClient, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "CHUNK_ROWS", 1)
    rows = [prediction_row("a"), prediction_row("a", model_version="m2"), prediction_row("a")]
    assert statuses(send(app_client, rows)) == ["created", "created", "duplicate_key_in_request"]


@pytest.mark.parametrize(
    ("query", "expected", "kept"),
    [
        ("", ["skipped", "created"], [0.5, 0.3, 0.2]),
        ("?on_conflict=update", ["updated", "created"], [0.1, 0.1, 0.8]),
        ("?on_conflict=error", ["already_exists", "created"], [0.5, 0.3, 0.2]),
    ],
)
def test_a_prediction_that_exists_is_skipped_replaced_or_refused(
    app_client: APIClient, items: list[Item], query: str, expected: list[str], kept: list[float]
) -> None:
    send(app_client, prediction_row("a", 0.5, 0.3, 0.2))
    answer = send(app_client, [prediction_row("a", 0.1, 0.1, 0.8, context={"n": 2}), prediction_row("b")], query)
    assert statuses(answer) == expected
    prediction = Prediction.objects.get(item=items[0])
    assert unpack(bytes(prediction.probabilities), 3) == pytest.approx(kept)
    assert prediction.context == ({"n": 2} if "update" in query else {})
    assert pool(items[0]) == pytest.approx(kept)


def test_an_item_of_another_project_is_unknown(app_client: APIClient, items: list[Item]) -> None:
    Item.objects.filter(key="c").update(project=Project.objects.create(slug="other", name="Other"))
    assert statuses(send(app_client, prediction_row("c"))) == ["unknown_item"]
    assert not Prediction.objects.exists()


def test_an_annotator_may_not_send(annotator_client: APIClient, items: list[Item]) -> None:
    assert send(annotator_client, prediction_row("a")).status_code == 403
    assert not Prediction.objects.exists()
