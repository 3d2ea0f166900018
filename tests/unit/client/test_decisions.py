"""A decision is true only where the user is to be asked; what is no decision is not taken for one."""

import json

import pytest
from feedback_client import decisions
from feedback_client.asks import Ask, Occasion, written
from feedback_client.errors import InvalidArgument
from feedback_client.request_ids import request_id_scope
from feedback_client.rows import Candidate, Route

YES = {
    "ask": True,
    "reason": "selected",
    "opportunity_id": "o-1",
    "key": "t-17",
    "prediction_id": 5,
    "ask_id": 12,
    "token": "abc",
    "expires_at": "2026-11-29T00:00:00Z",
    "propensity": 0.31,
    "is_blind": False,
    "policy_version": 3,
    "question": {"key": "is_right", "kind": "correction"},
    "something_new": [1],
}


def test_a_yes_has_all_it_takes_and_the_answer_as_it_came() -> None:
    decision = decisions.read(json.dumps(YES).encode())
    assert decision is not None
    assert decision
    assert (decision.token, decision.ask_id, decision.propensity) == ("abc", 12, 0.31)
    assert decision.question == {"key": "is_right", "kind": "correction"}
    assert decision.answer == YES


def test_a_no_is_false_and_says_why() -> None:
    decision = decisions.read(
        b'{"ask": false, "reason": "cooldown_shown", "propensity": null, "retry_after_seconds": 60}'
    )
    assert decision is not None
    assert not decision
    assert (decision.reason, decision.propensity, decision.retry_after_seconds) == ("cooldown_shown", None, 60.0)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"ask": "yes", "reason": "x"}', b'{"ask": true}', b'{"ask": true, "reason": "x"}'],
)
def test_what_is_no_decision_is_not_taken_for_one(body: bytes) -> None:
    assert decisions.read(body) is None


def test_a_decision_made_here_can_be_handed_to_the_widget_like_any_other() -> None:
    decision = decisions.no("unreachable", opportunity_id="o-1", key="k")
    assert not decision
    assert decision.answer == {"ask": False, "reason": "unreachable", "opportunity_id": "o-1", "key": "k"}


def _one(candidate: Candidate, occasion: Occasion | None = None, *, is_dry_run: bool = False) -> Ask:
    return written(candidate, None, occasion or Occasion(), request_id=None, is_dry_run=is_dry_run)


def test_an_ask_says_what_who_and_where_and_keeps_the_row_to_log_without_an_answer() -> None:
    candidate = Candidate("t-17", "m1", [0.5, 0.5], payload={"text": "x"}, segments={"plan": "pro"}, context={"a": 1})
    with request_id_scope("r-1"):
        ask = _one(candidate, Occasion("o-1", respondent="u-1", session="s", consent=True, quiet=False, locale="de"))
    context = {"request_id": "r-1", "a": 1}
    prediction = {"model_version": "m1", "probabilities": [0.5, 0.5], "context": context}
    assert json.loads(ask.body) == {
        "opportunity_id": "o-1",
        "key": "t-17",
        "payload": {"text": "x"},
        "segments": {"plan": "pro"},
        "prediction": prediction,
        "respondent": "u-1",
        "session": "s",
        "consent": True,
        "quiet": False,
        "locale": "de",
    }
    ((route, row),) = ask.rows
    assert route is Route.ITEMS
    assert json.loads(row.body) == {
        "key": "t-17",
        "payload": {"text": "x"},
        "segments": {"plan": "pro"},
        "prediction": {**prediction, "respondent": "u-1"},
    }


def test_an_ask_without_an_opportunity_gets_one_and_a_dry_run_logs_nothing() -> None:
    first, second = _one(Candidate("a")), _one(Candidate("a"))
    assert first.opportunity_id == json.loads(first.body)["opportunity_id"] != second.opportunity_id
    assert _one(Candidate("a", "m1", [1.0]), is_dry_run=True).rows == ()


def test_a_list_is_one_ask_and_each_prediction_is_logged_with_its_place() -> None:
    candidates = [Candidate("a", "m1", [0.9, 0.1]), Candidate("b", "m1", [0.6, 0.4])]
    ask = written(None, candidates, Occasion("o"), request_id="r", is_dry_run=False)
    assert [entry["key"] for entry in json.loads(ask.body)["candidates"]] == ["a", "b"]
    contexts = [json.loads(row.body)["context"] for _, row in ask.rows]
    assert contexts == [{"position": place, "candidates": ["a", "b"], "request_id": "r"} for place in (1, 2)]


@pytest.mark.parametrize(
    ("about", "candidates", "code"),
    [
        (None, None, "invalid_candidates"),
        (Candidate("a"), [Candidate("a")], "invalid_candidates"),
        (None, [], "invalid_candidates"),
        (None, [Candidate(str(n)) for n in range(51)], "invalid_candidates"),
        (Candidate(""), None, "invalid_key"),
        (Candidate("a", None, [1.0]), None, "invalid_model_version"),
        (Candidate("a", "m1"), None, "nothing_predicted"),
        (Candidate("a", payload={"x": "x" * 900_001}), None, "row_too_large"),
    ],
)
def test_an_ask_that_cannot_be_decided_is_refused(
    about: Candidate | None, candidates: list[Candidate] | None, code: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        written(about, candidates, Occasion(), request_id=None, is_dry_run=False)
    assert caught.value.code == code
