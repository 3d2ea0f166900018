"""Export of 100,000 accepted labels over HTTP as a file, and what it does to the memory of the web server."""

import http.client
import threading
import time
import urllib.parse
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from datasets.services import snapshot
from labeling import selectors
from labeling.models import ApiKey, Project
from labeling.services import api_keys, projects
from tests.bench import bulk_pool, server
from tests.bench.result import Result

LABELS = 100_000
_ACCEPT_ALL = """
INSERT INTO datasets_acceptedlabel (project_id, item_id, label_schema_id, label, answer, change, probability, method,
                                    is_audit, reason, other_evidence, accepted_at)
SELECT project_id, id, %s, 'class-' || id %% 10, jsonb_build_object('choice', 'class-' || id %% 10),
       nextval('datasets_label_change'), 1, 'trusted_annotation', false, 'uncertain', '{}', now()
FROM labeling_item WHERE project_id = %s ORDER BY id"""


@dataclass(frozen=True)
class Download:
    rows: int
    seconds: float
    growth_mib: float
    """Of the largest memory of the web workers while it ran, over that before."""


def _download(web: server.Server, path: str, key: str) -> Download:
    """Read the whole file, counting its lines."""
    before = web.memory_mib()
    largest = before
    is_done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not is_done.wait(0.1):
            largest = max(largest, web.memory_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        begin = time.perf_counter()
        address = urllib.parse.urlsplit(web.url)
        client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
        client.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        response = client.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {response.read()[:300]!r}")
        rows = 0
        while piece := response.read(256 * 1024):
            rows += piece.count(b"\n")
        return Download(rows, time.perf_counter() - begin, largest - before)
    finally:
        is_done.set()
        watcher.join()


def _labelled(slug: str, size: int) -> tuple[Project, str]:
    definition = {"kind": "single_choice", "classes": [{"key": each} for each in bulk_pool.CLASSES]}
    project = projects.create(slug=slug, name=slug, definition=definition, by=None)
    bulk_pool.fill(project, size)
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPT_ALL, [selectors.current_schema(project).pk, project.pk])
        cursor.execute("VACUUM ANALYZE datasets_acceptedlabel")
    return project, api_keys.create(project, name="bench", kind=ApiKey.Kind.SECRET, by=None).key


def run() -> list[Result]:
    with server.engines(), server.web() as web:
        small, small_key = _labelled("small", 2_000)
        project, key = _labelled("export", LABELS)
        snapshot.take(small, by=None, now=timezone.now())
        begin = time.perf_counter()
        snapshot.take(project, by=None, now=timezone.now())
        taken = time.perf_counter() - begin
        for _ in range(4):  # so that every worker has loaded what an export needs
            _download(web, f"/api/v1/projects/{small.slug}/snapshots/1/export", small_key)
        found = _download(web, f"/api/v1/projects/{project.slug}/snapshots/1/export", key)
        changes = _download(web, f"/api/v1/projects/{project.slug}/labels/export?since=0", key)
        with_payloads = _download(web, f"/api/v1/projects/{project.slug}/labels/export?since=0&payload=1", key)
        # The changes end with a line of their own.
        if not found.rows == changes.rows - 1 == with_payloads.rows - 1 == LABELS:
            raise RuntimeError(f"{found.rows}, {changes.rows} and {with_payloads.rows} rows came")
    return [
        Result("export of a snapshot of 100k labels over HTTP", found.rows / found.seconds, "rows/s", 20_000),
        Result("memory growth of the web workers meanwhile", found.growth_mib, "MiB", 20, "at_most"),
        Result("export of 100k changes of labels", LABELS / changes.seconds, "rows/s", 20_000),
        Result("the same with payloads", LABELS / with_payloads.seconds, "rows/s", 20_000),
        Result("memory growth meanwhile", max(changes.growth_mib, with_payloads.growth_mib), "MiB", 20, "at_most"),
        Result("taking that snapshot", taken, "s", None, "at_most"),
    ]
