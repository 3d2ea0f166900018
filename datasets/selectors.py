"""Reads of beliefs and datasets that the services, edges and the apps above share."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Avg,
    Count,
    DateTimeField,
    Exists,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    TextField,
    Value,
    Variance,
)
from django.db.models.fields.json import KeyTransform
from numpy.typing import NDArray

from datasets.errors import SnapshotNotFound
from datasets.estimation.moments import Moments
from datasets.formats.row import DatasetRow, value_of
from datasets.models import AcceptedLabel, PendingEvidence, PendingItem, Snapshot, SnapshotRow
from labeling.models import AnnotationTask, Item, Membership, ModelVersion, PoolEntry, Prediction, Project
from labeling.schema import JSONValue
from labeling.splitting import AUDIT_RESERVE_END, Split

TRUSTED_ROLES = (
    Membership.Role.OWNER,
    Membership.Role.MANAGER,
    Membership.Role.REVIEWER,
    Membership.Role.ANNOTATOR,
)
"""Whose single annotation is accepted as the truth: for now that of every member, whatever the role."""

ASKED = "asked"
"""The reason of labels that rest on what respondents said alone."""

_ROWS_PER_READ = 250
"""Payloads may have up to a megabyte each, and a read is held in memory."""
_CHANGES_PER_READ = 5_000


@dataclass(frozen=True)
class Outcomes:
    """How often a model's predicted class was the accepted label."""

    n: int
    correct: int


@dataclass(frozen=True, eq=False)
class AuditOutcomes:
    """What a model said of the audit reserve, by cohort: the items that arrived between two refills that drew audit labels.

    is_right, confidence, cohort
        Shape (n,), one for each audit label of an item it predicted: 1 or 0, what it gave its answer, and the cohort by its
        place in order of arrival.
    others
        For each cohort the model's confidence in those of its items that have no label. Items of the reserve that a person
        picked, or that came with a label, are in neither.
    """

    is_right: NDArray[np.float64]
    confidence: NDArray[np.float64]
    cohort: NDArray[np.int64]
    others: Sequence[Moments]

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Audit labels of each cohort."""
        return np.bincount(self.cohort, minlength=len(self.others))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Items of each cohort, labelled or not."""
        sizes: NDArray[np.int64] = self.labelled + np.array([each.count for each in self.others])
        return sizes


@dataclass(frozen=True)
class Funnel:
    """How far the items of a project have come."""

    items: int
    predicted: int
    queued: int
    answered: int
    accepted: int
    in_last_snapshot: int


def acceptable_evidence() -> QuerySet[PendingEvidence]:
    """Pending evidence that may change a belief now: withdrawals, and statements of people with a trusted role.

    What a person stated who left before it was accepted stays pending, until they are a member again.
    """
    trusted = Membership.objects.filter(
        project_id=OuterRef("project_id"), user_id=OuterRef("annotation__annotator_id"), role__in=TRUSTED_ROLES
    )
    return PendingEvidence.objects.filter(Q(annotation__withdrawn_at__isnull=False) | Exists(trusted))


def projects_with_acceptable_evidence() -> list[int]:
    return list(acceptable_evidence().order_by("project_id").values_list("project_id", flat=True).distinct())


def projects_with_labels() -> list[Project]:
    """Projects with at least one current label."""
    labels = AcceptedLabel.objects.filter(project=OuterRef("pk"), superseded_at__isnull=True)
    return list(Project.objects.filter(Exists(labels)).order_by("pk"))


def projects_with_anything_pending() -> list[int]:
    """Where a belief may change now, by what annotators, respondents or reviewers said."""
    return sorted({*projects_with_acceptable_evidence(), *_projects_of(PendingItem.objects.all())})


def _projects_of(pending: QuerySet[PendingItem]) -> list[int]:
    return list(pending.order_by("project_id").values_list("project_id", flat=True).distinct())


def current_labels(project: Project) -> QuerySet[AcceptedLabel]:
    """What is believed now: at most one label an item."""
    return AcceptedLabel.objects.filter(project=project, superseded_at__isnull=True)


def with_evidence_ids(labels: QuerySet[AcceptedLabel]) -> QuerySet[AcceptedLabel]:
    """Add `evidence_ids`, the ids of the annotations each label rests on, without a query per label."""
    evidence = AcceptedLabel.evidence.through.objects.filter(acceptedlabel_id=OuterRef("pk")).order_by("annotation_id")
    return labels.annotate(evidence_ids=ArraySubquery(evidence.values("annotation_id")))


def audit_labels(project: Project) -> QuerySet[AcceptedLabel]:
    """Current labels of the audit reserve: of the items that arrived together a simple random sample, whatever was asked why.

    Items that a person picked, that came with their labels, that test annotators or that only respondents spoke of are left out, for
    none of these is picked at random; one that is asked again stays what it was.
    """
    reasons = AnnotationTask.Reason
    reserve = current_labels(project).filter(item__bucket__lt=AUDIT_RESERVE_END)
    return reserve.exclude(reason__in=[reasons.MANUAL, reasons.IMPORTED, reasons.GOLD, ASKED]).exclude(
        reason=reasons.RELABEL, is_audit=False
    )


