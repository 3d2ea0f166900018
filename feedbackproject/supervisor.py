"""Runs a few processes as one group: their output in one stream, and one end for all of them.

A child that ends on its own is reported and ends the group with its exit code. SIGINT and SIGTERM stop the
children in an orderly way, a second one at once. A supervisor that is killed takes its children with it
(parent-death signal), and whatever outlives even that is found by its mark and ended by the next group.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

MARK = "FEEDBACK_GROUP"
TICK_SECONDS = 0.2
STOP_SECONDS = 20.0


@dataclass
class Child:
    """One process of the group. A ``one_shot`` child may end; it is reported only when it failed."""

    name: str
    argv: Sequence[str]
    one_shot: bool = False
    process: subprocess.Popen[str] | None = field(default=None, init=False)


class Group:
    """Children that live and end together in one directory; ``mark`` names the group on this machine."""

    def __init__(self, mark: str, directory: Path, say: Callable[[str], None]) -> None:
        self.mark = mark
        self.children: list[Child] = []
        self._directory = directory
        self._say = say
        self._printing = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._stops_asked = 0

    def start(self, child: Child) -> None:
        # The death signal belongs to the thread that starts the child: call this from the main thread.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        child.process = subprocess.Popen(  # noqa: S603 - our own commands
            [*prefix, *child.argv],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which decides the order.
            start_new_session=True,
            env={**os.environ, MARK: self.mark, "PYTHONUNBUFFERED": "1"},
        )
        self.children.append(child)
        assert child.process.stdout is not None  # noqa: S101 - for the type checker: a pipe was asked for
        reader = threading.Thread(target=self._copy_output, args=(child.name, child.process.stdout), daemon=True)
        reader.start()
        self._readers.append(reader)

    def run(self, watch: Callable[[], None]) -> int:
        """Until a child ends or a signal asks to stop: call ``watch`` again and again. The exit code."""
        with self._signals():
            try:
                while not self._stops_asked:
                    ended = self._ended()
                    if ended is not None:
                        return ended
                    watch()
                    time.sleep(TICK_SECONDS)
                self._say("stopping (again to stop at once)")
                return 0
            finally:
                self._stop()

    def _ended(self) -> int | None:
        """The exit code of a child that should not have ended."""
        for child in list(self.children):
            code = child.process.poll() if child.process else None
            if code is None:
                continue
            code = 128 - code if code < 0 else code  # as the shell counts a signal
            if not child.one_shot:
                self._say(f"{child.name} ended with exit code {code}: stopping the others")
                return code
            self.children.remove(child)
            if code:
                self._say(f"{child.name} failed with exit code {code}")
        return None

    def _stop(self) -> None:
        """Ask every child to finish its work, wait, and end whatever is left of the group."""
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        end = time.monotonic() + STOP_SECONDS
        while any(process.poll() is None for process in running):
            if time.monotonic() > end or self._stops_asked > 1:
                break
            time.sleep(0.05)
        end_leftovers(self.mark)
        for process in running:
            process.wait()
        for reader in self._readers:
            reader.join(1.0)  # their last lines

    def _copy_output(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                # A closed terminal is no reason to stop reading: the child would hang on a full pipe.
                with self._printing, contextlib.suppress(OSError, ValueError):
                    print(f"{name:>6} | {line.rstrip()}", flush=True)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def count(number: int, frame: FrameType | None) -> None:
            self._stops_asked += 1

        before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def end_leftovers(mark: str) -> list[int]:
    """Kill every process that a group of this mark started, children of children too; their numbers."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        # Processes that end meanwhile, or belong to somebody else, are none of ours.
        with contextlib.suppress(OSError):
            if wanted in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                os.kill(int(entry), signal.SIGKILL)
                found.append(int(entry))
    return found
