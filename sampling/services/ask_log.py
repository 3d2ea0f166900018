"""The log of decisions about asking, held to an age."""

import datetime as dt

from labeling.models import Project, RetentionPolicy
from labeling.services import retention, retention_policies
from labeling.services.retention import Part
from labeling.services.retention_policies import Trail
from sampling.models import AskDecision

DAYS = "decision_days"


def due(policy: RetentionPolicy, *, now: dt.datetime) -> Part | None:
    """Decisions not to ask that are too old by the project's policy and ASK_DECISION_KEEP_DAYS; None where they are kept for ever.

    A decision to ask stays with its ask, so that its opportunity is never asked about twice; there are no more of them
    than budgets allow.
    """
    days = retention_policies.days_of(policy).get(DAYS)
    if days is None:
        return None
    before = now - dt.timedelta(days=days)
    rows = AskDecision.objects.filter(project=policy.project_id, created_at__lt=before, is_ask=False)
    return Part(rows, "created_at", lambda ids: AskDecision.objects.filter(pk__in=ids).delete()[0])


def delete_old_decisions(project: Project, *, now: dt.datetime) -> int:
    """Delete what is due, batch by batch, and note it in the trail. Safe to run twice."""
    policy = retention_policies.current_policy(project)
    part = due(policy, now=now)
    return sum(retention.carry_out(part, DAYS, Trail(policy, now=now))) if part else 0
