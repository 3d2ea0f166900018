"""Waking the worker at most so often, and never too seldom."""

import threading
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from labeling import wakeup
from labeling.redis_client import redis_client
from labeling.wakeup import awake, wake_soon

NAME = "tests.nobody_listens"
PROJECT = 10**15
KEY = f"wakeup:{NAME}:{PROJECT}"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(wakeup, "_woken_at", {})
    monkeypatch.setattr("labeling.wakeup.current_app.send_task", lambda *args, **kwargs: None)
    redis_client().delete(KEY)
    yield
    redis_client().delete(KEY)


def timers() -> list[threading.Timer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def is_woken() -> bool:
    return bool(redis_client().exists(KEY))


def test_the_first_news_wakes_at_once(settings: Settings) -> None:
    settings.WAKEUP_SECONDS = 3600
    wake_soon(NAME, PROJECT)
    assert is_woken()


def test_news_right_after_a_wake_up_wakes_once_more_after_the_pause(settings: Settings) -> None:
    settings.WAKEUP_SECONDS = 0.2
    wake_soon(NAME, PROJECT)
    awake(NAME, PROJECT)
    for _ in range(5):
        wake_soon(NAME, PROJECT)
    (timer,) = timers()
    assert not is_woken()
    timer.join()
    assert is_woken()


def test_another_project_need_not_wait(settings: Settings) -> None:
    settings.WAKEUP_SECONDS = 3600
    wake_soon(NAME, PROJECT + 1)
    wake_soon(NAME, PROJECT)
    assert is_woken()
    redis_client().delete(f"wakeup:{NAME}:{PROJECT + 1}")
