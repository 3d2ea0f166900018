"""Rows are written as the service reads them; what it could not read is refused with a code."""

import datetime as dt
import json
from uuid import UUID

import numpy as np
import pytest
from feedback_client import rows
from feedback_client.errors import InvalidArgument
from feedback_client.json_text import encode
from feedback_client.request_ids import request_id_scope
from feedback_client.rows import Probabilities, Route, Target

from labeling import feedback_rows, wire

LARGEST = 1024 * 1024


def _part(probabilities: Probabilities | None = (0.9, 0.1), **others: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "model_version": "m1",
        "answer": None,
        "confidence": None,
        "std": None,
        "context": {},
        "respondent": None,
        **others,
    }
    return rows.prediction_part(probabilities=probabilities, **fields)  # type: ignore[arg-type]  # one test each


def _row(key: str, payload: object = None, **others: object) -> tuple[Route, rows.Row]:
    fields = {"segments": None, "embedding": None, **others}
    return rows.prediction_row(key, _part(), payload=payload, **fields)  # type: ignore[arg-type]  # one test each


def _feedback(kind: str = "thumb", value: object = "up", target: Target | None = None, **others: object) -> rows.Row:
    fields: dict[str, object] = {
        "feedback_id": None,
        "comment": None,
        "respondent": None,
        "occurred_at": None,
        "context": None,
        "supersedes": None,
        **others,
    }
    return rows.feedback_row(kind, value, target or Target(key="a"), **fields)  # type: ignore[arg-type]  # one test each


def test_a_row_with_a_payload_makes_the_item_and_is_read_by_the_service() -> None:
    route, row = _row("t-1", {"text": "naïve"}, segments={"lang": "fr"}, embedding=np.ones(3, dtype=np.float32))
    assert route is Route.ITEMS
    read = wire.parse_item(row.body, largest_bytes=LARGEST)
    assert (read.key, json.loads(read.payload), json.loads(read.segments)) == ("t-1", {"text": "naïve"}, {"lang": "fr"})
    assert read.prediction is not None
    assert (read.prediction.model_version, read.prediction.probabilities) == ("m1", [0.9, 0.1])
    assert read.embedding == np.ones(3, dtype="<f2").tobytes()


def test_a_row_without_a_payload_is_a_prediction_and_is_read_by_the_service() -> None:
    part = _part(None, answer={"value": 3}, confidence=0.5, std=0.1, context={"a": 1}, respondent="u")
    route, row = rows.prediction_row("t-1", part, payload=None, segments=None, embedding=None)
    assert route is Route.PREDICTIONS
    read = wire.parse_prediction(row.body, largest_bytes=LARGEST).prediction
    assert read is not None
    assert (read.answer, read.confidence, read.std) == ({"value": 3}, 0.5, 0.1)
    assert (read.context, read.respondent) == ({"a": 1}, "u")


@pytest.mark.parametrize(
    "probabilities",
    [
        [0.75, 0.25],
        (0.75, 0.25),
        np.array([0.75, 0.25], dtype=np.float32),
        {"a": np.float32(0.75), "b": np.float64(0.25)},
    ],
)
def test_probabilities_come_in_every_form_an_app_has(probabilities: Probabilities) -> None:
    written = json.loads(encode(_part(probabilities)))["probabilities"]
    assert written in ([0.75, 0.25], {"a": 0.75, "b": 0.25})


