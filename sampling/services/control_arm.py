"""The control arm: are chosen labels worth more than random ones, and are more of them worth their while?

The labels of the audit reserve are drawn at random whatever the policy, so every project has a random arm. What is trained
for the comparison is small and thrown away; the champion is not touched.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from datasets import selectors as datasets_selectors
from datasets.models import AcceptedLabel
from labeling import locks
from labeling import selectors as labeling_selectors
from labeling.locks import LockKind
from labeling.models import AnnotationTask, EmbeddingSpace, Project
from labeling.schema import KINDS
from sampling import arm_comparison, features, stopping, surrogate
from sampling.models import ArmComparison, QueuePolicy
from sampling.services import features as features_service
from sampling.stopping import Advice, Gain

GROWS_BY_ONE_IN: Final = 10
"""Compared anew when labels have grown by one in so many of the last time's."""
TRIED_AGAIN_AFTER: Final = 1.5
"""After a fall back, chosen labels get another chance at so many times the labels: what made them worse, such as a model of
few labels, may be gone."""
NEXT_LABELS: Final = 100
_MOST_LABELS: Final = 5_000
_FEWEST: Final = arm_comparison.FEWEST_ACTIVE + arm_comparison.FEWEST_RANDOM


@dataclass(frozen=True, slots=True)
class ControlArm:
    """What is known now.

    advice
        Whether to go on labelling, by the policy's `stop_below_gain`.
    falls_back_because
        Why refills draw at random now; empty while they do not.
    """

    comparison: ArmComparison | None
    advice: Advice
    falls_back_because: str


def state(project: Project, policy: QueuePolicy) -> ControlArm:
    newest = ArmComparison.objects.filter(project=project).order_by("-id").first()
    gain = None
    if newest is not None and newest.gain is not None:
        gain = Gain(
            newest.label_count, newest.gain_labels, newest.gain, newest.gain_low or 0.0, newest.gain_high or newest.gain
        )
    return ControlArm(
        comparison=newest,
        advice=stopping.advise(gain, threshold=policy.stop_below_gain),
        falls_back_because=should_fall_back(project, policy),
    )


def should_fall_back(project: Project, policy: QueuePolicy) -> str:
    """Why a refill should draw at random; empty if it should not.

    It should from a comparison on that finds chosen labels worse, until a newer one does not, or until there are 1.5 times the
    labels: the draws of a fall back are random, so no newer comparison could find chosen labels better otherwise.
    """
    if not policy.falls_back:
        return ""
    newest = ArmComparison.objects.filter(project=project).order_by("-id").first()
    if newest is None or newest.verdict != ArmComparison.Verdict.WORSE:
        return ""
    first = newest
    for earlier in ArmComparison.objects.filter(project=project, pk__lt=newest.pk).order_by("-id"):
        if earlier.verdict != ArmComparison.Verdict.WORSE:
            break
        first = earlier
    labels = datasets_selectors.current_labels(project).count()
    periods = np.log(max(labels, 1) / max(first.label_count, 1)) / np.log(TRIED_AGAIN_AFTER)
    if int(periods) % 2:
        return ""
    assert newest.difference is not None  # noqa: S101 - for the type checker: a verdict rests on it
    return (
        f"At random: after {newest.label_count:,} labels, {newest.trained_on:,} chosen ones taught "
        f"{-100 * newest.difference:.1f} points less than as many random ones."
    )


def is_due(project: Project) -> bool:
    """Whether an answer is one class, and labels are enough and have grown enough since the last comparison."""
    return _labels_to_compare(project) is not None


def refresh(project: Project, *, now: dt.datetime) -> ArmComparison | None:
    """Compare the arms anew if labels have grown enough; None if not, or where there is nothing to compare.

    Only where an answer is one class and payloads hold texts or numbers, or the app sends vectors.
    """
    with locks.held(LockKind.CONTROL_ARM, project.pk) as is_ours:
        count = _labels_to_compare(project) if is_ours else None
        return None if count is None else _compare(project, count, now)


