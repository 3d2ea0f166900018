"""Pools and queues: many items at once, what a model says of them, and tasks without a refill."""

import datetime as dt
import uuid
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Project
from labeling.services import annotation_queue, intake
from labeling.services.annotation_queue import NewTask

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
CLASSES = ("cat", "dog", "bird")
OUTSIDE_RESERVE = 5_000
"""A bucket of the train split."""


def pool(project: Project, count: int, *, buckets: Sequence[int] | None = None, prefix: str = "item") -> list[Item]:
    """Available items without scores, outside the audit reserve unless their buckets say otherwise."""
    buckets = [OUTSIDE_RESERVE] * count if buckets is None else buckets
    items = Item.objects.bulk_create(
        Item(project=project, key=f"{prefix}-{number:05}", payload={"text": f"text {number}"}, bucket=bucket)
        for number, bucket in enumerate(buckets)
    )
    PoolEntry.objects.bulk_create(PoolEntry(item=item, project=project, bucket=item.bucket) for item in items)
    return items


def champion(project: Project, name: str = "champion") -> ModelVersion:
    version = intake.register_model_version(project, name=name, classes=CLASSES)
    intake.set_champion(version, now=NOW)
    return version


def scores(version: ModelVersion, items: Sequence[Item], probabilities: NDArray[np.float64]) -> None:
    """What the version says of the items: shape (n, 3). A champion's word reaches the pool."""
    item_ids = np.array([item.pk for item in items], dtype=np.int64)
    intake.record_prediction_arrays(version, item_ids=item_ids, probabilities=probabilities.astype(np.float32))


def scored_pool(project: Project, count: int, *, seed: int = 0, buckets: Sequence[int] | None = None) -> list[Item]:
    """Items and a champion's random predictions for all of them."""
    items = pool(project, count, buckets=buckets)
    rng = np.random.default_rng(seed)
    scores(champion(project), items, rng.dirichlet(np.ones(len(CLASSES)), count))
    return items


def new_task(item: Item, rank: int = 0, *, is_audit: bool = False) -> NewTask:
    """Chosen by the word of the champion, where it has said anything of the item; else by a surrogate."""
    reasons = AnnotationTask.Reason
    return NewTask(
        item_id=item.pk,
        reason=reasons.AUDIT if is_audit else reasons.UNCERTAIN,
        informativeness=0.5,
        propensity=0.25,
        is_audit=is_audit,
        draw_rank=rank,
        model_version_id=PoolEntry.objects.values_list("model_version_id", flat=True).get(item=item),
    )


def queue(project: Project, count: int, *, now: dt.datetime = NOW) -> list[AnnotationTask]:
    """Open tasks for new items, in the order in which they will be served."""
    items = pool(project, count, prefix=f"queued-{Item.objects.count()}")
    batch = uuid.uuid4()
    tasks = [new_task(item, rank) for rank, item in enumerate(items)]
    annotation_queue.enqueue(project, tasks, batch=batch, pool_size=count, now=now)
    return list(AnnotationTask.objects.filter(batch=batch).order_by("id"))
