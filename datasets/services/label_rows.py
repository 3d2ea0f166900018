"""Accepted labels as rows: what stands is superseded where it no longer holds, and what follows is a new row."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from django.db import connection

from datasets.models import AcceptedLabel, NextChange
from labeling.schema import JSONValue
from labeling.services import copying

_Evidence = AcceptedLabel.evidence.through
OtherEvidence = Mapping[str, Sequence[int]]
"""Ids of what is no annotation, by the kind of evidence: correction, feedback, review, gold."""


@dataclass(frozen=True)
class Wanted:
    """The label that an item should have now, and what it rests on; see AcceptedLabel for the meaning of each field."""

    item_id: int
    label_schema_id: int
    label: str
    answer: JSONValue
    probability: float
    method: AcceptedLabel.Method
    evidence: frozenset[int]
    is_audit: bool
    reason: str
    propensity: float | None
    other_evidence: OtherEvidence = field(default_factory=lambda: MappingProxyType({}))
    run_id: int | None = None


@dataclass(frozen=True)
class Standing:
    """The label that an item has."""

    evidence: frozenset[int]
    id: int
    label: str
    probability: float
    method: str
    other_evidence: OtherEvidence
    answer: JSONValue


def bring_up_to_date(
    project_id: int,
    item_ids: Collection[int],
    wanted: Mapping[int, Wanted],
    *,
    holds: Callable[[Standing, Wanted], bool],
    now: dt.datetime,
) -> int:
    """Supersede and create labels of these items, all of the project, so that each has the one that is wanted, or none.

    `holds` says that a label may stand although it does not equal the wanted one in everything. Returns how many items changed. The caller
    holds the transaction and the lock of acceptance.
    """
    standing = _standing(item_ids)

    def stands(item_id: int) -> bool:
        return item_id in wanted and item_id in standing and holds(standing[item_id], wanted[item_id])

    outdated = {item_id: label.id for item_id, label in standing.items() if not stands(item_id)}
    fresh = {item_id: wanted[item_id] for item_id in sorted(wanted) if not stands(item_id)}
    AcceptedLabel.objects.filter(pk__in=outdated.values()).update(superseded_at=now, change=NextChange())
    _record(project_id, fresh.values(), now)
    return len(outdated.keys() | fresh.keys())


def _standing(item_ids: Collection[int]) -> dict[int, Standing]:
    current = AcceptedLabel.objects.filter(item_id__in=item_ids, superseded_at__isnull=True)
    resting_on: dict[int, set[int]] = defaultdict(set)
    rows = {}
    for item_id, annotation_id, *columns in current.values_list(
        "item_id", "evidence", "pk", "label", "probability", "method", "other_evidence", "answer"
    ):
        rows[item_id] = columns
        if annotation_id is not None:
            resting_on[item_id].add(annotation_id)
    return {item_id: Standing(frozenset(resting_on[item_id]), *columns) for item_id, columns in rows.items()}


def _record(project_id: int, wanted: Collection[Wanted], now: dt.datetime) -> None:
    labels = [
        AcceptedLabel(
            project_id=project_id,
            item_id=each.item_id,
            label_schema_id=each.label_schema_id,
            label=each.label,
            answer=each.answer,
            change=change,
            probability=each.probability,
            method=each.method,
            other_evidence={kind: list(ids) for kind, ids in each.other_evidence.items()},
            run_id=each.run_id,
            is_audit=each.is_audit,
            reason=each.reason,
            propensity=each.propensity,
            accepted_at=now,
        )
        for each, change in zip(wanted, _next_changes(len(wanted)), strict=True)
    ]
    copying.draw_ids(labels)
    copying.insert(labels)
    evidence = [
        _Evidence(acceptedlabel_id=label.pk, annotation_id=annotation_id)
        for label, each in zip(labels, wanted, strict=True)
        for annotation_id in sorted(each.evidence)
    ]
    copying.draw_ids(evidence)
    copying.insert(evidence)


def _next_changes(count: int) -> list[int]:
    """See `NextChange`; drawn beforehand, since a COPY takes values only."""
    if not count:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('datasets_label_change') FROM generate_series(1, %s)", [count])
        return [number for (number,) in cursor.fetchall()]
