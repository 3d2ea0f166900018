"""Cases for items about which annotators disagree, in projects that go by votes.

Where the label model is in force, it says itself which items a reviewer must look at.
"""

import datetime as dt
from typing import Final

from django.db import connection, transaction

from datasets.models import AcceptancePolicy, ReviewCase
from datasets.services import pending
from labeling.models import Project

MOST_OPEN: Final = 500
"""So many cases of disagreement are open at once in a project; the next ones come when some of them are decided."""

# Current labels that not everybody agrees with who answered, unless a reviewer looked since the last answer. With the
# numbers n of equal answers of N in all, the entropy in nats is ln N - sum n ln n / N. Merged answers need not be equal: there
# the label says itself how far they agree.
_DISPUTED: Final = """
WITH disputed AS (
    SELECT label.item_id, CASE WHEN label.method = 'merged' THEN label.probability END AS merged_share
    FROM datasets_acceptedlabel label
    WHERE label.project_id = %(project)s AND label.superseded_at IS NULL
        AND label.method IN ('majority', 'merged', 'trusted_annotation')
        AND EXISTS (
            SELECT FROM labeling_annotation said JOIN labeling_annotationtask task ON task.id = said.task_id
            WHERE said.item_id = label.item_id AND said.withdrawn_at IS NULL AND said.answer <> label.answer
                AND task.state = 'answered'
        )
        AND NOT EXISTS (
            SELECT FROM labeling_annotationtask task WHERE task.item_id = label.item_id AND task.state = 'open'
        )
        AND NOT EXISTS (
            SELECT FROM datasets_reviewcase seen WHERE seen.item_id = label.item_id AND (seen.state = 'open'
                OR seen.closed_at >= (SELECT max(created_at) FROM labeling_annotation WHERE item_id = label.item_id))
        )
), counted AS (
    SELECT said.item_id, merged_share, count(*)::float AS n
    FROM disputed JOIN labeling_annotation said ON said.item_id = disputed.item_id
        JOIN labeling_annotationtask task ON task.id = said.task_id
    WHERE said.withdrawn_at IS NULL AND task.state = 'answered' GROUP BY said.item_id, merged_share, said.answer
)
SELECT item_id, sum(n)::int, max(n) / sum(n), merged_share, ln(sum(n)) - sum(n * ln(n)) / sum(n) AS entropy
FROM counted GROUP BY item_id, merged_share HAVING coalesce(merged_share, max(n) / sum(n)) < %(threshold)s
ORDER BY entropy DESC, item_id LIMIT %(most)s"""


def projects_with_votes() -> list[Project]:
    """Projects whose policy in force is not the label model."""
    return [project for project in Project.objects.order_by("pk") if not pending.goes_by_label_model(project)]


@transaction.atomic
def open_cases(project: Project, *, now: dt.datetime) -> int:
    """Open a case for each item whose largest share of equal answers is below the policy's threshold; return how many. Of
    merged answers it is the probability of the label that is compared.

    All standing answers of closed tasks count alike, whichever task they were given to. The value of a case is the entropy
    of the answers in nats; the highest come first, until MOST_OPEN are open. Items whose last answer a reviewer has seen are
    passed over. Safe to run twice or at once.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    of_kind = ReviewCase.objects.filter(project=project, kind=ReviewCase.Kind.DISAGREEMENT, state=ReviewCase.State.OPEN)
    before = of_kind.count()
    values = {"project": project.pk, "threshold": _threshold(project), "most": max(0, MOST_OPEN - before)}
    with connection.cursor() as cursor:
        cursor.execute(_DISPUTED, values)
        rows = cursor.fetchall()
    ReviewCase.objects.bulk_create(
        (
            ReviewCase(
                project=project,
                item_id=item_id,
                kind=ReviewCase.Kind.DISAGREEMENT,
                value=entropy,
                detail={"answers": answers, **_share(largest, merged)},
                opened_at=now,
            )
            for item_id, answers, largest, merged, entropy in rows
        ),
        ignore_conflicts=True,
    )
    return of_kind.count() - before


def _share(largest: float, merged: float | None) -> dict[str, float]:
    return {"largest_share": round(largest, 4)} if merged is None else {"merged_share": round(merged, 4)}


def _threshold(project: Project) -> float:
    newest = AcceptancePolicy.objects.filter(project=project).order_by("-version").first()
    return (newest or AcceptancePolicy()).threshold
