"""Feedback in rows, over HTTP: what is kept, what it is joined to, and what is refused."""

import base64
import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.models import Ask, Correction, Feedback, Item, Prediction, Project, Respondent
from labeling.services import ask_keys, feedback, feedback_sql, recording
from tests.factories import asks
from tests.factories.intake import counts, failures
from tests.factories.labeling import NDJSON, ndjson, other_project
from tests.statements import statements_counted

URL = "/api/v1/projects/pets/feedback"


def send(client: APIClient, body: bytes | object, query: str = "", content_type: str = "", **headers: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    default = NDJSON if isinstance(body, bytes) else "application/json"
    return client.post(f"{URL}{query}", raw, content_type=content_type or default, headers=headers or None)


def row(number: int | str = 1, kind: str = "thumb", value: Any = "up", **others: Any) -> dict[str, Any]:
    target = {} if {"token", "ask_id", "prediction_id", "request_id", "key"} & set(others) else {"key": "a"}
    said = {"id": f"f-{number}", "kind": kind, **target, **others}
    return said if value is None else {**said, "value": value}


@pytest.fixture
def item(project: Project) -> Item:
    return asks.items(project, "a")[0]


def only() -> Feedback:
    return Feedback.objects.get()


# -- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "context", "score"),
    [
        ("thumb", "down", {}, 0.0),
        ("rating", 3, {}, 0.5),
        ("rating", 10, {"min": 0, "max": 10}, 1.0),
        ("choice", "a", {}, None),
        ("choice", ["a", "b"], {}, None),
        ("text", "<b>bad</b>", {}, None),
        ("preference", "b", {}, 0.0),
        ("impression", None, {"position": 2}, None),
        ("click", None, {"position": 1, "candidates": ["a", "b"]}, None),
        ("dwell", 12.5, {}, 12.5),
        ("copy", None, {}, None),
        ("retry", None, {}, None),
        ("edit", 0.25, {}, 0.25),
        ("abandonment", None, {}, None),
        ("conversion", None, {}, None),
        ("conversion", 9.99, {}, 9.99),
    ],
)
def test_every_kind_is_kept_with_its_score(
    app_client: APIClient, item: Item, kind: str, value: Any, context: dict[str, Any], score: float | None
) -> None:
    answer = send(app_client, row(kind=kind, value=value, context=context, comment="<i>why</i>"))
    assert (answer.status_code, counts(answer)) == (200, {"received": 1, "created": 1})
    kept = only()
    assert (kept.kind, kept.value, kept.score, kept.context) == (kind, value, score, context)
    assert (kept.client_id, kept.channel, kept.comment) == ("f-1", "app", "<i>why</i>")
    assert (kept.item_id, kept.prediction_id, kept.is_waiting) == (item.pk, None, False)


@pytest.mark.parametrize(
    ("kind", "value", "context"),
    [
        ("thumb", None, {}),
        ("thumb", True, {}),
        ("thumb", ["up"], {}),
        ("rating", 6, {}),
        ("rating", 3, {"min": 5, "max": 1}),
        ("rating", 3, {"min": "low"}),
        ("rating", True, {}),
        ("choice", 3, {}),
        ("choice", ["x"] * 101, {}),
        ("text", " ", {}),
        ("text", "x" * 10_001, {}),
        ("preference", "c", {}),
        ("click", 1, {}),
        ("dwell", -1, {}),
        ("dwell", "long", {}),
        ("dwell", 1e308, {}),
        ("edit", 1.5, {}),
        ("conversion", "much", {}),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_refused(
    app_client: APIClient, item: Item, kind: str, value: Any, context: dict[str, Any]
) -> None:
    answer = send(app_client, [row(kind=kind, value=value, context=context), row(2)])
    assert (answer.status_code, failures(answer)) == (207, [(0, "f-1", "invalid_value")])
    assert only().client_id == "f-2"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "shrug"}, "unknown_kind"),
        ({"kind": ""}, "unknown_kind"),
        ({"kind": 3}, "unknown_kind"),
        ({"key": ""}, "missing_target"),
        ({"request_id": "r-1"}, "several_targets"),
        ({"key": "", "request_id": "r-a", "model_version": "m1"}, "several_targets"),
        ({"key": "x" * 201}, "invalid_target"),
        ({"model_version": "x" * 101}, "invalid_target"),
        ({"id": "x" * 151}, "invalid_id"),
        ({"id": 7}, "invalid_id"),
        ({"supersedes": "f-1"}, "invalid_id"),
        ({"supersedes": "f-0"}, "unknown_feedback"),
        ({"comment": "x" * 2001}, "comment_too_long"),
        ({"comment": "x" * 1_100_000}, "row_too_large"),
        ({"respondent": "x" * 501}, "invalid_respondent"),
        ({"occurred_at": "2026-01-01"}, "invalid_time"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "invalid_time"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "invalid_time"),
        ({"context": []}, "invalid_context"),
        ({"context": {"a": "\x00"}}, "nul_character"),
        ({"colour": "red"}, "unknown_field"),
        ({"key": "", "ask_id": 10**9}, "unknown_ask"),
        ({"key": "", "ask_id": -1}, "unknown_ask"),
        ({"key": "", "prediction_id": 10**9}, "unknown_prediction"),
        ({"key": "", "prediction_id": 2**70}, "unknown_prediction"),
        ({"key": "", "token": "x.y"}, "invalid_token"),
        ({"kind": "correction", "value": "dog"}, "invalid_answer"),
        ({"kind": "correction", "value": {"choice": "fish"}}, "unknown_class"),
    ],
)
def test_a_bad_row_fails_alone_with_its_code(
    app_client: APIClient, item: Item, changes: dict[str, Any], code: str
) -> None:
    answer = send(app_client, ndjson([{**row(), **changes}, row(2)]))
    assert answer.status_code == 207
    assert [failed[2] for failed in failures(answer)] == [code]
    assert only().client_id == "f-2"
    assert not Correction.objects.exists()


