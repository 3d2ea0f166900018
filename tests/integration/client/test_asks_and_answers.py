"""The whole way with the service itself: an app asks whether to ask, its user answers, the answer finds its prediction."""

import asyncio
import datetime as dt

import pytest
from feedback_client import AsyncClient, Candidate, Client, request_id_scope

from labeling.models import Ask, Correction, Feedback, Item, Prediction, Project
from sampling.models import AskDecision
from tests.factories import asking
from tests.integration.client.conftest import UNHURRIED, MakeClient
from tests.integration.client.flaky_proxy import FlakyProxy

pytestmark = pytest.mark.django_db(transaction=True)

P = [0.5, 0.3, 0.2]


@pytest.fixture
def asking_pets(pets: Project) -> Project:
    """Asks whenever no gate refuses."""
    asking.forget_counters()
    asking.policy(pets, **asking.ALWAYS)
    asking.question(pets)
    return pets


def test_a_user_is_asked_and_answers(client: Client, asking_pets: Project) -> None:
    decision = client.ask(
        "t-17",
        model_version="m1",
        probabilities=P,
        payload={"text": "x"},
        segments={"plan": "pro"},
        context={"page": 1},
        opportunity_id="o-1",
        respondent="user-1",
        session="s-1",
        consent=True,
        locale="de",
        request_id="r-1",
    )
    assert decision
    assert (decision.reason, decision.opportunity_id, decision.key) == ("selected", "o-1", "t-17")
    assert decision.question is not None
    assert decision.question["text"] == "Stimmt das?"
    ask = Ask.objects.get()
    prediction = Prediction.objects.get()
    assert (decision.ask_id, decision.prediction_id) == (ask.pk, prediction.pk)
    assert prediction.context == {"page": 1, "request_id": "r-1"}
    assert Item.objects.get().segments == {"plan": "pro"}
    assert decision.propensity == pytest.approx(ask.propensity)

    assert client.feedback("correction", {"choice": "dog"}, ask_id=decision.ask_id, respondent="user-1") is not None
    assert client.flush(30.0)
    assert client.stats.failed == 0
    correction = Correction.objects.get()
    assert (correction.ask, correction.answer, correction.prediction) == (ask, {"choice": "dog"}, prediction)


def test_a_user_who_was_just_asked_is_not_asked_again(client: Client, asking_pets: Project) -> None:
    first = client.ask("a", model_version="m1", probabilities=P, payload={}, opportunity_id="o-1", respondent="u")
    again = client.ask("a", model_version="m1", probabilities=P, payload={}, opportunity_id="o-1", respondent="u")
    other = client.ask("b", model_version="m1", probabilities=P, payload={}, opportunity_id="o-2", respondent="u")
    assert (bool(first), bool(again), bool(other)) == (True, True, False)
    assert (again.ask_id, again.key) == (first.ask_id, "a")
    assert other.reason == "concurrent"
    assert other.retry_after_seconds is not None
    assert (other.opportunity_id, other.key, other.policy_version) == ("o-2", "b", first.policy_version)
    assert (Ask.objects.count(), AskDecision.objects.count(), Prediction.objects.count()) == (1, 2, 2)
    assert (client.stats.asks, client.stats.asks_selected, client.stats.asks_unanswered) == (3, 2, 0)


def test_a_ranked_list_is_logged_whole_and_asked_about_once(client: Client, asking_pets: Project) -> None:
    candidates = [Candidate(key, "m1", P, payload={"text": key}, segments={"s": key}) for key in "abc"]
    decision = client.ask(candidates=candidates, respondent="u", opportunity_id="o-1")
    assert decision.reason in ("selected", "audit")
    assert decision.key in ("a", "b", "c")
    assert Ask.objects.get().item.key == decision.key
    assert {item.key: item.segments for item in Item.objects.all()} == {key: {"s": key} for key in "abc"}
    contexts = Prediction.objects.order_by("item__key").values_list("context", flat=True)
    assert [(context["position"], context["candidates"]) for context in contexts] == [
        (place, ["a", "b", "c"]) for place in (1, 2, 3)
    ]


def test_a_dry_run_decides_and_stores_nothing(client: Client, asking_pets: Project) -> None:
    assert client.ask("a", model_version="m1", probabilities=P, payload={}, respondent="u", dry_run=True)
    assert (Ask.objects.count(), AskDecision.objects.count(), Item.objects.count()) == (0, 0, 0)


