"""Beliefs through the database: a fit over 100,000 items and 300,000 annotations, the labels that follow, and one item anew.

`python -m tests.bench beliefs`
"""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from datasets.models import AcceptedLabel, ItemBelief
from datasets.services import accept, acceptance_policies, beliefs
from datasets.services.binary_rows import read
from datasets.services.evidence import gather
from labeling.models import Project
from tests.bench import bulk_evidence, server
from tests.bench.result import Result

ITEMS = int(os.environ.get("FEEDBACK_BENCH_ITEMS", "100000"))
ANSWERS, ANNOTATORS = 3, 1_000
LARGE_ITEMS, LARGE_ANSWERS = 2 * ITEMS, 5
SINGLE = 100


def run() -> list[Result]:
    with server.engines():
        project = bulk_evidence.fill("beliefs", items=ITEMS, answers=ANSWERS, annotators=ANNOTATORS)
        acceptance_policies.new_version(project, by=None, method="label_model")
        size = f"{ITEMS:,} items, {ITEMS * ANSWERS:,} annotations"
        results = [
            *_fits(project, size),
            *_labels(project, size),
            *_single(project, size),
        ]
        large = bulk_evidence.fill("large", items=LARGE_ITEMS, answers=LARGE_ANSWERS, annotators=ANNOTATORS)
        return [*results, _gathered(large)]


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _fits(project: Project, size: str) -> list[Result]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first = _seconds(lambda: beliefs.fit(project, now=timezone.now()))
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    again = _seconds(lambda: beliefs.fit(project, now=timezone.now()))
    if ItemBelief.objects.filter(project=project).count() != ITEMS:
        raise RuntimeError("not every item is believed")
    return [
        Result(f"fit through the database, {size}", first, "s", None, "at_most"),
        Result(f"another fit from its parameters, {size}", again, "s", None, "at_most"),
        Result(f"memory of a fit, {size}", extra, "MiB", None, "at_most"),
    ]


def _labels(project: Project, size: str) -> list[Result]:
    seconds = _seconds(lambda: accept.accept_pending(project.pk, now=timezone.now()))
    count = AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True).count()
    return [Result(f"labels that follow ({count:,}), {size}", seconds, "s", None, "at_most")]


def _single(project: Project, size: str) -> list[Result]:
    """Of one item anew: all of it, and what is left of it without the time in statements."""
    setting = beliefs.setting_of(project)
    if setting is None:
        raise RuntimeError("the project does not go by the label model")
    ids = list(ItemBelief.objects.filter(project=project).order_by("pk").values_list("pk", flat=True)[:SINGLE])
    whole, beyond = [], []
    for item_id in ids:
        with _watched() as in_statements, transaction.atomic():
            begin = time.perf_counter()
            beliefs.update(setting, [item_id], now=timezone.now())
            seconds = time.perf_counter() - begin
        whole.append(1000 * seconds)
        beyond.append(1000 * (seconds - sum(in_statements)))
    return [
        Result(f"one item believed anew, {size}", float(np.median(whole)), "ms", None, "at_most"),
        Result("one item believed anew: beyond its statements", float(np.median(beyond)), "ms", 5.0, "at_most"),
    ]


@contextmanager
def _watched() -> Iterator[list[float]]:
    """The seconds of every statement in the block, reads by COPY among them."""
    seconds: list[float] = []

    def watch(execute: Callable[..., Any], *args: Any) -> Any:
        begin = time.perf_counter()
        try:
            return execute(*args)
        finally:
            seconds.append(time.perf_counter() - begin)

    by_copy = mock.patch("datasets.services.evidence.read", lambda *args: watch(read, *args))
    with connection.execute_wrapper(watch), by_copy:
        yield seconds


def _gathered(project: Project) -> Result:
    policy = acceptance_policies.current_policy(project)
    seconds = min(_seconds(lambda: gather(project, policy, bulk_evidence.CLASSES)) for _ in range(2))
    return Result(f"gather all evidence, {LARGE_ITEMS * LARGE_ANSWERS:,} annotations", seconds, "s", 15.0, "at_most")
