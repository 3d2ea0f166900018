"""What labels items should have by votes: what the annotators of the task that was asked last agree on, or a reviewer decided."""

import datetime as dt
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q

from datasets import selectors
from datasets.consensus.by_kind import merge_answers
from datasets.models import AcceptancePolicy, AcceptedLabel, ReviewDecision
from datasets.services.label_rows import Standing, Wanted
from labeling import selectors as labeling_selectors
from labeling.models import Annotation, AnnotationTask, LabelSchema, Membership
from labeling.schema import Answer, AnySchema, JSONValue, SchemaError

logger = logging.getLogger(__name__)

_Evidence = AcceptedLabel.evidence.through
_Reason = AnnotationTask.Reason
_DECIDING = (ReviewDecision.Action.DECIDE, ReviewDecision.Action.GOLD)


@dataclass(frozen=True)
class _Decision:
    """What a reviewer said last of an item."""

    id: int
    label_schema_id: int
    answer: Answer
    stored: JSONValue
    decided_at: dt.datetime


@dataclass(frozen=True)
class Votes:
    """What is said of items.

    wanted
        By item, the label it should have; those that should have none are missing.
    unsettled
        By item whose answers lie too far apart for a label: their entropy in nats.
    """

    wanted: dict[int, Wanted]
    unsettled: dict[int, float]


def votes(item_ids: Collection[int], policy: AcceptancePolicy) -> Votes:
    """Work out what is said of these items.

    A reviewer's decision that stands and is newer than all annotations that count decides (`reviewed`, as sure as the policy takes
    reviewers to be). Else the annotations do, see `_by_annotations`.
    """
    statements, schemas = _statements(item_ids)
    decisions = _decisions(item_ids)
    found = Votes({}, {})
    for item_id in statements.keys() | decisions.keys():
        said, decision = statements.get(item_id, []), decisions.get(item_id)
        if decision and all(annotation.created_at < decision.decided_at for annotation, _ in said):
            found.wanted[item_id] = _by_decision(item_id, decision, said, policy.review_accuracy)
        elif said and (label := _by_annotations(item_id, said, schemas)):
            found.wanted[item_id] = label
        elif said:
            found.unsettled[item_id] = _entropy(said)
    return found


def holds(standing: Standing, label: Wanted) -> bool:
    """Whether a label rests on the very evidence that speaks for it now, and says as much."""
    return (
        standing.evidence == label.evidence
        # A merged answer can move with one that does not support it.
        and standing.answer == label.answer
        and standing.probability == label.probability
        and standing.method == label.method
        and standing.other_evidence == label.other_evidence
    )


def _statements(item_ids: Collection[int]) -> tuple[dict[int, list[tuple[Annotation, Answer]]], dict[int, AnySchema]]:
    """By item, the annotations that count, newest first, and the schemas by id. What counts are standing ones of tasks that have all the answers they want, trusted:
    by a member with a trusted role, or accepted once before (who leaves a project does not take accepted labels along).
    Tasks that test their annotators count for nothing: the answer was known before."""
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
        .exclude(task__reason=_Reason.GOLD)
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
    return statements, schemas


def _decisions(item_ids: Collection[int]) -> dict[int, _Decision]:
    """By item, the newest decision that its reviewer did not take back since by saying something else."""
    last = (
        ReviewDecision.objects.filter(item_id__in=item_ids)
        .exclude(action=ReviewDecision.Action.OPEN)
        .order_by("item_id", "reviewer_id", "-pk")
        .distinct("item_id", "reviewer_id")
    )
    standing = sorted((each for each in last if each.action in _DECIDING), key=lambda each: each.pk)
    schemas = _parsed_schemas({each.label_schema_id for each in standing})
    found = {}
    for each in standing:
        try:
            answer = schemas[each.label_schema_id].parse_answer(each.answer)
        except SchemaError as error:
            logger.warning("decision %s says nothing: %s", each.pk, error)
        else:
            found[each.item_id] = _Decision(each.pk, each.label_schema_id, answer, each.answer, each.decided_at)
    return found