def test_a_correction_is_kept_apart_from_opinions(app_client: APIClient, item: Item) -> None:
    answer = send(app_client, [row(1), row(2, "correction", {"choice": "cat"}, model_version="m1")])
    assert counts(answer) == {"received": 2, "created": 2}
    stated = Correction.objects.get()
    assert (stated.answer, stated.item_id, stated.label_schema.version) == ({"choice": "cat"}, item.pk, 1)
    assert stated.prediction == Prediction.objects.get(item=item)
    assert only().kind == "thumb"


def test_the_respondent_is_kept_as_a_hash_only(app_client: APIClient, item: Item, project: Project) -> None:
    send(app_client, [row(1, respondent="user-1"), row(2, "click", None, respondent="user-2")])
    kept = {said.client_id: said.respondent_hash for said in Feedback.objects.all()}
    assert kept == {"f-1": asks.hash_of(project, "user-1"), "f-2": asks.hash_of(project, "user-2")}
    assert [known.respondent_hash for known in Respondent.objects.all()] == [kept["f-1"]]


@pytest.mark.parametrize("off", [dt.timedelta(days=1), dt.timedelta(days=-1)])
def test_a_clock_a_day_off_is_corrected(app_client: APIClient, item: Item, off: dt.timedelta) -> None:
    now = timezone.now()
    happened = now + off - dt.timedelta(minutes=3)
    send(app_client, row(occurred_at=happened.isoformat(), sent_at=(now + off).isoformat()))
    assert abs(only().occurred_at - (now - dt.timedelta(minutes=3))) < dt.timedelta(seconds=5)
    assert only().stated_at == happened


def test_history_keeps_its_time_and_nothing_is_of_the_future(app_client: APIClient, item: Item) -> None:
    send(app_client, [row(1, occurred_at="2020-02-02T00:00:00Z"), row(2, occurred_at="2500-01-01T00:00:00Z"), row(3)])
    first, second, third = Feedback.objects.order_by("client_id")
    assert first.occurred_at == dt.datetime(2020, 2, 2, tzinfo=dt.UTC)
    assert second.occurred_at == second.received_at
    assert (third.occurred_at, third.stated_at) == (third.received_at, None)


def test_a_single_row_costs_two_statements(app_client: APIClient, item: Item) -> None:
    """One knows the key, one joins and stores."""
    send(app_client, row(1))
    with statements_counted() as statements:
        assert send(app_client, row(2, request_id="r-a")).status_code == 200
    assert len([each for each in statements if "SAVEPOINT" not in str(each)]) == 2


# -- what it is about -------------------------------------------------------------------------------------------------


