"""From evidence to accepted labels: what the annotators of the task that was asked last agree on."""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from datasets import selectors
from datasets.models import AcceptedLabel, NextChange, PendingEvidence
from datasets.services import review
from labeling import news
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind, hold_until_commit
from labeling.models import Annotation, AnnotationTask, LabelSchema, Membership
from labeling.schema import Answer, AnySchema, SchemaError

logger = logging.getLogger(__name__)

_EVENTS_PER_TRANSACTION = 1000
_Evidence = AcceptedLabel.evidence.through


def accept_pending(project_id: int, *, now: dt.datetime) -> int:
    """Make the accepted labels of the project say what its annotations say; return how many items changed.

    Afterwards every item with pending evidence has a current label if and only if a task about it has all the answers it
    wants, and somebody trusted gave one of them and did not withdraw it; of the newest such task, what most people said
    counts. A label that no longer holds is superseded, and a new row follows; no row is edited otherwise.

    Works on what is pending only, in transactions of at most 1,000 events that take turns by an advisory lock a
    project. Safe to run twice or at once: a belief is worked out from the annotations as they are, not from the
    events. Tells `news.labels_accepted` after each commit that changed something.
    """
    changed = 0
    is_done = False
    while not is_done:
        with transaction.atomic():
            hold_until_commit(LockKind.ACCEPTANCE, project_id)
            # Read before the annotations: whatever changes later leaves an event of its own, which stays.
            events = list(
                selectors.acceptable_evidence()
                .filter(project_id=project_id)
                .order_by("id")
                .values_list("pk", "annotation__item_id")[:_EVENTS_PER_TRANSACTION]
            )
            changed_here = _bring_up_to_date(project_id, {item_id for _, item_id in events}, now)
            PendingEvidence.objects.filter(pk__in=[pk for pk, _ in events]).delete()
            if changed_here:
                news.tell(news.labels_accepted, project_id=project_id)
        changed += changed_here
        is_done = len(events) < _EVENTS_PER_TRANSACTION
    return changed


@dataclass(frozen=True)
class _Belief:
    """What the annotations of an item amount to, and which of them say so; `newest` is the newest of these."""

    newest: Annotation
    label: str
    evidence: frozenset[int]
    probability: float
    method: AcceptedLabel.Method


def _bring_up_to_date(project_id: int, item_ids: Collection[int], now: dt.datetime) -> int:
    """Supersede and create labels of these items, all of the project. Return how many items changed."""
    beliefs = _beliefs(item_ids)
    for item_id in review.ambiguous_items(item_ids):
        beliefs.pop(item_id, None)
    current = AcceptedLabel.objects.filter(item_id__in=item_ids, superseded_at__isnull=True)
    resting_on: dict[int, set[int | None]] = defaultdict(set)
    label_of: dict[int, int] = {}
    share: dict[int, float] = {}
    for label_id, item_id, probability, annotation_id in current.values_list(
        "pk", "item_id", "probability", "evidence"
    ):
        resting_on[item_id].add(annotation_id)
        label_of[item_id], share[item_id] = label_id, probability

    def stands(item_id: int) -> bool:
        belief = beliefs.get(item_id)
        return (
            belief is not None
            and frozenset(resting_on[item_id]) == belief.evidence
            and share[item_id] == belief.probability
        )

    outdated = {item_id: label_id for item_id, label_id in label_of.items() if not stands(item_id)}
    fresh = {item_id: belief for item_id, belief in beliefs.items() if not stands(item_id)}
    AcceptedLabel.objects.filter(pk__in=outdated.values()).update(superseded_at=now, change=NextChange())
    _record(project_id, fresh.values(), now)
    return len(outdated.keys() | fresh.keys())


def _record(project_id: int, beliefs: Collection[_Belief], now: dt.datetime) -> None:
    labels = AcceptedLabel.objects.bulk_create(
        AcceptedLabel(
            project_id=project_id,
            item_id=belief.newest.item_id,
            label_schema_id=belief.newest.label_schema_id,
            label=belief.label,
            answer=belief.newest.answer,
            change=NextChange(),
            probability=belief.probability,
            method=belief.method,
            is_audit=belief.newest.task.is_audit,
            reason=belief.newest.task.reason,
            propensity=belief.newest.task.propensity,
            accepted_at=now,
        )
        for belief in beliefs
    )
    _Evidence.objects.bulk_create(
        _Evidence(acceptedlabel_id=label.pk, annotation_id=annotation_id)
        for label, belief in zip(labels, beliefs, strict=True)
        for annotation_id in sorted(belief.evidence)
    )


def _beliefs(item_ids: Collection[int]) -> dict[int, _Belief]:
    """By item, what the annotations say that count: standing ones of tasks that have all the answers they want, trusted:
    by a member with a trusted role, or accepted once before (who leaves a project does not take accepted labels along)."""
    trusted = Membership.objects.filter(
        project_id=OuterRef("item__project_id"),
        user_id=OuterRef("annotator_id"),
        role__in=selectors.TRUSTED_ROLES,
    )
    accepted_before = _Evidence.objects.filter(annotation_id=OuterRef("pk"))
    annotations = list(
        Annotation.objects.filter(
            item_id__in=item_ids, withdrawn_at__isnull=True, task__state=AnnotationTask.State.ANSWERED
        )
        .filter(Q(Exists(trusted)) | Q(Exists(accepted_before)))
        .select_related("task")
        .order_by("item_id", "-id")
    )
    schemas = _parsed_schemas({annotation.label_schema_id for annotation in annotations})
    statements: dict[int, list[tuple[Annotation, Answer]]] = defaultdict(list)
    for annotation in annotations:
        try:
            answer = schemas[annotation.label_schema_id].parse_answer(annotation.answer)
        except SchemaError as error:
            # Only a hand in the database can have left it. One such row must not hold up all others.
            logger.warning("annotation %s says nothing: %s", annotation.pk, error)
        else:
            statements[annotation.item_id].append((annotation, answer))
    return {item_id: _belief(said) for item_id, said in statements.items()}


def _belief(statements: Sequence[tuple[Annotation, Answer]]) -> _Belief:
    """Of statements about one item, newest first: ground truth decides alone; else what most of those to the task say that
    was answered last, of equally many the newest."""
    method = AcceptedLabel.Method.GROUND_TRUTH
    deciding = [said for said in statements if said[0].is_ground_truth][:1]
    if not deciding:
        last_task = max(statements, key=lambda said: (said[0].created_at, said[0].pk))[0].task_id
        deciding = [said for said in statements if said[0].task_id == last_task]
        several = len(deciding) > 1
        method = AcceptedLabel.Method.MAJORITY if several else AcceptedLabel.Method.TRUSTED_ANNOTATION
    by_answer: dict[Answer, list[Annotation]] = {}
    for annotation, answer in deciding:
        by_answer.setdefault(answer, []).append(annotation)
    # The first of equals wins, and answers are in the order of their newest statement.
    answer, agreeing = max(by_answer.items(), key=lambda said: len(said[1]))
    return _Belief(
        newest=agreeing[0],
        label=answer.label,
        evidence=frozenset(annotation.pk for annotation in agreeing),
        probability=len(agreeing) / len(deciding),
        method=method,
    )


def _parsed_schemas(ids: Collection[int]) -> dict[int, AnySchema]:
    return {pk: labeling_selectors.parsed(row) for pk, row in LabelSchema.objects.in_bulk(ids).items()}
