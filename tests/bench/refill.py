"""A refill run over 1,000,000 items x 10 classes, beside the bare COPY of the same rows."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from django.db import connection
from django.utils import timezone

from labeling.models import Project
from labeling.services import annotation_queue, projects
from sampling.batch_rules.tallies import IDS_A_BLOCK
from sampling.models import RefillRun
from sampling.services import refill
from tests.bench import bulk_pool, server
from tests.bench.result import Result

POOL = 1_000_000
ROUNDS = 5
_BARE_COPY = """
COPY (SELECT item_id, bucket, probabilities FROM labeling_poolentry WHERE project_id = %s AND state = 0)
TO STDOUT (FORMAT binary)"""
ROOT = Path(__file__).resolve().parents[2]


def peak_mib() -> float:
    """The largest resident memory of this process so far; unlike getrusage's, without that of the process that began it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _bare_copy(project: Project) -> float:
    """Seconds to receive what the refill needs and throw it away."""
    begin = time.perf_counter()
    received = 0
    with connection.cursor() as cursor, cursor.copy(_BARE_COPY, [project.pk]) as copy:
        for message in copy:
            received += len(message)
    if received < 60 * POOL:
        raise RuntimeError(f"only {received} bytes came")
    return time.perf_counter() - begin


def _refill(project: Project) -> tuple[float, RefillRun]:
    begin = time.perf_counter()
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL)
    run = refill.execute(run.pk, now=timezone.now())
    seconds = time.perf_counter() - begin
    if (run.state, run.selected_count, run.pool_size) != (RefillRun.State.SUCCEEDED, 100, POOL):
        raise RuntimeError(f"{run.state}: {run.selected_count} of {run.pool_size}, {run.message}")
    annotation_queue.withdraw_open(project, now=timezone.now())
    return seconds, run


def run() -> list[Result]:
    with server.engines():
        definition = {"classes": [{"key": key} for key in bulk_pool.CLASSES]}
        project = projects.create(slug="refill", name="Refill", definition=definition, by=None)
        # In another process: the arrays that make the pool would count as memory of the refill.
        _in_another_process(project)
        _bare_copy(project)
        bare, refills = [], []
        for _ in range(ROUNDS):
            bare.append(_bare_copy(project))
            refills.append(_refill(project))
        seconds = statistics.median(each for each, _ in refills)
        last = refills[-1][1]
        peak = peak_mib()
        alone, shared, busy = _sharded(project)
    return [
        Result("refill over 1M x 10", seconds, "s", None, "at_most"),
        Result("bare COPY of the same rows", statistics.median(bare), "s", None, "at_most"),
        Result("refill / bare COPY", seconds / statistics.median(bare), "", 2.0, "at_most"),
        Result("of which scoring and drawing", (last.score_ms or 0) / 1000, "s", None, "at_most"),
        Result("peak memory of the refill's process", peak, "MiB", 500, "at_most"),
        Result("2 shards scored by one worker", alone, "s", None, "at_most"),
        Result("2 shards scored by two workers", shared, "s", None, "at_most"),
        Result("two workers against one", alone / shared, "x", 1.6, "at_least"),
        # PostgreSQL sends while the worker scores, so one worker keeps more than one core busy: no more than
        # cores / this can be gained on this machine.
        Result("cores that one worker and PostgreSQL keep busy", busy, "cores", None, "at_most"),
    ]


def _busy_core_seconds() -> float:
    """What all cores of the machine have worked so far."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _sharded(project: Project) -> tuple[float, float, float]:
    """Seconds to score the shards of a run by one process after the other, by two at once, and cores the former used."""
    busy: list[float] = []
    alone: list[float] = []
    shared: list[float] = []
    for _ in range(ROUNDS):
        for times, count in ((alone, 1), (shared, 2)):
            requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=1)
            shards = refill.split(requested.pk, now=timezone.now(), items_a_shard=POOL // 2 + IDS_A_BLOCK)
            if len(shards) != 2:
                raise RuntimeError(f"{len(shards)} shards")
            workers = [_worker(shards[place::count]) for place in range(count)]
            begin, before = time.perf_counter(), _busy_core_seconds()
            for worker in workers:
                _send(worker, "go")
            for worker in workers:
                _expect(worker, "done")
            times.append(time.perf_counter() - begin)
            if count == 1:
                busy.append((_busy_core_seconds() - before) / times[-1])
            for worker in workers:
                worker.wait()
            run = refill.execute(requested.pk, now=timezone.now())
            if (run.state, run.selected_count) != (RefillRun.State.SUCCEEDED, 100):
                raise RuntimeError(f"{run.state}: {run.message}")
            annotation_queue.withdraw_open(project, now=timezone.now())
    return statistics.median(alone), statistics.median(shared), statistics.median(busy)


def _worker(shards: list[int]) -> "subprocess.Popen[str]":
    """A process that is ready to score these shards, as a Celery worker is."""
    code = (
        "import sys, django; django.setup(); from django.utils import timezone; from sampling.services import sharding; "
        "from django.db import connection; connection.ensure_connection(); print('ready', flush=True); "
        "sys.stdin.readline(); [sharding.summarise(int(each), now=timezone.now()) for each in sys.argv[1:]]; "
        "print('done', flush=True)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, shards)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    _expect(worker, "ready")
    return worker


def _send(worker: "subprocess.Popen[str]", word: str) -> None:
    if worker.stdin is not None:
        worker.stdin.write(word + "\n")
        worker.stdin.flush()


def _expect(worker: "subprocess.Popen[str]", word: str) -> None:
    said = worker.stdout.readline().strip() if worker.stdout else ""
    if said != word:
        raise RuntimeError(f"a worker said {said!r} and not {word!r}")


def _in_another_process(project: Project) -> None:
    code = (
        "import sys, django; django.setup(); from labeling.models import Project; from tests.bench import bulk_pool; "
        "bulk_pool.fill(Project.objects.get(pk=int(sys.argv[1])), int(sys.argv[2]))"
    )
    subprocess.run([sys.executable, "-c", code, str(project.pk), str(POOL)], cwd=ROOT, check=True)
