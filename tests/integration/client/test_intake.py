"""What an app logs with the client arrives in the service, whole, once, and however bad the way there is."""

import gzip

import numpy as np
import pytest
from feedback_client import Client, Options, request_id_scope

from labeling.models import Feedback, Item, Prediction, Project
from tests.factories.labeling import model_version
from tests.integration.client.conftest import MakeClient
from tests.integration.client.flaky_proxy import Answer, FlakyProxy

pytestmark = pytest.mark.django_db(transaction=True)

P = [0.7, 0.2, 0.1]


def _log(client: Client, *keys: str) -> None:
    for key in keys:
        assert client.log_prediction(key, model_version="m1", probabilities=P, payload={"text": f"text of {key}"})


def test_a_prediction_with_a_payload_makes_its_item(client: Client, pets: Project) -> None:
    with request_id_scope("r-1"):
        client.log_prediction(
            "t-1",
            model_version="m1",
            probabilities={"dog": 0.2, "cat": 0.7, "bird": 0.1},
            payload={"text": "naïve"},
            segments={"plan": "pro"},
            context={"page": 3},
            respondent="user-1",
            latency_ms=2.5,
        )
    assert client.flush(30.0)
    item = Item.objects.get(project=pets)
    assert (item.key, item.payload, item.segments) == ("t-1", {"text": "naïve"}, {"plan": "pro"})
    prediction = Prediction.objects.get(item=item)
    assert np.frombuffer(prediction.probabilities, "<f4").tolist() == pytest.approx(P)
    assert prediction.context == {"request_id": "r-1", "latency_ms": 2.5, "page": 3}
    assert prediction.respondent_hash
    assert "user-1" not in prediction.respondent_hash


def test_a_prediction_without_a_payload_is_added_to_its_item(client: Client, pets: Project) -> None:
    model_version(pets, "m2")
    _log(client, "a")
    assert client.flush(30.0)
    client.log_prediction("a", model_version="m2", probabilities=np.array(P, dtype=np.float32))
    assert client.flush(30.0)
    names = Prediction.objects.filter(item__key="a").values_list("model_version__name", flat=True)
    assert set(names) == {"m1", "m2"}


def test_two_models_side_by_side_and_a_thing_seen_twice_are_all_good_rows(client: Client, pets: Project) -> None:
    model_version(pets, "m2")
    for key in ("a", "b", "a"):
        for version in ("m1", "m2"):
            client.log_prediction(key, model_version=version, probabilities=P, payload={"text": key})
    assert client.flush(30.0)
    assert Prediction.objects.count() == 4
    stats = client.stats
    assert (stats.failed, stats.pending, stats.delivered + stats.repeated) == (0, 0, 6)


def test_many_rows_travel_in_few_compressed_requests(client: Client, proxy: FlakyProxy) -> None:
    keys = [f"k-{number:04}" for number in range(1200)]
    _log(client, *keys)
    assert client.flush(30.0)
    assert Item.objects.count() == Prediction.objects.count() == 1200
    assert client.stats.delivered == 1200
    assert {seen.headers["Content-Encoding"] for seen in proxy.seen} == {"gzip"}
    batches = [gzip.decompress(seen.body).split(b"\n") for seen in proxy.seen]
    assert [len(batch) for batch in batches] == [500, 500, 200]
    assert client.stats.batches == 3
    sent = [line for batch in batches for line in batch]
    assert sum(len(seen.body) for seen in proxy.seen) < sum(map(len, sent)) / 2


