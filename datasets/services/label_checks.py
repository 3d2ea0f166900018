"""Cross-validations over the labels of a project: which labels take part, when one is due, what it said.

The models are trained by the app above, see training/services/label_checks.py. See docs/algorithms/review.md.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from datasets import selectors
from datasets.models import AcceptedLabel, BeliefRun, HeldOutPrediction, LabelCheck, Snapshot
from labeling import selectors as facts
from labeling.models import Project
from labeling.probability import STORED_DTYPE, unpack
from labeling.schema import SingleChoice
from labeling.splitting import AUDIT_RESERVE_END

MOST_CHECKED: Final = 20_000
"""So many labels, the newest, take part."""
LEAST_CHANGED: Final = 20
CHANGED_SHARE: Final = 0.05
"""A check is due again when so many labels have changed, and at least this share of them."""
_UNFINISHED: Final = "Cross-validation is at work, or was broken off."


@dataclass(frozen=True, eq=False)
class Checkable:
    """The labels that take part, by id. `labels`: shape (n,), places in `classes`. `is_trainable`: not of the audit reserve."""

    classes: tuple[str, ...]
    label_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    payloads: Sequence[Mapping[str, object]]
    is_trainable: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HeldOutOpinions:
    """What the newest check says of labels that still stand, by the label's id; columns in the order of `classes`."""

    trainer: str
    classes: tuple[str, ...]
    by_label: dict[int, NDArray[np.float32]]


def last_check(project: Project) -> LabelCheck | None:
    return LabelCheck.objects.filter(project=project).order_by("-pk").first()


def is_checkable(project: Project) -> bool:
    """Whether an answer is one class: only then can a label be compared with class probabilities."""
    return isinstance(facts.parsed_schema(project), SingleChoice)


def is_due(project: Project) -> bool:
    """Whether a snapshot was made or the label model fitted since the last check, and enough labels have changed since."""
    if not is_checkable(project):
        return False
    last = last_check(project)
    since = dt.datetime.min.replace(tzinfo=dt.UTC) if last is None else last.started_at
    has_news = (
        Snapshot.objects.filter(project=project, created_at__gt=since).exists()
        or BeliefRun.objects.filter(project=project, finished_at__gt=since).exists()
    )
    if not has_news:
        return False
    least = LEAST_CHANGED if last is None else max(LEAST_CHANGED, int(CHANGED_SHARE * last.label_count))
    changed = AcceptedLabel.objects.filter(project=project, change__gt=0 if last is None else last.last_change)
    return changed.order_by()[:least].count() >= least


def checkable(project: Project) -> Checkable:
    """The newest labels of today's classes, in the order of their ids."""
    schema = facts.parsed_schema(project)
    place = schema.index_by_key if isinstance(schema, SingleChoice) else {}
    rows = (
        selectors.current_labels(project)
        .filter(label__in=list(place))
        .order_by("-pk")
        .values_list("pk", "label", "item__payload", "item__bucket")[:MOST_CHECKED]
    )
    found = sorted(rows, key=lambda row: row[0])
    return Checkable(
        classes=tuple(place),
        label_ids=np.array([pk for pk, *_ in found], dtype=np.int64),
        labels=np.array([place[label] for _, label, *_ in found], dtype=np.int64),
        payloads=[payload for *_, payload, _ in found],
        is_trainable=np.array([bucket >= AUDIT_RESERVE_END for *_, bucket in found], dtype=np.bool_),
    )


def begin(project: Project, *, now: dt.datetime) -> LabelCheck:
    """Note that a check begins, before anything of it can fail or be killed: else it would be due again at once, for ever.

    What the check before said stands until `record`. What changes from now on is for the next check.
    """
    newest = AcceptedLabel.objects.filter(project=project).order_by("-change").values_list("change", flat=True).first()
    return LabelCheck.objects.create(
        project=project, last_change=newest or 0, message=_UNFINISHED, started_at=now, finished_at=now
    )


def fail(project: Project, reason: str, *, now: dt.datetime) -> None:
    """Tell why the newest check came to nothing, unless it has said something already."""
    last = last_check(project)
    if last is not None:
        LabelCheck.objects.filter(pk=last.pk, message=_UNFINISHED).update(message=reason, finished_at=now)


@transaction.atomic
def record(
    check: LabelCheck,
    of: Checkable,
    *,
    finished_at: dt.datetime,
    trainer: str = "",
    folds: int = 0,
    seed: int = 0,
    rows: NDArray[np.int64] | None = None,
    probabilities: NDArray[np.float64] | None = None,
    unreadable: int = 0,
    message: str = "",
) -> LabelCheck:
    """Store what a check said in place of what the one before said; `rows` are places in `of`, `probabilities` theirs.

    Without rows the check came to nothing, for the reason in `message`. Labels that are gone by now are left out. Locks the
    project.
    """
    Project.objects.select_for_update(no_key=True).get(pk=check.project_id)
    judged = np.zeros(0, dtype=np.int64) if rows is None else rows
    said = np.zeros((0, len(of.classes))) if probabilities is None else probabilities
    own = of.labels[judged]
    check.trainer, check.folds, check.seed = trainer, folds, seed
    check.classes = list(of.classes)
    check.label_count, check.unreadable_count = len(judged), unreadable
    check.agreement = float((said.argmax(axis=1) == own).mean()) if len(judged) else None
    check.message, check.finished_at = message, finished_at
    check.save()
    HeldOutPrediction.objects.filter(run__project=check.project_id).exclude(run=check).delete()
    ids = of.label_ids[judged].tolist()
    there = set(AcceptedLabel.objects.filter(pk__in=ids).values_list("pk", flat=True))
    packed = said.astype(STORED_DTYPE)
    HeldOutPrediction.objects.bulk_create(
        [
            HeldOutPrediction(accepted_label_id=pk, run=check, probabilities=row.tobytes())
            for pk, row in zip(ids, packed, strict=True)
            if pk in there
        ],
        batch_size=5_000,
    )
    return check


def opinions(project: Project) -> HeldOutOpinions | None:
    """What the newest check said that predicted labels, None without one. One that was broken off leaves it as it is."""
    check = LabelCheck.objects.filter(project=project, label_count__gt=0).order_by("-pk").first()
    if check is None:
        return None
    rows = HeldOutPrediction.objects.filter(run=check, accepted_label__superseded_at__isnull=True)
    width = len(check.classes)
    return HeldOutOpinions(
        trainer=check.trainer,
        classes=tuple(check.classes),
        by_label={pk: unpack(bytes(packed), width) for pk, packed in rows.values_list("pk", "probabilities")},
    )
