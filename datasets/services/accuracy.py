"""How good a model version is, estimated in several honest ways. See docs/algorithms/active_estimates.md."""

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from django.db.models import OuterRef

from datasets import selectors
from datasets.estimation import lure, overlap, post_stratified
from datasets.estimation.overlap import Verdict
from datasets.estimation.post_stratified import Weighted
from datasets.estimation.wilson import Estimate
from datasets.models import AcceptedLabel
from datasets.selectors import AuditOutcomes
from labeling.models import AnnotationTask, ModelVersion, Prediction, Project

FEWEST_AUDIT_LABELS: Final = 10
"""Effective ones."""
NEWER_SHARE_TOLD: Final = 0.1
"""A person is told if more of the items than this came after the last that has been drawn."""
_NOTHING_DRAWN: Final = "No item drawn at random is answered yet."
Kind = Literal["audit", "prediction_powered", "active"]


@dataclass(frozen=True)
class AccuracyEstimate:
    """One estimate of the share of right answers; without a value where the data cannot carry one."""

    kind: Kind
    value: float | None
    low: float | None
    high: float | None
    n: int
    effective_n: float
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class AccuracyEstimates:
    """All estimates of a model version. `headline` is None until something may be believed."""

    model_version: ModelVersion
    headline: AccuracyEstimate | None
    audit: AccuracyEstimate
    prediction_powered: AccuracyEstimate
    active: AccuracyEstimate
    naive: selectors.Outcomes
    drawn: int
    answered: int


class _Drawn(NamedTuple):
    state: str
    propensity: float | None
    batch: object
    pool_size: int
    created_at: dt.datetime
    arrived_at: dt.datetime
    label: str | None
    said: str | None


def estimates(project: Project, version: ModelVersion, *, since: dt.datetime) -> AccuracyEstimates:
    """Estimate the accuracy of a version, in five statements however many labels there are.

    `since` is when its training snapshot was taken: active draws before it may have trained the model and are left out.
    """
    outcomes = selectors.audit_outcomes(project, version)
    audit, sharpened = _by_audit(outcomes), _by_audit_and_confidence(outcomes)
    draws = _draws(project, version, since)
    active = _from_draws(draws)
    answered = sum(draw.state == AnnotationTask.State.ANSWERED for draw in draws)
    naive = selectors.naive_outcomes(project, version)
    return AccuracyEstimates(
        version, _headline(audit, sharpened), audit, sharpened, active, naive, len(draws), answered
    )


def _headline(audit: AccuracyEstimate, sharpened: AccuracyEstimate) -> AccuracyEstimate | None:
    """The audit slice, unless the model's own word makes a good estimate narrower. Never what is weak."""
    if audit.verdict != "good":
        return None
    return sharpened if sharpened.verdict == "good" and _width(sharpened) < _width(audit) else audit


def _width(of: AccuracyEstimate) -> float:
    return float("inf") if of.low is None or of.high is None else of.high - of.low


def by_audit_labels(project: Project, version: ModelVersion) -> Estimate:
    """The accuracy by the audit labels alone, weighted by arrival; without an audit label it has no value."""
    outcomes = selectors.audit_outcomes(project, version)
    if not len(outcomes.is_right):
        return Estimate(None, 0.0, 1.0, 0)
    found = post_stratified.proportion(outcomes.is_right, outcomes.cohort, outcomes.sizes)
    return Estimate(found.value, found.low, found.high, found.n)


def _by_audit(outcomes: AuditOutcomes) -> AccuracyEstimate:
    n = len(outcomes.is_right)
    if not n:
        return _none("audit", _NOTHING_DRAWN)
    found = post_stratified.proportion(outcomes.is_right, outcomes.cohort, outcomes.sizes)
    is_few = found.effective_n < FEWEST_AUDIT_LABELS
    reason = _drawn_at_random(outcomes, found, is_few=is_few)
    return _weighted("audit", found, "weak" if is_few else "good", reason)


def _by_audit_and_confidence(outcomes: AuditOutcomes) -> AccuracyEstimate:
    """PPI++. Only by items of the reserve: it was never trained on, so there the model's word is as good as on the labels."""
    n, others = len(outcomes.is_right), sum(each.count for each in outcomes.others)
    if not n:
        return _none("prediction_powered", _NOTHING_DRAWN)
    if not others:
        return _none("prediction_powered", "No unlabelled item of the reserve has a prediction.", n)
    found = post_stratified.prediction_powered(outcomes.is_right, outcomes.confidence, outcomes.cohort, outcomes.others)
    # Student's interval needs more labels than Wilson's, and both answers among them.
    is_weak = found.effective_n < overlap.FEWEST_EFFECTIVE or outcomes.is_right.min() == outcomes.is_right.max()
    reason = _drawn_at_random(outcomes, found, is_few=is_weak, beside=f" and the model's word on {others} others")
    return _weighted("prediction_powered", found, "weak" if is_weak else "good", reason)


