"""GET /health says what is up and what is down."""

import datetime as dt
from collections.abc import Iterator

import pytest
import redis
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from feedbackproject.schedule import BEAT_SCHEDULE
from labeling.redis_client import redis_client
from labeling.services import health
from labeling.tasks import heartbeat

URL = "/api/v1/health"
NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def no_heartbeat(settings: Settings) -> Iterator[None]:
    redis_client.cache_clear()
    redis_client().delete("heartbeat")
    yield
    redis_client.cache_clear()


def test_all_is_up_when_the_worker_beats(api_client: APIClient, db: None) -> None:
    heartbeat()
    answer = api_client.get(URL)
    assert (answer.status_code, answer.json()["is_up"]) == (200, True)
    assert answer.json()["postgres"]["latency_ms"] > 0
    assert answer.json()["redis"]["latency_ms"] > 0
    assert answer.json()["worker"]["is_up"] is True


def test_a_worker_that_never_beat_is_down(api_client: APIClient, db: None) -> None:
    answer = api_client.get(URL)
    assert (answer.status_code, answer.json()["is_up"]) == (503, False)
    parts = {name: answer.json()[name]["is_up"] for name in ("postgres", "redis", "worker")}
    assert parts == {"postgres": True, "redis": True, "worker": False}


@pytest.mark.parametrize(("seconds", "is_up"), [(0, True), (34, True), (36, False)])
def test_a_heartbeat_grows_old(db: None, seconds: int, is_up: bool) -> None:
    health.beat(now=NOW)
    worker = health.check(now=NOW + dt.timedelta(seconds=seconds)).worker
    assert (worker.is_up, worker.age_seconds) == (is_up, seconds)


def test_without_redis_the_worker_is_unknown(db: None, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    redis_client.cache_clear()
    found = health.check(now=NOW)
    assert (found.postgres.is_up, found.redis.is_up, found.worker.is_up) == (True, False, False)
    assert found.redis.message == redis.exceptions.ConnectionError.__name__


@pytest.mark.django_db(transaction=True)
def test_without_a_database_it_still_answers(api_client: APIClient) -> None:
    settings = connection.settings_dict
    host = settings["HOST"]
    connection.close()
    settings["HOST"] = "/nowhere"
    try:
        answer = api_client.get(URL)
    finally:
        connection.close()
        settings["HOST"] = host
    assert answer.status_code == 503
    assert answer.json()["postgres"] == {
        "is_up": False, "latency_ms": None, "age_seconds": None, "message": "OperationalError",
    }  # fmt: skip
    assert answer.json()["redis"]["is_up"] is True


def test_the_schedule_beats_three_times_before_it_counts_as_dead() -> None:
    entry = next(entry for entry in BEAT_SCHEDULE.values() if entry["task"] == "labeling.heartbeat")
    assert dt.timedelta(seconds=3 * entry["options"]["expires"]) < health.STALE_AFTER
