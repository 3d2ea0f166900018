"""Tasks in an annotator's hands, and refusals that must change nothing."""

import datetime as dt

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from labeling.errors import DomainError
from labeling.models import Annotation, AnnotationTask, PoolEntry, Project, Skip
from labeling.services import annotation_queue
from tests.factories import sampling as make

NOW = make.NOW
LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
SECOND = dt.timedelta(seconds=1)
CAT = {"choice": "cat"}


def claim(project: Project, annotator: User, limit: int = 1, now: dt.datetime = NOW) -> list[int]:
    return [task.pk for task in annotation_queue.claim(project, annotator=annotator, now=now, limit=limit)]


def claimed(project: Project, annotator: User) -> AnnotationTask:
    """One new task, leased to the annotator."""
    make.queue(project, 1)
    (task,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    return task


def facts() -> list[object]:
    """Everything a refused call must leave as it was."""
    return [list(model.objects.order_by("pk").values()) for model in (AnnotationTask, Annotation, Skip, PoolEntry)]


def assert_refused(error: type[DomainError], call: object, *args: object, **kwargs: object) -> DomainError:
    before = facts()
    assert callable(call)
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert facts() == before
    return caught.value


def pool_state(task: AnnotationTask) -> int:
    return PoolEntry.objects.get(item=task.item_id).state
