"""Log lines are few, calls end in time, options make sense, a missing setting does not keep an app from starting."""

import logging
import threading
from functools import partial

import pytest
from feedback_client import Client, InvalidArgument, Options, decisions
from feedback_client.call_pool import CallPool, CallTimeout
from feedback_client.reports import Reports
from feedback_client.transport import Address


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_trouble_is_logged_once_a_minute_with_the_number_of_lines_left_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    reports = Reports(clock=clock)
    for clock.now in (0.0, 1.0, 59.0, 60.0, 61.0):
        reports.limited("full", "The queue is full.")
        reports.limited("other", "Another.") if clock.now == 1.0 else None
    assert caplog.messages == [
        "The queue is full. (full)",
        "Another. (other)",
        "The queue is full. (full; 2 more since the last such line)",
    ]


def test_a_mistake_in_the_app_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reports = Reports()
    for _ in range(3):
        reports.once("invalid_key", "No key.")
    assert caplog.messages == ["No key. (invalid_key; more of these are only counted)"]


def test_a_call_returns_or_raises_what_its_function_does() -> None:
    pool: CallPool[int] = CallPool()
    assert [pool.run(partial(abs, number), timeout=30.0) for number in range(5)] == [0, 1, 2, 3, 4]

    def fails() -> int:
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        pool.run(fails, timeout=30.0)
    pool.close()


def test_a_call_that_hangs_is_left_alone_and_one_that_nobody_takes_up_is_never_made() -> None:
    pool: CallPool[None] = CallPool(threads=1)
    release, done = threading.Event(), threading.Event()
    made: list[str] = []

    def hang() -> None:
        release.wait()
        made.append("hung")

    with pytest.raises(CallTimeout):
        pool.run(hang, timeout=0.01)
    with pytest.raises(CallTimeout):
        pool.run(lambda: made.append("late"), timeout=0.01)
    release.set()
    pool.run(done.set, timeout=30.0)  # the only thread is free again
    assert made == ["hung"]
    pool.close()


def test_the_environment_s_proxy_is_used_but_not_for_hosts_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert Address("https://feedback.example", "p", "k").proxy() is None
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert Address("https://feedback.example", "p", "k").proxy() == "http://proxy.example:3128"
    assert Address("http://feedback.example", "p", "k").proxy() is None
    assert Address("https://feedback.inside.example", "p", "k").proxy() is None


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="linger_seconds"):
        Options(linger_seconds=0)
    with pytest.raises(InvalidArgument, match="batch_bytes"):
        Options(batch_bytes=2_000_000)


@pytest.mark.parametrize(
    ("endpoint", "project", "key"),
    [(None, "p", "k"), ("", "p", "k"), ("localhost:8000", "p", "k"), ("http://x", None, "k"), ("http://x", "p", "k\n")],
)
def test_a_client_without_a_usable_address_is_disabled_and_says_so(
    endpoint: str | None, project: str | None, key: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(endpoint, project, key)
    assert client.log_prediction("k", model_version="m", probabilities=[1.0]) is False
    assert client.feedback("thumb", "up", key="k") is None
    assert client.ask("k", opportunity_id="o") == decisions.no("disabled", opportunity_id="o", key="k")
    assert (client.stats.dropped, client.stats.asks, client.stats.asks_unanswered) == (2, 1, 1)
    assert len(caplog.messages) == 1
    assert "Nothing will be logged or asked." in caplog.messages[0]
    assert client.flush(0.0)
    assert client.shutdown(0.0)
    with pytest.raises(InvalidArgument):
        Client(endpoint, project, key, strict=True)


def test_calls_with_unusable_arguments_are_counted_and_logged_once_and_raised_only_if_strict(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client("http://127.0.0.1:9", "p", "k", enabled=False)
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        assert client.log_prediction("", model_version="m", probabilities=[1.0]) is False
        assert client.ask("", opportunity_id="o").reason == "invalid"
    assert client.feedback("thumb", "up") is None
    assert client.stats.invalid == 7
    assert len(caplog.messages) == 2
    assert "(invalid:invalid_key;" in caplog.messages[0]
    assert "(invalid:invalid_target;" in caplog.messages[1]
    client.shutdown(0.0)

    strict = Client("http://127.0.0.1:9", "p", "k", enabled=False, strict=True)
    with pytest.raises(InvalidArgument, match="key"):
        strict.log_prediction("", model_version="m", probabilities=[1.0])
    with pytest.raises(InvalidArgument, match="about"):
        strict.feedback("thumb", "up")
    with pytest.raises(InvalidArgument, match="key"):
        strict.ask("")
    strict.shutdown(0.0)


def test_an_argument_that_fails_in_a_way_of_its_own_does_not_reach_the_app() -> None:
    class Hostile:
        def tolist(self) -> object:
            raise RuntimeError("on the device")

    client = Client("http://127.0.0.1:9", "p", "k")
    assert client.log_prediction("k", model_version="m", probabilities=Hostile()) is False
    assert client.stats.invalid == 1
    client.shutdown(0.0)