def _drawn_at_random(outcomes: AuditOutcomes, found: Weighted, *, is_few: bool, beside: str = "") -> str:
    """What an estimate of the reserve rests on, and what a person should know of it."""
    worth = f", weighted by arrival: worth {found.effective_n:.0f}" if round(found.effective_n) < found.n else ""
    said = f"{found.n} items drawn at random{beside}{worth}{': too few' if is_few and not worth else ''}"
    said += ", which is too few." if is_few and worth else "."
    last = int(outcomes.cohort.max())
    newer = int(outcomes.sizes[last + 1 :].sum()) / int(outcomes.sizes.sum())
    if newer >= NEWER_SHARE_TOLD:
        said += f" {newer:.0%} of the items came after those that have been drawn, and count like the newest of these."
    return said


def _weighted(kind: Kind, found: Weighted, verdict: Verdict, reason: str) -> AccuracyEstimate:
    bounds = _clipped(found.value, found.low, found.high)
    return AccuracyEstimate(kind, *bounds, found.n, found.effective_n, verdict, reason)


def _draws(project: Project, version: ModelVersion, since: dt.datetime) -> list[_Drawn]:
    """Draws since then in their order, without the ones that went back to the pool."""
    current = AcceptedLabel.objects.filter(item_id=OuterRef("item_id"), superseded_at__isnull=True)
    said = Prediction.objects.filter(item_id=OuterRef("item_id"), model_version=version)
    tasks = (
        AnnotationTask.objects.filter(project=project, batch__isnull=False, draw_rank__isnull=False)
        .filter(created_at__gt=since, pool_size__isnull=False)
        .exclude(state=AnnotationTask.State.WITHDRAWN)
        .annotate(truth=current.values("label")[:1], said=said.values("predicted_class")[:1])
        .order_by("created_at", "batch", "draw_rank")
    )
    fields = ("state", "propensity", "batch", "pool_size", "created_at", "item__created_at", "truth", "said")
    return [_Drawn(*row) for row in tasks.values_list(*fields)]


def _from_draws(draws: list[_Drawn]) -> AccuracyEstimate:
    """LURE over the draws up to the first one without an outcome: over the pool as it was at the first of them."""
    used = next((place for place, draw in enumerate(draws) if not _has_outcome(draw)), len(draws))
    if not used:
        return _none("active", "No draw since the model's snapshot is answered yet.")
    starts = [place for place in range(len(draws)) if not place or draws[place].batch != draws[place - 1].batch]
    begun = [place for place in starts if place < used]
    sizes = [draws[start].pool_size for start in begun]
    arrivals = [sizes[0], *(sizes[k] - (sizes[k - 1] - (begun[k] - begun[k - 1])) for k in range(1, len(sizes)))]
    if min(arrivals) < 0:
        return _none("active", "Items left the pool without being drawn, so it is not known what was drawn from.", used)
    begins = np.array([draws[start].created_at.timestamp() for start in begun])
    arrived = np.array([draw.arrived_at.timestamp() for draw in draws[:used]])
    chances = np.array([np.nan if draw.propensity is None else draw.propensity for draw in draws[:used]])
    rounds = np.searchsorted(begun, np.arange(used), side="right") - 1
    left = np.array(sizes)[rounds] - (np.arange(used) - np.array(begun)[rounds])
    judged = overlap.diagnose(chances, left)
    if judged.verdict == "not_estimable":
        return _none("active", judged.reason, used)
    right = np.array([draw.label == draw.said for draw in draws[:used]], dtype=np.float64)
    cohorts = np.searchsorted(begins, arrived, side="left")
    kept = [k for k, size in enumerate(arrivals) if size]
    try:
        found = lure.estimate_of_rounds(
            right, chances, np.searchsorted(kept, cohorts), [(begun[k], arrivals[k]) for k in kept]
        )
    except ValueError:
        return _none("active", "The draws do not fit the pool sizes that were noted.", used)
    bounds = _clipped(found.value, found.low, found.high)
    return AccuracyEstimate("active", *bounds, used, judged.effective_n, judged.verdict, judged.reason)


def _has_outcome(draw: _Drawn) -> bool:
    return draw.state == AnnotationTask.State.ANSWERED and bool(draw.label) and draw.said is not None


def _clipped(value: float, low: float, high: float) -> tuple[float, float, float]:
    return min(max(value, 0.0), 1.0), min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def _none(kind: Kind, reason: str, n: int = 0) -> AccuracyEstimate:
    return AccuracyEstimate(kind, None, None, None, n, 0.0, "not_estimable", reason)
