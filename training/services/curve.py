"""Points of the learning curve: accuracy after so many labels."""

import datetime as dt

from datasets import selectors as datasets_selectors
from datasets.estimation.wilson import Estimate, proportion_interval
from datasets.services import accuracy
from labeling import selectors as labeling_selectors
from labeling.models import ModelVersion, Project
from training.models import LearningCurvePoint


def record_audit_point(project: Project, *, now: dt.datetime) -> LearningCurvePoint | None:
    """Record the accuracy of the deployed model on the audit labels, at the number of labels accepted now.

    A later point at the same number of labels takes the place of the earlier one. None (and no point) without a champion
    or without an audit label that it predicted.
    """
    champion = labeling_selectors.champion(project)
    if champion is None:
        return None
    return _record(
        project,
        arm=LearningCurvePoint.Arm.ACTIVE,
        source=LearningCurvePoint.Source.AUDIT,
        seed=0,
        label_count=datasets_selectors.current_labels(project).count(),
        estimate=accuracy.by_audit_labels(project, champion),
        version=champion,
        now=now,
    )


def record_test_set_point(
    project: Project,
    *,
    arm: LearningCurvePoint.Arm,
    seed: int,
    label_count: int,
    correct: int,
    evaluated_on: int,
    version: ModelVersion | None = None,
    now: dt.datetime,
) -> LearningCurvePoint | None:
    """Record the accuracy of a model on a test set that the service does not hold; None without rows."""
    return _record(
        project,
        arm=arm,
        source=LearningCurvePoint.Source.TEST_SET,
        seed=seed,
        label_count=label_count,
        estimate=proportion_interval(correct, evaluated_on),
        version=version,
        now=now,
    )


def _record(
    project: Project,
    *,
    arm: LearningCurvePoint.Arm,
    source: LearningCurvePoint.Source,
    seed: int,
    label_count: int,
    estimate: Estimate,
    version: ModelVersion | None,
    now: dt.datetime,
) -> LearningCurvePoint | None:
    if estimate.value is None:
        return None
    point, _ = LearningCurvePoint.objects.update_or_create(
        project=project,
        arm=arm,
        source=source,
        seed=seed,
        label_count=label_count,
        defaults={
            "accuracy": estimate.value,
            "accuracy_low": estimate.low,
            "accuracy_high": estimate.high,
            "evaluated_on": estimate.n,
            "model_version": version,
            "created_at": now,
        },
    )
    return point
