"""Cases for items about which annotators disagree, in projects that go by votes: opened, and closed when they agree by now.

Where the label model is in force, it says itself which items a reviewer must look at.
"""

import datetime as dt
from collections.abc import Collection
from typing import Final

from django.db import connection, transaction

from datasets.models import AcceptancePolicy, AcceptedLabel, ReviewCase
from datasets.services import pending, review_cases
from labeling.models import Project
from labeling.schema import JSONValue

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
                AND task.state = 'answered' AND task.reason <> 'gold'
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
    WHERE said.withdrawn_at IS NULL AND task.state = 'answered' AND task.reason <> 'gold'
    GROUP BY said.item_id, merged_share, said.answer
)
SELECT item_id, sum(n)::int, max(n) / sum(n), merged_share, ln(sum(n)) - sum(n * ln(n)) / sum(n) AS entropy
FROM counted GROUP BY item_id, merged_share HAVING coalesce(merged_share, max(n) / sum(n)) < %(threshold)s
ORDER BY entropy DESC, item_id LIMIT %(most)s"""

# Open cases of items that nobody is being asked about: how many answers stand, the largest share of equal ones, and the label.
_AS_IT_STANDS: Final = """
SELECT held.id, COALESCE(sum(counted.n), 0)::int, max(counted.n) / sum(counted.n), label.method, label.probability
FROM datasets_reviewcase held
LEFT JOIN LATERAL (
    SELECT count(*)::float AS n FROM labeling_annotation said JOIN labeling_annotationtask task ON task.id = said.task_id
    WHERE said.item_id = held.item_id AND said.withdrawn_at IS NULL AND task.state = 'answered' AND task.reason <> 'gold'
    GROUP BY said.answer
) counted ON true
LEFT JOIN datasets_acceptedlabel label ON label.item_id = held.item_id AND label.superseded_at IS NULL
WHERE held.project_id = %(project)s AND held.state = 'open' AND held.kind = 'disagreement'
    AND (%(items)s::bigint[] IS NULL OR held.item_id = ANY(%(items)s))
    AND NOT EXISTS (
        SELECT FROM labeling_annotationtask task WHERE task.item_id = held.item_id AND task.state = 'open'
    )
GROUP BY held.id, label.method, label.probability"""
_DECIDED: Final = (AcceptedLabel.Method.GROUND_TRUTH, AcceptedLabel.Method.REVIEWED)


def projects_with_votes() -> list[Project]:
    """Projects whose policy in force is not the label model."""
    return [project for project in Project.objects.order_by("pk") if not pending.goes_by_label_model(project)]


@transaction.atomic
def open_cases(project: Project, *, now: dt.datetime) -> int:
    """Open a case for each item whose largest share of equal answers is below the policy's threshold; return how many. Of
    merged answers it is the probability of the label that is compared.

    All standing answers of closed tasks count alike, whichever task they were given to; answers to tests of annotators do not. The value of a case is the entropy
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


def settle(project: Project, *, now: dt.datetime, item_ids: Collection[int] | None = None) -> int:
    """Close the open disagreements, of these items or all, that are none any more; return how many.

    None any more: the largest share of equal answers, or the probability of a merged label, has reached the policy's threshold,
    somebody has stated the truth, or no answer stands. What is being asked about stays open until it is answered; see also
    `review_cases.close_settled`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AS_IT_STANDS, {"project": project.pk, "items": None if item_ids is None else list(item_ids)})
        rows = cursor.fetchall()
    threshold = _threshold(project) if rows else 1.0
    reasons: dict[int, dict[str, JSONValue]] = {}
    for case_id, answers, largest, method, probability in rows:
        merged = probability if method == AcceptedLabel.Method.MERGED else None
        if not answers:
            reasons[case_id] = {"by": "nothing_stands"}
        elif method in _DECIDED:
            reasons[case_id] = {"by": method}
        elif method and (largest if merged is None else merged) >= threshold:
            reasons[case_id] = {"by": "votes", "answers": answers, **_share(largest, merged)}
    return review_cases.close_settled(reasons, now=now)


def _share(largest: float, merged: float | None) -> dict[str, float]:
    return {"largest_share": round(largest, 4)} if merged is None else {"merged_share": round(merged, 4)}


def _threshold(project: Project) -> float:
    newest = AcceptancePolicy.objects.filter(project=project).order_by("-version").first()
    return (newest or AcceptancePolicy()).threshold