def _labels_to_compare(project: Project) -> int | None:
    """How many labels there are; None if a comparison is not due."""
    if KINDS[labeling_selectors.current_schema(project).kind].prediction_form != "distribution":
        return None
    count = datasets_selectors.current_labels(project).exclude(label="").count()
    last = ArmComparison.objects.filter(project=project).order_by("-id").first()
    if count < _FEWEST or (last and (count - last.label_count) * GROWS_BY_ONE_IN < last.label_count):
        return None
    return count


def _compare(project: Project, count: int, now: dt.datetime) -> ArmComparison | None:
    classes = labeling_selectors.parsed_schema(project).class_keys
    random = list(_known(datasets_selectors.audit_labels(project), classes))
    reserved = {label.pk for label in random}
    # What was drawn at random outside the reserve is in neither arm: it was not chosen, and it is a sample of what earlier
    # choices had left over, not of the pool.
    reasons = [AnnotationTask.Reason.UNCERTAIN, AnnotationTask.Reason.COLD_START]
    chosen = datasets_selectors.current_labels(project).filter(reason__in=reasons, is_audit=False)
    active = [label for label in _known(chosen, classes) if label.pk not in reserved]
    vectors = _vectors(project, [*active, *random])
    if vectors is None:
        return None
    codes = np.array([classes.index(label.label) for label in [*active, *random]], dtype=np.int64)
    cut = len(active)
    said = arm_comparison.compare((vectors[:cut], codes[:cut]), (vectors[cut:], codes[cut:]), _learn, seed=project.pk)
    points = [point for point in said.curve if point.arm == "active"]
    gain = stopping.expected_gain(
        [point.labels for point in points],
        [point.correct for point in points],
        [point.evaluated_on for point in points],
        more=NEXT_LABELS,
    )
    return ArmComparison.objects.create(
        project=project,
        label_count=count,
        verdict=ArmComparison.Verdict(said.verdict),
        reason=said.reason,
        trained_on=said.trained_on,
        evaluated_on=said.evaluated_on,
        difference=said.difference,
        difference_low=said.low,
        difference_high=said.high,
        curve=[
            {
                "arm": point.arm,
                "labels": point.labels,
                "accuracy": point.accuracy,
                "low": point.interval[0],
                "high": point.interval[1],
                "evaluated_on": point.evaluated_on,
            }
            for point in said.curve
        ],
        gain=gain.value if gain else None,
        gain_low=gain.low if gain else None,
        gain_high=gain.high if gain else None,
        gain_labels=NEXT_LABELS if gain else 0,
        created_at=now,
    )


def _known(labels: QuerySet[AcceptedLabel], classes: Sequence[str]) -> QuerySet[AcceptedLabel]:
    return labels.filter(label__in=classes).select_related("item").order_by("-change")[:_MOST_LABELS]


def _vectors(project: Project, labels: Sequence[AcceptedLabel]) -> NDArray[np.floating] | None:
    """The app's vectors, or those of an extractor fitted to these items alone; it knows no labels."""
    space = features_service.current_space(project)
    if space is not None and space.origin == EmbeddingSpace.Origin.APP:
        found, _ = features_service.vectors(space, np.array([label.item_id for label in labels], dtype=np.int64))
        return found.astype(np.float32)
    payloads = [label.item.payload for label in labels]
    kind = features.kind_of(payloads) if payloads else None
    if kind is None:
        return None
    try:
        extractor = features.fit(payloads, kind=kind)
    except ValueError:
        return None  # nothing in the payloads tells items apart
    found, _ = extractor.transform(payloads)
    return found.astype(np.float32)


def _learn(
    rows: NDArray[np.floating], classes: NDArray[np.int64], measured: NDArray[np.floating], seed: int
) -> NDArray[np.int64]:
    names = [str(code) for code in np.unique(classes)]
    committee = surrogate.fit(rows, [str(code) for code in classes], classes=names, members=1, seed=seed)
    best = committee.probabilities(measured)[:, 0].argmax(axis=1)
    return np.array([int(committee.classes[code]) for code in best], dtype=np.int64)
