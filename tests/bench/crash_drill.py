"""`python -m tests.bench.crash_drill`: kill -9 everything while people label, then count.

Starts the whole product (`manage.py serve`) on a directory of its own, loads the digits demo over HTTP, and lets eight
annotators answer as fast as they can. Meanwhile PostgreSQL, Redis, the worker's processes and in the end the whole
group are killed with SIGKILL. Afterwards: is every answer that was confirmed there, once? Did all of them become
labels? Is any task stuck? Prints what happened when; exits 1 if anything is wrong. `--keep` leaves data and logs.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import django
import psutil

from feedbackproject import embedded
from tests.bench.server import free_port

ANNOTATORS = 8
PAUSE_SECONDS = 0.1
"""Between two answers of one annotator, so that the pool of 1,767 items lasts."""


@dataclass
class Tally:
    """What one annotator was told. `confirmed` are the tasks whose answer the service acknowledged."""

    confirmed: list[int] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)


class Drill:
    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="feedback-drill-"))
        self.port = free_port()
        self.environment = {
            **os.environ,
            "FEEDBACK_VAR_DIR": str(self.directory),
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.base",
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            self.environment.pop(name, None)
        os.environ.update(self.environment)
        self.log = (self.directory / "serve.log").open("ab")
        self.group = self._start()
        self.stopping = threading.Event()
        self.said: list[str] = []
        self.began = time.monotonic()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--no-demo"], env=self.environment, stdout=self.log, stderr=self.log
        )

    def say(self, text: str) -> None:
        line = f"{time.monotonic() - self.began:6.1f} s  {text}"
        self.said.append(line)
        print(line, flush=True)

    def kill_engine(self, name: str) -> None:
        pid = next(status.pid for status in embedded.status(self.directory) if status.name == name)
        if pid is None:
            raise RuntimeError(f"{name} is not running")
        victims = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):  # children end by themselves when the parent is gone
                victim.kill()
        self.say(f"kill -9 of {name} (pid {pid}) and its children")

    def kill_worker_children(self) -> int:
        """The processes in which the worker runs its tasks."""
        killed = 0
        for process in psutil.Process(self.group.pid).children():
            if "worker" in process.cmdline():
                for child in process.children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                        killed += 1
        self.say(f"kill -9 of the worker's {killed} task processes")
        return killed

    def kill_group(self) -> None:
        parent = psutil.Process(self.group.pid)
        victims = [parent, *parent.children(recursive=True)]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        self.group.wait()
        self.say(f"kill -9 of the whole group, {len(victims)} processes")

    def restart_group(self) -> None:
        self.group = self._start()
        self.wait_until_serving()
        self.say("the group serves again")

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.group.poll() is not None:
                raise RuntimeError(f"the group ended with {self.group.returncode}; see {self.log.name}")
            try:
                client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                client.request("GET", "/api/v1/health")
                client.getresponse().read()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError("the group does not answer")

    def finish(self) -> None:
        if self.group.poll() is None:
            self.group.send_signal(signal.SIGINT)
            try:
                self.group.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill_group()
        self.log.close()
        if "--keep" in sys.argv:
            embedded.stop(self.directory)
        else:
            embedded.remove(self.directory)


def annotate(drill: Drill, slug: str, cookie: str, csrf: str, truth: dict[str, str], tally: Tally) -> None:
    """Label until told to stop; whatever goes wrong, wait a moment and ask for the next task."""
    headers = {
        "Cookie": f"sessionid={cookie}; csrftoken={csrf}",
        "X-CSRFToken": csrf,
        "Content-Type": "application/json",
        "Referer": f"http://127.0.0.1:{drill.port}/",
    }

    def post(path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        client = http.client.HTTPConnection("127.0.0.1", drill.port, timeout=30)
        try:
            client.request("POST", f"/api/v1/projects/{slug}/tasks/{path}", json.dumps(body), headers)
            response = client.getresponse()
            return response.status, json.loads(response.read())
        finally:
            client.close()

    while not drill.stopping.is_set():
        try:
            status, answer = post("next?limit=1", {})
            tasks = answer.get("tasks") if status == 200 else None
            if not isinstance(tasks, list) or not tasks:
                tally.refusals[f"next {status} {answer.get('code', answer.get('reason', ''))}"] += 1
                drill.stopping.wait(0.3)
                continue
            task = tasks[0]
            status, answer = post(f"{task['id']}/submit", {"answer": {"choice": truth[task["item"]["key"]]}})
            if status in (200, 201):
                tally.confirmed.append(task["id"])
            else:
                tally.refusals[f"submit {status} {answer.get('code', '')}"] += 1
        except (OSError, http.client.HTTPException, ValueError) as error:
            tally.refusals[type(error).__name__] += 1
        drill.stopping.wait(PAUSE_SECONDS)


def main() -> int:
    drill = Drill()
    try:
        drill.wait_until_serving()
        django.setup()
        return _drill(drill)
    finally:
        drill.finish()


def _drill(drill: Drill) -> int:
    # Django's models exist only after django.setup(), which needs the directory that the drill has made.
    from tests.bench import crash_drill_checks as checks  # noqa: PLC0415

    demo, people = checks.prepare(f"http://127.0.0.1:{drill.port}", ANNOTATORS)
    truth = dict(zip(demo.keys, demo.labels, strict=True))
    tallies = [Tally() for _ in people]
    threads = [
        threading.Thread(target=annotate, args=(drill, demo.slug, person.cookie, person.csrf, truth, tally))
        for person, tally in zip(people, tallies, strict=True)
    ]
    drill.say(f"{len(threads)} annotators begin")
    for thread in threads:
        thread.start()
    try:
        time.sleep(5)
        drill.kill_engine("postgres")
        time.sleep(12)
        drill.kill_engine("redis")
        time.sleep(12)
        checks.start_refill(demo.slug)
        drill.kill_worker_children()
        time.sleep(10)
        is_caught = checks.catch_running_training(demo.slug)
        drill.kill_worker_children()
        drill.say("a training was running" if is_caught else "no training was seen running")
        time.sleep(15)
        drill.kill_group()
        time.sleep(2)
        drill.restart_group()
        time.sleep(10)
    finally:
        drill.stopping.set()
        for thread in threads:
            thread.join()
    drill.say("the annotators stop")
    problems = checks.count(demo.slug, [task for tally in tallies for task in tally.confirmed], drill.say)
    refusals = sum((tally.refusals for tally in tallies), Counter[str]())
    print("\nWhat the annotators were told besides yes: ", dict(refusals))
    print("\n".join(["", *(f"PROBLEM: {problem}" for problem in problems)]) or "")
    print("Nothing lost, nothing twice, nothing stuck." if not problems else f"{len(problems)} problems.")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
