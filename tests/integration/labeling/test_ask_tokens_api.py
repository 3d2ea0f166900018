"""What the holder of a token may do with an ask, over HTTP."""

import datetime as dt
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from labeling.models import Ask, Correction, Feedback, Project, Respondent
from labeling.redis_client import redis_client
from tests.factories import asks
from tests.factories.asks import KRR, PAGE, tell
from tests.factories.labeling import other_project
from tests.statements import statements_counted


@pytest.fixture(autouse=True)
def no_charges() -> None:
    """What earlier tests sent is not charged to this one: on a fast machine the address would be refused."""
    for name in redis_client().scan_iter("rate:*"):
        redis_client().delete(name)


@pytest.fixture
def client(db: None) -> APIClient:
    return APIClient()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def nothing_was_said() -> bool:
    return not Feedback.objects.exists() and not Correction.objects.exists()


# -- the way of an ask ------------------------------------------------------------------------------------------------


def test_shown_started_answered(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    for event, state in (("shown", "shown"), ("started", "shown")):
        answer = tell(client, ask, event)
        assert (answer.status_code, answer.json()) == (
            200,
            {"state": state, "feedback_id": None, "may_edit_until": None},
        )
    answer = tell(client, ask, "answered", answer={"thumb": "up"}, comment="Nice", id="c-1", duration_ms=900)
    assert answer.status_code == 200
    ask.refresh_from_db()
    assert ask.state == Ask.State.ANSWERED
    assert ask.shown_at is not None
    assert ask.started_at is not None
    assert ask.answered_at is not None
    assert ask.shown_at <= ask.started_at <= ask.answered_at
    said = Feedback.objects.get()
    assert answer.json()["feedback_id"] == said.pk
    assert answer.json()["state"] == "answered"
    assert dt.datetime.fromisoformat(answer.json()["may_edit_until"]) == ask.answered_at + dt.timedelta(minutes=15)
    assert (said.kind, said.value, said.score, said.comment, said.channel) == ("thumb", "up", 1.0, "Nice", "token")
    assert (said.item_id, said.prediction_id, said.ask_id) == (ask.item_id, ask.prediction_id, ask.pk)
    assert (said.question_version_id, said.respondent_hash) == (ask.question_version_id, ask.respondent_hash)
    assert (said.is_anchored, said.context, said.epsilon, said.is_waiting) == (True, {"duration_ms": 900}, None, False)
    assert not Correction.objects.exists()
    assert Respondent.objects.get().respondent_hash == ask.respondent_hash


def test_an_answer_costs_two_statements(client: APIClient, project: Project) -> None:
    """One locks the ask, one writes; the question and the label schema are known from the answer before."""
    first, second = asks.ask(project, opportunity="o-1"), asks.ask(project, opportunity="o-2")
    tell(client, first, "answered", answer={"thumb": "up"})
    with statements_counted() as statements:
        assert tell(client, second, "answered", answer={"thumb": "up"}).status_code == 200
    assert len([each for each in statements if "SAVEPOINT" not in str(each)]) == 2


def test_an_answer_before_shown_notes_both(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    assert tell(client, ask, "answered", answer={"thumb": "down"}).status_code == 200
    ask.refresh_from_db()
    assert ask.shown_at == ask.answered_at is not None
    assert tell(client, ask, "shown").json()["state"] == "answered"
    ask.refresh_from_db()
    assert ask.state == "answered"


def test_dismissed_is_final_and_may_be_said_twice(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    assert tell(client, ask, "dismissed").json()["state"] == "dismissed"
    ask.refresh_from_db()
    dismissed_at = ask.dismissed_at
    assert tell(client, ask, "dismissed").json()["state"] == "dismissed"
    assert tell(client, ask, "shown").json()["state"] == "dismissed"
    assert code(tell(client, ask, "answered", answer={"thumb": "up"})) == (409, "already_dismissed")
    ask.refresh_from_db()
    assert (ask.state, ask.dismissed_at) == ("dismissed", dismissed_at)
    assert nothing_was_said()


def test_dismissed_after_answered_is_a_conflict(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    tell(client, ask, "answered", answer={"thumb": "up"})
    assert code(tell(client, ask, "dismissed")) == (409, "already_answered")
    ask.refresh_from_db()
    assert (ask.state, ask.dismissed_at) == ("answered", None)


def test_an_answer_is_changed_within_the_window_and_the_old_one_kept(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    first = tell(client, ask, "answered", answer={"thumb": "up"}, id="c-1").json()
    second = tell(client, ask, "answered", answer={"thumb": "down"}, id="c-2").json()
    older, newer = Feedback.objects.order_by("id")
    assert (older.pk, newer.pk) == (first["feedback_id"], second["feedback_id"])
    assert older.superseded_at is not None
    assert (newer.supersedes_id, newer.stands, newer.value) == (older.pk, True, "down")
    assert second["may_edit_until"] == first["may_edit_until"]


@pytest.mark.parametrize("order", [("up", "down"), ("down", "up")])
@pytest.mark.parametrize("sends_clock", [True, False])
def test_of_answers_out_of_order_the_one_given_last_stands(
    client: APIClient, project: Project, order: tuple[str, str], sends_clock: bool
) -> None:
    """By the clock of the device, which knows better than the network. Up was changed to down."""
    now = timezone.now()
    ask = asks.ask(project, "correction", now=now - dt.timedelta(hours=1))
    given = {"up": now - dt.timedelta(seconds=9), "down": now - dt.timedelta(seconds=8)}
    answers = {"up": {"is_right": True}, "down": {"is_right": False, "correction": {"choice": "cat"}}}
    for thumb in order:
        # As beacons that are sent at once and held up for different times.
        sent = {"sent_at": now.isoformat()} if sends_clock else {}
        at = given[thumb].isoformat()
        told = tell(client, ask, "answered", answer=answers[thumb], id=thumb, occurred_at=at, **sent)
        assert told.status_code == 200
    assert {said.value: said.stands for said in Feedback.objects.all()} == {"up": False, "down": True}
    assert {stated.answer["choice"]: stated.stands for stated in Correction.objects.all()} == {
        "dog": False,
        "cat": True,
    }
    again = tell(client, ask, "answered", answer=answers["up"], id="up", occurred_at=given["up"].isoformat())
    assert again.status_code == 200
    assert Feedback.objects.get(superseded_at=None).value == "down"


def test_an_answer_that_is_held_up_for_longer_than_it_took_to_change_does_not_win(
    client: APIClient, project: Project
) -> None:
    now = timezone.now()
    ask = asks.ask(project, now=now - dt.timedelta(hours=1))
    newer = {"occurred_at": now.isoformat(), "sent_at": now.isoformat()}
    tell(client, ask, "answered", answer={"thumb": "down"}, **newer)
    older = now - dt.timedelta(milliseconds=1)  # less than a request takes
    tell(client, ask, "answered", answer={"thumb": "up"}, occurred_at=older.isoformat(), sent_at=older.isoformat())
    assert Feedback.objects.get(superseded_at=None).value == "down"


def test_an_answer_given_anew_supersedes_the_answer_and_not_what_else_was_said_of_the_ask(
    client: APIClient, app_client: APIClient, project: Project
) -> None:
    ask = asks.ask(project)
    tell(client, ask, "answered", answer={"thumb": "up"}, id="c-1")
    opinion = {"id": "f-1", "kind": "text", "value": "Hm", "ask_id": ask.pk}
    assert app_client.post("/api/v1/projects/pets/feedback", opinion, format="json").json()["created"] == 1
    tell(client, ask, "answered", answer={"thumb": "down"}, id="c-2")
    stands = Feedback.objects.filter(superseded_at=None).order_by("id")
    assert [(said.kind, said.value) for said in stands] == [("text", "Hm"), ("thumb", "down")]


def test_the_same_id_again_changes_nothing(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    first = tell(client, ask, "answered", answer={"thumb": "up"}, id="c-1")
    again = tell(client, ask, "answered", answer={"thumb": "down"}, id="c-1")
    assert (again.status_code, again.json()) == (200, first.json())
    assert Feedback.objects.get().value == "up"


def test_after_the_window_an_answer_stands(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, now=timezone.now() - dt.timedelta(hours=1))
    tell(client, ask, "answered", answer={"thumb": "up"}, id="c-1")
    Ask.objects.update(answered_at=timezone.now() - dt.timedelta(minutes=15, seconds=1))
    assert code(tell(client, ask, "answered", answer={"thumb": "down"}, id="c-2")) == (409, "already_answered")
    assert tell(client, ask, "answered", answer={"thumb": "up"}, id="c-1").status_code == 200
    assert [said.value for said in Feedback.objects.all()] == ["up"]


def test_opting_out_dismisses_and_is_remembered(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    before = timezone.now()
    assert tell(client, ask, "opted_out").json()["state"] == "dismissed"
    until = Respondent.objects.get(respondent_hash=ask.respondent_hash).opted_out_until
    assert until is not None
    assert dt.timedelta(days=180) <= until - before < dt.timedelta(days=180, minutes=1)
    assert tell(client, ask, "opted_out").status_code == 200
    assert Respondent.objects.count() == 1


def test_opting_out_after_an_answer_keeps_the_answer(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    tell(client, ask, "answered", answer={"thumb": "up"})
    assert tell(client, ask, "opted_out").json()["state"] == "answered"
    assert Respondent.objects.get().opted_out_until is not None
    assert Feedback.objects.get().stands


def test_nobody_in_particular_may_opt_out(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, respondent="")
    assert tell(client, ask, "opted_out").json()["state"] == "dismissed"
    assert not Respondent.objects.exists()


# -- kinds of questions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("rating", {"rating": 4}, ("rating", 4, 0.75)),
        ("single_choice", {"choice": "b"}, ("choice", "b", None)),
        ("multiple_choice", {"choices": ["b", "a"]}, ("choice", ["a", "b"], None)),
        ("text", {"text": "<script>alert(1)</script>"}, ("text", "<script>alert(1)</script>", None)),
        ("preference", {"preferred": "tie"}, ("preference", "tie", 0.5)),
        ("survey", {"answers": {"s1": {"rating": 2}}}, ("survey", {"s1": {"rating": 2}}, None)),
    ],
)
def test_every_kind_of_answer_is_kept_in_its_form(
    client: APIClient, project: Project, kind: str, answer: Any, said: Any
) -> None:
    assert tell(client, asks.ask(project, kind), "answered", answer=answer).status_code == 200
    kept = Feedback.objects.get()
    assert (kept.kind, kept.value, kept.score) == said


@pytest.mark.parametrize(
    ("answer", "is_blind", "opinion", "truth"),
    [
        ({"is_right": True}, False, "up", {"choice": "dog"}),
        ({"is_right": False, "correction": {"choice": "cat"}}, False, "down", {"choice": "cat"}),
        ({"is_right": False}, False, "down", None),
        ({"correction": {"choice": "bird"}}, True, None, {"choice": "bird"}),
    ],
)
def test_an_opinion_and_the_truth_are_kept_apart(
    client: APIClient, project: Project, answer: Any, is_blind: bool, opinion: str | None, truth: Any
) -> None:
    ask = asks.ask(project, "correction", is_blind=is_blind)
    told = tell(client, ask, "answered", answer=answer, comment="Look at it", id="c-1")
    assert told.status_code == 200
    said, stated = Feedback.objects.first(), Correction.objects.first()
    assert (said.value if said else None) == opinion
    assert (stated.answer if stated else None) == truth
    assert told.json()["feedback_id"] == (said.pk if said else None)
    if stated is not None:
        assert (stated.is_anchored, stated.label_schema.version, stated.ask_id) == (not is_blind, 1, ask.pk)
        assert stated.comment == ("Look at it" if said is None else "")
    again = tell(client, ask, "answered", answer=answer, id="c-1")
    assert again.json() == told.json()
    assert Feedback.objects.count() + Correction.objects.count() == bool(opinion) + bool(truth)


def test_a_changed_correction_supersedes_both_sides(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, "correction")
    tell(client, ask, "answered", answer={"is_right": False, "correction": {"choice": "cat"}})
    tell(client, ask, "answered", answer={"is_right": False})
    assert [said.stands for said in Feedback.objects.order_by("id")] == [False, True]
    assert not Correction.objects.get().stands
    tell(client, ask, "answered", answer={"is_right": True})
    assert [stated.answer["choice"] for stated in Correction.objects.filter(superseded_at=None)] == ["dog"]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("thumbs", {"answer": {"thumb": "sideways"}}, (400, "invalid_answer")),
        ("thumbs", {}, (400, "invalid_answer")),
        ("thumbs", {"answer": {"thumb": "up"}, "comment": "x" * 2001}, (400, "comment_too_long")),
        ("thumbs", {"answer": {"thumb": "up"}, "comment": "x" * 70_000}, (413, "body_too_large")),
        ("thumbs", {"answer": {"thumb": "up"}, "comment": "x" * 1_000_000}, (413, "body_too_large")),
        ("thumbs", {"answer": {"thumb": "up"}, "comment": "a\x00b"}, (400, "nul_character")),
        ("thumbs", {"answer": {"thumb": "up"}, "context": {"a": "x" * 20_000}}, (400, "invalid_context")),
        ("thumbs", {"answer": {"thumb": "up", "randomised": KRR}}, (400, "not_randomised")),
        ("thumbs", {"answer": {"thumb": "up"}, "id": "x" * 151}, (400, "invalid_input")),
        ("thumbs", {"answer": {"thumb": "up"}, "occurred_at": "yesterday"}, (400, "invalid_input")),
        ("thumbs", {"answer": {"thumb": "up"}, "occurred_at": "0001-01-01T00:00:00+14:00"}, (400, "invalid_time")),
        ("thumbs", {"answer": {"thumb": "up"}, "colour": "red"}, (400, "invalid_input")),
        ("correction", {"answer": {"is_right": False, "correction": {"choice": "fish"}}}, (400, "unknown_class")),
    ],
)
def test_what_is_no_answer_is_refused_and_leaves_the_ask_open(
    client: APIClient, project: Project, kind: str, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    ask = asks.ask(project, kind)
    assert code(tell(client, ask, "answered", **fields)) == expected
    ask.refresh_from_db()
    assert (ask.state, ask.shown_at) == ("offered", None)
    assert nothing_was_said()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"event": "eaten"}', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_event_is_refused(client: APIClient, project: Project, body: bytes) -> None:
    answer = client.post(asks.url(asks.ask(project)), body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] in ("invalid_json", "invalid_input")


def test_other_types_of_bodies_are_refused_and_beacons_taken(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    form = client.post(asks.url(ask), {"event": "shown"}, format="multipart")
    assert form.status_code == 415
    assert tell(client, ask, "shown", content_type="text/plain;charset=UTF-8").json()["state"] == "shown"


# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [dt.timedelta(days=1), dt.timedelta(days=-1), dt.timedelta(days=9000)])
def test_a_clock_that_is_a_day_off_is_corrected_and_its_time_kept(
    client: APIClient, project: Project, off: dt.timedelta
) -> None:
    ask = asks.ask(project, now=timezone.now() - dt.timedelta(hours=2))
    now = timezone.now()
    happened, sent = now - dt.timedelta(minutes=10) + off, now + off
    told = tell(
        client, ask, "answered", answer={"thumb": "up"}, occurred_at=happened.isoformat(), sent_at=sent.isoformat()
    )
    assert told.status_code == 200
    said = Feedback.objects.get()
    assert abs(said.occurred_at - (now - dt.timedelta(minutes=10))) < dt.timedelta(seconds=5)
    assert said.stated_at == happened
    assert abs(said.received_at - now) < dt.timedelta(seconds=5)


def test_nothing_happens_before_it_was_asked_or_after_now(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    tell(client, ask, "shown", occurred_at="2001-01-01T00:00:00Z")
    tell(client, ask, "answered", answer={"thumb": "up"}, occurred_at="2500-01-01T00:00:00Z")
    ask.refresh_from_db()
    assert ask.shown_at == ask.created_at
    assert ask.answered_at is not None
    assert ask.answered_at <= timezone.now()


# -- private questions ------------------------------------------------------------------------------------------------


def test_every_private_answer_is_charged_and_tells_nothing_beside(client: APIClient, project: Project) -> None:
    version = asks.question(project, "thumbs", key="private", epsilon=1.0)
    for number in range(2):
        ask = asks.ask(project, version=version, opportunity=f"p-{number}")
        told = tell(client, ask, "answered", answer={"thumb": "up", "randomised": KRR}, duration_ms=5, context={"a": 1})
        assert told.status_code == 200
        assert told.json()["may_edit_until"] is None
    respondent = Respondent.objects.get()
    assert respondent.epsilon_spent == 2.0
    assert {(said.epsilon, str(said.context)) for said in Feedback.objects.all()} == {(1.0, "{}")}


def test_a_private_answer_that_comes_twice_is_charged_once(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, version=asks.question(project, "thumbs", key="private", epsilon=1.0))
    for _ in range(2):
        assert tell(client, ask, "answered", answer={"thumb": "up"}, randomised=KRR, id="c-1").status_code == 200
    assert Respondent.objects.get().epsilon_spent == 1.0


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"answer": {"thumb": "up"}}, "not_randomised"),
        ({"answer": {"thumb": "up", "randomised": {**KRR, "epsilon": 4.0}}}, "not_randomised"),
        ({"answer": {"thumb": "up", "randomised": {**KRR, "k": 3}}}, "not_randomised"),
        ({"answer": {"thumb": "up", "randomised": KRR}, "comment": "I mean it"}, "comment_not_allowed"),
    ],
)
def test_a_private_answer_that_tells_too_much_is_refused(
    client: APIClient, project: Project, fields: dict[str, Any], refusal: str
) -> None:
    ask = asks.ask(project, version=asks.question(project, "thumbs", key="private", epsilon=1.0))
    assert code(tell(client, ask, "answered", **fields)) == (400, refusal)
    assert nothing_was_said()
    assert not Respondent.objects.exists()


def test_a_private_answer_stands_once_it_is_given(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, version=asks.question(project, "thumbs", key="private", epsilon=1.0))
    tell(client, ask, "answered", answer={"thumb": "up", "randomised": KRR}, id="c-1")
    changed = tell(client, ask, "answered", answer={"thumb": "down", "randomised": KRR}, id="c-2")
    assert code(changed) == (409, "already_answered")
    assert Feedback.objects.get().value == "up"
    assert Respondent.objects.get().epsilon_spent == 1.0


# -- tokens and origins -----------------------------------------------------------------------------------------------


def test_forged_and_expired_tokens_open_nothing(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    good = asks.url(ask)
    for bad in (good[:-1] + ("A" if good[-1] != "A" else "B"), "/api/v1/asks/x", "/api/v1/asks/x.y"):
        assert code(tell(client, bad, "dismissed")) == (403, "invalid_token")
        assert code(client.get(bad)) == (403, "invalid_token")
    late = asks.ask(project, opportunity="late", now=timezone.now() - dt.timedelta(days=2))
    assert code(tell(client, late, "dismissed")) == (403, "expired_token")
    assert code(client.get(asks.url(late))) == (403, "expired_token")
    assert set(Ask.objects.values_list("state", flat=True)) == {"offered"}


def test_a_token_of_another_project_finds_no_ask(client: APIClient, project: Project) -> None:
    """As if somebody who knows a key made a token of their project for an ask of this one."""
    ask = asks.ask(project)
    ask.project_id = other_project().pk
    assert code(tell(client, ask, "answered", answer={"thumb": "up"})) == (404, "ask_not_found")
    assert nothing_was_said()


def test_tokens_outlive_a_change_of_the_secret_key_that_is_announced(client: APIClient, project: Project) -> None:
    address = asks.url(asks.ask(project))
    with override_settings(SECRET_KEY="a new secret key of the installation, long enough"):
        assert code(tell(client, address, "shown")) == (403, "invalid_token")
    old = settings.SECRET_KEY
    with override_settings(SECRET_KEY="a new secret key of the installation, long", SECRET_KEY_FALLBACKS=[old]):
        assert tell(client, address, "shown").status_code == 200


def test_an_ask_that_is_gone_is_not_found(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    address = asks.url(ask)
    ask.delete()
    assert code(tell(client, address, "shown")) == (404, "ask_not_found")
    assert code(client.get(address)) == (404, "ask_not_found")


def test_pages_of_unknown_origins_are_refused(client: APIClient, project: Project) -> None:
    asks.publishable(project)
    ask = asks.ask(project)
    refused = tell(client, ask, "shown", headers={"origin": "https://evil.example"})
    assert code(refused) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in refused
    ask.refresh_from_db()
    assert ask.state == "offered"
    for origin in (PAGE, "http://testserver"):
        assert tell(client, ask, "shown", headers={"origin": origin}).status_code == 200


def test_the_ask_is_shown_in_the_respondents_language(client: APIClient, project: Project) -> None:
    ask = asks.ask(project)
    shown = client.get(f"{asks.url(ask)}?locale=de-AT")
    assert shown.status_code == 200
    assert shown["Cache-Control"] == "no-store"
    assert shown.json()["state"] == "offered"
    assert dt.datetime.fromisoformat(shown.json()["expires_at"]) == ask.expires_at
    assert shown.json()["key"] == "a"
    question = shown.json()["question"]
    assert (question["text"], question["locale"], question["key"]) == ("War das hilfreich?", "de", "thumbs")
    assert question["prediction"] == {"answer": {"choice": "dog"}, "text": "dog"}


def test_a_blind_ask_never_shows_what_the_model_said(client: APIClient, project: Project) -> None:
    ask = asks.ask(project, "correction", is_blind=True)
    shown = client.get(asks.url(ask)).json()["question"]
    assert (shown["text"], shown["prediction"]) == ("What is it?", None)
    assert [option["key"] for option in shown["options"]] == ["cat", "dog", "bird"]