def actively_chosen_labels(project: Project) -> QuerySet[AcceptedLabel]:
    """Current labels of items that were asked because the model was unsure of them."""
    return current_labels(project).filter(reason=AnnotationTask.Reason.UNCERTAIN)


def audit_outcomes(project: Project, model_version: ModelVersion) -> AuditOutcomes:
    """Outcomes of the model on the audit labels it predicted, and how many items of the reserve each cohort has.

    An item that arrived earlier had more audit draws in which to be chosen, so `is_right` has no mean that is worth anything:
    weigh the cohorts, see `datasets.estimation.post_stratified`. Three statements, however many items there are.
    """
    begun = AnnotationTask.objects.filter(
        project=project, state=AnnotationTask.State.ANSWERED, is_audit=True, batch__isnull=False
    )
    draws = list(begun.order_by("created_at").values_list("created_at", flat=True).distinct())
    cohort = Func(
        F("item__created_at"),
        Value(draws, output_field=ArrayField(DateTimeField())),
        function="width_bucket",
        output_field=IntegerField(),
    )
    labels = audit_labels(project).exclude(label="").filter(item__predictions__model_version=model_version)
    fields = ("label", "item__predictions__predicted_class", "item__predictions__confidence", "cohort")
    rows = list(labels.annotate(cohort=cohort).values_list(*fields))
    known = AcceptedLabel.objects.filter(item_id=OuterRef("item_id"), superseded_at__isnull=True)
    unlabelled = (
        Prediction.objects.filter(model_version=model_version, item__bucket__lt=AUDIT_RESERVE_END)
        .exclude(Exists(known))
        .annotate(cohort=cohort)
        .values("cohort")
        .annotate(count=Count("pk"), mean=Avg("confidence"), variance=Variance("confidence"))
        .order_by()
    )
    others = [Moments(0)] * (len(draws) + 1)
    for row in unlabelled:
        others[row["cohort"]] = Moments(row["count"], row["mean"], row["variance"])
    return AuditOutcomes(
        is_right=np.array([label == said for label, said, *_ in rows], dtype=np.float64),
        confidence=np.array([confidence for _, _, confidence, _ in rows], dtype=np.float64),
        cohort=np.array([number for *_, number in rows], dtype=np.int64),
        others=others,
    )


def naive_outcomes(project: Project, model_version: ModelVersion) -> Outcomes:
    """Outcomes on the actively chosen labels, for contrast: these are the hard items, so correct / n is too low."""
    # Where an answer is not one class, a model cannot be right or wrong by comparison.
    counts = (
        actively_chosen_labels(project)
        .exclude(label="")
        .annotate(
            said=FilteredRelation("item__predictions", condition=Q(item__predictions__model_version=model_version))
        )
        .aggregate(n=Count("said"), correct=Count("said", filter=Q(said__predicted_class=F("label"))))
    )
    return Outcomes(counts["n"], counts["correct"])


def class_counts(project: Project) -> dict[str, int]:
    """Number of current labels by class, the most frequent first; classes without any are missing.

    A label of several classes counts for each of them; one that names none, such as a text, for none.
    """
    labels = current_labels(project)
    counts = Counter(dict(labels.exclude(label="").values_list("label").annotate(count=Count("pk")).order_by()))
    each = Func(KeyTransform("choices", "answer"), function="jsonb_array_elements_text", output_field=TextField())
    several = labels.filter(label="", answer__has_key="choices").annotate(choice=each)
    counts.update(dict(several.values_list("choice").annotate(count=Count("pk")).order_by()))
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0])))


def funnel(project: Project) -> Funnel:
    by_state = (
        PoolEntry.objects.filter(project=project)
        .values("state")
        .annotate(count=Count("pk"), scored=Count("scored_at"))
        .order_by()
    )
    counts = {row["state"]: row["count"] for row in by_state}
    last = Snapshot.objects.filter(project=project).order_by("-number").first()
    return Funnel(
        items=sum(counts.values()),
        predicted=sum(row["scored"] for row in by_state),
        queued=counts.get(PoolEntry.State.QUEUED, 0),
        answered=counts.get(PoolEntry.State.ANSWERED, 0),
        accepted=current_labels(project).count(),
        in_last_snapshot=last.row_count if last else 0,
    )


def snapshot(project: Project, number: int) -> Snapshot:
    """The project's snapshot of that number; SnapshotNotFound if there is none."""
    found = Snapshot.objects.filter(project=project, number=number).select_related("label_schema").first()
    if found is None:
        raise SnapshotNotFound(f"This project has no snapshot {number}.")
    return found