def test_an_answer_lost_on_its_way_is_not_a_second_decision(
    client: Client, proxy: FlakyProxy, asking_pets: Project
) -> None:
    proxy.faults.append("cut_after")
    decision = client.ask("a", model_version="m1", probabilities=P, payload={}, respondent="u")
    assert decision
    assert len(proxy.seen) == 2
    assert Ask.objects.get().pk == decision.ask_id
    assert AskDecision.objects.count() == 1


def test_what_was_logged_without_an_answer_can_be_asked_about_later(
    make_client: MakeClient, proxy: FlakyProxy, asking_pets: Project
) -> None:
    client = make_client()
    proxy.faults.append("hang")
    about = {"model_version": "m1", "probabilities": P, "payload": {"text": "x"}, "respondent": "u"}
    assert not client.ask("a", **about, opportunity_id="o-1", timeout=0.2)  # type: ignore[arg-type]  # named above
    assert client.flush(30.0)
    prediction = Prediction.objects.get()
    decision = client.ask("a", **about, opportunity_id="o-1")  # type: ignore[arg-type]  # named above
    assert decision
    assert decision.prediction_id == prediction.pk
    assert Prediction.objects.count() == 1


def test_an_ask_about_something_unknown_is_no_and_says_why(
    client: Client, asking_pets: Project, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.ask("nothing", respondent="u").reason == "refused"
    assert any("(ask:unknown_item)" in message for message in caplog.messages)
    assert AskDecision.objects.count() == 0


def test_asyncio_apps_ask_many_users_at_once(proxy: FlakyProxy, asking_pets: Project, secret_key: str) -> None:
    async def app() -> list[bool]:
        async with AsyncClient(proxy.url, asking_pets.slug, secret_key, strict=True, options=UNHURRIED) as client:
            asks = (
                client.ask(f"k-{n}", model_version="m1", probabilities=P, payload={"n": n}, respondent=f"u-{n}")
                for n in range(8)
            )
            return [bool(decision) for decision in await asyncio.gather(*asks)]

    assert asyncio.run(app()) == [True] * 8
    assert Ask.objects.count() == 8


def test_feedback_of_every_kind_finds_its_prediction_also_when_it_comes_first(client: Client, pets: Project) -> None:
    with request_id_scope("r-1"):
        client.feedback("impression")
        client.feedback("click", context={"position": 1, "candidates": ["a", "b"]})
        client.feedback("dwell", 12.5)
        client.feedback("rating", 4, comment="fine")
        client.log_prediction("a", model_version="m1", probabilities=P, payload={"text": "a"})
    client.feedback("thumb", "down", key="a", model_version="m1", respondent="user-1")
    client.feedback("correction", {"choice": "bird"}, request_id="r-1")
    assert client.flush(30.0)
    assert (client.stats.delivered, client.stats.failed) == (7, 0)
    rows = {row.kind: row for row in Feedback.objects.all()}
    assert {kind: row.score for kind, row in rows.items()} == {
        "impression": None,
        "click": None,
        "dwell": 12.5,
        "rating": 0.75,
        "thumb": 0.0,
    }
    assert rows["rating"].comment == "fine"
    assert rows["click"].context == {"position": 1, "candidates": ["a", "b"]}
    assert Correction.objects.get().answer == {"choice": "bird"}
    now = dt.datetime.now(dt.UTC)
    assert all(dt.timedelta() <= now - row.occurred_at < dt.timedelta(minutes=5) for row in rows.values())


def test_feedback_is_superseded_by_its_id_and_an_id_counts_once(client: Client, pets: Project) -> None:
    client.log_prediction("a", model_version="m1", probabilities=P, payload={"text": "a"})
    first = client.feedback("thumb", "up", key="a")
    second = client.feedback("thumb", "down", key="a", supersedes=first)
    assert client.feedback("thumb", "up", key="a", id=first) == first
    assert client.flush(30.0)
    assert client.stats.failed == 0
    standing = Feedback.objects.get(superseded_at=None)
    assert (standing.client_id, standing.value, Feedback.objects.count()) == (second, "down", 2)


def test_feedback_that_the_service_refuses_is_counted_and_named_by_its_id(
    client: Client, pets: Project, caplog: pytest.LogCaptureFixture
) -> None:
    client.feedback("thumb", "sideways", key="a", id="f-1")
    client.feedback("thumb", "up", key="a")
    assert client.flush(30.0)
    assert (client.stats.failed, client.stats.delivered) == (1, 1)
    assert any("'f-1'" in message and "(row:invalid_value)" in message for message in caplog.messages)
