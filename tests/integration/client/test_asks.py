"""An ask is answered in time, whatever becomes of the service, and what the model said is logged in any case."""

import asyncio
import json

import pytest
from feedback_client import AsyncClient, Candidate, Client, Options
from feedback_client.breaker import FAILURES

from labeling.models import Item, Prediction, Project
from tests.integration.client.conftest import UNHURRIED, MakeClient
from tests.integration.client.flaky_proxy import Answer, FlakyProxy

pytestmark = pytest.mark.django_db(transaction=True)

P = [0.7, 0.2, 0.1]
IMPATIENT = Options(ask_timeout_seconds=0.2, linger_seconds=0.05)
YES = Answer(
    200,
    body=json.dumps(
        {"ask": True, "reason": "selected", "key": "a", "token": "t", "question": {"key": "q", "kind": "thumbs"}}
    ).encode(),
)


def _logged(pets: Project) -> list[str]:
    return list(Prediction.objects.filter(item__project=pets).values_list("item__key", flat=True).order_by("item__key"))


def test_with_nobody_listening_the_answer_is_no_and_the_prediction_waits(pets: Project, secret_key: str) -> None:
    client = Client("http://127.0.0.1:9", pets.slug, secret_key, strict=True)
    decision = client.ask("a", model_version="m1", probabilities=P, payload={"text": "a"}, opportunity_id="o-1")
    assert not decision
    assert (decision.reason, decision.opportunity_id, decision.key) == ("unreachable", "o-1", "a")
    stats = client.stats
    assert (stats.asks, stats.asks_unanswered, stats.accepted, stats.pending) == (1, 1, 1, 1)
    client.shutdown(0.0)


def test_a_service_that_hangs_costs_no_more_than_the_timeout_and_no_prediction(
    make_client: MakeClient, proxy: FlakyProxy, pets: Project
) -> None:
    client = make_client(IMPATIENT)
    proxy.faults.append("hang")
    decision = client.ask("a", model_version="m1", probabilities=P, payload={"text": "a"}, respondent="u")
    assert decision.reason == "unreachable"
    assert client.flush(30.0)
    assert _logged(pets) == ["a"]
    assert Prediction.objects.get().respondent_hash


def test_every_candidate_of_a_list_is_logged_without_an_answer_too(
    client: Client, proxy: FlakyProxy, pets: Project
) -> None:
    proxy.faults.append(Answer(503))
    candidates = [Candidate(key, "m1", P, payload={"text": key}) for key in "ab"]
    assert client.ask(candidates=candidates).reason == "unreachable"
    assert client.flush(30.0)
    assert _logged(pets) == ["a", "b"]
    assert Prediction.objects.get(item__key="b").context == {"position": 2, "candidates": ["a", "b"]}


def test_a_dry_run_leaves_no_trace(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.append(Answer(503))
    client.ask("a", model_version="m1", probabilities=P, payload={"text": "a"}, dry_run=True)
    assert client.stats.accepted == 0
    assert proxy.seen[0].path.endswith("/asks?dry_run=1")


def test_a_service_that_is_down_is_not_asked_at_every_request(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.extend([Answer(503)] * 100)
    reasons = {client.ask("a").reason for _ in range(FAILURES)}
    assert len(proxy.seen) == FAILURES
    proxy.faults.clear()
    proxy.faults.append(Answer(429, {"Retry-After": "3600"}))
    while client.ask("a").reason == "unreachable" and len(proxy.seen) == FAILURES:
        pass  # until one may try again
    for _ in range(50):
        reasons.add(client.ask("a").reason)
    assert len(proxy.seen) == FAILURES + 1
    assert reasons == {"unreachable"}


def test_a_kept_connection_that_the_server_closed_is_no_reason_to_say_no(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.extend([YES, "cut_before", YES])
    assert client.ask("a")
    assert client.ask("a", opportunity_id="o-2")
    bodies = [json.loads(seen.body) for seen in proxy.seen[1:]]
    assert [body["opportunity_id"] for body in bodies] == ["o-2", "o-2"]
    assert (client.stats.asks, client.stats.asks_selected, client.stats.asks_unanswered) == (2, 2, 0)


def test_an_ask_that_the_service_refuses_is_no_and_is_logged(
    make_client: MakeClient, proxy: FlakyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(UNHURRIED, key="fb_sk_wrong")
    proxy.faults.append(Answer(401, body=b'{"code": "invalid_api_key", "message": "Not known."}'))
    assert client.ask("a", model_version="m1", probabilities=P).reason == "refused"
    assert any("Not known. (ask:invalid_api_key)" in message for message in caplog.messages)
    assert client.stats.pending == 0


def test_asking_after_shutdown_is_no(client: Client) -> None:
    client.shutdown(30.0)
    assert client.ask("a").reason == "disabled"


def test_the_asyncio_client_logs_asks_and_flushes(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    proxy.faults.extend([YES, "hang"])

    async def app() -> None:
        async with AsyncClient(proxy.url, pets.slug, secret_key, strict=True, options=UNHURRIED) as client:
            assert await client.ask("a", model_version="m1", probabilities=P, payload={"text": "a"})
            late = client.ask("b", model_version="m1", probabilities=P, payload={"text": "b"}, timeout=0.2)
            steps = 0

            async def others() -> int:
                nonlocal steps
                while not asking.done():
                    steps += 1
                    await asyncio.sleep(0)
                return steps

            asking = asyncio.create_task(late)
            assert await others() > 1  # the loop goes on meanwhile
            assert (await asking).reason == "unreachable"
            client.log_prediction("c", model_version="m1", probabilities=P, payload={"text": "c"})
            assert await client.flush(30.0)
            assert client.stats.delivered == 2

    asyncio.run(app())
    assert _logged(pets) == ["b", "c"]


def test_one_asyncio_client_serves_one_loop_after_another(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    proxy.faults.extend([Answer(200, {"Connection": "close"}, YES.body)] * 2)
    client = AsyncClient(proxy.url, pets.slug, secret_key, strict=True, options=UNHURRIED)

    async def ask() -> bool:
        return bool(await client.ask("a"))

    assert [asyncio.run(ask()), asyncio.run(ask())] == [True, True]
    assert asyncio.run(client.shutdown(30.0))


def test_cancelling_an_ask_cancels_it(proxy: FlakyProxy, pets: Project, secret_key: str) -> None:
    proxy.faults.append("hang")

    async def app() -> bool:
        async with AsyncClient(proxy.url, pets.slug, secret_key, strict=True, options=UNHURRIED) as client:
            asking = asyncio.create_task(client.ask("a"))
            while not proxy.seen:
                await asyncio.sleep(0.01)
            asking.cancel()
            return isinstance((await asyncio.gather(asking, return_exceptions=True))[0], asyncio.CancelledError)

    assert asyncio.run(app())
    assert Item.objects.count() == 0
