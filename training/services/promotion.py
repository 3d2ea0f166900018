"""Who becomes champion: the comparison on the audit labels, and what follows from it.

See docs/algorithms/retraining.md for the rules.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypedDict

import numpy as np
from django.contrib.auth.models import User
from django.db import transaction

from labeling import selectors as labeling_selectors
from labeling.models import ModelVersion, Project
from labeling.services import intake
from training import evaluation, gates, selectors
from training.errors import AlreadyChampion, NotPromotable, PredictionsMissing
from training.evaluation import Scores
from training.gates import GateResult
from training.models import Promotion
from training.selectors import HoldoutLabel
from training.services import curve, predictions
from training.trainers.artifacts import ArtifactError

logger = logging.getLogger(__name__)

# With fewer audit labels than the gate's own minimum there is no test worth the name. The first promotions of a project
# may still happen by themselves if at least so many labels were looked at and they do not speak against the candidate.
FEWEST_ROWS: Final = 5

Verdict = Literal["first", "not_worse", "no_loss_seen", "too_few_rows", "undecided", "worse"]

_IN_WORDS: Final[dict[Verdict, str]] = {
    "first": "Nothing to compare it with",
    "not_worse": "Not worse",
    "no_loss_seen": "Too few audit labels for a test, and those there are do not speak against it",
    "too_few_rows": "Too few audit labels for a test",
    "undecided": "It looks worse, and the audit labels do not settle it",
    "worse": "Worse",
}
_PASSING: Final = ("first", "not_worse", "no_loss_seen")


class GateRecord(TypedDict):
    """What a Promotion keeps of the comparison. The figures of the test are None where there was no champion."""

    verdict: Verdict
    summary: str
    rows: int
    candidate_accuracy: float | None
    champion_accuracy: float | None
    difference: float | None
    lower_bound: float | None
    gained: int | None
    lost: int | None
    p_worse: float | None


@dataclass(frozen=True)
class Comparison:
    """A candidate and the champion on the same audit labels: those of items that both predicted.

    candidate, champion
        Their figures; None without rows, and for a champion that does not exist.
    gate
        The paired test; None without a champion.
    """

    champion_version: ModelVersion | None
    candidate: Scores | None
    champion: Scores | None
    gate: GateResult | None

    @property
    def verdict(self) -> Verdict:
        if self.gate is None:
            return "first"
        if self.gate.outcome == "too_few_rows" and self.gate.n >= FEWEST_ROWS and self.gate.gained >= self.gate.lost:
            return "no_loss_seen"
        return self.gate.outcome

    @property
    def is_passed(self) -> bool:
        return self.verdict in _PASSING

    @property
    def summary(self) -> str:
        """One sentence for people."""
        if self.gate is None:
            return "There is no champion to compare it with."
        name = self.champion_version.name if self.champion_version else ""
        if self.gate.difference is None:
            return f"No audit label tells whether it is as good as {name}."
        rows = f"{self.gate.n} audit label{'' if self.gate.n == 1 else 's'}"
        return f"{_IN_WORDS[self.verdict]}: {100 * self.gate.difference:+.1f} points against {name} on {rows}."

    def as_record(self) -> GateRecord:
        gate = self.gate
        return GateRecord(
            verdict=self.verdict,
            summary=self.summary,
            rows=self.candidate.n if self.candidate else 0,
            candidate_accuracy=self.candidate.accuracy if self.candidate else None,
            champion_accuracy=self.champion.accuracy if self.champion else None,
            difference=gate.difference if gate else None,
            lower_bound=gate.lower_bound if gate else None,
            gained=gate.gained if gate else None,
            lost=gate.lost if gate else None,
            p_worse=gate.p_worse if gate else None,
        )


def compare(version: ModelVersion, holdout: Sequence[HoldoutLabel]) -> Comparison:
    """Compare the version with the present champion on those holdout labels that both have predicted."""
    champion = labeling_selectors.champion(version.project)
    if champion is not None and champion.pk == version.pk:
        champion = None
    labels = {row.item_id: row.label for row in holdout}
    ours = selectors.stored_probabilities(version, list(labels))
    if champion is None:
        truth = evaluation.positions([labels[item] for item in ours.item_ids.tolist()], version.classes)
        return Comparison(None, evaluation.scores(ours.probabilities, truth), None, None)
    theirs = selectors.stored_probabilities(champion, list(labels))
    both, our_rows, their_rows = np.intersect1d(ours.item_ids, theirs.item_ids, assume_unique=True, return_indices=True)
    names = [labels[item] for item in both.tolist()]
    our_truth, their_truth = (evaluation.positions(names, model.classes) for model in (version, champion))
    our_rows_said, their_rows_said = ours.probabilities[our_rows], theirs.probabilities[their_rows]
    gate = gates.not_worse(
        evaluation.is_correct(our_rows_said, our_truth), evaluation.is_correct(their_rows_said, their_truth)
    )
    return Comparison(
        champion,
        evaluation.scores(our_rows_said, our_truth),
        evaluation.scores(their_rows_said, their_truth),
        gate,
    )


def evaluate(version: ModelVersion) -> Comparison:
    """Compare the version with the champion on the audit labels as they are now."""
    return compare(version, selectors.holdout_now(version.project))


def promote(version: ModelVersion, *, by: User | None, now: dt.datetime, force: bool = False) -> Promotion:
    """Make the version champion if the gate lets it pass on the present audit labels, or because `force` says so.

    Also for a version that was champion before: that is a rollback. Our own models first predict what arrived since
    they were trained. The decision is recorded either way; the queue is drawn anew after `news.champion_changed`.
    Locks the project. `force` overrules the gate, not the need for predictions.

    Raises AlreadyChampion, PredictionsMissing, and NotPromotable (the refusal is recorded all the same).
    """
    unreadable = _complete(version) if version.artifact else 0
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=version.project_id)
        version.refresh_from_db()
        if version.is_champion:
            raise AlreadyChampion(f"“{version.name}” is the champion already.")
        _require_predictions(version, unreadable)
        decision = decide(version, evaluate(version), by=by, now=now, force=force)
        if decision.outcome == Promotion.Outcome.PROMOTED:
            curve.record_audit_point(version.project, now=now)
    if decision.outcome == Promotion.Outcome.REFUSED:
        raise NotPromotable(decision.gate["summary"])
    return decision


def decide(
    version: ModelVersion, comparison: Comparison, *, by: User | None, now: dt.datetime, force: bool = False
) -> Promotion:
    """Record what the comparison means for the version, and make it champion if it passed. Wants a transaction."""
    is_promoted = comparison.is_passed or force
    if is_promoted:
        intake.set_champion(version, now=now)
    elif comparison.verdict == "worse":
        candidates = ModelVersion.objects.filter(pk=version.pk, stage=ModelVersion.Stage.CANDIDATE)
        candidates.update(stage=ModelVersion.Stage.REJECTED)
    return Promotion.objects.create(
        project=version.project,
        model_version=version,
        previous=comparison.champion_version,
        outcome=Promotion.Outcome.PROMOTED if is_promoted else Promotion.Outcome.REFUSED,
        is_forced=is_promoted and not comparison.is_passed,
        gate=comparison.as_record(),
        created_at=now,
        created_by=by,
    )


def _require_predictions(version: ModelVersion, unreadable: int) -> None:
    missing = selectors.count_unpredicted(version)
    if missing > unreadable:
        raise PredictionsMissing(
            f"“{version.name}” has not predicted {missing:,} item{'' if missing == 1 else 's'} of the pool; "
            "post its predictions and ask again."
        )


def _complete(version: ModelVersion) -> int:
    """Predict what is missing; return how many items our model cannot read, and nobody can ask it to."""
    try:
        return predictions.predict_missing(version).unreadable
    except ArtifactError as error:
        # Another host may have trained it. If it has predicted everything, its file is not needed.
        logger.warning("model version %s cannot be loaded: %s", version.pk, error)
        return 0
