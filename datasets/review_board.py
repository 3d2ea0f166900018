"""What reviewers look at: the cases, and all that was said about the item of one."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from django.db.models import Count, F, QuerySet

from datasets.models import AcceptedLabel, GoldItem, ItemBelief, ReviewCase, ReviewDecision, SourceStanding
from labeling.models import Annotation, AnnotationTask, Correction, Feedback, Project
from labeling.probability import unpack
from labeling.schema import AnySchema, JSONValue

MOST_SAID: Final = 200
"""So many of each kind of evidence are shown of an item, the newest."""

_VERDICTS: Final = {
    Feedback.Kind.THUMB, Feedback.Kind.RATING, Feedback.Kind.CLICK, Feedback.Kind.COPY, Feedback.Kind.RETRY,
    Feedback.Kind.ABANDONMENT, Feedback.Kind.CONVERSION, Feedback.Kind.EDIT, Feedback.Kind.DWELL,
}  # fmt: skip


@dataclass(frozen=True)
class Reliability:
    """How far a source is to be trusted, by what is known of it.

    `share` of its answers that are right by all others' evidence, of `answers`; None where none could be judged. `weight`:
    what its evidence counts.
    """

    share: float | None = None
    answers: int = 0
    gold_hits: int = 0
    gold_misses: int = 0
    weight: float = 1.0
    step: str = ""


@dataclass(frozen=True)
class Said:
    """One piece of evidence. `answer` is set where it is a statement of the truth that a reviewer may take over."""

    who: str
    kind: str
    summary: str
    at: dt.datetime
    answer: JSONValue = None
    comment: str = ""
    duration_ms: int | None = None
    was_shown: bool | None = None
    is_flagged: bool = False
    reliability: Reliability = Reliability()


@dataclass(frozen=True)
class ClassBelief:
    key: str
    title: str
    probability: float


@dataclass(frozen=True)
class Believed:
    """The posterior of the likeliest classes, likeliest first."""

    classes: list[ClassBelief]
    action: str
    reason: str
    evidence_count: int


@dataclass(frozen=True)
class Settlement:
    case_id: int
    at: dt.datetime
    because: str


def cases(project: Project, *, kind: str = "", state: str = ReviewCase.State.OPEN) -> QuerySet[ReviewCase]:
    """Open cases, worth most first; closed ones, closed last first."""
    found = ReviewCase.objects.filter(project=project, state=state).select_related("item", "claimed_by")
    if kind:
        found = found.filter(kind=kind)
    if state == ReviewCase.State.OPEN:
        return found.order_by("-value", "pk")
    return found.order_by("-closed_at", "-pk")


def open_counts(project: Project) -> dict[str, int]:
    """Open cases by kind, every kind."""
    rows = ReviewCase.objects.filter(project=project, state=ReviewCase.State.OPEN).values_list("kind")
    counts = dict(rows.annotate(count=Count("pk")).order_by())
    return {kind.value: counts.get(kind.value, 0) for kind in ReviewCase.Kind}


def evidence(case: ReviewCase, schema: AnySchema) -> list[Said]:
    """All that stands about the item, in the order in which it was said.

    What a respondent did about a prediction is told without the prediction: a reviewer has not asked for it yet.
    """
    said = [*_annotations(case, schema), *_corrections(case, schema), *_verdicts(case), *_gold(case, schema)]
    return sorted(said, key=lambda each: each.at)


def belief(case: ReviewCase, schema: AnySchema, *, most: int = 10) -> Believed | None:
    """What the label model believes of the item, if it has looked at it."""
    row = ItemBelief.objects.filter(item=case.item_id).select_related("run").first()
    if row is None:
        return None
    posterior = unpack(bytes(row.posterior), len(row.run.classes))
    titles = {each.key: each.label for each in schema.label_classes}
    keys = row.run.classes
    best = np.argsort(-posterior, kind="stable")[:most]
    return Believed(
        [ClassBelief(keys[index], titles.get(keys[index], keys[index]), float(posterior[index])) for index in best],
        row.get_action_display(),
        row.reason,
        row.evidence_count,
    )


BELIEF_REASONS: Final = {
    "enough_answers": "Nobody else is asked: as many have answered as the policy lets be asked, and what it wants is not met",
    "nothing_to_learn": "One more answer would hardly change it",
    "too_little_evidence": "Too few sources have said something",
    "kind_missing": "No annotator has said anything yet, or too few",
    "below_threshold": "No class is likely enough",
    "stands": "Its label stands although it has become a little less likely",
    "gold": "Its answer is known",
}
"""Why the label model would accept, ask or review; see datasets.consensus.acceptance. Of what is plainly accepted nothing needs saying."""


def accepted_label(case: ReviewCase) -> AcceptedLabel | None:
    return AcceptedLabel.objects.filter(item=case.item_id, superseded_at__isnull=True).first()


def has_open_task(case: ReviewCase) -> bool:
    return AnnotationTask.objects.filter(item=case.item_id, state=AnnotationTask.State.OPEN).exists()


def history(case: ReviewCase) -> QuerySet[ReviewDecision]:
    """What reviewers did about the item, in all its cases, oldest first."""
    decisions = ReviewDecision.objects.filter(item=case.item_id).select_related("reviewer", "label_schema")
    return decisions.order_by("pk")


def settlements(case: ReviewCase) -> list[Settlement]:
    """When and why later evidence closed a case about the item, in all its cases, oldest first."""
    cases = ReviewCase.objects.filter(item=case.item_id, detail__has_key="settled").order_by("pk")
    return [
        Settlement(each.pk, dt.datetime.fromisoformat(each.detail["settled"]["at"]), settled_because(each))
        for each in cases
    ]


def settled_because(case: ReviewCase) -> str:
    """Why later evidence closed the case, as a sentence without a full stop. Of cases that older versions closed it is not known."""
    reason = case.detail.get("settled", {})
    said = _SETTLED_BECAUSE.get(reason.get("by"))
    return said(reason) if said else "Later evidence has settled it"


_SETTLED_BECAUSE: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "label_model": lambda reason: f"The label model is {reason['probability']:.0%} sure of “{reason['label']}”",
    "asked_again": lambda _: "Annotators are being asked about it once more",
    "votes": lambda reason: f"By now {answers_agree(reason)}",
    "nothing_stands": lambda _: "No annotator’s answer stands any more",
    "ground_truth": lambda _: "The truth was stated",
    "reviewed": lambda _: "A reviewer has decided about the item",
}


def answers_agree(counted: Mapping[str, Any]) -> str:
    """How far answers agree: of equal ones the largest share, of merged ones how near they are to the merged one."""
    if "merged_share" in counted:
        return f"{counted['answers']} answers, which agree with the merged one by {counted['merged_share']:.0%}"
    return f"{counted['answers']} answer{'' if counted['answers'] == 1 else 's'}, of which {counted['largest_share']:.0%} say the same"


def last_decisions(found: Sequence[ReviewCase]) -> dict[int, ReviewDecision]:
    """By case, what was done about it last."""
    decisions = ReviewDecision.objects.filter(case__in=found).select_related("reviewer", "label_schema")
    return {decision.case_id: decision for decision in decisions.order_by("case_id", "-pk").distinct("case_id")}


# -- inside ------------------------------------------------------------------------------------------------------


def _annotations(case: ReviewCase, schema: AnySchema) -> Iterator[Said]:
    rows = Annotation.objects.filter(item=case.item_id, withdrawn_at__isnull=True).select_related("annotator")
    found = list(rows.order_by("-pk")[:MOST_SAID])[::-1]
    known = _standings(case, "annotator_id", [row.annotator_id for row in found])
    for row in found:
        yield Said(
            who=str(row.annotator),
            kind="ground truth" if row.is_ground_truth else "annotation",
            summary=schema.summary_of(row.answer),
            at=row.created_at,
            answer=row.answer,
            comment=row.comment,
            duration_ms=row.duration_ms,
            was_shown=row.suggested_answer is not None,
            is_flagged=row.is_flagged,
            reliability=known.get(row.annotator_id, Reliability()),
        )


def _corrections(case: ReviewCase, schema: AnySchema) -> Iterator[Said]:
    rows = Correction.objects.filter(item=case.item_id, superseded_at__isnull=True).order_by("-pk")
    found = list(rows[:MOST_SAID])[::-1]
    known = _standings(case, "respondent_hash", [row.respondent_hash for row in found if row.respondent_hash])
    for row in found:
        yield Said(
            who=_respondent(row.respondent_hash),
            kind="correction",
            summary=schema.summary_of(row.answer),
            at=row.occurred_at,
            answer=row.answer,
            comment=row.comment,
            was_shown=row.is_anchored,
            reliability=known.get(row.respondent_hash, Reliability()),
        )


def _verdicts(case: ReviewCase) -> Iterator[Said]:
    rows = Feedback.objects.filter(item=case.item_id, superseded_at__isnull=True, kind__in=_VERDICTS)
    found = list(rows.order_by("-pk")[:MOST_SAID])[::-1]
    known = _standings(case, "respondent_hash", [row.respondent_hash for row in found if row.respondent_hash])
    for row in found:
        summary = row.get_kind_display()
        if row.kind == Feedback.Kind.THUMB and row.score is not None:
            summary = "Thumb up" if row.score >= 0.5 else "Thumb down"
        elif row.score is not None:
            summary = f"{summary} {row.score:.2g}"
        yield Said(
            who=_respondent(row.respondent_hash),
            kind="feedback",
            summary=summary + (" (randomised)" if row.epsilon is not None else ""),
            at=row.occurred_at,
            comment=row.comment,
            was_shown=row.is_anchored,
            reliability=known.get(row.respondent_hash, Reliability()),
        )


def _gold(case: ReviewCase, schema: AnySchema) -> Iterator[Said]:
    for row in GoldItem.objects.filter(item=case.item_id).select_related("created_by"):
        who = str(row.created_by) if row.created_by else "the service"
        yield Said(who, "gold", schema.summary_of(row.answer), row.created_at, row.answer, row.explanation)


def _respondent(respondent_hash: str) -> str:
    return f"respondent {respondent_hash[:8]}" if respondent_hash else "a respondent"


def _standings(case: ReviewCase, field: str, keys: Sequence[int | str]) -> Mapping[int | str, Reliability]:
    rows = SourceStanding.objects.filter(project=case.project_id, **{f"{field}__in": keys}).annotate(key=F(field))
    found = {}
    for row in rows:
        judged = row.hits + row.misses
        share = row.hits / judged if judged else None
        known = Reliability(share, row.answers, row.gold_hits, row.gold_misses, row.weight)
        found[row.key] = known if row.step == SourceStanding.Step.NONE else replace(known, step=row.get_step_display())
    return found
