"""Vectors that the app sends with its items."""

from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from labeling.models import Embedding, EmbeddingSpace, Item, Project
from labeling.services import intake
from labeling.services.recording import OnConflict
from tests.factories.labeling import item_row

pytestmark = pytest.mark.django_db


def row(key: str, embedding: object = None) -> dict[str, Any]:
    return item_row(key) | ({} if embedding is None else {"embedding": embedding})


def vector_of(key: str) -> list[float]:
    stored = Embedding.objects.select_related("space").get(item__key=key)
    assert stored.space.origin == EmbeddingSpace.Origin.APP
    return [float(number) for number in np.frombuffer(bytes(stored.vector), dtype="<f2")]


def test_vectors_come_with_their_items(app_client: APIClient, project: Project) -> None:
    answer = app_client.post(
        "/api/v1/projects/pets/items", [row("a", [1, 0.5, -2]), row("b"), row("c", [0, 0, 0])], format="json"
    )
    assert (answer.status_code, answer.json()["created"]) == (200, 3)
    assert vector_of("a") == [1.0, 0.5, -2.0]
    assert vector_of("c") == [0.0, 0.0, 0.0]
    assert Embedding.objects.count() == 2
    space = EmbeddingSpace.objects.get()
    assert (space.project, space.width) == (project, 3)


@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        ([], "1 to 4,096"),
        ([0.0] * 4097, "1 to 4,096"),
        ([1e6, 0], "65504"),
        (["1", "2"], "must be a number"),
        ([True, False], "must be a number"),
        ("text", "must be a list"),
        ([1.0], "have 2 numbers in this project, not 1"),
        ([None, 1], "must be a number"),
    ],
)
def test_a_bad_vector_refuses_its_row_and_no_other(
    app_client: APIClient, project: Project, embedding: object, said: str
) -> None:
    rows = [row("first", [1, 2]), row("bad", embedding), row("last", [3, 4])]
    answer = app_client.post("/api/v1/projects/pets/items", rows, format="json")
    assert answer.status_code == 207
    (failed,) = [each for each in answer.json()["results"] if each["status"] == "failed"]
    assert (failed["index"], failed["key"], failed["code"]) == (1, "bad", "invalid_embedding")
    assert said in failed["message"]
    assert set(Item.objects.values_list("key", flat=True)) == {"first", "last"}
    assert vector_of("last") == [3.0, 4.0]


def test_numbers_that_are_not_finite_are_no_json(app_client: APIClient, project: Project) -> None:
    body = '{"key": "a", "payload": {"text": "x"}, "embedding": [NaN, 1]}'
    answer = app_client.generic("POST", "/api/v1/projects/pets/items", body, content_type="application/x-ndjson")
    assert answer.json()["results"][0]["code"] == "invalid_json"
    huge = '{"key": "a", "payload": {"text": "x"}, "embedding": [1e999, 1]}'
    answer = app_client.generic("POST", "/api/v1/projects/pets/items", huge, content_type="application/x-ndjson")
    assert answer.json()["failed"] == 1
    assert not EmbeddingSpace.objects.exists()


def test_only_an_update_replaces_a_vector(project: Project) -> None:
    intake.record_items(project, [row("a", [1, 2]), row("b")])
    intake.record_items(project, [row("a", [3, 4]), row("b", [5, 6])])
    assert vector_of("a") == [1.0, 2.0]
    assert not Embedding.objects.filter(item__key="b").exists()
    intake.record_items(project, [row("a", [3, 4]), row("b", [5, 6])], on_conflict=OnConflict.ERROR)
    assert vector_of("a") == [1.0, 2.0]
    intake.record_items(project, [row("a", [3, 4]), row("b", [5, 6])], on_conflict=OnConflict.UPDATE)
    assert (vector_of("a"), vector_of("b")) == ([3.0, 4.0], [5.0, 6.0])
    intake.record_items(project, [row("a")], on_conflict=OnConflict.UPDATE)
    assert vector_of("a") == [3.0, 4.0], "an update without a vector leaves it"


def test_a_vector_of_the_app_takes_the_place_of_a_made_one(project: Project) -> None:
    intake.record_items(project, [row("a")])
    made = EmbeddingSpace.objects.create(project=project, origin=EmbeddingSpace.Origin.TEXT, width=1)
    Embedding.objects.create(item=Item.objects.get(), project=project, space=made, vector=b"\0\0")
    intake.record_items(project, [row("a", [7])], on_conflict=OnConflict.UPDATE)
    assert vector_of("a") == [7.0]


def test_items_without_vectors_cost_no_statement_more(project: Project) -> None:
    with CaptureQueriesContext(connection) as plain:
        intake.record_items(project, [row("a")])
    assert "embedding" not in " ".join(query["sql"] for query in plain.captured_queries)
