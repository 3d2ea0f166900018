"""What each annotator of a project has done lately, and how fast.

The days are kept as counts. All else is read from at most LOOKED_AT answers a person in the last WINDOW, found by the index
annotation_by_annotator: the cost grows with the number of people, not with what was ever answered.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.utils import timezone

from labeling.models import Project

WINDOW: Final = dt.timedelta(days=7)
LOOKED_AT: Final = 1_000

# Answers that stand are measured; those that were taken back or changed only show as such. Imported ones were given
# elsewhere. Active time is counted in quarters of an hour in which somebody answered.
_FIGURES: Final = """
WITH people AS (
    SELECT user_id AS id FROM labeling_membership WHERE project_id = %(project)s
    UNION SELECT annotator_id FROM labeling_annotatorday WHERE project_id = %(project)s
)
SELECT person.id, person.username, membership.role, coalesce(membership.skills, '{}'), days.today, days.week, days.total,
    days.last_day, recent.*, skips.*, leases.held
FROM people JOIN auth_user person ON person.id = people.id
LEFT JOIN labeling_membership membership ON membership.user_id = person.id AND membership.project_id = %(project)s
LEFT JOIN LATERAL (
    SELECT coalesce(sum(answered) FILTER (WHERE day = %(today)s), 0) AS today,
        coalesce(sum(answered) FILTER (WHERE day > %(week_ago)s), 0) AS week,
        coalesce(sum(answered), 0) AS total, max(day) FILTER (WHERE answered > 0) AS last_day
    FROM labeling_annotatorday WHERE project_id = %(project)s AND annotator_id = person.id
) days ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE stands) AS standing,
        count(DISTINCT floor(extract(epoch FROM created_at) / 900)) FILTER (WHERE stands) AS quarters,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE stands) AS median_ms,
        count(*) FILTER (WHERE stands AND is_flagged) AS flagged,
        count(*) FILTER (WHERE stands AND is_edit) AS edited,
        count(*) FILTER (WHERE NOT stands AND NOT was_edited) AS undone,
        count(*) FILTER (WHERE stands AND was_shown) AS shown,
        count(*) FILTER (WHERE stands AND was_shown AND agrees) AS agreed,
        max(created_at) AS last_at
    FROM (
        SELECT answer.created_at, answer.duration_ms, answer.is_flagged, answer.withdrawn_at IS NULL AS stands,
            answer.supersedes_id IS NOT NULL AS is_edit, answer.suggested_answer IS NOT NULL AS was_shown,
            answer.suggested_answer = answer.answer AS agrees,
            answer.withdrawn_at IS NOT NULL AND EXISTS (
                SELECT 1 FROM labeling_annotation newer WHERE newer.supersedes_id = answer.id) AS was_edited
        FROM labeling_annotation answer JOIN labeling_annotationtask task ON task.id = answer.task_id
        WHERE answer.annotator_id = person.id AND answer.created_at > %(since)s AND answer.import_key = ''
            AND task.project_id = %(project)s
        ORDER BY answer.created_at DESC, answer.id DESC LIMIT %(looked_at)s
    ) answers
) recent ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE kind = 'later') AS later, count(*) FILTER (WHERE kind = 'someone_else') AS someone_else,
        count(*) FILTER (WHERE kind = 'unusable') AS unusable
    FROM labeling_skip skip JOIN labeling_annotationtask task ON task.id = skip.task_id
    WHERE skip.annotator_id = person.id AND skip.created_at > %(since)s AND task.project_id = %(project)s
) skips ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS held FROM labeling_annotationtask task
    WHERE task.project_id = %(project)s AND task.state = 'open' AND task.leased_to_id = person.id
        AND task.lease_expires_at > %(now)s
) leases ON true
ORDER BY days.week DESC, days.total DESC, person.username"""


@dataclass(frozen=True)
class AnnotatorFigures:
    """`today`, `week`, `total` count answers that stand; the rest is about the window.

    `shown` answers were given with the model's answer in sight, `agreed` of them are the same. Agreement is no measure of
    quality: who believes every suggestion agrees always.
    """

    person_id: int
    username: str
    role: str | None
    skills: list[str]
    today: int
    week: int
    total: int
    last_day: dt.date | None
    standing: int
    quarters: int
    median_ms: float | None
    flagged: int
    edited: int
    undone: int
    shown: int
    agreed: int
    last_at: dt.datetime | None
    later: int
    someone_else: int
    unusable: int
    held: int

    @property
    def per_active_hour(self) -> float | None:
        return 4 * self.standing / self.quarters if self.quarters else None

    @property
    def agreement(self) -> float | None:
        return self.agreed / self.shown if self.shown else None

    @property
    def edited_or_undone(self) -> float | None:
        """The share of answers that were changed or taken back."""
        given = self.standing + self.undone
        return (self.edited + self.undone) / given if given else None

    @property
    def skipped(self) -> int:
        return self.later + self.someone_else + self.unusable


def annotator_figures(project: Project, *, now: dt.datetime) -> list[AnnotatorFigures]:
    """Members and everybody who ever answered, the busiest of the week first; one statement."""
    today = timezone.localdate(now)
    values: dict[str, int | dt.date] = {
        "project": project.pk,
        "now": now,
        "today": today,
        "week_ago": today - WINDOW,
        "since": now - WINDOW,
        "looked_at": LOOKED_AT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIGURES, values)
        return [AnnotatorFigures(*row) for row in cursor.fetchall()]
