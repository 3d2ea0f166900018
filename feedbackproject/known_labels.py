"""Labels that a person brings along, entered the way they would enter them: task by task, in their own name."""

from collections.abc import Mapping
from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from datasets.services import accept
from labeling.models import AnnotationTask, Project
from labeling.services import annotation_queue
from labeling.services.annotation_queue import NewTask


class NotRecordedError(Exception):
    """Some of the items could not be labelled: they are answered or queued already."""


def record(project: Project, classes: Mapping[int, str], *, annotator: User) -> None:
    """Label the items (id -> class key), all of them unlabelled, and accept the labels.

    The tasks are marked as a person's choice (reason manual, no propensity), so nothing is estimated from them. Tasks
    that somebody else put into the queue meanwhile are given back. Raises NotRecordedError.
    """
    tasks = [
        NewTask(
            item_id=item_id, reason=AnnotationTask.Reason.MANUAL, informativeness=None, propensity=None,
            is_audit=False, draw_rank=rank, model_version_id=None,
        )
        for rank, item_id in enumerate(classes)
    ]  # fmt: skip
    now = timezone.now()
    opened = annotation_queue.enqueue(project, tasks, batch=uuid4(), pool_size=len(classes), now=now)
    waiting = AnnotationTask.objects.filter(project=project, state=AnnotationTask.State.OPEN).count()
    answered = 0
    for task in annotation_queue.claim(project, annotator=annotator, now=now, limit=waiting):
        if task.item_id in classes:
            answer = {"choice": classes[task.item_id]}
            annotation_queue.submit(task.pk, annotator=annotator, answer=answer, now=timezone.now())
            answered += 1
        else:
            annotation_queue.release(task.pk, annotator=annotator, now=timezone.now())
    accept.accept_pending(project.pk, now=timezone.now())
    if answered < len(classes):
        raise NotRecordedError(f"only {answered} of {len(classes)} items could be labelled, {opened} were free")
