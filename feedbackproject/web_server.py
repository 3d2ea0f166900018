"""How the web server is started: by `manage.py serve`, and by the benchmarks, which measure the same."""

import os
import sys
from typing import Final

BLOCKING_THREADS: Final = 8
"""Requests at work at a time, in each worker. Each thread keeps a database connection; what they cannot take waits."""


def command(host: str, port: int) -> list[str]:
    """Granian's command line. WEB_WORKERS says how many processes; by default as many as cores, at least two."""
    workers = os.environ.get("WEB_WORKERS") or str(max(2, os.cpu_count() or 1))
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws"),
        *("--workers", workers, "--respawn-failed-workers"),
        *("--blocking-threads", str(BLOCKING_THREADS), "--backpressure", "64", "--workers-kill-timeout", "10"),
        *("--log-level", "error"),  # no word about threads, which wait for the database more than they compute
        "feedbackproject.wsgi:application",
    ]
