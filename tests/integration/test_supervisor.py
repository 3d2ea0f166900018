"""A group of processes: one output, one end, nothing left behind."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from feedbackproject import supervisor
from feedbackproject.engine_servers import is_alive, wait_until
from feedbackproject.supervisor import Child, Group, end_leftovers

REPOSITORY = Path(supervisor.__file__).parent.parent
STAYS = "import signal; print('ready', flush=True); signal.pause()"
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
while True: signal.pause()
"""


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def group(mark: str, tmp_path: Path, said: list[str]) -> Group:
    return Group(mark, tmp_path, said.append)


def _python(name: str, code: str, *, one_shot: bool = False) -> Child:
    return Child(name, [sys.executable, "-c", code], one_shot=one_shot)


def _nothing() -> None:
    """What a group watches when a test watches nothing."""


def _once(condition: Callable[[], bool], then: Callable[[], None]) -> Callable[[], None]:
    """A watch that does ``then`` a single time, as soon as the condition holds."""
    done = False

    def watch() -> None:
        nonlocal done
        if not done and condition():
            done = True
            then()

    return watch


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("last_words", "code"),
    [("import sys; sys.exit(7)", 7), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_a_child_that_ends_is_reported_and_ends_the_group_with_its_code(
    group: Group, said: list[str], last_words: str, code: int
) -> None:
    other = _python("other", STAYS)
    group.start(other)
    group.start(_python("short", last_words))

    assert group.run(_nothing) == code
    assert f"short ended with exit code {code}: stopping the others" in said
    assert other.process is not None
    assert other.process.poll() is not None


def test_output_carries_the_name_of_its_child(group: Group, capfd: pytest.CaptureFixture[str]) -> None:
    group.start(_python("web", "print('one'); print('two')"))
    group.run(_nothing)
    assert capfd.readouterr().out.splitlines() == ["   web | one", "   web | two"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_children_finish(group: Group, tmp_path: Path, number: signal.Signals) -> None:
    ready, finished = tmp_path / "ready", tmp_path / "finished"
    handler = f"signal.signal(signal.SIGTERM, lambda *_: ({_path(finished)}.touch(), sys.exit(0)))"
    group.start(_python("tidy", f"import pathlib, signal, sys; {handler}; {_path(ready)}.touch(); signal.pause()"))

    assert group.run(_once(ready.exists, lambda: os.kill(os.getpid(), number))) == 0
    assert finished.exists()


def test_a_second_signal_ends_a_deaf_child_at_once(
    group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 3600.0)
    ready = tmp_path / "ready"
    # It answers the polite request by asking the supervisor again, and stays.
    handler = "signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getppid(), signal.SIGINT))"
    child = _python(
        "deaf", f"import os, pathlib, signal; {handler}; {_path(ready)}.touch()\nwhile True: signal.pause()"
    )
    group.start(child)

    assert group.run(_once(ready.exists, _interrupt)) == 0
    assert child.process is not None
    assert child.process.returncode == -signal.SIGKILL


def test_a_deaf_child_is_killed_after_a_while(group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.0)
    ready = tmp_path / "ready"
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    group.start(
        _python("deaf", f"import pathlib, signal; {ignore}; {_path(ready)}.touch()\nwhile True: signal.pause()")
    )

    assert group.run(_once(ready.exists, _interrupt)) == 0


def test_children_of_children_end_with_the_group(group: Group, tmp_path: Path) -> None:
    written = tmp_path / "grandchild"
    code = (
        "import pathlib, subprocess, sys; "
        f"process = subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True); "
        f"{_path(written)}.write_text(str(process.pid) + '.'); sys.exit(3)"
    )
    group.start(_python("parent", code))

    assert group.run(_nothing) == 3
    grandchild = int(written.read_text().rstrip("."))
    assert wait_until(lambda: not is_alive(grandchild), 10)


@pytest.mark.parametrize(("code", "reports"), [(0, []), (5, ["demo failed with exit code 5"])])
def test_a_one_shot_child_leaves_the_group_running(
    group: Group, said: list[str], code: int, reports: list[str]
) -> None:
    group.start(_python("web", STAYS))
    demo = _python("demo", f"import sys; sys.exit({code})", one_shot=True)
    group.start(demo)

    assert group.run(_once(lambda: demo not in group.children, _interrupt)) == 0
    assert said == [*reports, "stopping (again to stop at once)"]


def test_an_error_of_the_watch_stops_the_children(group: Group) -> None:
    child = _python("web", STAYS)
    group.start(child)

    def broken() -> None:
        raise RuntimeError("no engine")

    with pytest.raises(RuntimeError, match="no engine"):
        group.run(broken)
    assert child.process is not None
    assert child.process.poll() is not None


def test_the_handlers_of_the_caller_return(group: Group) -> None:
    before = signal.getsignal(signal.SIGINT)
    group.start(_python("short", "pass"))
    group.run(_nothing)
    assert signal.getsignal(signal.SIGINT) is before


def _group_in_another_process(mark: str, directory: Path, code: str) -> "subprocess.Popen[str]":
    program = (
        "import pathlib, sys; from feedbackproject.supervisor import Child, Group; "
        f"group = Group({mark!r}, {_path(directory)}, print); "
        f"group.start(Child('child', [sys.executable, '-c', {code!r}])); group.run(lambda: None)"
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def _child_of_a_killed_supervisor(mark: str, directory: Path, code: str) -> int:
    written = directory / "pid"
    announce = f"import os, pathlib; {_path(written)}.write_text(str(os.getpid()) + '.')\n"
    with _group_in_another_process(mark, directory, announce + code) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == " child | ready\n"
        parent.kill()
    return int(written.read_text().rstrip("."))


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the death signal is set by util-linux")
def test_a_killed_supervisor_takes_its_children_along(mark: str, tmp_path: Path) -> None:
    child = _child_of_a_killed_supervisor(mark, tmp_path, STAYS)
    assert wait_until(lambda: not is_alive(child), 10)


def test_what_outlives_a_killed_supervisor_is_found_by_its_mark(mark: str, tmp_path: Path) -> None:
    child = _child_of_a_killed_supervisor(mark, tmp_path, DEAF)

    assert end_leftovers(uuid.uuid4().hex) == []
    assert is_alive(child)
    assert end_leftovers(mark) == [child]
    assert wait_until(lambda: not is_alive(child), 10)


def _path(path: Path) -> str:
    """The path as an expression in a child's program, which has imported pathlib."""
    return f"pathlib.Path({str(path)!r})"
