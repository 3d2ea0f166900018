"""What the statements of the queue read: never the whole queue, whatever the planner has seen of it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from labeling.models import Project
from labeling.services import queue_sql
from tests.factories import sampling as make
from tests.statements import statements_counted

pytestmark = pytest.mark.django_db

VALUES = {
    **{"task": 1, "label_schema": 1, "answer": "'{}'", "suggested_answer": "NULL", "comment": "''", "duration_ms": 5},
    **{
        "is_flagged": "false",
        "today": "'2026-01-01'",
        "now": "now()",
        "until": "now()",
        "skills": "'{}'",
        "is_in_training": "false",
        "first": "'{1,2}'",
        "last": "'{3}'",
        "ceiling": "0.7",
    },
}


def plan(statement: str, project: Project, annotator: User) -> str:
    values = {**VALUES, "project": project.pk, "annotator": annotator.pk}
    with connection.cursor() as cursor:
        # Of a table that is known to be nearly empty everything is read at once.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement.replace("LIMIT_", "1") % values)
        return "\n".join(line for (line,) in cursor.fetchall())


@pytest.mark.parametrize("statement", ["_RECORD", "_RECORD_AND_CLAIM", "_ORDERED_RECORD_AND_CLAIM"])
def test_the_answered_task_is_found_by_its_id_or_holder(project: Project, annotator: User, statement: str) -> None:
    found = plan(getattr(queue_sql, statement), project, annotator)
    update = found[found.index("CTE answered") : found.index("CTE closed")]
    assert "Index Scan" in update
    assert "task_open_queue" not in update


@pytest.mark.parametrize(
    ("statement", "following"),
    [
        ("_CLAIM", "free"),
        ("_RECORD_AND_CLAIM", "free"),
        ("_ORDERED_CLAIM", "urgent"),
        ("_ORDERED_RECORD_AND_CLAIM", "urgent"),
    ],
)
def test_held_tasks_are_found_by_their_holder(
    project: Project, annotator: User, statement: str, following: str
) -> None:
    found = plan(getattr(queue_sql, statement), project, annotator)
    held = found[found.index("CTE held") : found.index(f"CTE {following}")]
    assert "task_open_queue" not in held


@pytest.mark.parametrize("statement", ["_ORDERED_CLAIM", "_ORDERED_RECORD_AND_CLAIM"])
def test_tasks_in_somebodys_own_order_are_found_by_id(project: Project, annotator: User, statement: str) -> None:
    found = plan(getattr(queue_sql, statement), project, annotator)
    first = found[found.index("CTE first") : found.index("CTE drawn")]
    assert "task_open_queue" not in first


def test_a_cycle_over_http_takes_three_statements(project: Project, annotator: User, settings: Settings) -> None:
    """Session and person; project, membership and label schema; the answer and the next task. In two requests: seven."""
    settings.QUEUE_SIZE_SECONDS = 3600.0
    make.queue(project, 10)
    client = APIClient()
    client.force_login(annotator)
    url = f"/api/v1/projects/{project.slug}/tasks"
    body = {"answer": {"choice": "cat"}}

    def task_of(served: Any) -> int:
        task_id: int = served["tasks"][0]["id"]
        return task_id

    task = task_of(client.post(f"{url}/next", {}, format="json").json())
    task = task_of(client.post(f"{url}/{task}/submit", {**body, "next": 1}, format="json").json()["next"])
    with statements_counted() as statements:
        task = task_of(client.post(f"{url}/{task}/submit", {**body, "next": 1}, format="json").json()["next"])
    assert len(statements) == 3, statements
    with statements_counted() as statements:
        assert client.post(f"{url}/{task}/submit", body, format="json").status_code == 201
        client.post(f"{url}/next", {}, format="json")
    assert len(statements) == 7, statements
