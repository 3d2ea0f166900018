"""What a reviewer sees of sources: who is set aside, what they said beside what others say, and whom it hits."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.models import AcceptedLabel, SourceDecision, SourceExamination, SourceStanding
from labeling.models import Annotation, Correction, Feedback, Project
from labeling.schema import JSONValue

LAST_ANSWERS: Final = 12
LOOKED_THROUGH: Final = 500
"""Of an annotator's answers, the newest: among them are found those that say most beside others'."""
LOOKED_AT: Final = 50_000
"""So many answers and opinions, the latest, are counted for the rates by segment."""
MOST_GROUPS: Final = 40
_OTHERS_SHOWN: Final = 6
Step = SourceStanding.Step
SET_ASIDE: Final = (Step.QUARANTINE, Step.SHADOW_IGNORE, Step.BLOCK)

# Sources are people, and the answers of one are not independent: the interval is over sources, the share of answers stands
# beside it. Of segments with many values the commonest are shown.
_BY_SEGMENT: Final = """
WITH said AS MATERIALIZED (
    (SELECT answer.item_id, answer.annotator_id::text AS source FROM labeling_annotation answer
        JOIN labeling_annotationtask task ON task.id = answer.task_id
    WHERE task.project_id = %(project)s AND answer.withdrawn_at IS NULL ORDER BY answer.id DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT item_id, respondent_hash FROM labeling_correction WHERE project_id = %(project)s AND item_id IS NOT NULL
        AND respondent_hash <> '' AND superseded_at IS NULL ORDER BY received_at DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT item_id, respondent_hash FROM labeling_feedback WHERE project_id = %(project)s AND item_id IS NOT NULL
        AND respondent_hash <> '' AND superseded_at IS NULL ORDER BY received_at DESC LIMIT %(looked_at)s)
), flagged AS (
    SELECT coalesce(annotator_id::text, respondent_hash) AS source FROM datasets_sourcestanding
    WHERE project_id = %(project)s AND step IN ('quarantine', 'shadow_ignore', 'block')
), counted AS MATERIALIZED (
    SELECT item.segments, said.source, count(*) AS answers FROM said JOIN labeling_item item ON item.id = said.item_id
    GROUP BY item.segments, said.source
), judged AS (
    SELECT counted.segments, counted.source, counted.answers, flagged.source IS NOT NULL AS is_flagged
    FROM counted LEFT JOIN flagged ON flagged.source = counted.source
)
SELECT segment.key, left(segment.value, 100), count(DISTINCT judged.source),
    count(DISTINCT judged.source) FILTER (WHERE is_flagged), sum(answers)::bigint,
    coalesce(sum(answers) FILTER (WHERE is_flagged), 0)::bigint
