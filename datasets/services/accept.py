"""From evidence to accepted labels. For now one annotation by a trusted role is enough, and its posterior is 1."""

import datetime as dt
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from datasets import selectors
from datasets.models import AcceptedLabel, PendingEvidence
from labeling import news
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind, hold_until_commit
from labeling.models import Annotation, LabelSchema, Membership
from labeling.schema import AnySchema, SchemaError

logger = logging.getLogger(__name__)

_EVENTS_PER_TRANSACTION = 1000
_Evidence = AcceptedLabel.evidence.through


def accept_pending(project_id: int, *, now: dt.datetime) -> int:
    """Make the accepted labels of the project say what its annotations say; return how many items changed.

    Afterwards every item with pending evidence has a current label if and only if somebody trusted stated its class
    and did not withdraw that; the newest such statement counts. A label that no longer holds is superseded, and a new
    row follows; no row is edited otherwise.

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
class _Statement:
    """What an annotation says of its item."""

    annotation: Annotation
    label: str


def _bring_up_to_date(project_id: int, item_ids: Collection[int], now: dt.datetime) -> int:
    """Supersede and create labels of these items, all of the project. Return how many items changed."""
    newest = _newest_statements(item_ids)
    current = AcceptedLabel.objects.filter(item_id__in=item_ids, superseded_at__isnull=True)
    resting_on: dict[int, int | None] = {}
    outdated: dict[int, int] = {}
    for label_id, item_id, annotation_id in current.values_list("pk", "item_id", "evidence"):
        resting_on[item_id] = annotation_id
        if item_id not in newest or newest[item_id].annotation.pk != annotation_id:
            outdated[item_id] = label_id
    fresh = {item_id: said for item_id, said in newest.items() if resting_on.get(item_id) != said.annotation.pk}
    AcceptedLabel.objects.filter(pk__in=outdated.values()).update(superseded_at=now)
    _record(project_id, fresh.values(), now)
    return len(outdated.keys() | fresh.keys())


def _record(project_id: int, statements: Iterable[_Statement], now: dt.datetime) -> None:
    labels = AcceptedLabel.objects.bulk_create(
        AcceptedLabel(
            project_id=project_id,
            item_id=said.annotation.item_id,
            label_schema_id=said.annotation.label_schema_id,
            label=said.label,
            probability=1.0,
            method=AcceptedLabel.Method.TRUSTED_ANNOTATION,
            is_audit=said.annotation.task.is_audit,
            reason=said.annotation.task.reason,
            propensity=said.annotation.task.propensity,
            accepted_at=now,
        )
        for said in statements
    )
    _Evidence.objects.bulk_create(
        _Evidence(acceptedlabel_id=label.pk, annotation_id=said.annotation.pk)
        for label, said in zip(labels, statements, strict=True)
    )


def _newest_statements(item_ids: Collection[int]) -> dict[int, _Statement]:
    """By item, the newest annotation that is not withdrawn and is trusted: by a member with a trusted role, or
    accepted once before (who leaves a project does not take accepted labels along)."""
    trusted = Membership.objects.filter(
        project_id=OuterRef("item__project_id"),
        user_id=OuterRef("annotator_id"),
        role__in=selectors.TRUSTED_ROLES,
    )
    accepted_before = _Evidence.objects.filter(annotation_id=OuterRef("pk"))
    annotations = list(
        Annotation.objects.filter(item_id__in=item_ids, withdrawn_at__isnull=True)
        .filter(Q(Exists(trusted)) | Q(Exists(accepted_before)))
        .select_related("task")
        .order_by("item_id", "-id")
    )
    schemas = _parsed_schemas({annotation.label_schema_id for annotation in annotations})
    newest: dict[int, _Statement] = {}
    for annotation in annotations:
        if annotation.item_id in newest:
            continue
        try:
            answer = schemas[annotation.label_schema_id].parse_answer(annotation.answer)
        except SchemaError as error:
            # Only a hand in the database can have left it. One such row must not hold up all others.
            logger.warning("annotation %s says nothing: %s", annotation.pk, error)
        else:
            newest[annotation.item_id] = _Statement(annotation, answer.label)
    return newest


def _parsed_schemas(ids: Collection[int]) -> dict[int, AnySchema]:
    return {pk: labeling_selectors.parsed(row) for pk, row in LabelSchema.objects.in_bulk(ids).items()}
