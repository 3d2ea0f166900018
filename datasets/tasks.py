"""Celery tasks of beliefs: accept what is pending, for one project or wherever there is some."""

import logging

from celery import shared_task
from django.utils import timezone

from datasets import selectors
from datasets.services import accept
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
