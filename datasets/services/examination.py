"""Judge all sources of a project by all evidence, and have their standings follow. See docs/algorithms/source_quality.md."""

import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import OuterRef, Subquery, Sum
from numpy.typing import NDArray

from datasets.consensus.evidence import Kind
from datasets.consensus.source_quality import examination as detectors
from datasets.consensus.source_quality.examination import Examination, Timing
from datasets.consensus.source_quality.reliability import gold_record, peer_record
from datasets.consensus.source_quality.suggestion import Step as SuggestedStep
from datasets.consensus.source_quality.suggestion import Suggestion
from datasets.consensus.source_quality.wording import Wording
from datasets.models import AcceptancePolicy, SourceDecision, SourceExamination, SourceStanding
from datasets.services import hints, pending, standings
from datasets.services.evidence import Gathered, Origin, Source, gather
from datasets.services.standings import Step, StoredReason, total_nats
from labeling import locks, selectors
from labeling.locks import LockKind
from labeling.models import Annotation, AnnotatorDay, Correction, Feedback, LabelSchema, Membership, Project
from labeling.schema import AnySchema

logger = logging.getLogger(__name__)

LEAST_ANSWERS: Final = 8
"""Who has said less is not judged: nothing can be known of them, and they do little harm."""
LEAST_NEW_ANSWERS: Final = 20
NEW_ANSWERS_SHARE: Final = 0.1
LEAST_WEIGHT_CHANGE: Final = 0.1
"""Smaller changes of a weight are left, or every examination would fill the trail."""
EVERY: Final = dt.timedelta(hours=1)
AT_MOST_EVERY: Final = dt.timedelta(minutes=2)
GROWTH: Final = 0.05
SHOWN_HASH: Final = 8

_ANSWERS: Final = (Kind.ANNOTATION, Kind.CORRECTION, Kind.THUMB, Kind.IMPLICIT)
_STEPS: Final = {
    SuggestedStep.NONE: Step.NONE,
    SuggestedStep.WEIGHT: Step.WEIGHT,
    SuggestedStep.QUARANTINE: Step.QUARANTINE,
    SuggestedStep.SHADOW_IGNORE: Step.SHADOW_IGNORE,
    SuggestedStep.BLOCK: Step.BLOCK,
}
_ORDER: Final = tuple(_STEPS.values())


@dataclass(frozen=True)
class _Finding:
    """What was found about one source that has enough answers."""

    position: int
    source: Source
    step: SourceStanding.Step
    weight: float
    suspicion_nats: float
    reasons: list[StoredReason]
    answers: int
    hits: float
    misses: float
    gold_hits: int
    gold_misses: int


def examine(project: Project, *, now: dt.datetime) -> SourceExamination | None:
    """Judge every source that has said enough, store its record and its standing, and write down each change.

    A person's decision stands until the source has given max(20, 10%) more answers and all findings together are stronger;
    and then only a stronger step follows. Nothing that was said is deleted. Of sources whose step or weight changed, the
    items are noted to be believed anew. One examination a project at a time: None if one is running, or if answers are not
    of the kind that can be judged. Safe to run twice: the second changes nothing.
    """
    label_schema = selectors.current_schema(project)
    if label_schema.kind != LabelSchema.Kind.SINGLE_CHOICE:
        return None
    with locks.held(LockKind.EXAMINATION, project.pk) as is_taken:
        return _examine(project, selectors.parsed(label_schema), now) if is_taken else None


def is_due(project: Project, *, now: dt.datetime) -> bool:
    """Whether the evidence grew by 5% since the last examination, or at all and it was an hour ago."""
    last = SourceExamination.objects.filter(project=project).first()
    if last is not None and last.started_at > now - AT_MOST_EVERY:
        return False
    said = said_count(project)
    if last is None:
        return said >= LEAST_ANSWERS
    if said == last.said_count:
        return False
    return abs(said - last.said_count) >= GROWTH * last.said_count or last.started_at <= now - EVERY


def judgeable_projects() -> list[Project]:
    """Those whose answers are of the kind that can be judged."""
    newest = LabelSchema.objects.filter(project=OuterRef("pk")).order_by("-version").values("kind")[:1]
    of_the_kind = Project.objects.annotate(kind=Subquery(newest)).filter(kind=LabelSchema.Kind.SINGLE_CHOICE)
    return list(of_the_kind.order_by("pk"))


