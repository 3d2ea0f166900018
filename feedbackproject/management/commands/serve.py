import contextlib
import fcntl
import hashlib
import http.client
import os
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from feedbackproject import embedded, web_server
from feedbackproject.engine_account import EngineError
from feedbackproject.engine_servers import EngineName
from feedbackproject.supervisor import Child, Group, end_leftovers

ENGINE_CHECK_SECONDS = 1.0


class Command(BaseCommand):
    help = "Serves the whole product on this machine: engines, migrations, web, worker, schedule and the demo."
    requires_system_checks = ()  # the children check themselves; the engines are not up yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
        parser.add_argument("--no-demo", action="store_true", help="do not load the demo projects")

    def handle(self, *, host: str, port: int, no_demo: bool, **options: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # runs what `finally` says
        var_dir = embedded.var_directory()
        mark = hashlib.sha256(os.fsencode(var_dir)).hexdigest()[:16]
        with _only_one(var_dir):
            if leftovers := end_leftovers(mark):
                self._say(f"ended {len(leftovers)} processes that a killed run left behind")
            _check_port(host, port)
            started: set[EngineName] = set()
            try:
                started.update(self._ensure_engines())
                self._prepare()
                code = self._run_group(mark, host, port, not no_demo, started)
            except EngineError as error:
                raise CommandError(str(error)) from error
            finally:
                embedded.stop(var_dir, [name for name in embedded.ENGINE_NAMES if name in started])
        self._say("stopped")
        sys.exit(code)

    def _run_group(self, mark: str, host: str, port: int, with_demo: bool, started: set[EngineName]) -> int:
        group = Group(mark, settings.BASE_DIR, self._say)
        for child in _children(host, port):
            group.start(child)
        manage = str(settings.BASE_DIR / "manage.py")
        url = f"http://{host}:{port}"
        next_check = time.monotonic()
        is_serving = False

        def watch() -> None:
            nonlocal is_serving, next_check
            if not is_serving and _answers(host, port):
                is_serving = True
                self._say(f"serving at {url} (Ctrl-C stops)")
                if with_demo:
                    group.start(Child("demo", [sys.executable, manage, "load_demo", "--url", url], one_shot=True))
            if time.monotonic() >= next_check:
                for name in self._ensure_engines():
                    started.add(name)
                next_check = time.monotonic() + ENGINE_CHECK_SECONDS

        return group.run(watch)

    def _ensure_engines(self) -> tuple[EngineName, ...]:
        started = embedded.ensure_from_environment().started
        for engine in embedded.status(embedded.var_directory()) if started else ():
            if engine.name in started:
                self._say(f"started the embedded {engine.name}, data in {engine.data}")
        return started

    def _prepare(self) -> None:
        call_command("migrate", interactive=False, verbosity=1)
        call_command("collectstatic", interactive=False, verbosity=0)
        connections.close_all()  # this process only watches from here on

    def _say(self, text: str) -> None:
        self.stdout.write(f" serve | {text}")
        self.stdout.flush()


def _children(host: str, port: int) -> list[Child]:
    python = sys.executable
    cores = os.cpu_count() or 1
    # Who starts everything as root, in a container mostly, knows it.
    celery = [
        python,
        "-W",
        "ignore:You're running the worker with superuser",
        "-m",
        "celery",
        "--quiet",
        "-A",
        "feedbackproject",
    ]
    worker = [
        *(*celery, "worker", "-Q", "ingest,score,train,monitor", "--loglevel", "warning"),
        # One more than cores: a long training run leaves room for the short tasks.
        *("--concurrency", os.environ.get("WORKER_PROCESSES") or str(cores + 1)),
    ]
    return [
        Child("web", web_server.command(host, port)),
        Child("worker", worker),
        Child("beat", [*celery, "beat", "--loglevel", "warning"]),
    ]


@contextlib.contextmanager
def _only_one(var_dir: Path) -> Iterator[None]:
    var_dir.mkdir(parents=True, exist_ok=True)
    with (var_dir / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Already serving from {var_dir}: stop that first, or set FEEDBACK_VAR_DIR and PORT."
            ) from None
        yield


def _check_port(host: str, port: int) -> None:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"Port {port} cannot be used ({error.strerror}): choose another one, as in PORT={port + 1}."
            raise CommandError(message) from None


def _answers(host: str, port: int) -> bool:
    """Whether the web server answers anything at all."""
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
