"""Draws a refill run's batch again from its row: the same items then, or the reason why not."""

from dataclasses import dataclass
from typing import Final

from labeling.models import AnnotationTask
from sampling import pool_record
from sampling.errors import NotReplayable
from sampling.models import RefillRun
from sampling.services import pool, scoring

_MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found.

    drawn_count
        Items of the batch drawn again.
    compared_count
        Tasks of the run that are still there, each compared with the item of its rank.
    differing_ranks
        Ranks at which another item came now, at most 10.
    has_same_scores
        Whether the items scored what they scored then. Without, a different batch is no surprise: predictions of the model
        version were replaced, or items deleted, since.
    """

    drawn_count: int
    compared_count: int
    differing_ranks: list[int]
    has_same_scores: bool

    @property
    def is_same(self) -> bool:
        """Every task is at the rank at which it came now."""
        return self.compared_count > 0 and not self.differing_ranks


def replay(run: RefillRun) -> Replay:
    """Draw the run's batch again from the items that it could draw then, and compare.

    Writes nothing. Raises NotReplayable for a run that drew nothing or is too old, and ValueError for what is wrong with the
    data now, such as an artifact that is gone.
    """
    if run.state != RefillRun.State.SUCCEEDED or not run.selected_count:
        raise NotReplayable("Only a run that drew a batch can be replayed.")
    if run.pool_record is None:
        raise NotReplayable("What this run could draw is not on record: that is kept of the newest runs only.")
    record = pool_record.loads(bytes(run.pool_record))
    plan = scoring.plan_of(run)
    with pool.recorded(record.available, plan.strata) as rows:
        drawn = scoring.draw(plan, [scoring.score(plan, rows)], known=record.known)
    tasks = AnnotationTask.objects.filter(batch=run.batch, draw_rank__isnull=False).values_list("draw_rank", "item_id")
    at_rank = {rank: item for rank, item in tasks if rank is not None}
    items = drawn.batch.item_ids.tolist()
    differing = [rank for rank, item in sorted(at_rank.items()) if rank >= len(items) or items[rank] != item]
    return Replay(
        drawn_count=len(items),
        compared_count=len(at_rank),
        differing_ranks=differing[:_MOST_NAMED],
        has_same_scores=drawn.summary.digest == run.score_digest,
    )
