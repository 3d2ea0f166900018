"""Celery tasks of beliefs: accept what is pending, for one project or wherever there is some."""

import logging

from celery import shared_task
from django.utils import timezone

from datasets import selectors
from datasets.services import accept, examination, gold_mixing
from labeling.models import Project
from labeling.wakeup import awake, wake

logger = logging.getLogger(__name__)

_ACCEPT_PENDING = "datasets.accept_pending"
_MIX_GOLD = "datasets.mix_gold"
_EXAMINE_SOURCES = "datasets.examine_sources"


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


@shared_task(name=_MIX_GOLD, soft_time_limit=60, time_limit=90)
def mix_gold(project_id: int) -> None:
    awake(_MIX_GOLD, project_id)
    if not gold_mixing.has_gold(project_id):
        return
    mixed = gold_mixing.mix(Project.objects.get(pk=project_id), now=timezone.now())
    if mixed.opened or mixed.withdrawn or mixed.graduated:
        logger.info(
            "project %d: %d tests opened, %d withdrawn, %d members out of training",
            *(project_id, mixed.opened, mixed.withdrawn, mixed.graduated),
        )


@shared_task(name=_EXAMINE_SOURCES, soft_time_limit=900, time_limit=930)
def examine_sources(project_id: int) -> None:
    awake(_EXAMINE_SOURCES, project_id)
    done = examination.examine(Project.objects.get(pk=project_id), now=timezone.now())
    if done is not None:
        took = (done.finished_at - done.started_at).total_seconds()
        logger.info(
            "project %d: %d of %d sources judged in %.1f s, %d standings changed",
            *(project_id, done.judged_count, done.source_count, took, done.changed_count),
        )


@shared_task(name="datasets.sweep_sources", soft_time_limit=120, time_limit=150)
def sweep_sources() -> None:
    """Wake the mixing of gold wherever there is any, and the examination of sources where it is due."""
    for project_id in gold_mixing.projects_with_gold():
        wake(_MIX_GOLD, project_id)
    now = timezone.now()
    for project in examination.judgeable_projects():
        try:
            if examination.is_due(project, now=now):
                wake(_EXAMINE_SOURCES, project.pk)
        except Exception:
            logger.exception("could not check whether an examination is due for project %d", project.pk)
