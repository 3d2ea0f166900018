"""What labels items should have by the label model: those whose belief is to be accepted, and what each rests on."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from datasets import selectors
from datasets.consensus.acceptance import Action
from datasets.consensus.evidence import Kind
from datasets.models import AcceptedLabel
from datasets.services.beliefs import SMALLEST_CHANGE, Setting, Worked
from datasets.services.evidence import Origin
from datasets.services.label_rows import Standing, Wanted
from labeling.models import Annotation, AnnotationTask, Ask, Correction, Feedback

_Method, _Reason = AcceptedLabel.Method, AnnotationTask.Reason


@dataclass
class _Rows:
    """What speaks of one item, by table, and whether a reviewer says what is believed."""

    ids: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    is_reviewed: bool = False


@dataclass(frozen=True)
class _Draw:
    """How an item came to be asked."""

    reason: str
    propensity: float | None = None
    is_audit: bool = False


def wanted(setting: Setting, worked: Worked) -> dict[int, Wanted]:
    """By item, the label it should have; those that are not to be accepted are missing."""
    decisions, gathered = worked.decisions, worked.gathered
    accepted = np.flatnonzero(decisions.action == Action.ACCEPT)
    rows = _rows(worked)
    draws = _draws({int(gathered.item_ids[place]): rows[place] for place in accepted.tolist()})
    found = {}
    for place in accepted.tolist():
        item_id = int(gathered.item_ids[place])
        label = gathered.classes[decisions.label[place]]
        is_gold = decisions.reason[place] == "gold"
        ids = rows[place].ids
        draw = draws[item_id]
        found[item_id] = Wanted(
            item_id=item_id,
            label_schema_id=setting.label_schema.pk,
            label=label,
            answer={"choice": label},
            probability=min(1.0, float(decisions.probability[place])),
            method=_Method.GROUND_TRUTH if is_gold else _method(rows[place]),
            evidence=frozenset(ids.get(Origin.ANNOTATION, ())),
            is_audit=draw.is_audit,
            reason=draw.reason,
            propensity=draw.propensity,
            other_evidence={kind: sorted(each) for kind, each in sorted(ids.items()) if kind != Origin.ANNOTATION},
            run_id=None if is_gold else worked.run.pk,
        )
    return found


def holds(standing: Standing, label: Wanted) -> bool:
    """Whether a label says what is believed, about as surely: no new row for every answer that moves a posterior by a hair."""
    is_as_sure = abs(standing.probability - label.probability) < SMALLEST_CHANGE
    return standing.label == label.label and standing.method == label.method and is_as_sure


def _method(rows: _Rows) -> AcceptedLabel.Method:
    return _Method.REVIEWED if rows.is_reviewed else _Method.LABEL_MODEL


def _rows(worked: Worked) -> Mapping[int, _Rows]:
    """By position of the item, the rows that count."""
    gathered, said = worked.gathered, worked.gathered.evidence
    found: dict[int, _Rows] = defaultdict(_Rows)
    counts = np.flatnonzero(said.weight > 0)
    agrees = (said.kind == Kind.REVIEW) & (said.answer == worked.decisions.label[said.item])
    columns = (said.item[counts], gathered.origin[counts], gathered.row_id[counts], agrees[counts])
    for place, origin, row_id, is_reviewed in zip(*(column.tolist() for column in columns), strict=True):
        found[place].ids[origin].append(row_id)
        found[place].is_reviewed |= is_reviewed
    return found


def _draws(rows_of: Mapping[int, _Rows]) -> dict[int, _Draw]:
    """By item, how it came to be asked: as its first task was drawn, whatever was asked afterwards to be surer of it.

    Tests of annotators are no draws, unless there is nothing else. What only respondents said something of is `asked`, with the
    chance of the ask if it was a single one. What only a reviewer or gold tells was picked by a person.
    """
    annotation_ids = [pk for rows in rows_of.values() for pk in rows.ids.get(Origin.ANNOTATION, ())]
    tasks = Annotation.objects.filter(pk__in=annotation_ids).order_by("item_id", "task_id")
    found: dict[int, _Draw] = {}
    for item_id, reason, propensity, is_audit in tasks.values_list(
        "item_id", "task__reason", "task__propensity", "task__is_audit"
    ):
        if item_id not in found or (found[item_id].reason == _Reason.GOLD and reason != _Reason.GOLD):
            found[item_id] = _Draw(reason, propensity, is_audit)
    left = {item_id: rows for item_id, rows in rows_of.items() if item_id not in found}
    propensity_of = _propensities(left)
    for item_id, rows in left.items():
        if rows.ids.keys() & {Origin.CORRECTION, Origin.FEEDBACK}:
            found[item_id] = _Draw(selectors.ASKED, propensity_of.get(item_id))
        else:
            found[item_id] = _Draw(_Reason.MANUAL if Origin.REVIEW in rows.ids else _Reason.GOLD)
    return found


def _propensities(rows_of: Mapping[int, _Rows]) -> dict[int, float]:
    """The chance of the ask that all of an item's evidence came from; items with several, or with other evidence, are missing."""
    asks: dict[int, set[int | None]] = defaultdict(set)
    for origin, model in ((Origin.CORRECTION, Correction), (Origin.FEEDBACK, Feedback)):
        ids = [pk for rows in rows_of.values() for pk in rows.ids.get(origin, ())]
        for item_id, ask_id in model.objects.filter(pk__in=ids).values_list("item_id", "ask_id"):
            asks[item_id].add(ask_id)
    single = {item_id: next(iter(ids)) for item_id, ids in asks.items() if len(ids) == 1}
    chances = dict(Ask.objects.filter(pk__in=[pk for pk in single.values() if pk]).values_list("pk", "propensity"))
    return {item_id: chances[pk] for item_id, pk in single.items() if pk in chances}
