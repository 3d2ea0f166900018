"""The SQL under the annotation queue: the statements of its hot path, one round trip each.

Annotators wait for these, all day long; so they are written out, where the ORM would take several statements. The
rules they keep are those of labeling.services.annotation_queue.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model
from django.utils import timezone

from labeling import prepared
from labeling.models import Annotation, AnnotationTask, Draft, Item, PoolEntry
from labeling.serving_order import ServingOrder


def _columns(model: type[Model], alias: str) -> tuple[tuple[str, ...], str]:
    """The names by which a row becomes an object, and the same as a list of columns."""
    fields = model._meta.concrete_fields
    return tuple(field.attname for field in fields), ", ".join(f"{alias}.{field.column}" for field in fields)


_TASK_FIELDS, _TASK_COLUMNS = _columns(AnnotationTask, "claimed")
_ITEM_FIELDS, _ITEM_COLUMNS = _columns(Item, "item")
_ENTRY_FIELDS, _ENTRY_COLUMNS = _columns(PoolEntry, "entry")

# Assigned to nobody or to this annotator, who has the skill if one is needed. In training there are tasks of training only.
_IS_ELIGIBLE: Final = """(task.assigned_to_id IS NULL OR task.assigned_to_id = %(annotator)s)
    AND (task.required_skill = '' OR task.required_skill = ANY(%(skills)s::text[]))
    AND task.is_training = %(is_in_training)s"""

# An item is one thing however many tasks it has had: who answered or skipped it is not asked about it again, or not
# before the time they put it off to. OFFSET 0 keeps the planner from turning the lookups, which run for the few tasks at
# the top of the queue, into a join with everything the annotator ever answered.
_IS_UNANSWERED: Final = """NOT EXISTS (SELECT 1 FROM labeling_annotation own WHERE own.item_id = task.item_id
        AND own.annotator_id = %(annotator)s AND own.withdrawn_at IS NULL OFFSET 0)"""
_SKIPS: Final = """FROM labeling_annotationtask earlier JOIN labeling_skip skip ON skip.task_id = earlier.id
        WHERE earlier.item_id = task.item_id AND skip.annotator_id = %(annotator)s"""
_IS_UNSKIPPED: Final = f"NOT EXISTS (SELECT 1 {_SKIPS} AND (skip.until IS NULL OR skip.until > %(now)s) OFFSET 0)"

# `state || '' = 'open'` stands where a task is found by its id or its holder: so that no index of open tasks fits. A
# planner that has not seen the queue grow since it was empty would read all of it instead, for every answer.

# The annotator's own tasks come first, so that a reloaded page shows what it showed. The rest is the top of the partial
# index task_open_queue; rows that another claim holds locked are passed over, and a row that changed since the
# statement began is checked again by PostgreSQL when it is locked. GUARD_ is a further condition.
_HELD: Final = f"""held AS (
    SELECT task.id FROM labeling_annotationtask task
    WHERE task.project_id = %(project)s AND task.leased_to_id = %(annotator)s AND task.state || '' = 'open'
        AND {_IS_ELIGIBLE} AND {_IS_UNSKIPPED} GUARD_
    ORDER BY task.priority DESC, task.id LIMIT LIMIT_ FOR UPDATE OF task SKIP LOCKED
)"""  # noqa: S608 - all constants
_IS_FREE: Final = f"""(task.leased_to_id IS NULL OR task.leased_to_id <> %(annotator)s AND task.lease_expires_at <= %(now)s)
        AND {_IS_ELIGIBLE} AND {_IS_UNANSWERED} AND {_IS_UNSKIPPED} GUARD_"""
_CLAIM_PARTS: Final = f"""{_HELD}, free AS (
    SELECT task.id FROM labeling_annotationtask task
    WHERE task.project_id = %(project)s AND task.state = 'open' AND {_IS_FREE}
    ORDER BY task.priority DESC, task.id LIMIT LIMIT_ - (SELECT count(*) FROM held) FOR UPDATE OF task SKIP LOCKED
), claimed AS (
    UPDATE labeling_annotationtask task SET leased_to_id = %(annotator)s, lease_expires_at = %(until)s
    WHERE task.id IN (SELECT id FROM held UNION ALL SELECT id FROM free)
    RETURNING task.*
)"""  # noqa: S608 - all constants

# Opened because one more answer would teach something, and in no person's hands since: what labeling.serving_order is about.
IS_RANKED: Final = (
    """(task.reason IN ('relabel', 'manual') AND task.priority > 0 AND task.priority = task.informativeness)"""
)


def _wished(name: str, before: str) -> str:
    return f"""{name} AS (
    SELECT task.id FROM unnest(%({name})s::text::bigint[]) WITH ORDINALITY wish (id, place)
        JOIN labeling_annotationtask task ON task.id = wish.id
    WHERE task.project_id = %(project)s AND task.state || '' = 'open' AND {IS_RANKED} AND {_IS_FREE}
    ORDER BY wish.place LIMIT LIMIT_ {before} FOR UPDATE OF task SKIP LOCKED
)"""  # noqa: S608 - all constants


def _by_priority(name: str, priority: str, before: str) -> str:
    return f"""{name} AS (
    SELECT task.id FROM labeling_annotationtask task
    WHERE task.project_id = %(project)s AND task.state = 'open' AND task.priority {priority} AND NOT {IS_RANKED} AND {_IS_FREE}
    ORDER BY task.priority DESC, task.id LIMIT LIMIT_ {before} FOR UPDATE OF task SKIP LOCKED
)"""  # noqa: S608 - all constants


# The same in somebody's own order. A part whose limit is 0 by then reads nothing.
_STEPS: Final = ("held", "urgent", "first", "drawn", "last")
_COUNTED: Final = [f"- (SELECT count(*) FROM {step})" for step in _STEPS]  # noqa: S608 - all constants
_BEFORE: Final = {step: " ".join(_COUNTED[:number]) for number, step in enumerate(_STEPS)}
_ORDERED_CLAIM_PARTS: Final = f"""{_HELD}, {_by_priority("urgent", "> %(ceiling)s", _BEFORE["urgent"])},
{_wished("first", _BEFORE["first"])},
{_by_priority("drawn", "<= %(ceiling)s", _BEFORE["drawn"])},
{_wished("last", _BEFORE["last"])}, claimed AS (
    UPDATE labeling_annotationtask task SET leased_to_id = %(annotator)s, lease_expires_at = %(until)s
    WHERE task.id IN ({" UNION ALL ".join(f"SELECT id FROM {step}" for step in _STEPS)})
    RETURNING task.*
)"""  # noqa: S608 - all constants

_RANK: Final = "claimed.priority"
_OWN_RANK: Final = """CASE WHEN claimed.id IN (SELECT id FROM urgent) THEN ARRAY[3, claimed.priority]
    WHEN claimed.id IN (SELECT id FROM first) THEN ARRAY[2, -array_position(%(first)s::text::bigint[], claimed.id)::float8]
    WHEN claimed.id IN (SELECT id FROM drawn) THEN ARRAY[1, claimed.priority]
    ELSE ARRAY[0, -array_position(%(last)s::text::bigint[], claimed.id)::float8] END"""

_SERVED_COLUMNS: Final = (
    f"""{_TASK_COLUMNS}, {_ITEM_COLUMNS}, {_ENTRY_COLUMNS}, draft.answer, draft.comment, draft.version"""
)
_SERVED_TABLES: Final = """claimed JOIN labeling_item item ON item.id = claimed.item_id
    JOIN labeling_poolentry entry ON entry.item_id = claimed.item_id
    LEFT JOIN labeling_draft draft ON draft.task_id = claimed.id AND draft.annotator_id = %(annotator)s"""


def _claim_statement(parts: str, rank: str) -> str:
    return f"""
