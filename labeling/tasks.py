"""Celery tasks of the facts: housekeeping only."""

import logging

from celery import shared_task
from django.utils import timezone

from labeling.services import health, idempotency

logger = logging.getLogger(__name__)


@shared_task(name="labeling.heartbeat", soft_time_limit=5, time_limit=10, acks_late=False)
def heartbeat() -> None:
    health.beat(now=timezone.now())


@shared_task(name="labeling.forget_idempotency_keys", soft_time_limit=300, time_limit=330, acks_late=True)
def forget_idempotency_keys() -> None:
    forgotten = idempotency.forget_old(now=timezone.now())
    logger.info("forgot %s idempotency keys", forgotten)
