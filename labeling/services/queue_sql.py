"""The SQL under the annotation queue: the statements of its hot path, one round trip each.

Annotators wait for these, all day long; so they are written out, where the ORM would take several statements. The
rules they keep are those of labeling.services.annotation_queue.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.utils import timezone

from labeling import prepared
from labeling.models import Annotation, AnnotationTask, Item, PoolEntry


def _columns(model: type[Model], alias: str) -> tuple[tuple[str, ...], str]:
    """The names by which a row becomes an object, and the same as a list of columns."""
    fields = model._meta.concrete_fields
    return tuple(field.attname for field in fields), ", ".join(f"{alias}.{field.column}" for field in fields)


_TASK_FIELDS, _TASK_COLUMNS = _columns(AnnotationTask, "claimed")
_ITEM_FIELDS, _ITEM_COLUMNS = _columns(Item, "item")
_ENTRY_FIELDS, _ENTRY_COLUMNS = _columns(PoolEntry, "entry")

# An item is one thing however many tasks it has had: who answered or skipped it is not asked about it again.
# OFFSET 0 keeps the planner from turning the lookup, which runs for the few tasks at the top of the queue, into a join
# with everything the annotator ever answered.
_MAY_BE_SERVED: Final = """
    NOT EXISTS (SELECT 1 FROM labeling_annotation own WHERE own.item_id = task.item_id
        AND own.annotator_id = %(annotator)s AND own.withdrawn_at IS NULL OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM labeling_annotationtask earlier JOIN labeling_skip skip ON skip.task_id = earlier.id
        WHERE earlier.item_id = task.item_id AND skip.annotator_id = %(annotator)s OFFSET 0)"""

# The annotator's own tasks come first, so that a reloaded page shows what it showed. The rest is the top of the partial
# index task_open_queue; rows that another claim holds locked are passed over, and a row that changed since the
# statement began is checked again by PostgreSQL when it is locked.
_CLAIM: Final = f"""
WITH held AS (
    SELECT id FROM labeling_annotationtask
    WHERE project_id = %(project)s AND state = 'open' AND leased_to_id = %(annotator)s
    ORDER BY priority DESC, id LIMIT LIMIT_ FOR UPDATE SKIP LOCKED
), free AS (
    SELECT task.id FROM labeling_annotationtask task
    WHERE task.project_id = %(project)s AND task.state = 'open'
        AND (task.leased_to_id IS NULL OR task.leased_to_id <> %(annotator)s AND task.lease_expires_at <= %(now)s)
        AND {_MAY_BE_SERVED}
    ORDER BY task.priority DESC, task.id LIMIT LIMIT_ - (SELECT count(*) FROM held) FOR UPDATE OF task SKIP LOCKED
), claimed AS (
    UPDATE labeling_annotationtask task SET leased_to_id = %(annotator)s, lease_expires_at = %(until)s
    WHERE task.id IN (SELECT id FROM held UNION ALL SELECT id FROM free)
    RETURNING task.*
)
SELECT {_TASK_COLUMNS}, {_ITEM_COLUMNS}, {_ENTRY_COLUMNS}
FROM claimed JOIN labeling_item item ON item.id = claimed.item_id
    JOIN labeling_poolentry entry ON entry.item_id = claimed.item_id
ORDER BY claimed.id IN (SELECT id FROM held) DESC, claimed.priority DESC, claimed.id"""  # noqa: S608 - all constants

_WHAT_IS_LEFT: Final = f"""
SELECT count(*), count(*) FILTER (WHERE may_be_served), min(lease_expires_at) FILTER (WHERE may_be_served)
FROM (SELECT task.lease_expires_at, {_MAY_BE_SERVED} AS may_be_served
      FROM labeling_annotationtask task WHERE task.project_id = %(project)s AND task.state = 'open') open_task"""  # noqa: S608

_PROJECT_AND_SCHEMA: Final = """
SELECT task.project_id, schema.id
FROM labeling_annotationtask task JOIN labeling_labelschema schema ON schema.project_id = task.project_id
WHERE task.id = %(task)s ORDER BY schema.version DESC LIMIT 1"""

_RECORD: Final = """
WITH answered AS (
    UPDATE labeling_annotationtask
    SET state = 'answered', answers_count = answers_count + 1, closed_at = %(now)s, leased_to_id = NULL,
        lease_expires_at = NULL
    WHERE id = %(task)s AND state = 'open' AND leased_to_id = %(annotator)s AND lease_expires_at > %(now)s
    RETURNING id, item_id, project_id
), entry AS (
    UPDATE labeling_poolentry entry SET state = 2 FROM answered WHERE entry.item_id = answered.item_id
), counted AS (
    INSERT INTO labeling_annotatorday AS day (project_id, annotator_id, day, answered)
    SELECT project_id, %(annotator)s, %(today)s, 1 FROM answered
    ON CONFLICT (project_id, annotator_id, day) DO UPDATE SET answered = day.answered + 1
)
INSERT INTO labeling_annotation
    (task_id, item_id, annotator_id, label_schema_id, answer, suggested_answer, comment, is_flagged, is_ground_truth, import_key,
     duration_ms, created_at)
