"""Celery tasks of beliefs: accept what is pending, find what is to be reviewed."""

import logging

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from datasets import selectors
from datasets.services import (
    accept,
    anchoring,
    beliefs,
    disagreements,
    examination,
    gold_answers,
    gold_mixing,
    label_errors,
)
from labeling.models import Project
from labeling.wakeup import awake, wake

logger = logging.getLogger(__name__)

_ACCEPT_PENDING = "datasets.accept_pending"
_FIT_BELIEFS = "datasets.fit_beliefs"
_TRANSIENT = (OperationalError, InterfaceError)
_MIX_GOLD = "datasets.mix_gold"
_EXAMINE_SOURCES = "datasets.examine_sources"


@shared_task(name=_ACCEPT_PENDING, soft_time_limit=300, time_limit=330)
def accept_pending(project_id: int) -> None:
    awake(_ACCEPT_PENDING, project_id)
    changed = accept.accept_pending(project_id, now=timezone.now())
    if changed:
        logger.info("labels of %d items of project %d changed", changed, project_id)
    _fit_if_due(project_id)


@shared_task(name="datasets.sweep_acceptance", soft_time_limit=600, time_limit=630)
def sweep_acceptance() -> None:
    """Accept what a lost message or a killed worker left pending; one project's trouble does not stop the others."""
    for project_id in selectors.projects_with_anything_pending():
        try:
            changed = accept.accept_pending(project_id, now=timezone.now())
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("could not accept what is pending in project %d", project_id)
        else:
            logger.info("sweep: labels of %d items of project %d changed", changed, project_id)


@shared_task(name=_FIT_BELIEFS, soft_time_limit=600, time_limit=660)
def fit_beliefs(project_id: int) -> None:
    """Fit the label model, if that is due. A project that another worker is at is passed over."""
    awake(_FIT_BELIEFS, project_id)
    project = Project.objects.filter(pk=project_id).first()
    if project is None:
        return
    try:
        reason = beliefs.why_due(project, now=timezone.now())
        weight = anchoring.anchored_weight(project) if reason else 1.0
        run = beliefs.fit(project, now=timezone.now(), anchored_weight=weight) if reason else None
    except _TRANSIENT as error:
        logger.warning("no fit of project %s now; the next sweep will try: %s", project_id, error)
        return
    if run is not None:
        logger.info("%s (%s): %s pieces of evidence, %s rounds", run, reason, run.evidence_count, run.rounds)


@shared_task(name="datasets.sweep_beliefs", soft_time_limit=300, time_limit=330)
def sweep_beliefs() -> None:
    """Let the queue follow the beliefs and start fits that are due, where a lost message or a killed worker missed it."""
    for project_id in beliefs.projects_by_label_model():
        try:
            accept.accept_pending(project_id, now=timezone.now())
            _fit_if_due(project_id)
        except SoftTimeLimitExceeded:
            raise
        except Exception:
            logger.exception("could not look after the beliefs of project %d", project_id)


def _fit_if_due(project_id: int) -> None:
    project = Project.objects.filter(pk=project_id).first()
    if project is not None and beliefs.why_due(project, now=timezone.now()):
        wake(_FIT_BELIEFS, project_id)


@shared_task(name=_MIX_GOLD, soft_time_limit=60, time_limit=90)
def mix_gold(project_id: int) -> None:
    awake(_MIX_GOLD, project_id)
    if not gold_mixing.has_gold(project_id):
        return
    project = Project.objects.get(pk=project_id)
    mixed = gold_mixing.mix(project, now=timezone.now())
    gold_answers.store_records(project)
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


@shared_task(name="datasets.sweep_disagreements", soft_time_limit=600, time_limit=630)
def sweep_disagreements() -> None:
    """Have reviewed what annotators disagree about, wherever votes decide, and no more what they agree about by now."""
    for project in disagreements.projects_with_votes():
        try:
            disagreements.settle(project, now=timezone.now())
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
