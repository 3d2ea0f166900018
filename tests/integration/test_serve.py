"""`manage.py serve`: the whole product as one group, on this machine."""

import http.client
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedbackproject import embedded
from feedbackproject.engine_servers import command_line, is_alive, wait_until

REPOSITORY = Path(embedded.__file__).parent.parent
SECONDS = 120.0  # a generous limit for a slow machine; nothing here waits longer than it must


class Serve:
    """A running `manage.py serve` without demo, on a free port and its own var directory."""

    def __init__(self, var_dir: Path, port: int) -> None:
        self.port = port
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--no-demo", "--port", str(port)],
            cwd=REPOSITORY,
            env=_environment(var_dir),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self._queue.put(line)
        self._queue.put(None)

    def wait_for(self, text: str) -> None:
        """Read on until a line contains the text."""
        while True:
            line = self._queue.get(timeout=SECONDS)
            assert line is not None, f"{text!r} never came:\n{''.join(self.lines)}"
            self.lines.append(line)
            if text in line:
                return

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/login/")
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def _environment(var_dir: Path) -> dict[str, str]:
    own = {"FEEDBACK_VAR_DIR": str(var_dir), "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.base"}
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return {**inherited, **own, "WEB_WORKERS": "1", "WORKER_PROCESSES": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def var_dir() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="feedback-test-"))
    directory.chmod(0o755)
    yield directory
    embedded.remove(directory)


def _pids(var_dir: Path) -> dict[str, int]:
    return {status.name: status.pid for status in embedded.status(var_dir) if status.pid is not None}


def test_serve_restarts_killed_engines_survives_its_own_kill_and_stops_cleanly(var_dir: Path) -> None:
    port = _free_port()
    first = Serve(var_dir, port)
    first.wait_for(f"serving at http://127.0.0.1:{port}")
    assert first.answers()
    before = _pids(var_dir)

    for name in embedded.ENGINE_NAMES:
        os.kill(before[name], signal.SIGKILL)
        first.wait_for(f"started the embedded {name}")
    after = _pids(var_dir)
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    assert wait_until(first.answers, SECONDS)

    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = Serve(var_dir, port)
    second.wait_for(f"serving at http://127.0.0.1:{port}")
    assert _pids(var_dir) == after

    third = Serve(var_dir, _free_port())
    third.wait_for("Already serving")
    assert third.process.wait(SECONDS) == 1
    assert second.answers()

    assert second.end(signal.SIGINT) == 0
    second.wait_for("stopped")
    assert not second.answers()
    assert _pids(var_dir) == after, "engines that another run started stay"


def test_serve_stops_the_engines_it_started_and_names_a_dead_child(var_dir: Path) -> None:
    serve = Serve(var_dir, _free_port())
    serve.wait_for("serving at")
    engines = _pids(var_dir)
    group = [pid for pid in _descendants(serve.process.pid) if "feedbackproject\0worker" in command_line(pid)]
    assert group
    os.kill(group[0], signal.SIGKILL)

    serve.wait_for("worker ended with exit code 137")
    assert serve.process.wait(SECONDS) == 137
    assert not any(is_alive(pid) for pid in engines.values())
    assert not serve.answers()


def test_serve_names_a_port_that_is_taken_and_starts_nothing(var_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        serve = Serve(var_dir, port)
        serve.wait_for(f"Port {port} cannot be used (Address already in use)")
        assert serve.process.wait(SECONDS) == 1
    assert f"PORT={port + 1}" in serve.lines[-1]
    assert _pids(var_dir) == {}


def _descendants(pid: int) -> list[int]:
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(grandchild for child in children for grandchild in _descendants(child))]
