"""Celery tasks of beliefs: accept what is pending, find what is to be reviewed."""

import logging

from celery import shared_task
from django.utils import timezone

from datasets import selectors
from datasets.services import accept, disagreements, label_errors
from labeling.wakeup import awake

logger = logging.getLogger(__name__)

_ACCEPT_PENDING = "datasets.accept_pending"


@shared_task(name=_ACCEPT_PENDING, soft_time_limit=300, time_limit=330)
def accept_pending(project_id: int) -> None:
    awake(_ACCEPT_PENDING, project_id)
    changed = accept.accept_pending(project_id, now=timezone.now())
    if changed:
        logger.info("labels of %d items of project %d changed", changed, project_id)


@shared_task(name="datasets.sweep_acceptance", soft_time_limit=600, time_limit=630)
def sweep_acceptance() -> None:
    """Accept what a lost message or a killed worker left pending; one project's trouble does not stop the others."""
    for project_id in selectors.projects_with_acceptable_evidence():
        try:
            changed = accept.accept_pending(project_id, now=timezone.now())
        except Exception:
            logger.exception("could not accept what is pending in project %d", project_id)
        else:
            logger.info("sweep: labels of %d items of project %d changed", changed, project_id)


@shared_task(name="datasets.sweep_disagreements", soft_time_limit=600, time_limit=630)
def sweep_disagreements() -> None:
    """Have reviewed what annotators disagree about, wherever votes decide."""
    for project in disagreements.projects_with_votes():
        try:
            opened = disagreements.open_cases(project, now=timezone.now())
        except Exception:
            logger.exception("could not look for disagreements in project %d", project.pk)
        else:
            if opened:
                logger.info("sweep: %d disagreements of project %d are to be reviewed", opened, project.pk)


@shared_task(name="datasets.sweep_label_errors", soft_time_limit=3300, time_limit=3600)
def sweep_label_errors() -> None:
    """Look for wrong labels in every project that has accepted some."""
    for project in selectors.projects_with_labels():
        try:
            found = label_errors.search(project, now=timezone.now())
        except Exception:
            logger.exception("could not look for label errors in project %d", project.pk)
        else:
            logger.info("label errors of project %d: %s", project.pk, found.summary)