def test_a_service_that_is_away_for_a_moment_gets_the_batch_again(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.extend([Answer(503), Answer(502)])
    _log(client, "a", "b")
    assert client.flush(30.0)
    first, second, third = proxy.seen
    assert first.body == second.body == third.body
    assert len({seen.headers["Idempotency-Key"] for seen in proxy.seen}) == 1
    assert Item.objects.count() == 2
    assert (client.stats.delivered, client.stats.retries, client.stats.lost) == (2, 2, 0)


@pytest.mark.parametrize("status", [408, 500])
def test_a_request_that_failed_in_the_service_is_not_the_end_of_its_batch(
    status: int, client: Client, proxy: FlakyProxy
) -> None:
    proxy.faults.append(Answer(status, {"Content-Type": "text/html"}, b"<h1>Something went wrong</h1>"))
    _log(client, "a", "b")
    client.feedback("thumb", "up", key="a")
    assert client.flush(30.0)
    assert set(Item.objects.values_list("key", flat=True)) == {"a", "b"}
    assert Feedback.objects.count() == 1
    assert (client.stats.delivered, client.stats.retries, client.stats.lost) == (3, 1, 0)


def test_a_lost_answer_does_not_store_the_batch_twice(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.extend(["cut_before", "cut_after"])
    _log(client, "a", "b")
    assert client.flush(30.0)
    assert len(proxy.seen) == 3
    assert (Item.objects.count(), Prediction.objects.count()) == (2, 2)
    # The answer is the one that was lost: had the rows been taken anew, they would have been skipped.
    assert (client.stats.delivered, client.stats.failed) == (2, 0)


def test_the_client_comes_back_when_the_service_said(make_client: MakeClient, proxy: FlakyProxy) -> None:
    client = make_client(Options(linger_seconds=0.05))
    proxy.faults.append(Answer(429, {"Retry-After": "3600"}))
    _log(client, "a")
    proxy.wait_for_requests(1)
    assert not client.flush(0.2)
    assert len(proxy.seen) == 1
    assert client.stats.pending == 1
    client.shutdown(0.0)


def test_rows_that_the_service_refuses_are_counted_and_logged_and_the_others_stay(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    _log(client, "a")
    client.log_prediction("b", model_version="m1", probabilities=[0.7, 0.7, 0.7], payload={"text": "x"})
    client.log_prediction("c", model_version="nobody", probabilities=P, payload={"text": "x"})
    for number in range(5):
        client.log_prediction(f"unknown-{number}", model_version="m1", probabilities=P)
    assert client.flush(30.0)
    assert list(Item.objects.values_list("key", flat=True)) == ["a"]
    assert (client.stats.delivered, client.stats.failed, client.stats.accepted) == (1, 7, 8)
    logged = [record.getMessage() for record in caplog.records if record.name == "feedback_client"]
    assert len(logged) == 3
    assert sum("(row:unknown_item" in message for message in logged) == 1


def test_a_wrong_key_loses_the_batch_says_so_once_and_is_not_tried_again(
    make_client: MakeClient, proxy: FlakyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(key="fb_sk_wrong")
    for key in ("a", "b"):
        _log(client, key)
        assert client.flush(30.0)
    assert len(proxy.seen) == 2
    assert (client.stats.lost, client.stats.retries) == (2, 0)
    assert Item.objects.count() == 0
    assert ["invalid_api_key" in message for message in caplog.messages if "refused" in message] == [True]


def test_a_full_queue_drops_rows_at_once_counts_them_and_takes_new_ones_later(
    make_client: MakeClient, proxy: FlakyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(Options(queue_rows=20, batch_rows=10, linger_seconds=0.05))
    proxy.faults.append("hang")
    for number in range(10):
        _log(client, f"a-{number}")
    proxy.wait_for_requests(1)  # the thread is now stuck in a request
    taken = [
        client.log_prediction(f"b-{number}", model_version="m1", probabilities=P, payload={}) for number in range(50)
    ]
    assert taken == [True] * 10 + [False] * 40
    assert (client.stats.dropped, client.stats.pending) == (40, 20)
    assert client.feedback("thumb", "up", key="a-1") is not None  # its queue is another one
    assert sum("queue of items is full" in message for message in caplog.messages) == 1
    proxy.faults.append(Answer(200, body=b'{"failed": 0}'))
    proxy.released.set()
    assert client.flush(30.0)
    _log(client, "c")
    assert client.flush(30.0)
    assert Item.objects.filter(key="c").exists()
    assert client.stats.dropped == 40


def test_an_outage_that_outlasts_the_patience_of_the_client_loses_rows_and_says_how_many(
    make_client: MakeClient, proxy: FlakyProxy
) -> None:
    client = make_client(Options(retry_for_seconds=0.001, linger_seconds=600.0))
    proxy.faults.extend([Answer(503)] * 3)
    _log(client, "a", "b")
    assert client.flush(30.0)
    assert (client.stats.lost, client.stats.delivered, client.stats.pending) == (2, 0, 0)
    assert Item.objects.count() == 0


def test_shutting_down_sends_what_is_queued_and_ends(client: Client) -> None:
    _log(client, "a")
    assert client.shutdown(30.0)
    assert Item.objects.count() == 1
    assert client.log_prediction("b", model_version="m1", probabilities=P, payload={}) is False
    assert (client.stats.dropped, client.stats.pending) == (1, 0)
    assert client.shutdown(30.0)


def test_shutting_down_with_the_service_away_ends_in_time_and_counts_the_rows_as_lost(
    client: Client, proxy: FlakyProxy
) -> None:
    proxy.faults.append("hang")
    _log(client, "a", "b")
    assert not client.shutdown(0.2)
    assert (client.stats.lost, client.stats.pending) == (2, 0)
    proxy.released.set()


def test_answers_that_are_not_the_service_s_do_not_count_as_delivered(client: Client, proxy: FlakyProxy) -> None:
    proxy.faults.append(Answer(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>"))
    _log(client, "a")
    assert client.flush(30.0)
    assert (client.stats.delivered, client.stats.lost) == (0, 1)