def said_count(project: Project) -> int:
    """How much annotators and respondents have said; counted without reading it."""
    answers = AnnotatorDay.objects.filter(project=project).aggregate(total=Sum("answered"))["total"] or 0
    opinions = Feedback.objects.filter(project=project).count()
    return int(answers) + opinions + Correction.objects.filter(project=project).count()


# -- inside ------------------------------------------------------------------------------------------------------


def _examine(project: Project, schema: AnySchema, now: dt.datetime) -> SourceExamination:
    began, said = time.monotonic(), said_count(project)
    policy = AcceptancePolicy.objects.filter(project=project).order_by("-version").first()
    policy = policy or AcceptancePolicy(project=project, version=0, method=AcceptancePolicy.Method.VOTES)
    gathered = gather(project, policy, schema.class_keys, weighs_sources=False)
    known = sum(source != Source() for source in gathered.sources)
    findings = _findings(project, gathered, [each.label for each in schema.label_classes])
    changed = _store(project, gathered, findings, now)
    took = dt.timedelta(seconds=time.monotonic() - began)
    return SourceExamination.objects.create(
        project=project, said_count=said, source_count=known, judged_count=len(findings), changed_count=changed,
        started_at=now, finished_at=now + took,
    )  # fmt: skip


def _findings(project: Project, gathered: Gathered, titles: list[str]) -> list[_Finding]:
    evidence = gathered.evidence
    said = np.isin(evidence.kind, _ANSWERS)
    answers = np.bincount(evidence.source[said], minlength=evidence.n_sources)
    judged = [
        position
        for position, source in enumerate(gathered.sources)
        if source != Source() and answers[position] >= LEAST_ANSWERS
    ]
    if not judged:
        return []
    timing = _timing(project, gathered)
    result = detectors.examine(evidence, timing=timing)
    trusted = evidence.reweighted(result.weights)
    hits, misses = peer_record(trusted, result.beliefs.parameters)
    gold_hits, gold_misses = gold_record(evidence)
    names = _names(gathered, judged)
    wording = Wording(
        evidence, result, timing, class_titles=titles, name_of=lambda place: _name(gathered, names, place)
    )
    further = hints.of(project, gathered)
    return [
        _Finding(
            position=position,
            source=gathered.sources[position],
            step=_STEPS[suggestion.step],
            weight=round(suggestion.weight, 2),
            suspicion_nats=round(suggestion.suspicion_nats, 2),
            reasons=[*_reasons(suggestion, wording), *further.get(gathered.sources[position], [])],
            answers=int(answers[position]),
            hits=float(hits[position]),
            misses=float(misses[position]),
            gold_hits=int(gold_hits[position]),
            gold_misses=int(gold_misses[position]),
        )
        for position, suggestion in _suggested(result, judged)
    ]


def _timing(project: Project, gathered: Gathered) -> Timing:
    """Imported answers were given elsewhere: when they came in says nothing of anybody's pace."""
    imported = Annotation.objects.filter(item__project=project).exclude(import_key="").values_list("pk", flat=True)
    is_imported = (gathered.origin == Origin.ANNOTATION) & np.isin(gathered.row_id, list(imported))
    times = gathered.timing
    return Timing(np.where(is_imported, np.nan, times.given_at), np.where(is_imported, np.nan, times.taken))


def _suggested(result: Examination, judged: list[int]) -> list[tuple[int, Suggestion]]:
    return [(position, result.suggestions[position]) for position in judged]


def _reasons(suggestion: Suggestion, wording: Wording) -> list[StoredReason]:
    return [
        {
            "family": reason.family,
            "nats": round(reason.nats, 1),
            "text": wording.text(reason.family, suggestion.source),
        }
        for reason in suggestion.reasons
    ]


def _names(gathered: Gathered, judged: list[int]) -> dict[int, str]:
    ids = [gathered.sources[position].annotator_id for position in judged]
    return dict(User.objects.filter(pk__in=[pk for pk in ids if pk is not None]).values_list("pk", "username"))


def _name(gathered: Gathered, names: dict[int, str], position: int) -> str:
    source = gathered.sources[position]
    if source.annotator_id is not None:
        return names.get(source.annotator_id, "another annotator")
    return f"respondent {source.respondent_hash[:SHOWN_HASH]}"