FROM judged CROSS JOIN LATERAL jsonb_each_text(judged.segments) segment
GROUP BY segment.key, left(segment.value, 100) ORDER BY segment.key, sum(answers) DESC, 2 LIMIT %(groups)s"""


@dataclass(frozen=True)
class FlagRate:
    """Of the sources that said something about items of a segment, how many are set aside."""

    segment: str
    value: str
    sources: Estimate
    flagged_sources: int
    answers: int
    flagged_answers: int

    @property
    def answer_share(self) -> float:
        return self.flagged_answers / self.answers


@dataclass(frozen=True)
class SaidBeside:
    """An answer of a source, and what is known of its item: its label now and what others said."""

    item_id: int
    item_key: str
    said: JSONValue
    kind: str
    taken_ms: int | None
    at: dt.datetime
    label: str = ""
    others: tuple[tuple[str, int], ...] = ()

    @property
    def said_class(self) -> str:
        return str(self.said.get("choice", "")) if isinstance(self.said, dict) else ""


def standings(project: Project) -> QuerySet[SourceStanding]:
    """All standings, the most suspicious first, with `last_decision_id`, `last_decided_by` and `last_decided_at`."""
    newest = SourceDecision.objects.filter(standing=OuterRef("pk")).order_by("-pk")
    return (
        SourceStanding.objects.filter(project=project)
        .select_related("annotator", "decided_by")
        .annotate(
            last_decision_id=Subquery(newest.values("pk")[:1]),
            last_decided_at=Subquery(newest.values("decided_at")[:1]),
        )
        .order_by("-suspicion_nats", "pk")
    )


def waiting(project: Project) -> QuerySet[SourceStanding]:
    """Set aside by an examination, and nobody has looked at them yet."""
    return standings(project).filter(step__in=SET_ASIDE, decided_by__isnull=True)


def decided(project: Project) -> QuerySet[SourceStanding]:
    """About whom a person has decided, the latest first."""
    return standings(project).filter(decided_by__isnull=False).order_by("-changed_at", "-pk")


def last_examination(project: Project) -> SourceExamination | None:
    return SourceExamination.objects.filter(project=project).first()


def flag_rates(project: Project) -> list[FlagRate]:
    """By value of each segment of items; one statement over the latest answers."""
    with connection.cursor() as cursor:
        cursor.execute(_BY_SEGMENT, {"project": project.pk, "looked_at": LOOKED_AT, "groups": MOST_GROUPS})
        return [
            FlagRate(name, value, proportion_interval(flagged, sources), flagged, answers, flagged_answers)
            for name, value, sources, flagged, answers, flagged_answers in cursor.fetchall()
        ]


def last_answers(standing: SourceStanding, *, limit: int = LAST_ANSWERS) -> list[SaidBeside]:
    """What the source said last, beside the labels and others' answers; three or four queries.

    Of an annotator's newest LOOKED_THROUGH answers those about items that others answered come first.
    """
    said = _annotations(standing, limit) if standing.annotator_id is not None else _opinions(standing, limit)
    labels = dict(
        AcceptedLabel.objects.filter(item__in=[each.item_id for each in said], superseded_at__isnull=True).values_list(
            "item_id", "label"
        )
    )
    others = _others(standing, [each.item_id for each in said])
    return [replace(each, label=labels.get(each.item_id, ""), others=others.get(each.item_id, ())) for each in said]


# -- inside ------------------------------------------------------------------------------------------------------


def _annotations(standing: SourceStanding, limit: int) -> list[SaidBeside]:
    last = Annotation.objects.filter(
        annotator=standing.annotator_id, task__project=standing.project_id, withdrawn_at__isnull=True
    ).order_by("-created_at", "-pk")
    others = Annotation.objects.filter(item=OuterRef("item"), withdrawn_at__isnull=True)
    others = others.exclude(annotator=standing.annotator_id)
    # Beside nothing an answer says little: of the newest, those come first that somebody else gave one to, too.
    rows = Annotation.objects.filter(pk__in=last.values("pk")[:LOOKED_THROUGH])
    rows = rows.annotate(is_shared=Exists(others)).order_by("-is_shared", "-created_at", "-pk")
    fields = ("item_id", "item__key", "answer", "duration_ms", "created_at")
    return [
        SaidBeside(item_id, key, answer, "annotation", taken, at)
        for item_id, key, answer, taken, at in rows.values_list(*fields)[:limit]
    ]


def _opinions(standing: SourceStanding, limit: int) -> list[SaidBeside]:
    of = {
        "project": standing.project_id, "respondent_hash": standing.respondent_hash, "item__isnull": False,
        "superseded_at__isnull": True,
    }  # fmt: skip
    corrections = Correction.objects.filter(**of).order_by("-received_at")
    said = [
        SaidBeside(item_id, key, answer, "correction", None, at)
        for item_id, key, answer, at in corrections.values_list("item_id", "item__key", "answer", "occurred_at")[:limit]
    ]
    feedback = Feedback.objects.filter(**of).order_by("-received_at")
    said += [
        SaidBeside(item_id, key, None if score is None else f"{score:g} of 1", kind, None, at)
        for item_id, key, kind, score, at in feedback.values_list(
            "item_id", "item__key", "kind", "score", "occurred_at"
        )[:limit]
    ]
    return sorted(said, key=lambda each: each.at, reverse=True)[:limit]


def _others(standing: SourceStanding, item_ids: list[int]) -> dict[int, tuple[tuple[str, int], ...]]:
    """By item, the classes that other annotators said and how many did, the commonest first."""
    rows = Annotation.objects.filter(item__in=item_ids, withdrawn_at__isnull=True)
    if standing.annotator_id is not None:
        rows = rows.exclude(annotator=standing.annotator_id)
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for item_id, answer in rows.values_list("item_id", "answer"):
        name = str(answer.get("choice", "another answer")) if isinstance(answer, dict) else "another answer"
        counts[item_id][name] = counts[item_id].get(name, 0) + 1
    return {
        item_id: tuple(sorted(named.items(), key=lambda each: (-each[1], each[0]))[:_OTHERS_SHOWN])
        for item_id, named in counts.items()
    }
