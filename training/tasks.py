"""Celery tasks of training: do a run, start one when it is due, find what was lost."""

import datetime as dt
import logging
from functools import partial

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from labeling.models import Project
from labeling.wakeup import awake, wake
from training import selectors
from training.services import label_checks, predictions, runs

logger = logging.getLogger(__name__)

_RUN = "training.run"
_CHECK_RETRAINING = "training.check_retraining"
_CHECK_LABELS = "training.check_labels"
_RUN_SECONDS = 3300
_PENDING_GRACE = dt.timedelta(seconds=15)
"""So long the message of a new run may be on its way before a sweep sends another."""


@shared_task(name=_RUN, soft_time_limit=_RUN_SECONDS, time_limit=_RUN_SECONDS + 60)
def run(run_id: int) -> None:
    awake(_RUN, run_id)
    try:
        done = runs.execute(run_id, now=timezone.now())
    except (OperationalError, InterfaceError):
        raise  # the run is unfinished still; a sweep sends it again
    except SoftTimeLimitExceeded:
        # Another attempt would take as long.
        runs.fail(run_id, f"It took longer than {_RUN_SECONDS // 60} minutes.", now=timezone.now())
        return
    except Exception as error:
        # The edge: whatever it is, it would most likely happen again.
        logger.exception("training run %d failed", run_id)
        runs.fail(run_id, f"Unexpected error: {error}", now=timezone.now())
        return
    logger.info("training run %d is %s: %s", run_id, done.state, done.message)


def send_run(run_id: int) -> None:
    """Hand the run to a worker once it is committed. With Redis down a sweep does that later."""
    transaction.on_commit(partial(wake, _RUN, run_id))


@shared_task(name=_CHECK_RETRAINING, soft_time_limit=60, time_limit=90)
def check_retraining(project_id: int) -> None:
    awake(_CHECK_RETRAINING, project_id)
    _start_if_due(Project.objects.get(pk=project_id))


@shared_task(name="training.sweep_triggers", soft_time_limit=300, time_limit=330)
def sweep_triggers() -> None:
    """Start the trainings that are due although no message said so; one project's trouble does not stop the others."""
    for project in Project.objects.order_by("pk"):
        try:
            _start_if_due(project)
        except Exception:
            logger.exception("could not check whether a training of project %d is due", project.pk)


@shared_task(name="training.sweep_runs", soft_time_limit=60, time_limit=90)
def sweep_runs() -> None:
    """Send the runs on their way again whose message was lost or whose worker died. A run at work ignores that."""
    for run_id in selectors.unfinished_runs(pending_before=timezone.now() - _PENDING_GRACE):
        if not runs.is_at_work(run_id):
            logger.info("training run %d is unfinished and nobody is at it; sent again", run_id)
            send_run(run_id)


@shared_task(name="training.sweep_predictions", soft_time_limit=900, time_limit=930)
def sweep_predictions() -> None:
    """Let the champions that we trained predict the items that came after them."""
    for version in selectors.trained_champions_behind(now=timezone.now()):
        try:
            predicted = predictions.predict_missing(version)
        except Exception:
            logger.exception("model version %d could not predict what is new", version.pk)
        else:
            logger.info("model version %d predicted %d new items", version.pk, predicted.count)


@shared_task(name=_CHECK_LABELS, soft_time_limit=_RUN_SECONDS, time_limit=_RUN_SECONDS + 60)
def check_labels(project_id: int) -> None:
    """Cross-validate the labels and look for wrong ones. A project that another worker is at is passed over."""
    awake(_CHECK_LABELS, project_id)
    project = Project.objects.get(pk=project_id)
    try:
        done = label_checks.check(project, now=timezone.now())
    except (OperationalError, InterfaceError):
        raise  # nothing can be written now
    except SoftTimeLimitExceeded:
        label_checks.fail(project, f"it took longer than {_RUN_SECONDS // 60} minutes.", now=timezone.now())
        return
    except Exception as error:
        # The edge: whatever it is, it would most likely happen again.
        logger.exception("the check of the labels of project %d failed", project_id)
        label_checks.fail(project, f"unexpected error: {error}", now=timezone.now())
        return
    if done is not None:
        logger.info("%s: %s", done.check, done.check.message or done.search.summary)


@shared_task(name="training.sweep_label_checks", soft_time_limit=120, time_limit=150)
def sweep_label_checks() -> None:
    """Wake the check of labels wherever it is due; one project's trouble does not stop the others."""
    for project in Project.objects.order_by("pk"):
        try:
            if label_checks.is_due(project):
                wake(_CHECK_LABELS, project.pk)
        except Exception:
            logger.exception("could not see whether a check of the labels of project %d is due", project.pk)


def _start_if_due(project: Project) -> None:
    requested = runs.request_if_due(project, now=timezone.now())
    if requested is not None:
        logger.info("training run %d of project %d is due", requested.pk, project.pk)
        send_run(requested.pk)
