"""What a policy would ask next, before it is put in force. Writes nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Unpack

import numpy as np
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from labeling.models import AnnotationTask, Item, PoolEntry, Prediction, Project
from sampling import preview_figures
from sampling.pool_summary import histogram
from sampling.preview_figures import Share
from sampling.services import features, pool, scoring
from sampling.services.policies import PolicyChanges, draft
from sampling.services.scoring import Drawn

PREVIEW_SEED: Final = 0
ITEMS_LOOKED_AT: Final = 500_000
"""Scored in about a second."""
_ITEMS_SHOWN: Final = 10
_DUPLICATES_SHOWN: Final = 5
_SEGMENTS_SHOWN: Final = 4
_SAMPLE: Final = 2_000


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """An item that would be asked. `reason`: that of its task. `chance`: its propensity, None where the rule is deterministic."""

    key: str
    is_audit: bool
    reason: AnnotationTask.Reason
    informativeness: float | None
    chance: float | None
    predicted: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The next batch by a policy.

    pool_histogram, batch_histogram
        Scored items by informativeness in 20 equal steps over [0, 1]: of the pool outside the audit reserve, and drawn.
    chances
        Draws by their chance, see `preview_figures.chances`.
    relative_informativeness
        Mean informativeness of the batch over that of the pool. Not what its labels are worth: a score is no measure of that. None
        without scores.
    classes, segments
        What the model predicts in the batch beside the labels so far; values of segments beside a sample of the pool.
    duplicates
        Keys of items that are nearly the same, at most 5 pairs; `duplicate_count` counts all.
    """

    phase_reason: str
    rule: str
    scored_by: str
    remark: str
    pool_size: int
    size: int
    audit_count: int
    unscored_count: int
    mean_informativeness: float | None
    pool_informativeness: float | None
    relative_informativeness: float | None
    pool_histogram: list[int]
    batch_histogram: list[int]
    chances: list[int]
    has_chances: bool
    classes: list[Share]
    segments: dict[str, list[Share]]
    duplicate_count: int
    duplicates: list[tuple[str, str]]
    items: list[PreviewItem]
    seconds: float


def preview(project: Project, **changes: Unpack[PolicyChanges]) -> Preview:
    """Draw the batch that the current policy with `changes` would fill an empty queue with.

    A person waits for it, so of a larger pool about the first `ITEMS_LOOKED_AT` are scored, and the remark says so. The seed is
    fixed, so two policies are compared on the same chance. Raises InvalidPolicy, and ValueError for what is wrong with data.
    """
    begin = perf_counter()
    policy = draft(project, **changes)
    plan = scoring.make_plan(project, policy, size=policy.batch_size, seed=PREVIEW_SEED)
    ranges = pool.ranges(project.pk, items_a_range=ITEMS_LOOKED_AT)
    drawn = scoring.draw(plan, [scoring.score(plan, scoring.available(plan, ranges[0]))])
    batch, summary = drawn.batch, drawn.summary
    active = batch.informativeness[~batch.is_audit & ~np.isnan(batch.informativeness)]
    mean = float(active.mean()) if len(active) else None
    of_pool = preview_figures.mean_of_histogram(summary.histogram)
    predicted = _predicted(drawn)
    items = Item.objects.in_bulk(batch.item_ids.tolist())
    keys = [items[item].key if item in items else "" for item in batch.item_ids.tolist()]
    pairs = _near_duplicates(project, batch.item_ids)
    remark = drawn.remark
    if len(ranges) > 1:
        seen = drawn.summary.active_count + drawn.summary.reserve.count
        remark = f"{remark} Only the oldest {seen:,} items of this large pool were looked at.".strip()
    return Preview(
        phase_reason=plan.phase_reason,
        rule=plan.rule_name,
        scored_by=str(plan.surrogate or plan.champion or "no model"),
        remark=remark,
        pool_size=drawn.drawable_count,
        size=len(batch.item_ids),
        audit_count=int(batch.is_audit.sum()),
        unscored_count=int(np.isnan(batch.informativeness).sum()),
        mean_informativeness=mean,
        pool_informativeness=of_pool,
        relative_informativeness=mean / of_pool if mean is not None and of_pool else None,
        pool_histogram=summary.histogram.tolist(),
        batch_histogram=histogram(active).tolist(),
        chances=preview_figures.chances(batch.propensity, drawn.drawable_count),
        has_chances=not np.isnan(batch.propensity[~batch.is_audit]).any(),
        classes=preview_figures.shares([each for each in predicted if each], datasets_selectors.class_counts(project)),
        segments=_segments(project, list(items.values())),
        duplicate_count=len(pairs),
        duplicates=[(keys[one], keys[other]) for one, other in pairs[:_DUPLICATES_SHOWN]],
        items=[
            PreviewItem(
                key=keys[place],
                is_audit=bool(batch.is_audit[place]),
                reason=AnnotationTask.Reason.AUDIT if batch.is_audit[place] else plan.reason,
                informativeness=_number(batch.informativeness[place]),
                chance=_number(batch.propensity[place]),
                predicted=predicted[place],
            )
            for place in range(min(len(keys), _ITEMS_SHOWN))
        ],
        seconds=perf_counter() - begin,
    )


def _number(value: np.floating) -> float | None:
    return None if np.isnan(value) else float(value)


def _predicted(drawn: Drawn) -> list[str]:
    """The class that the scorer thinks most likely of each drawn item; empty where it says none."""
    plan, item_ids = drawn.plan, drawn.batch.item_ids
    if plan.surrogate is not None and plan.space is not None:
        return scoring.predicted_classes(plan, item_ids)
    found = Prediction.objects.filter(model_version=plan.champion, item__in=item_ids.tolist())
    by_item = dict(found.values_list("item_id", "predicted_class")) if plan.champion else {}
    return [by_item.get(item, "") for item in item_ids.tolist()]


def _near_duplicates(project: Project, item_ids: NDArray[np.int64]) -> list[tuple[int, int]]:
    """By the vectors in use, as far as there are any."""
    space = features.current_space(project)
    if space is None:
        return []
    vectors, _ = features.vectors(space, item_ids)
    return preview_figures.near_duplicates(vectors)


def _segments(project: Project, batch: Sequence[Item]) -> dict[str, list[Share]]:
    """Of the segments that most items of the batch have."""
    counts = Counter(name for item in batch for name in item.segments)
    # Buckets are random, so the first of them are a random sample of the pool.
    sample = (
        PoolEntry.objects.filter(project=project, state=PoolEntry.State.AVAILABLE)
        .order_by("bucket", "item_id")
        .values_list("item__segments", flat=True)[:_SAMPLE]
        if counts
        else []
    )
    pool_values = list(sample)
    found = {}
    for name, _ in counts.most_common(_SEGMENTS_SHOWN):
        elsewhere = Counter(str(values[name]) for values in pool_values if name in values)
        in_batch = [str(item.segments[name]) for item in batch if name in item.segments]
        found[name] = preview_figures.shares(in_batch, elsewhere)
    return found
