"""The whole service on loopback with engines and data of its own, for one benchmark; nothing stays behind."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
import psutil
from django.core.management import call_command

from feedbackproject import embedded, web_server

_PREPARED = "FEEDBACK_BENCH_DIR"


@dataclass(frozen=True)
class Server:
    url: str
    process: subprocess.Popen[bytes]

    def memory_mib(self) -> float:
        """Resident memory of the web workers together."""
        main = psutil.Process(self.process.pid)
        return float(sum(process.memory_info().rss for process in [main, *main.children(recursive=True)])) / 2**20


def prepare() -> None:
    """Set Django up on a var directory of its own. Before any module that imports a model: those need settings."""
    directory = tempfile.mkdtemp(prefix="feedback-bench-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ.pop("DATABASE_URL", None)
    os.environ.pop("REDIS_URL", None)
    os.environ["FEEDBACK_VAR_DIR"] = os.environ[_PREPARED] = directory
    os.environ["DJANGO_SETTINGS_MODULE"] = "feedbackproject.settings.base"
    django.setup()


@contextmanager
def engines() -> Iterator[None]:
    """Fresh engines and a migrated database."""
    directory = Path(os.environ[_PREPARED])
    try:
        embedded.ensure_running(directory)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        yield
    finally:
        embedded.remove(directory)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def web(application: str = "") -> Iterator[Server]:
    """The web server as `manage.py serve` starts it, on a free port. Inside `engines()`. `application` serves another one."""
    port = free_port()
    command = web_server.command("127.0.0.1", port)
    if application:
        command[-1] = application
    process = subprocess.Popen(command)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/api/v1/health", timeout=5).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise TimeoutError("the web server did not start within 30 seconds")
        yield Server(url, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