def test_every_target_finds_its_item_and_prediction(app_client: APIClient, item: Item, project: Project) -> None:
    prediction = Prediction.objects.get()
    ask = asks.ask(project, "correction", is_blind=True)
    targets: list[dict[str, Any]] = [
        {"token": ask_keys.token_for(ask)},
        {"ask_id": ask.pk},
        {"prediction_id": prediction.pk},
        {"request_id": "r-a"},
        {"key": "a", "model_version": "m1"},
    ]
    kinds = ["copy" if "token" in target else "thumb" for target in targets]
    values = [None if kind == "copy" else "up" for kind in kinds]
    answer = send(
        app_client, [row(number, kinds[number], values[number], **target) for number, target in enumerate(targets)]
    )
    assert counts(answer) == {"received": 5, "created": 5}
    kept = list(Feedback.objects.order_by("client_id"))
    assert {(said.item_id, said.prediction_id) for said in kept} == {(item.pk, prediction.pk)}
    assert [said.ask_id for said in kept] == [ask.pk, ask.pk, None, None, None]
    assert [said.is_anchored for said in kept] == [False, False, None, None, None]
    assert [said.channel for said in kept] == ["token", "app", "app", "app", "app"]
    assert {said.respondent_hash for said in kept[:2]} == {ask.respondent_hash}


def test_many_rows_go_the_same_way_as_few(app_client: APIClient, item: Item, project: Project) -> None:
    """By COPY instead of one parameter."""
    count = feedback_sql.FEW_ROWS + 10
    rows = [row(f"{n:03}", "rating", 1 + n % 5, respondent=f"u-{n % 7}", context={"n": n}) for n in range(count)]
    rows += [row(f"c{n:03}", "correction", {"choice": "cat"}, request_id="r-a") for n in range(count)]
    answer = send(app_client, [*rows, row("bad", ask_id=10**9)])
    assert (answer.status_code, counts(answer)) == (207, {"received": 2 * count + 1, "created": 2 * count, "failed": 1})
    kept = Feedback.objects.get(client_id="f-017")
    assert (kept.value, kept.score, kept.context, kept.item_id) == (3, 0.5, {"n": 17}, item.pk)
    assert Correction.objects.filter(item=item, prediction__isnull=False).count() == count
    assert Respondent.objects.count() == 7
    assert counts(send(app_client, rows)) == {"received": 2 * count, "skipped": 2 * count}


def test_a_ranked_list_is_told_apart_by_position(app_client: APIClient, project: Project) -> None:
    first, second = asks.items(project, "a", "b")
    for place, item in enumerate((first, second)):
        Prediction.objects.filter(item=item).update(context={"request_id": "list-1", "position": place})
    send(app_client, [row(place, "click", None, request_id="list-1", context={"position": place}) for place in (0, 1)])
    assert [said.item_id for said in Feedback.objects.order_by("client_id")] == [first.pk, second.pk]


def test_targets_of_another_project_are_not_found(app_client: APIClient, project: Project) -> None:
    elsewhere = other_project()
    theirs = asks.items(elsewhere, "a")[0]
    ask = asks.ask(elsewhere)
    rows = [
        row(1, ask_id=ask.pk),
        row(2, prediction_id=Prediction.objects.get(item=theirs).pk),
        row(3, "copy", None, token=ask_keys.token_for(ask)),
        row(4, request_id="r-a"),
        row(5, key="a"),
    ]
    answer = send(app_client, rows)
    assert [code for _, _, code in failures(answer)] == ["unknown_ask", "unknown_prediction", "invalid_token"]
    assert [(said.item_id, said.is_waiting) for said in Feedback.objects.all()] == [(None, True), (None, True)]


@pytest.mark.parametrize(
    ("kind", "value"), [("thumb", "up"), ("rating", 3), ("text", "x"), ("correction", {"choice": "cat"})]
)
def test_an_answer_goes_to_the_address_of_its_token(
    app_client: APIClient, project: Project, kind: str, value: Any
) -> None:
    """There it is checked against the question, and the ask has one outcome."""
    ask = asks.ask(project)
    token = ask_keys.token_for(ask)
    answer = send(app_client, [row(1, kind, value, token=token), row(2, "dwell", 3, token=token)])
    assert [code for _, _, code in failures(answer)] == ["use_token_endpoint"]
    assert Feedback.objects.get().kind == "dwell"
    assert not Correction.objects.exists()
    ask.refresh_from_db()
    assert ask.state == "offered"


