"""An open load over HTTP: requests start at their time, whether or not earlier ones were answered.

A late answer counts from the time at which its request should have started. The load comes from a process of its own,
which knows nothing of Django, over connections that stay open.
"""

import http.client
import multiprocessing
import queue
import threading
import time
import urllib.parse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONNECTIONS = 32


class Call(NamedTuple):
    path: str
    body: bytes
    headers: dict[str, str]


def _fire(
    host: str, port: int, calls: Sequence[Call], rate: float, results: "multiprocessing.Queue[list[float]]"
) -> None:
    """Run in a process of its own: `rate` calls a second, and the seconds that each took. Refusals count as infinite."""
    waiting: queue.SimpleQueue[tuple[float, Call] | None] = queue.SimpleQueue()
    took: list[float] = []

    def work() -> None:
        client = http.client.HTTPConnection(host, port, timeout=60)
        client.connect()
        while (job := waiting.get()) is not None:
            due, call = job
            client.request("POST", call.path, body=call.body, headers=call.headers)
            response = client.getresponse()
            response.read()
            took.append(time.perf_counter() - due if response.status == 200 else float("inf"))
        client.close()

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    start = time.perf_counter() + 0.2
    for number, call in enumerate(calls):
        due = start + number / rate
        if (pause := due - time.perf_counter()) > 0:
            time.sleep(pause)
        waiting.put((due, call))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    results.put(took)


def latencies(url: str, calls: Sequence[Call], rate: float) -> NDArray[np.float64]:
    """Milliseconds of each call."""
    address = urllib.parse.urlsplit(url)
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    process = context.Process(target=_fire, args=(address.hostname, address.port, calls, rate, results))
    process.start()
    took = results.get(timeout=600)
    process.join()
    if not all(np.isfinite(took)):
        raise RuntimeError(f"{np.sum(~np.isfinite(took))} of {len(calls)} calls were refused")
    return np.array(took) * 1000