@transaction.atomic
def _store(project: Project, gathered: Gathered, findings: list[_Finding], now: dt.datetime) -> int:
    """Write records and standings, and the trail; return how many standings changed in step or weight."""
    locked = SourceStanding.objects.select_for_update(of=["self"]).filter(project=project).order_by("pk")
    existing = {Source(row.annotator_id, row.respondent_hash): row for row in locked}
    annotators = [each.source.annotator_id for each in findings if each.source.annotator_id is not None]
    managers = standings.manages(project.pk, annotators)
    fresh: list[SourceStanding] = []
    seen: list[SourceStanding] = []
    decisions: list[SourceDecision] = []
    moved: list[tuple[SourceStanding, str, int]] = []
    for finding in findings:
        row = existing.get(finding.source)
        (fresh if row is None else seen).append(row := row or _new(project, finding.source))
        before = row.step
        if _follows(row, finding, is_manager=finding.source.annotator_id in managers, now=now):
            decisions.append(
                SourceDecision(
                    standing=row, step_before=before, step_after=row.step, weight_after=row.weight,
                    reasons=finding.reasons, decided_at=now,
                )
            )  # fmt: skip
            moved.append((row, before, finding.position))
    SourceStanding.objects.bulk_create(fresh, batch_size=1000)
    SourceStanding.objects.bulk_update(seen, _WRITTEN, batch_size=1000)
    SourceDecision.objects.bulk_create(decisions, batch_size=1000)
    for row, before, _ in moved:
        standings.shut_out_or_let_in(row, before)
    _keep_shut_out(project)
    if moved and pending.goes_by_label_model(project):
        pending.note_items(project, _items(gathered, [position for *_, position in moved]))
    return len(moved)


_WRITTEN: Final = [
    "step", "weight", "decided_by", "suspicion_nats", "reasons", "answers", "hits", "misses", "gold_hits", "gold_misses",
    "examined_at", "changed_at",
]  # fmt: skip


def _new(project: Project, source: Source) -> SourceStanding:
    return SourceStanding(project=project, annotator_id=source.annotator_id, respondent_hash=source.respondent_hash)


def _follows(row: SourceStanding, finding: _Finding, *, is_manager: bool, now: dt.datetime) -> bool:
    """Bring the row up to date; whether its step or weight changed by that."""
    row.answers, row.hits, row.misses = finding.answers, finding.hits, finding.misses
    row.gold_hits, row.gold_misses = finding.gold_hits, finding.gold_misses
    row.suspicion_nats, row.reasons, row.examined_at = finding.suspicion_nats, finding.reasons, now
    step, weight = finding.step, finding.weight
    if step == Step.WEIGHT and weight > 1.0 - LEAST_WEIGHT_CHANGE:
        step, weight = Step.NONE, 1.0
    if step == Step.BLOCK and is_manager:
        step = Step.SHADOW_IGNORE  # a machine does not lock out those who run the project
    if row.decided_by_id is not None and not _overrules(row, finding, step):
        return False
    if row.step == step and abs(row.weight - weight) < LEAST_WEIGHT_CHANGE:
        return False
    standings.change(row, step, weight, now=now)
    row.decided_by = None
    return True


def _overrules(row: SourceStanding, finding: _Finding, step: SourceStanding.Step) -> bool:
    """Whether a person's decision is to be looked at again."""
    new_answers = finding.answers - row.answers_when_decided
    enough = max(LEAST_NEW_ANSWERS, NEW_ANSWERS_SHARE * row.answers_when_decided)
    is_stronger = total_nats(finding.reasons) > row.nats_when_decided
    return new_answers >= enough and is_stronger and _ORDER.index(step) > _ORDER.index(Step(row.step))


def _keep_shut_out(project: Project) -> None:
    """Who left the project and was let in again is still blocked."""
    blocked = SourceStanding.objects.filter(project=project, step=Step.BLOCK, annotator__isnull=False)
    memberships = Membership.objects.filter(project=project, user__in=blocked.values("annotator"))
    memberships.exclude(stage=Membership.Stage.BLOCKED).update(stage=Membership.Stage.BLOCKED)


def _items(gathered: Gathered, positions: list[int]) -> list[int]:
    touched: NDArray[np.bool_] = np.isin(gathered.evidence.source, positions)
    return [int(pk) for pk in gathered.item_ids[np.unique(gathered.evidence.item[touched])]]