def _by_annotations(
    item_id: int, statements: Sequence[tuple[Annotation, Answer]], schemas: Mapping[int, AnySchema]
) -> Wanted | None:
    """Of statements about one item, newest first: ground truth decides alone; else those to the task that was answered last,
    merged as their kind allows. Where votes decide, what most of them say, of equally many the newest. None if they are too
    different to be merged."""
    if truth := [said for said in statements if said[0].is_ground_truth][:1]:
        return _most_frequent(item_id, truth, AcceptedLabel.Method.GROUND_TRUTH)
    last_task = max(statements, key=lambda said: (said[0].created_at, said[0].pk))[0].task_id
    deciding = [said for said in statements if said[0].task_id == last_task]
    if len(deciding) == 1:
        return _most_frequent(item_id, deciding, AcceptedLabel.Method.TRUSTED_ANNOTATION)
    used = {annotation.label_schema_id for annotation, _ in deciding}
    # Answers under several versions of the schema can be compared as a whole, but not taken apart.
    merged = merge_answers(schemas[used.pop()], [answer for _, answer in deciding]) if len(used) == 1 else None
    if merged is None:
        return _most_frequent(item_id, deciding, AcceptedLabel.Method.MAJORITY)
    if not merged.is_settled:
        return None
    supporting = [deciding[place][0] for place in sorted(merged.supporting)]
    return _wanted(item_id, supporting, merged.answer, merged.stored, merged.share, AcceptedLabel.Method.MERGED)


def _most_frequent(item_id: int, deciding: Sequence[tuple[Annotation, Answer]], method: AcceptedLabel.Method) -> Wanted:
    by_answer: dict[Answer, list[Annotation]] = {}
    for annotation, answer in deciding:
        by_answer.setdefault(answer, []).append(annotation)
    # The first of equals wins, and answers are in the order of their newest statement.
    answer, agreeing = max(by_answer.items(), key=lambda said: len(said[1]))
    return _wanted(item_id, agreeing, answer, agreeing[0].answer, len(agreeing) / len(deciding), method)


def _wanted(
    item_id: int,
    supporting: Sequence[Annotation],
    answer: Answer,
    stored: JSONValue,
    probability: float,
    method: AcceptedLabel.Method,
) -> Wanted:
    newest = supporting[0]
    return Wanted(
        item_id=item_id,
        label_schema_id=newest.label_schema_id,
        label=answer.label,
        answer=stored,
        probability=probability,
        method=method,
        evidence=frozenset(annotation.pk for annotation in supporting),
        is_audit=newest.task.is_audit,
        reason=newest.task.reason,
        propensity=newest.task.propensity,
    )


def _entropy(statements: Sequence[tuple[Annotation, Answer]]) -> float:
    """Of equal answers, as `disagreements` values its cases."""
    counts = Counter(answer for _, answer in statements).values()
    return math.log(len(statements)) - sum(n * math.log(n) for n in counts) / len(statements)


def _by_decision(
    item_id: int, decision: _Decision, statements: Sequence[tuple[Annotation, Answer]], accuracy: float
) -> Wanted:
    """The reviewer's answer, with the annotations that agree; how the item was drawn stays what it was."""
    task = statements[0][0].task if statements else None
    return Wanted(
        item_id=item_id,
        label_schema_id=decision.label_schema_id,
        label=decision.answer.label,
        answer=decision.stored,
        probability=accuracy,
        method=AcceptedLabel.Method.REVIEWED,
        evidence=frozenset(annotation.pk for annotation, answer in statements if answer == decision.answer),
        is_audit=task.is_audit if task else False,
        reason=task.reason if task else _Reason.MANUAL,
        propensity=task.propensity if task else None,
        other_evidence={"review": [decision.id]},
    )


def _parsed_schemas(ids: Collection[int]) -> dict[int, AnySchema]:
    return {pk: labeling_selectors.parsed(row) for pk, row in LabelSchema.objects.in_bulk(ids).items()}
