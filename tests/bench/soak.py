"""`python -m tests.bench.soak --minutes 10`: 32 annotators who behave like people, then a count.

Starts the whole product (`manage.py serve`) on a directory of its own, with leases of a few seconds. The annotators answer
over HTTP, skip in all three ways, undo, give back, leave the page without a word, answer too late, and claim more than they
use; a quarter of them in a project where each item is asked twice. On the way the worker's processes and a web process are killed
with SIGKILL, and the database is restarted. Afterwards everything is counted. Writes docs/measurements/soak.md; exits 1 if anything is wrong.
"""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import django
import msgspec
import psutil

from feedbackproject import embedded
from tests.bench.crash_drill import Drill

if TYPE_CHECKING:
    from tests.bench import crowd

LEASE_SECONDS = 5
THINKING_SECONDS = 0.2
ANNOTATORS = 32
IN_THE_PROJECT_WITH_OVERLAP = 8
TARGET = Path(__file__).resolve().parents[2] / "docs" / "measurements" / "soak.md"


@dataclass
class Memory:
    """What one annotator was told."""

    confirmed: dict[int, int] = field(default_factory=dict)
    """Annotation -> its task, for every answer that was acknowledged."""
    undone: set[int] = field(default_factory=set)
    unclear_tasks: set[int] = field(default_factory=set)
    """Tasks whose answer broke off, and that were neither acknowledged nor refused afterwards, or whose undoing broke off."""
    did: Counter[str] = field(default_factory=Counter)


class Annotator:
    """Works until `end`, and makes up its mind anew at every task."""

    def __init__(self, end: float, seed: int) -> None:
        self.end = end
        self.chance = random.Random(seed)
        self.memory = Memory()
        self.last = 0

    def script(self, person: "crowd.Person") -> "crowd.Script":
        from tests.bench import crowd  # noqa: PLC0415 - models exist only after django.setup()

        tasks: list[int] = []
        while time.monotonic() < self.end:
            yield crowd.Pause(self.chance.expovariate(1 / THINKING_SECONDS))
            if not tasks:
                reply = yield crowd.Request("next", b'{"limit":%d}' % self.chance.choice([1, 1, 1, 3]), "next")
                self._note("next", reply)
                tasks = crowd.served(reply) if reply.status == 200 else []
                continue
            action = self.chance.choices(
                ["submit", "skip", "undo", "release", "leave", "late"], weights=[80, 8, 5, 3, 2, 2]
            )[0]
            if action == "undo":
                yield from self._undo()
            elif action == "leave":
                self.memory.did["left the page"] += 1
                tasks = []
                yield crowd.Pause(LEASE_SECONDS * self.chance.random() * 2)
            elif action == "skip":
                kind = self.chance.choice(["later", "someone_else", "unusable"])
                body = b'{"kind":"%s","reason":"soak","minutes":1}' % kind.encode()
                self._note(f"skip {kind}", (yield crowd.Request(f"{tasks.pop(0)}/skip", body, "skip")))
            elif action == "release":
                self._note("release", (yield crowd.Request(f"{tasks.pop(0)}/release", b"{}", "release")))
            else:
                if action == "late":
                    yield crowd.Pause(LEASE_SECONDS * 1.2)
                tasks = yield from self._submit(tasks[0], tasks[1:])

    def _submit(self, task: int, others: list[int]) -> "Generator[crowd.Request | crowd.Pause, crowd.Reply, list[int]]":
        from tests.bench import crowd  # noqa: PLC0415

        body = b'{"answer":{"choice":"class-%d"},"next":%d}' % (self.chance.randrange(10), self.chance.randrange(2))
        is_unclear = False
        while True:
            reply = yield crowd.Request(f"{task}/submit", body, "submit")
            self._note("submit again" if is_unclear else "submit", reply)
            if reply.status == 201:
                self.last, served = crowd.answered(reply)
                self.memory.confirmed[self.last] = task
                return served or others
            if reply.status not in (0, 500, 502, 503):
                if is_unclear:
                    self.memory.unclear_tasks.add(task)
                return others
            is_unclear = True
            if time.monotonic() > self.end + 20:
                self.memory.unclear_tasks.add(task)
                return others
            yield crowd.Pause(0.3)

    def _undo(self) -> "crowd.Script":
        from tests.bench import crowd  # noqa: PLC0415

        if self.last not in self.memory.confirmed or self.last in self.memory.undone:
            return
        for _ in range(60):
            reply = yield crowd.Request("undo", b'{"annotation_id":%d}' % self.last, "undo")
            self._note("undo", reply)
            if reply.status == 200:
                self.memory.undone.add(self.last)
                return
            if reply.status not in (0, 500, 502, 503):
                return
            yield crowd.Pause(0.3)
        self.memory.unclear_tasks.add(self.memory.confirmed[self.last])

    def _note(self, what: str, reply: "crowd.Reply") -> None:
        if reply.status in (200, 201, 204):
            self.memory.did[what] += 1
            return
        code = msgspec.json.decode(reply.body).get("code", "") if reply.body.startswith(b"{") else "connection broke"
        self.memory.did[f"{what}: {reply.status} {code}"] += 1


def kill_web_worker(drill: Drill) -> None:
    """One of the processes that answer requests, with those under way."""
    for process in psutil.Process(drill.group.pid).children():
        if "granian" in process.cmdline():
            victim = process.children()[-1]
            victim.kill()
            drill.say(f"kill -9 of a web process (pid {victim.pid})")


def restart_database(drill: Drill) -> None:
    embedded.stop(drill.directory, ["postgres"])
    drill.say("the database was stopped; it is started again")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", action="store_true", help="leave data and logs")
    minutes = parser.parse_args().minutes
    os.environ["LEASE_SECONDS"] = str(LEASE_SECONDS)
    drill = Drill()
    try:
        drill.wait_until_serving()
        django.setup()
        return _soak(drill, minutes)
    finally:
        drill.finish()


def _soak(drill: Drill, minutes: float) -> int:
    # Django's models exist only after django.setup(), which needs the directory that the drill has made.
    from tests.bench import crowd, soak_checks  # noqa: PLC0415

    cast = soak_checks.prepare(ANNOTATORS, IN_THE_PROJECT_WITH_OVERLAP, minutes)
    end = time.monotonic() + 60 * minutes
    annotators = {person.user.pk: Annotator(end, person.user.pk) for person in cast}
    drill.say(f"{len(cast)} annotators begin, for {minutes:g} minutes")
    mishaps = [
        threading.Timer(60 * minutes * share, mishap, [drill])
        for share, mishap in ((0.3, Drill.kill_worker_children), (0.5, kill_web_worker), (0.7, restart_database))
    ]
    for each in mishaps:
        each.start()
    crowd.play(f"http://127.0.0.1:{drill.port}", cast, lambda person: annotators[person.user.pk].script(person))
    for each in mishaps:
        each.join()
    drill.say("the annotators stop")
    time.sleep(LEASE_SECONDS + 1)
    memories = {pk: annotator.memory for pk, annotator in annotators.items()}
    counted, problems = soak_checks.count(memories)
    did = sum((memory.did for memory in memories.values()), Counter[str]())
    times = sorted(ms for person in cast for each in person.milliseconds.values() for ms in each)
    counted["p95 of all requests, ms"] = round(times[len(times) * 95 // 100])
    counted["slowest request, ms"] = round(times[-1])
    report = soak_checks.report(minutes, drill.said, counted, did, problems)
    TARGET.write_text(report)
    print(report)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
