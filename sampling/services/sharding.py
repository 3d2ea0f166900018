"""A refill by several workers: each summarises a range of the pool, and whoever ends the last range draws the batch.

The rows of `RefillShard` are the whole protocol (docs/adr/0009-sharded-refills.md): a lost message or a killed worker costs a
range, which the sweep hands out again, and the result does not depend on who did what.
"""

import datetime as dt

from django.db import transaction

from sampling import pool_summary
from sampling.models import RefillRun, RefillShard
from sampling.services import scoring
from sampling.services.pool import IdRange
from sampling.services.scoring import Scored

MOST_ATTEMPTS = 5
"""A shard that was begun so often and never ended kills its worker; its run is given up."""


def create(run: RefillRun, ranges: list[IdRange]) -> None:
    """Note down which ranges are to be summarised for the run, whose plan is on its row."""
    RefillShard.objects.bulk_create(
        RefillShard(run=run, number=number, first_item=each.first, end_item=each.end)
        for number, each in enumerate(ranges)
    )


def unfinished(run_id: int) -> list[int]:
    """The run's shards that still have to be summarised."""
    shards = RefillShard.objects.filter(run=run_id, finished_at__isnull=True).order_by("number")
    return list(shards.values_list("pk", flat=True))


def parts(run: RefillRun) -> list[Scored]:
    """What the finished shards say, in the order of their ranges."""
    return [
        Scored(
            summary=pool_summary.loads(bytes(shard.summary or b"")),
            ids=bytes(shard.pool_record or b""),
            read_seconds=(shard.read_ms or 0.0) / 1000,
            score_seconds=(shard.score_ms or 0.0) / 1000,
        )
        for shard in run.shards.order_by("number")
    ]


def summarise(shard_id: int, *, now: dt.datetime) -> int | None:
    """Summarise a shard's range, unless it is done or another worker is at it.

    Returns the run's id if this was the last of its shards, else None. Raises ValueError for what is wrong with data or
    policy, and for a shard that was begun too often: its run cannot succeed then.
    """
    with transaction.atomic():
        shard = _lock(shard_id)
        if shard is None:
            return None
        shard.attempts += 1
        if shard.attempts > MOST_ATTEMPTS:
            raise ValueError(f"Given up: shard {shard.number} was begun {MOST_ATTEMPTS} times and never ended.")
        shard.save(update_fields=["attempts"])
    with transaction.atomic():
        shard = _lock(shard_id)
        if shard is None:
            return None
        plan = scoring.plan_of(shard.run)
        scored = scoring.score(plan, scoring.available(plan, IdRange(shard.first_item, shard.end_item)))
        shard.summary, shard.pool_record = pool_summary.dumps(scored.summary), scored.ids
        shard.read_ms, shard.score_ms = scored.read_seconds * 1000, scored.score_seconds * 1000
        shard.finished_at = now
        shard.save()
    # After the commit: of two workers that end at the same time at least one sees both.
    return None if unfinished(shard.run.pk) else shard.run.pk


def _lock(shard_id: int) -> RefillShard | None:
    return (
        RefillShard.objects.select_for_update(skip_locked=True, of=("self",))
        .select_related("run__project", "run__policy", "run__model_version", "run__surrogate", "run__space")
        .filter(pk=shard_id, finished_at__isnull=True, run__state=RefillRun.State.PENDING)
        .first()
    )
