"""How the queue is doing: what waits, how fast it is answered, whether what was drawn is still good.

Open tasks are few by design, so one walk over them tells all about them. What is closed is counted through an index, and
only as far as a page needs to know.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db import connection

from labeling.models import ModelVersion, Project
from sampling import selectors
from sampling.models import RefillRun

COUNTED_UP_TO: Final = 1_000
TREND_HOURS: Final = 12

# The pool rows of the open tasks are found by primary key.
_OPEN: Final = """
SELECT count(*), count(*) FILTER (WHERE leased_to_id IS NOT NULL AND lease_expires_at > %(now)s),
    count(*) FILTER (WHERE is_audit), count(*) FILTER (WHERE is_pinned), count(*) FILTER (WHERE due_at IS NOT NULL),
    count(*) FILTER (WHERE due_at < %(now)s), count(*) FILTER (WHERE assigned_to_id IS NOT NULL),
    coalesce(sum(greatest(answers_wanted - answers_count, 0)), 0), min(created_at), min(entry.scored_at),
    count(*) FILTER (WHERE reason = 'uncertain'), count(*) FILTER (WHERE reason = 'audit'),
    count(*) FILTER (WHERE reason = 'cold_start'), count(*) FILTER (WHERE reason = 'random'),
    count(*) FILTER (WHERE reason = 'manual'), count(*) FILTER (WHERE reason = 'relabel'),
    count(*) FILTER (WHERE reason = 'imported'), count(*) FILTER (WHERE reason = 'gold')
FROM labeling_annotationtask task JOIN labeling_poolentry entry ON entry.item_id = task.item_id
WHERE task.project_id = %(project)s AND task.state = 'open'"""
_REASONS: Final = ("uncertain", "audit", "cold_start", "random", "manual", "relabel", "imported", "gold")

_CLOSED: Final = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM labeling_annotationtask
            WHERE project_id = %(project)s AND state = 'answered' LIMIT %(most)s) counted),
    (SELECT count(*) FROM (SELECT 1 FROM labeling_annotationtask
            WHERE project_id = %(project)s AND state = 'withdrawn' LIMIT %(most)s) counted),
    (SELECT count(*) FROM (SELECT 1 FROM labeling_annotationtask
            WHERE project_id = %(project)s AND state = 'unusable' LIMIT %(most)s) counted),
    (SELECT count(*) FROM (SELECT 1 FROM labeling_annotation remark
            JOIN labeling_annotationtask task ON task.id = remark.task_id
            WHERE task.project_id = %(project)s AND remark.withdrawn_at IS NULL
                AND (remark.is_flagged OR remark.comment <> '') LIMIT %(most)s) counted)"""

# Who answered lately is known from the days; their answers are found through annotation_by_annotator.
_ANSWERS: Final = """
SELECT width_bucket(extract(epoch FROM %(now)s - answer.created_at), 0, %(hours)s * 3600, %(hours)s), count(*)
FROM (SELECT DISTINCT annotator_id FROM labeling_annotatorday
      WHERE project_id = %(project)s AND day >= %(first_day)s AND answered > 0) at_work
    JOIN labeling_annotation answer ON answer.annotator_id = at_work.annotator_id
        AND answer.created_at > %(since)s AND answer.created_at <= %(now)s AND answer.withdrawn_at IS NULL
    JOIN labeling_annotationtask task ON task.id = answer.task_id AND task.project_id = %(project)s
GROUP BY 1"""


@dataclass(frozen=True)
class OpenTasks:
    """`answers_missing` counts what several people are asked as often as it is asked."""

    count: int
    leased: int
    audit: int
    pinned: int
    dated: int
    overdue: int
    assigned: int
    answers_missing: int
    oldest_at: dt.datetime | None
    scored_at: dt.datetime | None
    by_reason: dict[str, int]


@dataclass(frozen=True)
class ClosedTasks:
    """Counted as far as COUNTED_UP_TO + 1, which stands for more. `remarked` answers are flagged or commented."""

    answered: int
    withdrawn: int
    unusable: int
    remarked: int


@dataclass(frozen=True)
class Pace:
    """Standing answers of the last hours, by the hour, the last sixty minutes last."""

    by_hour: tuple[int, ...]

    @property
    def last_hour(self) -> int:
        return self.by_hour[-1]

    @property
    def most(self) -> int:
        return max(self.by_hour)

    def time_to_finish(self, answers_missing: int) -> dt.timedelta | None:
        """How long the open tasks last at the pace of the last hour; None while nobody answers."""
        return dt.timedelta(hours=answers_missing / self.last_hour) if self.last_hour else None


@dataclass(frozen=True)
class RefillLag:
    """`is_outdated`: the open tasks were drawn by the scores of another model than today's champion."""

    last_at: dt.datetime | None
    model_name: str
    champion_name: str
    is_outdated: bool


def open_tasks(project: Project, *, now: dt.datetime) -> OpenTasks:
    """One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, {"project": project.pk, "now": now})
        row = cursor.fetchone()
    reasons = dict(zip(_REASONS, row[10:], strict=True))
    return OpenTasks(*(*row[:10], reasons))


def closed_tasks(project: Project) -> ClosedTasks:
    """One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_CLOSED, {"project": project.pk, "most": COUNTED_UP_TO + 1})
        return ClosedTasks(*cursor.fetchone())


def pace(project: Project, *, now: dt.datetime, hours: int = TREND_HOURS) -> Pace:
    """One statement; it reads the answers of these hours, found by their annotators."""
    since = now - dt.timedelta(hours=hours)
    values: dict[str, int | dt.date] = {
        "project": project.pk,
        "now": now,
        "since": since,
        "hours": hours,
        "first_day": since.date(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, values)
        counts = dict(cursor.fetchall())
    return Pace(tuple(counts.get(bucket, 0) for bucket in range(hours, 0, -1)))


def refill_lag(project: Project) -> RefillLag:
    last: RefillRun | None = (
        selectors.refill_runs(project).filter(state=RefillRun.State.SUCCEEDED).order_by("-id").first()
    )
    champion = ModelVersion.objects.filter(project=project, stage=ModelVersion.Stage.CHAMPION).first()
    if last is None:
        return RefillLag(None, "", champion.name if champion else "", False)
    return RefillLag(
        last_at=last.finished_at,
        model_name=last.model_version.name if last.model_version else "",
        champion_name=champion.name if champion else "",
        is_outdated=champion is not None and champion.pk != last.model_version_id,
    )