def snapshot_rows(of: Snapshot, *, splits: Collection[Split] | None = None) -> Iterator[DatasetRow]:
    """The rows of a snapshot in canonical order, all or those of some splits.

    Reads them piece by piece, each with its own short query: a slow consumer holds neither much memory nor a
    transaction, and the rows of a ready snapshot cannot change in between.
    """
    rows = SnapshotRow.objects.filter(snapshot=of).order_by("position")
    if splits is not None:
        rows = rows.filter(split__in=splits)
    fields = (
        "item_key", "label", "probability", "split", "propensity", "is_audit", "payload", "segments", "answer", "position",
    )  # fmt: skip
    position = -1
    while piece := list(rows.filter(position__gt=position).values_list(*fields)[:_ROWS_PER_READ]):
        for *values, answer, _ in piece:
            values.append(None if answer is None else value_of(answer))
            yield DatasetRow(*values)
        position = piece[-1][-1]


# -- changes of labels ---------------------------------------------------------------------------------------------


class LabelChange(NamedTuple):
    """A label as it stands now, at its last change: when it was accepted, or when it was superseded or withdrawn."""

    change: int
    id: int
    item_key: str
    label: str
    answer: JSONValue
    probability: float
    method: str
    is_audit: bool
    reason: str
    propensity: float | None
    accepted_at: dt.datetime
    superseded_at: dt.datetime | None
    payload: JSONValue = None
    segments: JSONValue = None


def label_changes(project: Project, *, since: int, with_payloads: bool) -> Iterator[LabelChange]:
    """Every label that was accepted or superseded after the change `since`, in the order of the changes.

    A change becomes visible after all that have a smaller number in the project. Reads piece by piece, as `snapshot_rows`:
    what changes meanwhile comes at the end.
    """
    fields = [
        "change", "pk", "item__key", "label", "answer", "probability", "method", "is_audit", "reason", "propensity",
        "accepted_at", "superseded_at", *(["item__payload", "item__segments"] if with_payloads else []),
    ]  # fmt: skip
    size = _ROWS_PER_READ if with_payloads else _CHANGES_PER_READ
    changes = AcceptedLabel.objects.filter(project=project).order_by("change").values_list(*fields)
    while piece := list(changes.filter(change__gt=since)[:size]):
        for row in piece:
            yield LabelChange(*row)
        since = piece[-1][0]


# -- items with all that is known of them --------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemFilters:
    """Which items to list; None does not filter."""

    state: PoolEntry.State | None = None
    key_prefix: str | None = None
    predicted_class: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None
    label: str | None = None
    is_audit: bool | None = None


@dataclass(frozen=True)
class KnownItem:
    """An item with the champion's prediction, its newest open or answered task, and its accepted label."""

    item: Item
    prediction: Prediction | None
    task: AnnotationTask | None
    accepted_label: AcceptedLabel | None


def filtered_items(project: Project, champion: ModelVersion | None, filters: ItemFilters) -> QuerySet[Item]:
    """The project's items with their pool entries. `is_audit` means the audit reserve, confidence the champion's."""
    items = Item.objects.filter(project=project).select_related("pool_entry").defer("pool_entry__probabilities")
    if filters.state is not None:
        items = items.filter(pool_entry__state=filters.state)
    if filters.key_prefix is not None:
        items = items.filter(key__startswith=filters.key_prefix)
    if filters.is_audit is not None:
        reserve = Q(bucket__lt=AUDIT_RESERVE_END)
        items = items.filter(reserve if filters.is_audit else ~reserve)
    if filters.label is not None:
        items = items.filter(accepted_labels__label=filters.label, accepted_labels__superseded_at__isnull=True)
    of_prediction = {
        "predicted_class": filters.predicted_class,
        "confidence__gte": filters.min_confidence,
        "confidence__lte": filters.max_confidence,
    }
    asked = {f"predictions__{lookup}": value for lookup, value in of_prediction.items() if value is not None}
    return items.filter(predictions__model_version=champion, **asked) if asked else items


def known_items(items: Sequence[Item], champion: ModelVersion | None) -> list[KnownItem]:
    """Everything else about a page of items, in three queries however many they are."""
    ids = [item.pk for item in items]
    predictions = Prediction.objects.filter(item__in=ids, model_version=champion)
    tasks = AnnotationTask.objects.filter(item__in=ids).exclude(state=AnnotationTask.State.WITHDRAWN)
    labels = AcceptedLabel.objects.filter(item__in=ids, superseded_at__isnull=True).select_related("label_schema")
    prediction_of = {prediction.item_id: prediction for prediction in predictions}
    task_of = {task.item_id: task for task in tasks.order_by("item_id", "-pk").distinct("item_id")}
    label_of = {label.item_id: label for label in labels.defer("label_schema__definition")}
    return [KnownItem(item, prediction_of.get(item.pk), task_of.get(item.pk), label_of.get(item.pk)) for item in items]
