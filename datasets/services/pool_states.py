"""Items leave the pool with a label that no task of theirs brought about, and come back when it falls."""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, QuerySet

from datasets.models import AcceptedLabel
from labeling.models import AnnotationTask, PoolEntry
from labeling.splitting import AUDIT_RESERVE_END


def follow_labels(item_ids: Collection[int]) -> None:
    """Let the pool follow what became of these items' labels.

    What respondents or a reviewer settled need not be drawn any more, except in the audit reserve, from which nothing may be missing
    that was not drawn: there it stays. Without its label it can be drawn again, if no annotator ever answered it. Locks pool rows in the order of
    item ids.
    """
    if not item_ids:
        return
    labels = AcceptedLabel.objects.filter(item=OuterRef("item"), superseded_at__isnull=True)
    answered = AnnotationTask.objects.filter(item=OuterRef("item"), state=AnnotationTask.State.ANSWERED)
    entries = PoolEntry.objects.filter(item__in=item_ids)
    _move(
        entries.filter(Exists(labels), state=PoolEntry.State.AVAILABLE, bucket__gte=AUDIT_RESERVE_END),
        PoolEntry.State.ANSWERED,
    )
    _move(entries.filter(~Exists(labels), ~Exists(answered), state=PoolEntry.State.ANSWERED), PoolEntry.State.AVAILABLE)


def _move(entries: QuerySet[PoolEntry], state: PoolEntry.State) -> None:
    found = entries.order_by("item_id").select_for_update(no_key=True).values_list("item_id", flat=True)
    if item_ids := list(found):
        PoolEntry.objects.filter(item_id__in=item_ids).update(state=state)
