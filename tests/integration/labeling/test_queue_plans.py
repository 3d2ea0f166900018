"""What the statements of the queue read: never the whole queue, whatever the planner has seen of it."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from labeling.models import Project
from labeling.services import queue_sql

pytestmark = pytest.mark.django_db

VALUES = {
    **{"task": 1, "label_schema": 1, "answer": "'{}'", "suggested_answer": "NULL", "comment": "''", "duration_ms": 5},
    **{"is_flagged": "false", "today": "'2026-01-01'", "now": "now()", "until": "now()", "skills": "'{}'"},
}


def plan(statement: str, project: Project, annotator: User) -> str:
    values = {**VALUES, "project": project.pk, "annotator": annotator.pk}
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statement.replace("LIMIT_", "1") % values)
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("statement", ["_RECORD", "_RECORD_AND_CLAIM"])
def test_the_answered_task_is_found_by_its_id_or_holder(project: Project, annotator: User, statement: str) -> None:
    found = plan(getattr(queue_sql, statement), project, annotator)
    update = found[found.index("CTE answered") : found.index("CTE closed")]
    assert "Index Scan" in update
    assert "task_open_queue" not in update


@pytest.mark.parametrize("statement", ["_CLAIM", "_RECORD_AND_CLAIM"])
def test_held_tasks_are_found_by_their_holder(project: Project, annotator: User, statement: str) -> None:
    found = plan(getattr(queue_sql, statement), project, annotator)
    held = found[found.index("CTE held") : found.index("CTE free")]
    assert "task_open_queue" not in held