WITH {parts.replace("GUARD_", "")}
SELECT {_SERVED_COLUMNS} FROM {_SERVED_TABLES}
ORDER BY claimed.id IN (SELECT id FROM held) DESC, {rank} DESC, claimed.id"""  # noqa: S608 - all constants


_CLAIM: Final = _claim_statement(_CLAIM_PARTS, _RANK)
_ORDERED_CLAIM: Final = _claim_statement(_ORDERED_CLAIM_PARTS, _OWN_RANK)

# The task closes with the last answer that is wanted of it; until then it goes back to the queue, for others.
_RECORD_PARTS: Final = """answered AS (
    UPDATE labeling_annotationtask
    SET answers_count = answers_count + 1, leased_to_id = NULL, lease_expires_at = NULL,
        state = CASE WHEN answers_count + 1 >= answers_wanted THEN 'answered' ELSE 'open' END,
        closed_at = CASE WHEN answers_count + 1 >= answers_wanted THEN %(now)s::timestamptz END
    WHERE id = %(task)s AND project_id = %(project)s AND state || '' = 'open' AND leased_to_id = %(annotator)s
        AND lease_expires_at > %(now)s
    RETURNING id, item_id, project_id, state
), closed AS (
    UPDATE labeling_poolentry pooled SET state = 2
    FROM answered WHERE pooled.item_id = answered.item_id AND answered.state = 'answered'
), counted AS (
    INSERT INTO labeling_annotatorday AS day (project_id, annotator_id, day, answered)
    SELECT project_id, %(annotator)s, %(today)s, 1 FROM answered
    ON CONFLICT (project_id, annotator_id, day) DO UPDATE SET answered = day.answered + 1
    RETURNING answered
), undrafted AS (
    DELETE FROM labeling_draft draft USING answered WHERE draft.task_id = answered.id AND draft.annotator_id = %(annotator)s
), written AS (
    INSERT INTO labeling_annotation
        (task_id, item_id, annotator_id, label_schema_id, answer, suggested_answer, comment, is_flagged, is_ground_truth,
         import_key, duration_ms, created_at)
    SELECT id, item_id, %(annotator)s, %(label_schema)s, %(answer)s::jsonb, %(suggested_answer)s::jsonb,
        %(comment)s::text, %(is_flagged)s::boolean, false, '', %(duration_ms)s::int, %(now)s
    FROM answered RETURNING id, item_id
)"""

_RECORD: Final = f"""
WITH {_RECORD_PARTS}
SELECT written.id, written.item_id, counted.answered FROM written CROSS JOIN counted"""  # noqa: S608 - all constants

# Nothing is claimed unless something was recorded. All parts see the tables as they were before the statement, hence the
# task just answered is left out by name.
_AFTER_RECORD: Final = "AND task.id <> %(task)s AND EXISTS (SELECT 1 FROM answered)"


def _record_and_claim_statement(parts: str, rank: str) -> str:
    return f"""
