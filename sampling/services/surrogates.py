"""Surrogates: committees trained from the accepted labels where no model of the app scores the pool."""

import datetime as dt
import math
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
from django.db.models import Max
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from datasets.models import AcceptedLabel
from labeling import locks
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind
from labeling.models import EmbeddingSpace, Project
from labeling.splitting import AUDIT_RESERVE_END
from sampling import selectors, surrogate
from sampling.models import Surrogate
from sampling.services import artifacts, features, policies
from sampling.surrogate import FittedCommittee

LEAST_GROWTH: Final = 0.05
"""So much more labels than last time make a new training worth it."""
GOES_ON_FROM: Final = 2_000
"""With fewer labels, training anew is as quick as going on."""
GOES_ON_UNTIL: Final = 1.5
"""Trained anew once there are so many times the labels of the last full training."""
_MOST_LABELS: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Current labels of items that have a vector; `change` says when each became so."""

    vectors: NDArray[np.float16]
    labels: list[str]
    changes: NDArray[np.int64]
    in_reserve: NDArray[np.bool_]


def load(row: Surrogate) -> FittedCommittee:
    """The committee itself; ValueError if its artifact is gone or damaged."""
    return surrogate.loads(artifacts.read(row.artifact))


def is_due(project: Project) -> bool:
    """Whether a surrogate is wanted, and the one that scores is lost or the labels changed enough since the last one."""
    policy = policies.current_policy(project)
    space = features.current_space(project)
    if space is None or not selectors.wants_surrogate(project, policy):
        return False
    if _lost(project, space) is not None:
        return True
    last = Surrogate.objects.filter(project=project, space=space).order_by("-number").first()
    newest = AcceptedLabel.objects.filter(project=project).aggregate(newest=Max("change"))["newest"]
    if newest is None or (last and last.change == newest):
        return False
    if last is None:
        return True
    new = AcceptedLabel.objects.filter(project=project, change__gt=last.change).order_by()
    enough = max(1, math.ceil(last.label_count * LEAST_GROWTH))
    return new[:enough].count() >= enough


@dataclass(frozen=True, slots=True)
class Status:
    """What a project's surrogate is like now.

    labels_behind
        Labels that changed since the current one was trained.
    """

    is_wanted: bool
    current: Surrogate | None
    last_failure: Surrogate | None
    labels_behind: int


def status(project: Project) -> Status:
    """Whether a surrogate is wanted, which one scores, and how far behind it is."""
    is_wanted = selectors.wants_surrogate(project, policies.current_policy(project))
    newest = Surrogate.objects.filter(project=project).order_by("-number").first()
    if newest is None:
        return Status(is_wanted, current=None, last_failure=None, labels_behind=0)
    current = selectors.newest_surrogate(project, features.current_space(project))
    changes = AcceptedLabel.objects.filter(project=project, change__gt=current.change if current else 0)
    return Status(
        is_wanted=is_wanted,
        current=current,
        last_failure=newest if newest and newest.state == Surrogate.State.FAILED else None,
        labels_behind=changes.count(),
    )


def train(project: Project, *, now: dt.datetime) -> Surrogate | None:
    """Train a surrogate on what is accepted now; None if it is not due or another worker is at it.

    Labels of the audit reserve are left out: they say how good it is. One that cannot be trained, as for want of a second
    class, is kept as failed with the reason, and tried again when labels have changed. One that was ready and whose artifact
    cannot be read any more is marked as failed, and another is trained from the same labels.
    """
    with locks.held(LockKind.SURROGATE, project.pk) as is_ours:
        if not is_ours or not is_due(project):
            return None
        space = features.current_space(project)
        assert space is not None  # noqa: S101 - for the type checker: nothing is due without
        while (lost := _lost(project, space)) is not None:
            lost.state, lost.message = Surrogate.State.FAILED, "Its artifact cannot be read any more."
            lost.save(update_fields=["state", "message"])
        return _train(project, space, now)


def _lost(project: Project, space: EmbeddingSpace) -> Surrogate | None:
    """The surrogate that scores now, if its artifact is gone or damaged."""
    current = selectors.newest_surrogate(project, space)
    return current if current is not None and not artifacts.is_intact(current.artifact) else None


def _train(project: Project, space: EmbeddingSpace, now: dt.datetime) -> Surrogate:
    begin = perf_counter()
    classes = labeling_selectors.parsed_schema(project).class_keys
    known = _labels(project, space, classes)
    last = selectors.newest_surrogate(project, space)
    numbered = Surrogate.objects.filter(project=project).aggregate(last=Max("number"))["last"] or 0
    row = Surrogate(
        project=project,
        number=numbered + 1,
        space=space,
        state=Surrogate.State.READY,
        label_count=int((~known.in_reserve).sum()),
        change=AcceptedLabel.objects.filter(project=project).aggregate(newest=Max("change"))["newest"],
        trained_at=now,
    )
    try:
        committee = _fit(row, last, known, classes)
    except ValueError as error:
        row.state, row.message = Surrogate.State.FAILED, str(error)
    else:
        row.classes, row.members = list(committee.classes), committee.size
        row.temperature = committee.temperature.value
        row.accuracy, row.audit_count = _accuracy(committee, known)
        row.artifact = artifacts.store(committee.dumps(), f"{project.pk}/surrogates")
    row.seconds = perf_counter() - begin
    row.save()
    return row


def _fit(row: Surrogate, last: Surrogate | None, known: _Labels, classes: tuple[str, ...]) -> FittedCommittee:
    """Go on from the last one where that is quicker and nothing it knew was taken back; else train anew."""
    learned = ~known.in_reserve
    if last is not None and _goes_on(row, last, known):
        fresh = learned & (known.changes > last.change)
        committee = load(last)
        labels = [known.labels[place] for place in np.flatnonzero(fresh)]
        committee.learn(known.vectors[fresh], labels, seed=row.number)
        row.fit, row.fitted_labels = Surrogate.Fit.PARTIAL, last.fitted_labels
        return committee
    labels = [known.labels[place] for place in np.flatnonzero(learned)]
    row.fit, row.fitted_labels = Surrogate.Fit.FULL, row.label_count
    return surrogate.fit(known.vectors[learned], labels, classes=classes, seed=row.number)


def _goes_on(row: Surrogate, last: Surrogate, known: _Labels) -> bool:
    if row.label_count < GOES_ON_FROM or row.label_count > GOES_ON_UNTIL * last.fitted_labels:
        return False
    taken_back = AcceptedLabel.objects.filter(project=row.project, change__gt=last.change, superseded_at__isnull=False)
    return set(known.labels) <= set(last.classes) and not taken_back.exists()


def _accuracy(committee: FittedCommittee, known: _Labels) -> tuple[float | None, int]:
    rows = np.flatnonzero(known.in_reserve)
    if not len(rows):
        return None, 0
    said = committee.probabilities(known.vectors[rows]).mean(axis=1).argmax(axis=1)
    right = [committee.classes[code] == known.labels[row] for code, row in zip(said, rows, strict=True)]
    return float(np.mean(right)), len(rows)


def _labels(project: Project, space: EmbeddingSpace, classes: tuple[str, ...]) -> _Labels:
    rows = list(
        datasets_selectors.current_labels(project)
        .filter(label__in=classes)
        .order_by("-change")
        .values_list("item_id", "label", "change", "item__bucket")[:_MOST_LABELS]
    )
    rows.sort()
    item_ids = np.array([row[0] for row in rows], dtype=np.int64)
    vectors, has_vector = features.vectors(space, item_ids)
    kept = np.flatnonzero(has_vector).tolist()
    return _Labels(
        vectors=vectors[kept],
        labels=[rows[place][1] for place in kept],
        changes=np.array([rows[place][2] for place in kept], dtype=np.int64),
        in_reserve=np.array([rows[place][3] < AUDIT_RESERVE_END for place in kept], dtype=np.bool_),
    )
