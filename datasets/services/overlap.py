"""Adaptive overlap: one more task where an answer pays most, and an early end of those that need no further one.

What is to be done follows from the beliefs as they stand, so that whatever a killed worker left out the next run does.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from datasets.consensus.adaptive_overlap import MOST_OPEN
from datasets.models import ItemBelief
from datasets.services import pool_states, review_cases
from labeling import access
from labeling.access import Capability
from labeling.models import AnnotationTask, Membership, Project
from labeling.services import queue_management
from labeling.splitting import AUDIT_RESERVE_END

_State, _Reason = AnnotationTask.State, AnnotationTask.Reason
_AGAIN: Final = (_Reason.RELABEL, _Reason.MANUAL)

# Items that no reviewer called ambiguous, that were answered, or corrected by respondents, and that somebody is left to be asked about. In the audit reserve only what
# was drawn: else what respondents speak of would be missing among what is drawn from it.
_WORTH_ASKING: Final = """
SELECT belief.item_id, belief.value FROM datasets_itembelief belief
JOIN labeling_poolentry entry ON entry.item_id = belief.item_id
WHERE belief.project_id = %(project)s AND belief.action = 'ask'
    AND (entry.state = 2 OR (entry.state = 0 AND entry.bucket >= %(reserve)s))
    AND (EXISTS (SELECT FROM labeling_annotation said WHERE said.item_id = belief.item_id AND said.withdrawn_at IS NULL)
        OR EXISTS (SELECT FROM labeling_correction said
            WHERE said.item_id = belief.item_id AND said.superseded_at IS NULL))
    AND (SELECT count(DISTINCT said.annotator_id) FROM labeling_annotation said
        WHERE said.item_id = belief.item_id AND said.withdrawn_at IS NULL) < %(annotators)s
    AND COALESCE((SELECT said.action FROM datasets_reviewdecision said WHERE said.item_id = belief.item_id
        AND said.action <> 'open' ORDER BY said.id DESC LIMIT 1), '') <> 'ambiguous'
ORDER BY belief.value DESC, belief.item_id LIMIT %(room)s"""

MOST_PASSED_ON: Final = 500
"""Items that go to reviewers at once for want of annotators."""

# Items to be asked about once more of which everybody who could be asked has said something.
_NOBODY_LEFT: Final = """
SELECT belief.item_id, belief.value FROM datasets_itembelief belief
WHERE belief.project_id = %(project)s AND belief.action = 'ask'
    AND (SELECT count(DISTINCT said.annotator_id) FROM labeling_annotation said
        WHERE said.item_id = belief.item_id AND said.withdrawn_at IS NULL) >= %(annotators)s
    AND NOT EXISTS (SELECT FROM labeling_annotationtask task WHERE task.item_id = belief.item_id AND task.state = 'open')
    AND NOT EXISTS (SELECT FROM datasets_reviewcase held WHERE held.item_id = belief.item_id AND held.state = 'open')
ORDER BY belief.value DESC, belief.item_id LIMIT %(room)s"""


@dataclass(frozen=True)
class Kept:
    """How many tasks were opened, ended with the answers they had, and withdrawn without any; how many items went to reviewers."""

    opened: int = 0
    ended: int = 0
    withdrawn: int = 0
    passed_on: int = 0


def keep_up(project: Project, *, now: dt.datetime) -> Kept:
    """Bring the queue up to what is believed. Each step is a transaction of its own; tasks are locked before pool rows.

    Tasks of items that are accepted by now end early if they have an answer; those that were opened here are withdrawn if they have none.
    Never one that somebody is at, nor one that a person pinned, assigned or dated, nor a test of annotators. Then, for items to be asked
    about, the most valuable first, a task for one more answer each, as long as fewer than MOST_OPEN are open. Where everybody has answered, a reviewer
    is to look instead.
    """
    return Kept(
        ended=_end(project, now),
        withdrawn=_withdraw(project, _settled(project, now), now),
        opened=_open(project, now),
        passed_on=_pass_on(project, now),
    )


def wind_up(project: Project, *, now: dt.datetime) -> int:
    """Withdraw what was opened here and nobody has answered, for a project that goes by votes; returns how many.

    By votes the newest task decides: one more answer, wanted beside those there are, would overrule them alone.
    """
    return _withdraw(project, _idle(project, now), now)


def _settled(project: Project, now: dt.datetime) -> QuerySet[AnnotationTask]:
    return _idle(project, now).filter(item__belief__action=ItemBelief.Action.ACCEPT)


def _idle(project: Project, now: dt.datetime) -> QuerySet[AnnotationTask]:
    return (
        AnnotationTask.objects.filter(
            Q(leased_to__isnull=True) | Q(lease_expires_at__lte=now),
            project=project,
            state=_State.OPEN,
            is_pinned=False,
            due_at__isnull=True,
            assigned_to__isnull=True,
        )
        .exclude(reason=_Reason.GOLD)
        .order_by("pk")
    )


def _end(project: Project, now: dt.datetime) -> int:
    ended = 0
    for count in set(_settled(project, now).filter(answers_count__gte=1).values_list("answers_count", flat=True)):
        with transaction.atomic():
            ids = _locked(_settled(project, now).filter(answers_count=count))
            if ids:
                ended += queue_management.want_answers(project, ids, answers_wanted=count, by=None, now=now).changed
    return ended


def _withdraw(project: Project, tasks: QuerySet[AnnotationTask], now: dt.datetime) -> int:
    with transaction.atomic():
        ids = _locked(tasks.filter(_opened_here(), answers_count=0))
        if not ids:
            return 0
        withdrawn = queue_management.withdraw(project, ids, by=None, now=now).changed
        # They went back to the pool, but they have a label.
        pool_states.follow_labels(queue_management.items_of(project, ids))
        return withdrawn


def _open(project: Project, now: dt.datetime) -> int:
    open_now = AnnotationTask.objects.filter(_opened_here(), project=project, state=_State.OPEN).count()
    room, annotators = MOST_OPEN - open_now, _annotators(project)
    if room <= 0 or annotators < 1:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            _WORTH_ASKING,
            {"project": project.pk, "reserve": AUDIT_RESERVE_END, "annotators": annotators, "room": room},
        )
        values = dict(cursor.fetchall())
    if not values:
        return 0
    return queue_management.requeue(project, list(values), by=None, now=now, informativeness=values).changed


@transaction.atomic
def _pass_on(project: Project, now: dt.datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            _NOBODY_LEFT,
            {"project": project.pk, "annotators": max(1, _annotators(project)), "room": MOST_PASSED_ON},
        )
        valued = cursor.fetchall()
    return review_cases.open_cases(project, valued, now=now)


def _opened_here() -> Q:
    """What people put in has no informativeness."""
    return Q(reason__in=_AGAIN, informativeness__isnull=False)


def _annotators(project: Project) -> int:
    roles = [role for role in Membership.Role.values if Capability.ANNOTATE in access.of_role(role)]
    return Membership.objects.filter(project=project, role__in=roles, stage=Membership.Stage.WORKING).count()


def _locked(tasks: QuerySet[AnnotationTask]) -> list[int]:
    """Those among them that nobody is just claiming or answering."""
    return list(tasks.select_for_update(no_key=True, skip_locked=True, of=("self",)).values_list("pk", flat=True))
