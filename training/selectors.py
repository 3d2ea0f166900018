"""Reads of training that its services, tasks and edges share, and that the overview shows."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from datasets.models import Snapshot, SnapshotRow
from labeling import probability
from labeling.models import Item, ModelVersion, PoolEntry, Prediction, Project
from training.charts import CurvePoint
from training.errors import ModelVersionNotFound, TrainingRunNotFound
from training.models import LearningCurvePoint, Promotion, TrainingRun

_OPEN_STATES = (PoolEntry.State.AVAILABLE, PoolEntry.State.QUEUED)

# Whether some of the newest items have no score. Predictions are made in the order of ids, so what is missing is last; to
# look for it in the whole pool would cost a pass over it. Items that the model cannot read stay without a score for good:
# after a day they are asked about no more.
_HAS_NEW_UNPREDICTED = """
SELECT EXISTS (
    SELECT 1
    FROM (SELECT id, created_at FROM labeling_item WHERE project_id = %(project)s ORDER BY id DESC LIMIT 1000) newest
    JOIN labeling_poolentry entry ON entry.item_id = newest.id
    WHERE entry.state = ANY(%(open)s) AND entry.probabilities IS NULL AND newest.created_at > %(since)s)"""
_ASKED_ABOUT = dt.timedelta(days=1)


@dataclass(frozen=True)
class HoldoutLabel:
    """The true class of an item that no built-in model is ever trained on, drawn uniformly at random."""

    item_id: int
    label: str


@dataclass(frozen=True, eq=False)
class StoredProbabilities:
    """What a model version said of some items: ids ascending, probabilities (n, C) in the order of its classes."""

    item_ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def training_run(project: Project, run_id: int) -> TrainingRun:
    """TrainingRunNotFound if the project has no such run."""
    run = training_runs(project).filter(pk=run_id).first()
    if run is None:
        raise TrainingRunNotFound(f"This project has no training run {run_id}.")
    return run


def training_runs(project: Project) -> QuerySet[TrainingRun]:
    """Newest first."""
    return TrainingRun.objects.filter(project=project).select_related("snapshot", "model_version", "created_by")


def active_run(project: Project) -> TrainingRun | None:
    active = [TrainingRun.State.PENDING, TrainingRun.State.RUNNING]
    return TrainingRun.objects.filter(project=project, state__in=active).first()


def last_run(project: Project) -> TrainingRun | None:
    """The newest run, whatever became of it."""
    return TrainingRun.objects.filter(project=project).select_related("snapshot").order_by("-id").first()


def unfinished_runs(*, pending_before: dt.datetime) -> list[int]:
    """Runs that should be going on. Those pending for a moment only are left to the message that is on its way."""
    running = TrainingRun.objects.filter(state=TrainingRun.State.RUNNING)
    waiting = TrainingRun.objects.filter(state=TrainingRun.State.PENDING, created_at__lt=pending_before)
    return list((running | waiting).order_by("id").values_list("pk", flat=True))


def model_version(project: Project, name: str) -> ModelVersion:
    """ModelVersionNotFound if the project has no version of that name."""
    version = ModelVersion.objects.filter(project=project, name=name).first()
    if version is None:
        raise ModelVersionNotFound(f"This project has no model version “{name}”.")
    return version


def promotions(project: Project) -> QuerySet[Promotion]:
    """Newest first."""
    return Promotion.objects.filter(project=project).select_related("model_version", "previous", "created_by")


def learning_curve(project: Project) -> list[CurvePoint]:
    """All points of the project, ordered by arm, source, number of labels and age."""
    points = LearningCurvePoint.objects.filter(project=project)
    fields = ("arm", "source", "seed", "label_count", "accuracy", "accuracy_low", "accuracy_high", "evaluated_on")
    return [CurvePoint(*values) for values in points.values_list(*fields)]


def holdout_now(project: Project) -> list[HoldoutLabel]:
    """The audit labels believed now."""
    labels = datasets_selectors.audit_labels(project).order_by("item_id").values_list("item_id", "label")
    return [HoldoutLabel(item_id, label) for item_id, label in labels]


def holdout_of(snapshot: Snapshot) -> list[HoldoutLabel]:
    """The audit labels frozen in a snapshot. Rows that a person picked have no propensity, and are left out."""
    labels = dict(
        SnapshotRow.objects.filter(
            snapshot=snapshot, split=SnapshotRow.Split.TEST, propensity__isnull=False
        ).values_list("item_key", "label")
    )
    items = Item.objects.filter(project_id=snapshot.project_id, key__in=list(labels)).values_list("pk", "key")
    return [HoldoutLabel(item_id, labels[key]) for item_id, key in items.order_by("pk")]


def stored_probabilities(version: ModelVersion, item_ids: Sequence[int]) -> StoredProbabilities:
    """The version's predictions of those of the items it predicted."""
    rows = list(
        Prediction.objects.filter(model_version=version, item_id__in=list(item_ids))
        .order_by("item_id")
        .values_list("item_id", "probabilities")
    )
    return StoredProbabilities(
        np.array([item_id for item_id, _ in rows], dtype=np.int64),
        probability.unpack_many([bytes(packed) for _, packed in rows], len(version.classes)),
    )


def count_unpredicted(version: ModelVersion) -> int:
    """Items that are or can be queued, and of which the version has said nothing."""
    predicted = Prediction.objects.filter(model_version=version, item_id=OuterRef("item_id"))
    return PoolEntry.objects.filter(~Exists(predicted), project_id=version.project_id, state__in=_OPEN_STATES).count()


def trained_champions_behind(*, now: dt.datetime) -> list[ModelVersion]:
    """Champions whose model is with us, in projects with items that came after their last predictions."""
    champions = ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION).exclude(artifact="")
    since = now - _ASKED_ABOUT
    return [version for version in champions.select_related("project") if _has_new_unpredicted(version, since)]


def _has_new_unpredicted(version: ModelVersion, since: dt.datetime) -> bool:
    open_states = [int(state) for state in _OPEN_STATES]
    with connection.cursor() as cursor:
        cursor.execute(_HAS_NEW_UNPREDICTED, {"project": version.project_id, "open": open_states, "since": since})
        row = cursor.fetchone()
    return bool(row and row[0])