def test_ids_of_answers_are_not_for_others(app_client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    answer = send(app_client, [{**row(1, "click", None, token=ask_keys.token_for(ask)), "id": f"answer:{ask.pk}:c-1"}])
    assert [code for _, _, code in failures(answer)] == ["invalid_id"]
    assert not Feedback.objects.exists()


def test_private_asks_take_nothing_but_their_answer(app_client: APIClient, project: Project) -> None:
    ask = asks.ask(project, version=asks.question(project, "thumbs", key="private", epsilon=1.0))
    answer = send(app_client, [row(1, ask_id=ask.pk), row(2, "dwell", 3, token=ask_keys.token_for(ask))])
    assert [code for _, _, code in failures(answer)] == ["private_question"] * 2
    assert not Feedback.objects.exists()


# -- what comes before the thing it is about --------------------------------------------------------------------------


def test_early_rows_wait_and_are_joined(app_client: APIClient, project: Project) -> None:
    rows = [row(1, request_id="r-a"), row(2, key="a"), row(3, key="a", model_version="m1"), row(4, key="never")]
    rows += [row(5, "correction", {"choice": "cat"}, request_id="r-a")]
    assert counts(send(app_client, rows)) == {"received": 5, "created": 5}
    assert Feedback.objects.filter(is_waiting=True, item=None).count() == 4
    item = asks.items(project, "a")[0]
    prediction = Prediction.objects.get()
    assert feedback.projects_waiting() == [project.pk]
    assert feedback.join_waiting(project.pk) == 4
    kept = {said.client_id: (said.item_id, said.prediction_id, said.is_waiting) for said in Feedback.objects.all()}
    assert kept == {
        "f-1": (item.pk, prediction.pk, False),
        "f-2": (item.pk, None, False),
        "f-3": (item.pk, prediction.pk, False),
        "f-4": (None, None, True),
    }
    assert Correction.objects.get().item_id == item.pk
    assert feedback.join_waiting(project.pk) == 0


def test_a_row_waits_for_the_prediction_of_its_model_version(app_client: APIClient, project: Project) -> None:
    item = asks.items(project, "a")[0]
    send(app_client, row(key="a", model_version="m2"))
    assert (only().item_id, only().is_waiting) == (item.pk, True)
    app_client.post("/api/v1/projects/pets/model-versions", {"name": "m2"}, format="json")
    prediction = {"key": "a", "model_version": "m2", "probabilities": [1, 0, 0]}
    app_client.post("/api/v1/projects/pets/predictions", prediction, format="json")
    feedback.join_waiting(project.pk)
    assert only().prediction == Prediction.objects.get(model_version__name="m2")
    assert not only().is_waiting


def test_only_what_came_since_is_looked_at_promptly(app_client: APIClient, project: Project) -> None:
    send(app_client, [row(1), row(2)])
    Feedback.objects.filter(client_id="f-1").update(received_at=timezone.now() - dt.timedelta(days=2))
    asks.items(project, "a")
    assert feedback.join_waiting(project.pk, since=timezone.now() - dt.timedelta(days=1)) == 1
    assert feedback.join_waiting(project.pk) == 1


def test_waiting_rows_are_joined_in_batches(
    app_client: APIClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "JOIN_BATCH", 2)
    send(app_client, [row(number, key="never" if number % 2 else "a") for number in range(7)])
    asks.items(project, "a")
    assert feedback.join_waiting(project.pk) == 4
    assert Feedback.objects.filter(is_waiting=True).count() == 3


# -- counted once, superseded, replayed -------------------------------------------------------------------------------


def test_an_id_counts_once(app_client: APIClient, item: Item) -> None:
    send(app_client, row(1))
    answer = send(app_client, [row(1, value="down"), row(2), row(2)])
    assert answer.status_code == 207
    assert [each.get("code") or each["status"] for each in answer.json()["results"]] == [
        "skipped",
        "created",
        "duplicate_id_in_request",
    ]
    refused = send(app_client, row(1), "?on_conflict=error")
    assert failures(refused) == [(0, "f-1", "already_exists")]
    assert Feedback.objects.get(client_id="f-1").value == "up"
    updating = send(app_client, row(1), "?on_conflict=update")
    assert (updating.status_code, updating.json()["code"]) == (400, "invalid_on_conflict")


def test_rows_without_an_id_all_count(app_client: APIClient, item: Item) -> None:
    nameless = {"kind": "click", "key": "a"}
    assert counts(send(app_client, [nameless, nameless])) == {"received": 2, "created": 2}


def test_a_row_supersedes_an_older_one_once(app_client: APIClient, item: Item) -> None:
    send(app_client, row(0))
    newer = row(1, value="down", supersedes="f-0")
    assert counts(send(app_client, newer)) == {"received": 1, "created": 1}
    assert counts(send(app_client, newer)) == {"received": 1, "skipped": 1}
    assert failures(send(app_client, row(2, supersedes="f-0"))) == [(0, "f-2", "already_superseded")]
    older, kept = Feedback.objects.order_by("client_id")
    assert (older.stands, older.value, kept.stands, kept.supersedes_id) == (False, "up", True, older.pk)


def test_a_chain_may_come_in_one_request(app_client: APIClient, item: Item) -> None:
    chain = [row(0), row(1, supersedes="f-0"), row(2, supersedes="f-1"), row(3, supersedes="f-1"), row(4)]
    answer = send(app_client, chain)
    assert failures(answer) == [(3, "f-3", "already_superseded")]
    assert [said.client_id for said in Feedback.objects.filter(superseded_at=None)] == ["f-2", "f-4"]


def test_an_opinion_does_not_supersede_a_statement(app_client: APIClient, item: Item) -> None:
    send(app_client, row(0, "correction", {"choice": "cat"}))
    assert failures(send(app_client, row(1, supersedes="f-0"))) == [(0, "f-1", "unknown_feedback")]
    assert Correction.objects.get().stands


def test_a_request_with_a_key_is_answered_as_before(app_client: APIClient, item: Item) -> None:
    first = send(app_client, [row(1)], **{"Idempotency-Key": "k-1"})
    again = send(app_client, [row(1)], **{"Idempotency-Key": "k-1"})
    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
    other = send(app_client, [row(2)], **{"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Feedback.objects.count() == 1


def test_chunks_are_stored_one_by_one(app_client: APIClient, item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "CHUNK_ROWS", 2)
    lines = ndjson([row(1), row(2), row(3), b"{", row(4)])
    assert counts(send(app_client, lines, "?results=errors")) == {"received": 5, "created": 4, "failed": 1}


# -- SageMaker --------------------------------------------------------------------------------------------------------


def ground_truth(event: str, data: str, encoding: str = "CSV", **metadata: str) -> dict[str, Any]:
    return {
        "groundTruthData": {"data": data, "encoding": encoding},
        "eventMetadata": {"eventId": event, **metadata},
        "eventVersion": "0",
    }


def test_ground_truth_of_sagemaker_is_taken_as_it_is(app_client: APIClient, item: Item) -> None:
    encoded = base64.b64encode(b"bird").decode()
    records = [
        ground_truth("e-1", "cat", inferenceId="r-a"),
        ground_truth("r-a", '{"choice": "dog"}', "JSON"),
        ground_truth("e-3", encoded, "BASE64", inferenceId="r-a"),
        ground_truth("e-4", '"cat"', "JSON", inferenceId="later"),
        ground_truth("e-5", "fish", inferenceId="r-a"),
        ground_truth("e-6", "???", "BASE64"),
        ground_truth("e-7", "cat", "XML"),
        ground_truth("e-8", "{", "JSON"),
        {"eventMetadata": {"eventId": "e-9"}, "eventVersion": "0"},
    ]
    answer = send(app_client, ndjson(records))
    assert counts(answer) == {"received": 9, "created": 4, "failed": 5}
    assert [code for _, _, code in failures(answer)] == ["unknown_class"] + ["invalid_ground_truth"] * 4
    kept = {each.client_id: (each.answer["choice"], each.item_id) for each in Correction.objects.all()}
    assert kept == {
        "e-1": ("cat", item.pk),
        "r-a": ("dog", item.pk),
        "e-3": ("bird", item.pk),
        "e-4": ("cat", None),
    }
    assert set(Correction.objects.values_list("channel", flat=True)) == {"imported"}
    assert counts(send(app_client, ndjson(records[:4]))) == {"received": 4, "skipped": 4}


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("manager", 200), ("reviewer", 403), ("annotator", 403), ("stranger", 404)]
)
def test_who_may_send(request: pytest.FixtureRequest, item: Item, role: str, status: int) -> None:
    client = APIClient()
    client.force_login(request.getfixturevalue(role))
    assert send(client, row()).status_code == status
    assert Feedback.objects.count() == (status == 200)


def test_nobody_sends_without_showing_who_they_are(item: Item) -> None:
    assert send(APIClient(), row()).status_code == 401
    assert Ask.objects.count() == Feedback.objects.count() == 0