@pytest.mark.parametrize(
    ("key", "others", "code"),
    [
        ("", {}, "invalid_key"),
        (" ", {}, "invalid_key"),
        ("k" * 201, {}, "invalid_key"),
        (7, {}, "invalid_key"),
        ("k", {"segments": {"a": "b"}}, "payload_missing"),
        ("k", {"embedding": [1.0]}, "payload_missing"),
        ("k", {"payload": "text"}, "invalid_payload"),
        ("k", {"payload": {"x": object()}}, "not_json"),
        ("k", {"payload": {"x": float("nan")}}, "not_json"),
        ("k", {"payload": {"x": "\ud800"}}, "not_json"),
        ("k", {"payload": {"x": "x" * 900_000}}, "row_too_large"),
    ],
)
def test_rows_that_the_service_could_not_use_are_refused(key: str, others: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _row(key, **others)
    assert caught.value.code == code


def test_a_structure_that_contains_itself_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless
    with pytest.raises(InvalidArgument, match="JSON"):
        _row("k", endless)


@pytest.mark.parametrize(
    ("others", "code"),
    [
        ({"model_version": ""}, "invalid_model_version"),
        ({"model_version": None}, "invalid_model_version"),
        ({"model_version": "m" * 101}, "invalid_model_version"),
        ({"probabilities": None}, "nothing_predicted"),
    ],
)
def test_a_prediction_names_its_model_and_says_something(others: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _part(**others)  # type: ignore[arg-type]  # one case each
    assert caught.value.code == code


def test_the_app_s_own_context_wins_over_what_is_known_of_the_request() -> None:
    with request_id_scope("r-1"):
        assert rows.context_of({"page": 2}, request_id=None, latency_ms=1.5) == {
            "request_id": "r-1",
            "latency_ms": 1.5,
            "page": 2,
        }
        assert rows.context_of(None, request_id="r-2", latency_ms=None) == {"request_id": "r-2"}
        assert rows.context_of({"request_id": "r-3"}, request_id=None, latency_ms=None) == {"request_id": "r-3"}
    assert rows.context_of(None, request_id=None, latency_ms=None) == {}


def test_feedback_has_an_id_a_target_and_a_time_with_zone() -> None:
    row = json.loads(_feedback("thumb", "up", Target(prediction_id=5), comment="ok").body)
    assert UUID(row.pop("id"))
    assert dt.datetime.fromisoformat(row.pop("occurred_at")).tzinfo is not None
    assert row == {"kind": "thumb", "value": "up", "prediction_id": 5, "comment": "ok"}


def test_feedback_without_a_target_is_about_the_request_being_served() -> None:
    with request_id_scope("r-9"):
        assert json.loads(_feedback(target=Target()).body)["request_id"] == "r-9"
        assert "request_id" not in json.loads(_feedback(target=Target(key="k")).body)


@pytest.mark.parametrize(
    "target",
    [Target(), Target(token="t", key="k"), Target(model_version="m1"), Target(ask_id=1, model_version="m1")],
)
def test_feedback_is_about_exactly_one_thing(target: Target) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _feedback(target=target)
    assert caught.value.code == "invalid_target"


@pytest.mark.parametrize("feedback_id", ["", "f" * 151, 7])
def test_an_id_of_feedback_is_one_that_the_service_takes(feedback_id: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        _feedback(feedback_id=feedback_id)
    assert caught.value.code == "invalid_id"


def test_feedback_is_read_by_the_service() -> None:
    row = _feedback("dwell", 2.5, Target(key="k", model_version="m1"), feedback_id="f-1", context={"position": 3})
    read = feedback_rows.parse(row.body, largest_bytes=LARGEST)
    assert (read.key, read.kind, read.score, read.item_key, read.model_version) == ("f-1", "dwell", 2.5, "k", "m1")
    assert read.occurred_at is not None
    nothing = feedback_rows.parse(_feedback("click", None, Target(token="t")).body, largest_bytes=LARGEST)
    assert (nothing.kind, nothing.token, nothing.score) == ("click", "t", None)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        _feedback(occurred_at=dt.datetime(2026, 1, 1))  # noqa: DTZ001  the point of the test
    assert caught.value.code == "naive_time"


def test_what_json_does_not_know_is_written_in_its_usual_form() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)
    values = {"at": moment, "day": moment.date(), "id": UUID(int=1), "set": {2, 1}, "array": np.array([[1, 2]])}
    assert json.loads(encode(values)) == {
        "at": "2026-01-02T03:04:00+00:00",
        "day": "2026-01-02",
        "id": "00000000-0000-0000-0000-000000000001",
        "set": [1, 2],
        "array": [[1, 2]],
    }
