"""A project with as many annotations as wanted, made by SQL: what is measured with it is not how they came in."""

from typing import Final

from django.db import connection

from labeling.models import Project
from labeling.services import projects

CLASSES: Final = ["a", "b", "c", "d"]

# The last step of each: pseudo-random numbers from 0 to 1 of item and annotator, the same at every run.
_ITEMS = """
INSERT INTO labeling_item (project_id, key, payload, segments, bucket, created_at, updated_at)
SELECT %(project)s, 'item-' || n, '{"text": "some words of an item"}', '{}', n::bigint * 7919 %% 10000, now(), now()
FROM generate_series(0, %(items)s - 1) n"""
_POOL = """
INSERT INTO labeling_poolentry (item_id, project_id, state, bucket)
SELECT id, project_id, 2, bucket FROM labeling_item WHERE project_id = %(project)s"""
_TASKS = """
INSERT INTO labeling_annotationtask (project_id, item_id, state, priority, is_pinned, boost, required_skill, answers_wanted,
    answers_count, reason, is_audit, created_at, closed_at)
SELECT project_id, id, 'answered', 0, false, 0, '', %(answers)s, %(answers)s, 'uncertain', false, now(), now()
FROM labeling_item WHERE project_id = %(project)s"""
_ANNOTATORS = """
INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name, last_name, email, date_joined)
SELECT 'bench-' || %(project)s || '-' || n, '', false, false, true, '', '', '', now()
FROM generate_series(1, %(annotators)s) n RETURNING id"""
_ANNOTATIONS = """
INSERT INTO labeling_annotation (task_id, item_id, annotator_id, label_schema_id, answer, comment, is_flagged,
    is_ground_truth, import_key, duration_ms, created_at)
SELECT task.id, task.item_id, (%(people)s::int[])[1 + (task.item_id * 31 + n * 97) %% %(annotators)s], %(schema)s,
    jsonb_build_object('choice', (%(classes)s::text[])[1 + CASE
        WHEN (hashint8(task.item_id * 8 + n)::bigint & 1023) < 768 THEN task.item_id %% 4
        ELSE (hashint8(task.item_id * 8 + n + 7)::bigint & 1023) %% 4 END]),
    '', false, false, '', 3000, now()
FROM labeling_annotationtask task CROSS JOIN generate_series(1, %(answers)s) n
WHERE task.project_id = %(project)s"""


def fill(name: str, *, items: int, answers: int, annotators: int) -> Project:
    """A project with `items` items that so many of the annotators answered each, three quarters of the time rightly."""
    definition = {"classes": [{"key": key} for key in CLASSES]}
    project = projects.create(slug=name, name=name, definition=definition, by=None)
    schema = project.label_schemas.get()
    values: dict[str, int | list[int] | list[str]] = {
        "project": project.pk, "items": items, "answers": answers, "annotators": annotators, "schema": schema.pk,
        "classes": CLASSES,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in (_ITEMS, _POOL, _TASKS):
            cursor.execute(statement, values)
        cursor.execute(_ANNOTATORS, values)
        values["people"] = [pk for (pk,) in cursor.fetchall()]
        cursor.execute(_ANNOTATIONS, values)
        # As after their acceptance by votes: what is measured begins with the switch to the label model.
        cursor.execute("DELETE FROM datasets_pendingevidence WHERE project_id = %(project)s", values)
        cursor.execute("VACUUM ANALYZE labeling_item, labeling_poolentry, labeling_annotationtask, labeling_annotation")
    return project
