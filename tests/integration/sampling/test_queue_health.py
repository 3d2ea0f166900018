"""What the health panel says of a queue, from known tasks and answers."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.db.models import Min
from django.test import Client

from labeling.models import Annotation, AnnotationTask, AnnotatorDay, PoolEntry, Project
from labeling.services import annotation_queue, intake
from sampling import queue_health
from sampling.models import RefillRun
from sampling.pages import trend
from sampling.services import refill
from tests.factories import sampling as factory
from tests.factories.labeling import other_project

NOW = factory.NOW


def _answered(project: Project, by: User, ago: dt.timedelta) -> Annotation:
    (task,) = factory.queue(project, 1, now=NOW)
    at = NOW - ago
    AnnotationTask.objects.filter(pk=task.pk).update(leased_to=by, lease_expires_at=at + dt.timedelta(minutes=1))
    return annotation_queue.submit(task.pk, annotator=by, answer={"choice": "cat"}, now=at)


def test_open_tasks_are_told_apart(project: Project, annotator: User) -> None:
    tasks = factory.queue(project, 5, now=NOW - dt.timedelta(hours=3))
    of = {task.pk: AnnotationTask.objects.filter(pk=task.pk) for task in tasks}
    of[tasks[0].pk].update(is_audit=True, reason="audit")
    of[tasks[1].pk].update(is_pinned=True, assigned_to=annotator, answers_wanted=3, answers_count=1)
    of[tasks[2].pk].update(due_at=NOW - dt.timedelta(minutes=1), reason="manual")
    of[tasks[3].pk].update(due_at=NOW + dt.timedelta(days=1))
    of[tasks[4].pk].update(leased_to=annotator, lease_expires_at=NOW - dt.timedelta(seconds=1))
    of[tasks[0].pk].update(leased_to=annotator, lease_expires_at=NOW + dt.timedelta(minutes=1))
    open_tasks = queue_health.open_tasks(project, now=NOW)
    assert (open_tasks.count, open_tasks.leased, open_tasks.audit) == (5, 1, 1)
    assert (open_tasks.pinned, open_tasks.dated, open_tasks.overdue, open_tasks.assigned) == (1, 2, 1, 1)
    assert open_tasks.answers_missing == 6
    assert open_tasks.oldest_at == NOW - dt.timedelta(hours=3)
    assert open_tasks.scored_at is None
    assert open_tasks.by_reason == {
        "uncertain": 3, "audit": 1, "cold_start": 0, "random": 0, "manual": 1, "relabel": 0, "imported": 0, "gold": 0
    }  # fmt: skip


def test_an_empty_queue_is_all_zeros(project: Project) -> None:
    open_tasks = queue_health.open_tasks(project, now=NOW)
    assert (open_tasks.count, open_tasks.answers_missing, open_tasks.oldest_at) == (0, 0, None)
    assert queue_health.pace(project, now=NOW).by_hour == (0,) * 12
    assert queue_health.refill_lag(project) == queue_health.RefillLag(None, "", "", False)


def test_closed_tasks_are_counted_so_far(project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_health, "COUNTED_UP_TO", 2)
    tasks = factory.queue(project, 7)
    for task, state in zip(tasks, ["answered"] * 5 + ["withdrawn", "unusable"], strict=True):
        AnnotationTask.objects.filter(pk=task.pk).update(state=state, closed_at=NOW)
    closed = queue_health.closed_tasks(project)
    assert (closed.answered, closed.withdrawn, closed.unusable, closed.remarked) == (3, 1, 1, 0)


def test_the_pace_counts_standing_answers_of_this_project_by_the_hour(project: Project, annotator: User) -> None:
    for minutes in (1, 30, 59, 61, 11 * 60 + 30, 13 * 60):
        _answered(project, annotator, dt.timedelta(minutes=minutes))
    taken_back = _answered(project, annotator, dt.timedelta(minutes=5))
    Annotation.objects.filter(pk=taken_back.pk).update(withdrawn_at=NOW)
    _answered(other_project(), annotator, dt.timedelta(minutes=5))
    pace = queue_health.pace(project, now=NOW)
    assert pace.by_hour == (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3)
    assert pace.time_to_finish(6) == dt.timedelta(hours=2)
    assert AnnotatorDay.objects.exists()


def test_nobody_at_work_finishes_never() -> None:
    assert queue_health.Pace((4, 0)).time_to_finish(10) is None


def test_columns_fill_the_drawing() -> None:
    old, young = trend.columns(queue_health.Pace((2, 8)))
    assert (young.height, young.y, old.height) == (100.0, 0.0, 25.0)
    assert (old.hours_ago, young.hours_ago) == (1, 0)
    assert young.title == "8 in the last hour"
    assert [each.height for each in trend.columns(queue_health.Pace((0, 0)))] == [0.0, 0.0]


def test_a_new_champion_makes_the_draw_outdated(project: Project) -> None:
    factory.scored_pool(project, 20)
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL)
    refill.execute(run.pk, now=NOW)
    lag = queue_health.refill_lag(project)
    assert (lag.model_name, lag.champion_name, lag.is_outdated) == ("champion", "champion", False)
    assert (
        queue_health.open_tasks(project, now=NOW).scored_at
        == (PoolEntry.objects.filter(state=PoolEntry.State.QUEUED).aggregate(oldest=Min("scored_at"))["oldest"])
    )
    newer = intake.register_model_version(project, name="newer", classes=factory.CLASSES)
    intake.set_champion(newer, now=NOW)
    assert queue_health.refill_lag(project).is_outdated


def test_the_panel_says_so_when_no_worker_is_alive(client: Client, manager: User) -> None:
    client.force_login(manager)
    content = client.get("/projects/pets/queue/").content.decode()
    assert ("no worker" in content) != ("worker alive" in content)
    assert 'role="img" aria-label="Answers by the hour' in content
