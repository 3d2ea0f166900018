"""Predictions of every kind of label schema: what is taken, what is stored, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from labeling.models import ApiKey, Item, ModelVersion, PoolEntry, Prediction, Project
from labeling.probability import unpack
from labeling.schema import KINDS, JSONValue
from labeling.services import api_keys, intake, projects
from tests.factories.intake import counts, failures
from tests.factories.labeling import NDJSON, ndjson

SCHEMAS = "/api/v1/projects/kinds/schemas"
CLASSES: list[JSONValue] = [{"key": "a"}, {"key": "b"}, {"key": "c"}]
DEFINITIONS: dict[str, dict[str, JSONValue]] = {
    "single_choice": {"classes": CLASSES},
    "multi_label": {"classes": CLASSES},
    "rating": {"maximum": 3},
    "text_correction": {},
    "preference": {},
    "spans": {"classes": CLASSES},
    "numeric": {"minimum": 0, "maximum": 10},
    "boxes": {"classes": CLASSES},
}
PAYLOAD: dict[str, JSONValue] = {
    "text": "Mehl 👩‍👩‍👧 200 g",
    "output": "Mehl",
    "a": "x",
    "b": "y",
    "image": "https://images.example.org/1.png",
}
BOX = {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.25, "class": "b"}


def project_of(kind: str, owner: User) -> tuple[Project, APIClient]:
    """A project of this kind with the champion m1, and a client with its key."""
    project = projects.create(slug="kinds", name="Kinds", kind=kind, definition=DEFINITIONS[kind], by=owner)
    client = APIClient()
    key = api_keys.create(project, name="app", kind=ApiKey.Kind.SECRET, by=owner).key
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return project, client


def register(client: APIClient, name: str = "m1", **others: JSONValue) -> Any:
    return client.post("/api/v1/projects/kinds/model-versions", {"name": name, **others}, format="json")


def send(client: APIClient, rows: list[Any], *, to: str = "items", query: str = "") -> Any:
    return client.post(f"/api/v1/projects/kinds/{to}{query}", ndjson(rows), content_type=NDJSON)


def row(key: str, **prediction: Any) -> dict[str, Any]:
    return {"key": key, "payload": PAYLOAD, "prediction": {"model_version": "m1", **prediction}}


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_predicts_the_columns_of_the_schema_by_default(kind: str, owner: User) -> None:
    _, client = project_of(kind, owner)
    answer = register(client)
    assert answer.status_code == 201, answer.content
    assert answer.json()["classes"] == {
        "rating": ["1", "2", "3"],
        "preference": ["a", "b", "tie", "both_bad"],
        "single_choice": ["a", "b", "c"],
        "multi_label": ["a", "b", "c"],
    }.get(kind, ["correct"])


@pytest.mark.parametrize("kind", ["text_correction", "spans", "numeric", "boxes"])
def test_a_version_that_answers_has_no_other_columns(kind: str, owner: User) -> None:
    project, client = project_of(kind, owner)
    answer = register(client, classes=["a", "b"])
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_class")
    assert not ModelVersion.objects.filter(project=project).exists()


@pytest.mark.parametrize("classes", [["1", "2"], ["3", "2", "1"], ["1", "3"]])
def test_a_rating_is_predicted_by_its_levels_in_order(classes: list[JSONValue], owner: User) -> None:
    project, client = project_of("rating", owner)
    answer = register(client, classes=classes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_classes")
    assert not ModelVersion.objects.filter(project=project).exists()


@pytest.mark.parametrize(
    ("kind", "probabilities", "stored", "predicted_class", "confidence"),
    [
        ("single_choice", [0.2, 0.7, 0.1], [0.2, 0.7, 0.1], "b", 0.7),
        ("multi_label", [0.9, 0.8, 0.1], [0.9, 0.8, 0.1], "", 0.9 * 0.8 * 0.9),
        ("multi_label", {"c": 0.0, "a": 1.0, "b": 1.0}, [1.0, 1.0, 0.0], "", 1.0),
        ("rating", {"3": 0.6, "1": 0.1, "2": 0.3}, [0.1, 0.3, 0.6], "3", 0.6),
        ("preference", [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], "both_bad", 0.4),
    ],
)
def test_probabilities_are_stored_and_reach_the_pool(
    kind: str, probabilities: Any, stored: list[float], predicted_class: str, confidence: float, owner: User
) -> None:
    _, client = project_of(kind, owner)
    register(client)
    answer = send(client, [row("x", probabilities=probabilities)])
    assert (answer.status_code, counts(answer)) == (200, {"received": 1, "created": 1}), answer.content
    prediction, entry = Prediction.objects.get(), PoolEntry.objects.get()
    np.testing.assert_allclose(unpack(bytes(prediction.probabilities), len(stored)), stored, rtol=1e-6)
    assert bytes(entry.probabilities or b"") == bytes(prediction.probabilities)
    assert (prediction.predicted_class, prediction.answer) == (predicted_class, None)
    assert prediction.confidence == pytest.approx(confidence, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "said", "answer", "confidence"),
    [
        ("text_correction", {"answer": {"text": "Mehl, fein"}, "confidence": 0.25}, {"text": "Mehl, fein"}, 0.25),
        ("numeric", {"answer": {"number": 3}, "confidence": 1}, {"number": 3.0}, 1.0),
        ("numeric", {"answer": {"number": 3.5}, "std": 2}, {"number": 3.5}, 0.6),
        ("numeric", {"answer": {"number": 3.5}, "std": 50}, {"number": 3.5}, 0.0),
        (
            "spans",
            {
                "answer": {
                    "spans": [
                        {"start": 11, "end": 16, "class": "b", "confidence": 0.4},
                        {"start": 0, "end": 4, "class": "a", "confidence": 0.9},
                    ]
                }
            },
            {"spans": [{"start": 0, "end": 4, "class": "a"}, {"start": 11, "end": 16, "class": "b"}]},
            0.4,
        ),
        ("spans", {"answer": {"spans": []}, "confidence": 0.8}, {"spans": []}, 0.8),
        ("boxes", {"answer": {"boxes": [{**BOX, "confidence": 0.7}]}}, {"boxes": [BOX]}, 0.7),
        ("boxes", {"answer": {"boxes": [{**BOX, "confidence": 0.7}]}, "confidence": 0.5}, {"boxes": [BOX]}, 0.5),
    ],
)
@pytest.mark.parametrize("to", ["items", "predictions"])
def test_an_answer_and_its_confidence_are_stored_and_reach_the_pool(
    kind: str, said: Any, answer: Any, confidence: float, to: str, owner: User
) -> None:
    project, client = project_of(kind, owner)
    register(client)
    if to == "items":
        response = send(client, [row("x", **said)])
    else:
        intake.record_items(project, [{"key": "x", "payload": PAYLOAD}])
        response = send(client, [{"key": "x", "model_version": "m1", **said}], to="predictions")
    assert (response.status_code, counts(response)) == (200, {"received": 1, "created": 1}), response.content
    prediction, entry = Prediction.objects.get(), PoolEntry.objects.get()
    assert prediction.answer == answer
    assert prediction.predicted_class == ""
    assert prediction.confidence == pytest.approx(confidence)
    assert unpack(bytes(prediction.probabilities), 1)[0] == np.float32(prediction.confidence)
    assert bytes(entry.probabilities or b"") == bytes(prediction.probabilities)
    assert entry.model_version == prediction.model_version


def test_an_update_replaces_the_answer_and_skip_does_not(owner: User) -> None:
    _, client = project_of("numeric", owner)
    register(client)
    first, second = row("x", answer={"number": 1}, confidence=0.5), row("x", answer={"number": 2}, confidence=0.75)
    assert counts(send(client, [first])) == {"received": 1, "created": 1}
    assert counts(send(client, [second])) == {"received": 1, "skipped": 1}
    assert Prediction.objects.get().answer == {"number": 1.0}
    assert counts(send(client, [second], query="?on_conflict=update")) == {"received": 1, "updated": 1}
    stored = Prediction.objects.get()
    assert (stored.answer, stored.confidence) == ({"number": 2.0}, 0.75)
    assert unpack(bytes(PoolEntry.objects.get().probabilities or b""), 1).tolist() == [0.75]


# -- what is refused -----------------------------------------------------------------------------------------------

SPAN = {"start": 0, "end": 4, "class": "a"}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("single_choice", {"answer": {"choice": "a"}, "confidence": 0.5}, "missing_field"),
    ("single_choice", {"probabilities": [0.5, 0.5, 0], "answer": {"choice": "a"}}, "unexpected_field"),
    ("single_choice", {"probabilities": [0.5, 0.5, 0], "confidence": 0.5}, "unexpected_field"),
    ("single_choice", {"probabilities": [0.9, 0.9, 0.9]}, "probabilities_do_not_sum_to_one"),
    ("multi_label", {}, "missing_field"),
    ("multi_label", {"probabilities": [0.5, 0.5]}, "wrong_number_of_probabilities"),
    ("multi_label", {"probabilities": [0.5, 1.0001, 0.5]}, "probability_above_one"),
    ("multi_label", {"probabilities": [0.5, -0.1, 0.5]}, "negative_probability"),
    ("multi_label", {"probabilities": {"a": 0.5, "b": 0.5, "z": 0.5}}, "unknown_class"),
    ("multi_label", {"probabilities": {"a": 0.5, "b": 0.5}}, "missing_class"),
    ("rating", {"probabilities": [0.5, 0.2, 0.2]}, "probabilities_do_not_sum_to_one"),
    ("rating", {"probabilities": {"1": 0.5, "2": 0.5, "4": 0}}, "unknown_class"),
    ("preference", {"probabilities": {"a": 0.5, "b": 0.5}}, "missing_class"),
    ("text_correction", {"confidence": 0.5}, "missing_answer"),
    ("text_correction", {"answer": {"text": "x"}}, "missing_confidence"),
    ("text_correction", {"answer": {"text": "x"}, "std": 1}, "unexpected_field"),
    ("text_correction", {"answer": {"text": 1}, "confidence": 0.5}, "invalid_answer"),
    ("text_correction", {"answer": "x", "confidence": 0.5}, "invalid_answer"),
    ("text_correction", {"answer": None, "confidence": 0.5}, "invalid_answer"),
    ("text_correction", {"answer": {"text": "\x00"}, "confidence": 0.5}, "nul_character"),
    ("text_correction", {"probabilities": [1.0]}, "unexpected_field"),
    ("text_correction", {"answer": {"text": "x"}, "confidence": 1.01}, "invalid_confidence"),
    ("text_correction", {"answer": {"text": "x"}, "confidence": -0.01}, "invalid_confidence"),
    ("text_correction", {"answer": {"text": "x"}, "confidence": "0.5"}, "invalid_confidence"),
    ("text_correction", {"answer": {"text": "x"}, "confidence": None}, "invalid_confidence"),
    ("text_correction", {"answer": {"text": "x"}, "confidence": True}, "invalid_confidence"),
    ("numeric", {"answer": {"number": 11}, "confidence": 0.5}, "invalid_answer"),
    ("numeric", {"answer": {"number": 1}, "std": -1}, "invalid_std"),
    ("numeric", {"answer": {"number": 1}, "std": "1"}, "invalid_std"),
    ("numeric", {"answer": {"number": 1}, "std": 1, "confidence": 0.5}, "unexpected_field"),
    ("numeric", {"answer": {"number": 1}}, "missing_confidence"),
    ("spans", {"answer": {"spans": []}}, "missing_confidence"),
    ("spans", {"answer": {"spans": [SPAN]}}, "missing_confidence"),
    ("spans", {"answer": {"spans": [{**SPAN, "confidence": 2}]}}, "invalid_answer"),
    ("spans", {"answer": {"spans": [{**SPAN, "class": "z"}]}, "confidence": 0.5}, "unknown_class"),
    ("spans", {"answer": {"spans": [{**SPAN, "end": 17}]}, "confidence": 0.5}, "invalid_answer"),
    ("spans", {"answer": {"spans": [SPAN, {**SPAN, "start": 2}]}, "confidence": 0.5}, "invalid_answer"),
    ("boxes", {"answer": {"boxes": [{**BOX, "x": 0.6}]}, "confidence": 0.5}, "invalid_answer"),
    ("boxes", {"answer": {"boxes": [BOX]}}, "missing_confidence"),
    ("boxes", {"answer": {"boxes": [BOX]}, "confidence": 0.5, "model_version": "m9"}, "unknown_model_version"),
]


@pytest.mark.parametrize(("kind", "said", "code"), REFUSED)
def test_a_wrong_prediction_fails_alone_with_its_code(kind: str, said: dict[str, Any], code: str, owner: User) -> None:
    _, client = project_of(kind, owner)
    register(client)
    answer = send(client, [{"key": "before", "payload": PAYLOAD}, row("x", **said)])
    assert answer.status_code == 207, answer.content
    assert failures(answer) == [(1, "x", code)]
    assert list(Item.objects.values_list("key", flat=True)) == ["before"]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("spans", {"answer": {"spans": [SPAN]}, "confidence": 0.5}),
        ("boxes", {"answer": {"boxes": []}, "confidence": 0.5}),
    ],
)
def test_an_answer_about_what_the_item_lacks_is_refused(kind: str, said: dict[str, Any], owner: User) -> None:
    _, client = project_of(kind, owner)
    register(client)
    answer = send(client, [{**row("x", **said), "payload": {"other": "thing"}}])
    assert failures(answer) == [(0, "x", "invalid_answer")]
    assert "no field" in answer.json()["results"][0]["message"]
    assert not Item.objects.exists()


def test_trainers_arrays_are_of_exclusive_classes_only(owner: User) -> None:
    project, client = project_of("multi_label", owner)
    register(client)
    intake.record_items(project, [{"key": "x", "payload": PAYLOAD}])
    version, item = ModelVersion.objects.get(), Item.objects.get()
    with pytest.raises(ValueError, match="no distribution"):
        intake.record_prediction_arrays(
            version, item_ids=np.array([item.pk]), probabilities=np.array([[0.2, 0.3, 0.5]], dtype=np.float32)
        )
    assert not Prediction.objects.exists()


def test_items_without_predictions_need_no_schema(owner: User) -> None:
    _, client = project_of("boxes", owner)
    answer = send(client, [{"key": "x", "payload": json.loads("{}")}])
    assert counts(answer) == {"received": 1, "created": 1}


def test_the_schema_says_how_confidences_of_parts_make_one_and_a_new_version_counts_from_then_on(owner: User) -> None:
    project, client = project_of("spans", owner)
    register(client)
    parts = [
        {"start": 0, "end": 4, "class": "a", "confidence": 1},
        {"start": 5, "end": 6, "class": "b", "confidence": 0.25},
    ]
    expected = {}
    owner_client = APIClient()
    owner_client.force_authenticate(owner)
    for rule, confidence in (("least", 0.25), ("mean", 0.625), ("geometric_mean", 0.5)):
        definition: dict[str, JSONValue] = {"kind": "spans", "classes": CLASSES, "confidence_rule": rule}
        answer = owner_client.post(SCHEMAS, {"definition": definition}, format="json")
        assert answer.status_code == 201, answer.content
        report = send(client, [row(f"by-{rule}", answer={"spans": parts})])
        assert not failures(report), report.content
        expected[f"by-{rule}"] = confidence
    stored = PoolEntry.objects.select_related("item").filter(project=project)
    assert {entry.item.key: float(unpack(bytes(entry.probabilities or b""), 1)[0]) for entry in stored} == expected
    unknown = {"kind": "spans", "classes": CLASSES, "confidence_rule": "best"}
    refused = owner_client.post(SCHEMAS, {"definition": unknown}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_schema")
