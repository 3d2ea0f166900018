"""Celery tasks of the facts: file imports and housekeeping. All are safe to run twice."""

import datetime as dt
import logging
import time

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from labeling.models import Project
from labeling.services import ask_expiry, feedback, health, idempotency, imports, respondent_moves, retention, sweeps
from labeling.wakeup import awake, wake

logger = logging.getLogger(__name__)

RUN_IMPORT = "labeling.run_import"
JOIN_FEEDBACK = "labeling.join_feedback"

_IMPORT_TURN_SECONDS = 1_200
"""After so long an import makes room for others and goes on with its next message."""
_JOINED_PROMPTLY = dt.timedelta(days=1)
"""What waits longer for its prediction is looked at once an hour only."""
_TRANSIENT = (OperationalError, InterfaceError)


@shared_task(name="labeling.heartbeat", soft_time_limit=5, time_limit=10, acks_late=False)
def heartbeat() -> None:
    health.beat(now=timezone.now())


@shared_task(name="labeling.forget_idempotency_keys", soft_time_limit=300, time_limit=330, acks_late=True)
def forget_idempotency_keys() -> None:
    forgotten = idempotency.forget_old(now=timezone.now())
    logger.info("forgot %s idempotency keys", forgotten)


@shared_task(name=RUN_IMPORT, soft_time_limit=3_000, time_limit=3_300, acks_late=True)
def run_import(job_id: int) -> None:
    """Read the job's file. A job that another worker is at, or that is over, is passed over."""
    awake(RUN_IMPORT, job_id)
    deadline = time.monotonic() + _IMPORT_TURN_SECONDS
    try:
        job = imports.execute(job_id, should_stop=lambda: time.monotonic() > deadline)
    except (*_TRANSIENT, SoftTimeLimitExceeded) as error:
        # What was committed stays; the sweep lets it go on from there, a limited number of times without progress.
        logger.warning("import %s was interrupted; the next sweep goes on with it: %s", job_id, error)
        return
    except Exception as error:
        # The edge: whatever it is, an import that cannot go on must not be tried for ever.
        logger.exception("import %s failed", job_id)
        imports.fail(job_id, message=f"Unexpected error: {error}", now=timezone.now())
        return
    if job is not None and job.finished_at is None:
        wake(RUN_IMPORT, job_id)


@shared_task(name="labeling.sweep_imports", soft_time_limit=60, time_limit=90, acks_late=True)
def sweep_imports() -> None:
    """Wake the imports whose message was lost or whose worker died."""
    for job_id in imports.unfinished_ids():
        wake(RUN_IMPORT, job_id)


@shared_task(name="labeling.forget_import_files", soft_time_limit=300, time_limit=330, acks_late=True)
def forget_import_files() -> None:
    logger.info("deleted the files of %s imports", imports.forget_files(now=timezone.now()))


@shared_task(name="labeling.sweep_asks", soft_time_limit=60, time_limit=90, acks_late=True)
def sweep_asks() -> None:
    if expired := ask_expiry.expire_asks(now=timezone.now()):
        logger.info("%s asks expired", expired)


@shared_task(name=JOIN_FEEDBACK, soft_time_limit=300, time_limit=330, acks_late=True)
def join_feedback(project_id: int) -> None:
    """Join what waits in the project to items and predictions that came in just now."""
    awake(JOIN_FEEDBACK, project_id)
    feedback.join_waiting(project_id, since=timezone.now() - _JOINED_PROMPTLY)


@shared_task(name="labeling.sweep_feedback", soft_time_limit=300, time_limit=330, acks_late=True)
def sweep_feedback() -> None:
    """Join what a lost message missed."""
    since = timezone.now() - _JOINED_PROMPTLY
    for project_id in feedback.projects_waiting():
        feedback.join_waiting(project_id, since=since)


@shared_task(name="labeling.join_old_feedback", soft_time_limit=1_800, time_limit=1_860, acks_late=True)
def join_old_feedback() -> None:
    for project_id in feedback.projects_waiting():
        if joined := feedback.join_waiting(project_id):
            logger.info("joined %s rows of feedback of project %s late", joined, project_id)


@shared_task(name="labeling.follow_respondents", soft_time_limit=300, time_limit=330, acks_late=True)
def follow_respondents() -> None:
    """After RESPONDENT_KEY was rotated: let the rows follow of those who were seen again."""
    if followed := respondent_moves.follow(now=timezone.now()):
        logger.info("the rows of %s respondents followed to the present key", followed)


@shared_task(name="labeling.finish_respondent_moves", soft_time_limit=1_800, time_limit=1_860, acks_late=True)
def finish_respondent_moves() -> None:
    if finished := respondent_moves.finish(now=timezone.now()):
        logger.info("%s respondents are known by the present key alone", finished)


@shared_task(name="labeling.forget_old_feedback", soft_time_limit=1_800, time_limit=1_860, acks_late=True)
def forget_old_feedback() -> None:
    """Hold what is kept to the days that projects and the installation allow; by default it is kept for ever."""

    def forget(project: Project) -> None:
        if gone := retention.apply(project, now=timezone.now()):
            logger.info("project %s: rows that were too old are gone: %s", project.pk, gone)

    sweeps.for_each_project(forget, failing="what is too old could not be forgotten")