WITH {_RECORD_PARTS}, {parts.replace("GUARD_", _AFTER_RECORD)}, served AS (
    SELECT {_SERVED_COLUMNS}, claimed.id IN (SELECT id FROM held) AS is_held, {rank} AS rank FROM {_SERVED_TABLES}
)
SELECT written.id, written.item_id, counted.answered, served.*
FROM written CROSS JOIN counted LEFT JOIN served ON true
ORDER BY is_held DESC, rank DESC, 4"""  # noqa: S608 - all constants; column 4 is the task's id


_RECORD_AND_CLAIM: Final = _record_and_claim_statement(_CLAIM_PARTS, _RANK)
_ORDERED_RECORD_AND_CLAIM: Final = _record_and_claim_statement(_ORDERED_CLAIM_PARTS, _OWN_RANK)

_WHAT_IS_LEFT: Final = f"""
SELECT count(*), count(*) FILTER (WHERE is_eligible), count(*) FILTER (WHERE is_eligible AND is_new),
    min(lease_expires_at) FILTER (WHERE is_eligible AND is_new),
    min(put_off_until) FILTER (WHERE is_eligible AND is_put_off)
FROM (SELECT task.lease_expires_at, {_IS_ELIGIBLE} AS is_eligible, {_IS_UNANSWERED} AND {_IS_UNSKIPPED} AS is_new,
          {_IS_UNANSWERED} AND NOT EXISTS (SELECT 1 {_SKIPS} AND skip.until IS NULL) AS is_put_off,
          (SELECT max(skip.until) {_SKIPS}) AS put_off_until
      FROM labeling_annotationtask task WHERE task.project_id = %(project)s AND task.state = 'open') open_task"""  # noqa: S608


@dataclass(frozen=True)
class Who:
    """Who asks for tasks, in which project, with which skills, and whether they are in training."""

    project_id: int
    annotator_id: int
    skills: Sequence[str]
    is_in_training: bool = False

    def values(self, now: dt.datetime) -> dict[str, prepared.Value]:
        return {
            "project": self.project_id,
            "annotator": self.annotator_id,
            "skills": list(self.skills),
            "is_in_training": self.is_in_training,
            "now": now,
        }


@dataclass(frozen=True)
class WhatIsLeft:
    """Open tasks; those meant for the annotator; of these, what they neither answered nor skipped, and when the first of
    its leases ends; and when the first comes back that they put off."""

    open_count: int
    eligible_count: int
    servable_count: int
    first_free_at: dt.datetime | None
    put_off_until: dt.datetime | None


@dataclass(frozen=True)
class Recorded:
    """An answer that was stored, how many the annotator gave today, and what was claimed with it."""

    annotation: Annotation
    answered_today: int
    tasks: list[AnnotationTask] = field(default_factory=list)


def claim(
    who: Who, *, limit: int, now: dt.datetime, until: dt.datetime, order: ServingOrder | None = None
) -> list[AnnotationTask]:
    """Lease tasks until `until`; returns them in the order to work on, with item, pool entry and draft loaded."""
    # The limit stands in the statement, because the plan depends on it.
    statement = (_CLAIM if order is None else _ORDERED_CLAIM).replace("LIMIT_", str(limit))
    values = {**who.values(now), "until": until, **_order_values(order)}
    return [_claimed_task(row) for row in prepared.fetch(statement, values)]


def record(
    annotation: Annotation,
    who: Who,
    *,
    claims: int = 0,
    until: dt.datetime | None = None,
    order: ServingOrder | None = None,
) -> Recorded | None:
    """Store the annotation if its annotator holds a lease that is good, and lease up to `claims` further tasks.

    One statement, hence all or nothing; None if nothing was stored. Sets the annotation's id and item.
    """
    values: dict[str, prepared.Value] = {
        **who.values(annotation.created_at),
        "task": annotation.task_id,
        "label_schema": annotation.label_schema_id,
        "answer": json.dumps(annotation.answer),
        "suggested_answer": None if annotation.suggested_answer is None else json.dumps(annotation.suggested_answer),
        "comment": annotation.comment,
        "is_flagged": annotation.is_flagged,
        "duration_ms": annotation.duration_ms,
        "today": timezone.localdate(annotation.created_at),
    }
    if claims:
        combined = _RECORD_AND_CLAIM if order is None else _ORDERED_RECORD_AND_CLAIM
        statement = combined.replace("LIMIT_", str(claims))
        values |= {"until": until, **_order_values(order)}
    else:
        statement = _RECORD
    rows = prepared.fetch(statement, values)
    if not rows:
        return None
    annotation.pk, annotation.item_id, answered_today = rows[0][:3]
    annotation._state.adding = False
    return Recorded(
        annotation, answered_today, [_claimed_task(row[3:]) for row in rows if claims and row[3] is not None]
    )


def what_is_left(who: Who, now: dt.datetime) -> WhatIsLeft:
    (row,) = prepared.fetch(_WHAT_IS_LEFT, who.values(now))
    return WhatIsLeft(*row)


def _order_values(order: ServingOrder | None) -> dict[str, prepared.Value]:
    if order is None:
        return {}
    # As text: an array of hundreds of numbers would be put together anew, number by number, at every claim.
    return {"first": _array(order.first), "last": _array(order.last), "ceiling": order.ceiling}


def _array(ids: Sequence[int]) -> str:
    return f"{{{','.join(map(str, ids))}}}"


def _claimed_task(row: Sequence[Any]) -> AnnotationTask:
    first_of_item = len(_TASK_FIELDS)
    first_of_entry = first_of_item + len(_ITEM_FIELDS)
    first_of_draft = first_of_entry + len(_ENTRY_FIELDS)
    task = AnnotationTask.from_db(DEFAULT_DB_ALIAS, _TASK_FIELDS, row[:first_of_item])
    item = Item.from_db(DEFAULT_DB_ALIAS, _ITEM_FIELDS, row[first_of_item:first_of_entry])
    # Outside the ORM, Django's connection hands JSON out as text.
    item.payload, item.segments = json.loads(item.payload), json.loads(item.segments)
    entry = PoolEntry.from_db(DEFAULT_DB_ALIAS, _ENTRY_FIELDS, row[first_of_entry:first_of_draft])
    entry.item = item  # also fills item.pool_entry
    task.item = item
    answer, comment, version = row[first_of_draft : first_of_draft + 3]
    if version is not None:
        task.own_draft = Draft(task=task, answer=json.loads(answer), comment=comment, version=version)
    return task
