"""Celery tasks of the facts: file imports and housekeeping. All are safe to run twice."""

import logging
import time

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from labeling.services import health, idempotency, imports
from labeling.wakeup import awake, wake

logger = logging.getLogger(__name__)

RUN_IMPORT = "labeling.run_import"

_IMPORT_TURN_SECONDS = 1_200
"""After so long an import makes room for others and goes on with its next message."""
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
