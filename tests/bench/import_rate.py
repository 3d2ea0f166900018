"""Import of 100,000 items with predictions over HTTP, into an empty project and into one that holds 1,000,000 items."""

import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator

import numpy as np
from django.db import connection

from labeling.models import ApiKey, Item, Project
from labeling.services import api_keys, intake, projects
from tests.bench import server
from tests.bench.result import Result

ROWS = 100_000
PREFILLED = 1_000_000
CLASSES = [f"class-{number}" for number in range(10)]


def _project(slug: str) -> tuple[Project, str]:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in CLASSES]}
    project = projects.create(slug=slug, name=slug, objective="", definition=definition, by=None)
    intake.register_model_version(project, name="m1", classes=CLASSES)
    return project, api_keys.create(project, name="bench", kind=ApiKey.Kind.SECRET, by=None).key


def _rows(count: int, prefix: str) -> list[bytes]:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(len(CLASSES), 0.5), count).round(6)
    words = rng.integers(0, 5000, size=(count, 12))
    return [
        json.dumps(
            {
                "key": f"{prefix}-{number}",
                "payload": {"text": " ".join(f"w{word}" for word in words[number])},
                "prediction": {"model_version": "m1", "probabilities": [float(p) for p in probabilities[number]]},
            }
        ).encode()
        + b"\n"
        for number in range(count)
    ]


def _post(url: str, slug: str, key: str, rows: list[bytes]) -> dict[str, int]:
    """One streamed request, as a bulk loader would send it."""

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(rows), 1000):
            yield b"".join(rows[start : start + 1000])

    address = urllib.parse.urlsplit(url)
    client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-ndjson",
        "Content-Length": str(sum(map(len, rows))),
    }
    client.request("POST", f"/api/v1/projects/{slug}/items?results=errors", body=chunks(), headers=headers)
    response = client.getresponse()
    answer: dict[str, int] = json.loads(response.read())
    if response.status != 200 or answer["created"] != len(rows):
        raise RuntimeError(f"import failed: {response.status} {str(answer)[:500]}")
    return answer


def _prefill(project: Project) -> None:
    """A million items by SQL: only their number matters here, and the import itself is what is measured."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO labeling_item (project_id, key, payload, segments, bucket, created_at, updated_at)
               SELECT %s, 'old-' || n, '{"text": "old"}', '{}', n %% 10000, now(), now() FROM generate_series(1, %s) n""",
            [project.pk, PREFILLED],
        )
        cursor.execute(
            """INSERT INTO labeling_poolentry (item_id, project_id, state, bucket)
               SELECT id, project_id, 0, bucket FROM labeling_item WHERE project_id = %s""",
            [project.pk],
        )
        cursor.execute("ANALYZE labeling_item, labeling_poolentry")


def _rate(web: server.Server, slug: str, key: str, prefix: str) -> tuple[float, float]:
    rows = _rows(ROWS, prefix)
    before = web.memory_mib()
    start = time.perf_counter()
    _post(web.url, slug, key, rows)
    return ROWS / (time.perf_counter() - start), web.memory_mib() - before


def run() -> list[Result]:
    with server.engines(), server.web() as web:
        empty, empty_key = _project("empty")
        full, full_key = _project("full")
        _prefill(full)
        _post(web.url, "empty", empty_key, _rows(2000, "warm-up"))
        rate, growth = _rate(web, "empty", empty_key, "new")
        rate_full, _ = _rate(web, "full", full_key, "new")
        stored = Item.objects.filter(project__in=[empty, full]).count()
        if stored != 2 * ROWS + 2000 + PREFILLED:
            raise RuntimeError(f"{stored} items are stored")
        return [
            Result("import 100k items + predictions over HTTP", rate, "rows/s", 20_000),
            Result("the same into a project with 1M items", rate_full, "rows/s", 20_000),
            Result("ratio 1M / empty", rate_full / rate, "", 0.9),
            Result("memory growth of the web workers", growth, "MiB", 150, "at_most"),
        ]
