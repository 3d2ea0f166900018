"""What logging a prediction costs the app, while the real service on loopback takes the rows.

The app's thread does what app threads do: it computes between calls, at a steady pace below what the queue can hold, and
shares the interpreter's lock with the client's thread. Each call is timed; all rows have to be in the database at the end.
"""

import json
import time
from typing import TypeAlias

import numpy as np
from feedback_client import Client

from labeling.models import ApiKey, Item, Prediction, Project
from labeling.services import api_keys, intake, projects
from tests.bench import server
from tests.bench.result import Result

Times: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.float64]]"

ROWS = 20_000
A_SECOND = 2_000
BURST = 9_000
CLASSES = [f"class-{number}" for number in range(10)]


def _project() -> tuple[Project, str]:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in CLASSES]}
    project = projects.create(slug="client", name="client", objective="", definition=definition, by=None)
    intake.register_model_version(project, name="m1", classes=CLASSES)
    return project, api_keys.create(project, name="bench", kind=ApiKey.Kind.SECRET, by=None).key


def _log(client: Client, prefix: str, count: int, *, a_second: int | None) -> tuple[Times, Times]:
    """Microseconds of each call, and of writing the same row as JSON alone."""
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(len(CLASSES), 0.5), count).round(6).tolist()
    payloads = [{"text": " ".join(f"w{word}" for word in words)} for words in rng.integers(0, 5000, size=(count, 12))]
    taken, plain = np.empty(count), np.empty(count)
    start = time.perf_counter()
    for number in range(count):
        if a_second is not None:
            while time.perf_counter() < start + number / a_second:
                pass  # the app at work
        # The least that any client does with a row, for comparison: what it takes tells how quiet the machine is.
        before = time.perf_counter_ns()
        json.dumps({"key": prefix, "payload": payloads[number], "probabilities": probabilities[number]}).encode()
        plain[number] = (time.perf_counter_ns() - before) / 1000.0
        before = time.perf_counter_ns()
        client.log_prediction(
            f"{prefix}-{number}",
            model_version="m1",
            probabilities=probabilities[number],
            payload=payloads[number],
            respondent="user-1",
            request_id="r-1",
        )
        taken[number] = (time.perf_counter_ns() - before) / 1000.0
    return taken, plain


def run() -> list[Result]:
    with server.engines(), server.web() as web:
        project, key = _project()
        with Client(web.url, project.slug, key, strict=True) as client:
            _log(client, "warm-up", 1_000, a_second=None)
            if not client.flush(60.0):
                raise RuntimeError("the service did not take the first rows")
            steady, plain = _log(client, "steady", ROWS, a_second=A_SECOND)
            is_flushed = client.flush(60.0)
            burst, _ = _log(client, "burst", BURST, a_second=None)
            start = time.perf_counter()
            is_flushed &= client.flush(60.0)
            drained = BURST / (time.perf_counter() - start)
            stats = client.stats
        total = 1_000 + ROWS + BURST
        stored = (Item.objects.filter(project=project).count(), Prediction.objects.count())
        if not is_flushed or stored != (total, total) or stats.delivered != total:
            raise RuntimeError(f"{stored} rows are stored: {stats}")
        return [
            Result("client: enqueue at 2,000/s, p50", float(np.quantile(steady, 0.5)), "us", 20, "at_most"),
            Result("client: enqueue at 2,000/s, p99", float(np.quantile(steady, 0.99)), "us", 100, "at_most"),
            Result("json.dumps of the row in between, p99", float(np.quantile(plain, 0.99)), "us", None),
            Result("client: enqueue in a burst of 9,000, p50", float(np.quantile(burst, 0.5)), "us", 20, "at_most"),
            Result("client: enqueue in a burst of 9,000, p99", float(np.quantile(burst, 0.99)), "us", 100, "at_most"),
            Result("client: rows drained after the burst", drained, "rows/s", None),
        ]
