"""The log of decisions about asking, held to an age."""

import datetime as dt
from typing import Final

from django.conf import settings

from labeling.models import Project
from sampling.models import AskDecision

_BATCH: Final = 5_000


def delete_old_decisions(*, now: dt.datetime) -> int:
    """Delete decisions not to ask that are older than ASK_DECISION_KEEP_DAYS, batch by batch.

    A decision to ask stays with its ask, so that its opportunity is never asked about twice; there are no more of them
    than budgets allow. Safe to run twice.
    """
    if not settings.ASK_DECISION_KEEP_DAYS:
        return 0
    before = now - dt.timedelta(days=settings.ASK_DECISION_KEEP_DAYS)
    deleted = 0
    for project_id in Project.objects.values_list("pk", flat=True):
        # By project and time there is an index; what is found first is deleted, so the next look finds what is left.
        old = AskDecision.objects.filter(project=project_id, created_at__lt=before, is_ask=False).order_by("created_at")
        while ids := list(old.values_list("pk", flat=True)[:_BATCH]):
            deleted += AskDecision.objects.filter(pk__in=ids).delete()[0]
    return deleted
