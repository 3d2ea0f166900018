"""Items that were asked and answered, without the queue between."""

import datetime as dt
from collections.abc import Mapping

from django.contrib.auth.models import User

from datasets.services import accept
from labeling import selectors
from labeling.models import Annotation, AnnotationTask, Item, PoolEntry, Project
from labeling.schema import JSONValue
from labeling.splitting import bucket_of

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def item(
    project: Project,
    key: str,
    *,
    payload: Mapping[str, JSONValue] | None = None,
    segments: Mapping[str, JSONValue] | None = None,
    bucket: int | None = None,
) -> Item:
    """An item with its pool entry, in the bucket of its key unless told otherwise."""
    bucket = bucket_of(project.pk, key) if bucket is None else bucket
    made = Item.objects.create(
        project=project,
        key=key,
        payload=dict(payload or {"text": f"text of {key}"}),
        segments=dict(segments or {}),
        bucket=bucket,
        created_at=NOW,
        updated_at=NOW,
    )
    PoolEntry.objects.create(item=made, project=project, bucket=bucket)
    return made


def annotation(
    of: Item,
    by: User,
    label: str,
    *,
    reason: AnnotationTask.Reason = AnnotationTask.Reason.UNCERTAIN,
    propensity: float | None = 0.25,
    is_audit: bool = False,
) -> Annotation:
    """An answered task of the item and the annotation that answered it."""
    task = AnnotationTask.objects.create(
        project=of.project,
        item=of,
        state=AnnotationTask.State.ANSWERED,
        reason=reason,
        propensity=propensity,
        is_audit=is_audit,
        created_at=NOW,
        closed_at=NOW,
    )
    PoolEntry.objects.filter(item=of).update(state=PoolEntry.State.ANSWERED)
    return Annotation.objects.create(
        task=task,
        item=of,
        annotator=by,
        label_schema=selectors.current_schema(of.project),
        answer={"choice": label},
        created_at=NOW,
    )


def accepted(project: Project, by: User, labels: Mapping[str, str]) -> list[Item]:
    """New items with these keys, answered with these labels, and the labels accepted."""
    items = []
    for key, label in labels.items():
        items.append(item(project, key))
        annotation(items[-1], by, label)
    accept.accept_pending(project.pk, now=NOW)
    return items
