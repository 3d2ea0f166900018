"""Answer and next task in one statement, in a project that goes by votes and in one with second opinions open.

Service and database without HTTP, on one connection, in turns: what it costs to serve each annotator in their own order.
"""

import time
from typing import Final

import numpy as np
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from datasets import parameter_file
from datasets.consensus.adaptive_overlap import MOST_OPEN
from datasets.consensus.parameters import Parameters
from datasets.models import BeliefRun, ItemBelief
from datasets.services import acceptance_policies
from labeling import selectors
from labeling.models import AnnotationTask, PoolEntry, Project
from labeling.services import annotation_queue, projects
from labeling.splitting import AUDIT_RESERVE_END
from sampling.models import RefillRun
from sampling.services import policies, refill
from tests.bench import bulk_pool, server
from tests.bench.result import Result

SIZE: Final = 10_000
OPEN_TASKS: Final = 5_000
PEOPLE: Final = 16
BLOCKS: Final = 30
CYCLES: Final = 90
KNOWN_ANNOTATORS: Final = 500


def _project(slug: str) -> Project:
    definition = {"kind": "single_choice", "classes": [{"key": key} for key in bulk_pool.CLASSES]}
    project = projects.create(slug=slug, name=slug, definition=definition, by=None)
    bulk_pool.fill(project, SIZE)
    policies.new_version(project, by=None, batch_size=OPEN_TASKS, low_watermark=OPEN_TASKS // 2)
    refill.execute(refill.request(project, trigger=RefillRun.Trigger.MANUAL).pk, now=timezone.now())
    return project


def _open_second_opinions(project: Project) -> None:
    """As a fit and `overlap.keep_up` would leave them; each may be answered by all."""
    rng, now, classes = np.random.default_rng(0), timezone.now(), len(bulk_pool.CLASSES)
    confusion = 1.0 + np.eye(classes) * rng.uniform(1, 9, (KNOWN_ANNOTATORS + 1, 1, 1))
    learned = Parameters(np.full(classes, 1 / classes), np.arange(KNOWN_ANNOTATORS), confusion, {})
    run = BeliefRun.objects.create(
        project=project,
        policy=acceptance_policies.new_version(project, by=None, method="label_model"),
        label_schema=selectors.current_schema(project),
        classes=list(bulk_pool.CLASSES),
        evidence_count=1,
        evidence_hash="0" * 64,
        item_count=1,
        rounds=1,
        has_converged=True,
        parameters=parameter_file.dumps(learned, np.arange(KNOWN_ANNOTATORS) + 1, np.full((classes, classes), 0.1)),
        started_at=now,
        finished_at=now,
    )
    free = PoolEntry.objects.filter(
        project=project, state=PoolEntry.State.AVAILABLE, bucket__gte=AUDIT_RESERVE_END
    ).order_by("item_id")
    ids = list(free.values_list("item_id", flat=True)[:MOST_OPEN])
    values = rng.uniform(0.01, 1.0, len(ids)).tolist()
    posteriors = rng.dirichlet(np.full(classes, 0.5), len(ids)).astype("<f4")
    ItemBelief.objects.bulk_create(
        ItemBelief(
            item_id=pk, project=project, run=run, posterior=posterior.tobytes(), label=bulk_pool.CLASSES[0],
            probability=0.5, evidence_count=1, action="ask", reason="below_threshold", value=value,
        )
        for pk, value, posterior in zip(ids, values, posteriors, strict=True)
    )  # fmt: skip
    AnnotationTask.objects.bulk_create(
        AnnotationTask(
            project=project, item_id=pk, reason="relabel", informativeness=value, boost=value, priority=value,
            answers_wanted=PEOPLE + 1,
        )
        for pk, value in zip(ids, values, strict=True)
    )  # fmt: skip
    PoolEntry.objects.filter(item_id__in=ids).update(state=PoolEntry.State.QUEUED)


def _block(project: Project, annotator: User) -> float:
    """Milliseconds a cycle."""
    schema_id = selectors.current_schema(project).pk
    selectors.schema_of(schema_id)
    (task,) = annotation_queue.claim(project, annotator=annotator, now=timezone.now(), skills=())
    begin = time.perf_counter()
    for _ in range(CYCLES):
        recorded = annotation_queue.submit_and_claim(
            task.pk, project=project, annotator=annotator, answer={"choice": "class-3"}, now=timezone.now(), limit=1,
            skills=(), label_schema_id=schema_id,
        )  # fmt: skip
        (task,) = recorded.tasks
    taken = time.perf_counter() - begin
    annotation_queue.release(task.pk, annotator=annotator, now=timezone.now(), project=project)
    return taken / CYCLES * 1e3


def run() -> list[Result]:
    with server.engines():
        votes, model = _project("votes"), _project("model")
        _open_second_opinions(model)
        people = [User.objects.create_user(f"person-{number}") for number in range(PEOPLE)]
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        times: dict[int, list[float]] = {votes.pk: [], model.pk: []}
        for block in range(BLOCKS + 1):
            for project in (votes, model):
                taken = _block(project, people[block % PEOPLE])
                if block:  # the first warms up
                    times[project.pk].append(taken)
    by_votes, by_model = float(np.median(times[votes.pk])), float(np.median(times[model.pk]))
    return [
        Result("answer and next task, by votes", by_votes, "ms", None, "at_most"),
        Result(f"the same, {MOST_OPEN} second opinions open", by_model, "ms", None, "at_most"),
        Result("second opinions / by votes", by_model / by_votes, "", 1.25, "at_most"),
    ]