SELECT id, item_id, %(annotator)s, %(label_schema)s, %(answer)s::jsonb, %(suggested_answer)s::jsonb, %(comment)s::text,
    %(is_flagged)s::boolean, false, '', %(duration_ms)s::int, %(now)s
FROM answered RETURNING id, item_id"""


@dataclass(frozen=True)
class WhatIsLeft:
    open_count: int
    servable_count: int
    first_free_at: dt.datetime | None


@dataclass(frozen=True)
class ProjectAndSchema:
    project_id: int
    label_schema_id: int


def claim(
    project_id: int, annotator_id: int, *, limit: int, now: dt.datetime, until: dt.datetime
) -> list[AnnotationTask]:
    """Lease tasks until `until`; returns them in the order to work on, with item and pool entry loaded."""
    values: dict[str, prepared.Value] = {
        "project": project_id,
        "annotator": annotator_id,
        "limit": limit,
        "now": now,
        "until": until,
    }
    # The limit stands in the statement, because the plan depends on it.
    return [_claimed_task(row) for row in prepared.fetch(_CLAIM.replace("LIMIT_", str(limit)), values)]


def what_is_left(project_id: int, annotator_id: int) -> WhatIsLeft:
    """The open tasks, those of them that the annotator could take, and when the first lease of these ends."""
    (row,) = prepared.fetch(_WHAT_IS_LEFT, {"project": project_id, "annotator": annotator_id})
    return WhatIsLeft(*row)


def project_and_schema(task_id: int) -> ProjectAndSchema | None:
    """The task's project and the label schema in force there; None without such a task."""
    rows = prepared.fetch(_PROJECT_AND_SCHEMA, {"task": task_id})
    return ProjectAndSchema(*rows[0]) if rows else None


def record(annotation: Annotation) -> bool:
    """Store the annotation and close its task, if its annotator holds a lease that is good; returns whether.

    One statement, hence all or nothing. Sets the annotation's id and item.
    """
    values: dict[str, prepared.Value] = {
        "task": annotation.task_id,
        "annotator": annotation.annotator_id,
        "label_schema": annotation.label_schema_id,
        "answer": json.dumps(annotation.answer),
        "suggested_answer": None if annotation.suggested_answer is None else json.dumps(annotation.suggested_answer),
        "comment": annotation.comment,
        "is_flagged": annotation.is_flagged,
        "duration_ms": annotation.duration_ms,
        "now": annotation.created_at,
        "today": timezone.localdate(annotation.created_at),
    }
    rows = prepared.fetch(_RECORD, values)
    if not rows:
        return False
    ((annotation.pk, annotation.item_id),) = rows
    annotation._state.adding = False
    return True


def _claimed_task(row: Sequence[Any]) -> AnnotationTask:
    first_of_item = len(_TASK_FIELDS)
    first_of_entry = first_of_item + len(_ITEM_FIELDS)
    task = AnnotationTask.from_db(DEFAULT_DB_ALIAS, _TASK_FIELDS, row[:first_of_item])
    item = Item.from_db(DEFAULT_DB_ALIAS, _ITEM_FIELDS, row[first_of_item:first_of_entry])
    # Outside the ORM, Django's connection hands JSON out as text.
    item.payload, item.segments = json.loads(item.payload), json.loads(item.segments)
    entry = PoolEntry.from_db(DEFAULT_DB_ALIAS, _ENTRY_FIELDS, row[first_of_entry:])
    entry.item = item  # also fills item.pool_entry
    task.item = item
    return task
