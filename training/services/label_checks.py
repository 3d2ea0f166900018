"""Cross-validate a project's labels with the built-in trainer, and look for wrong ones with what comes out.

See docs/algorithms/review.md.
"""

import datetime as dt
import time
from dataclasses import dataclass
from typing import Final

from datasets.models import LabelCheck
from datasets.services import label_checks, label_errors
from datasets.services.label_checks import Checkable
from datasets.services.label_errors import Search
from labeling import locks
from labeling.locks import LockKind
from labeling.models import Project
from training.cross_validation import FOLDS, held_out
from training.services import policies
from training.services.predictions import limited_threads
from training.trainers import registry
from training.trainers.port import TrainerError

SEED: Final = 0
"""Always the same folds: another check differs by the labels only."""


@dataclass(frozen=True)
class Checked:
    check: LabelCheck
    search: Search


def is_due(project: Project) -> bool:
    """Whether `check` is wanted, see `datasets.services.label_checks.is_due`."""
    return label_checks.is_due(project)


def check(project: Project, *, now: dt.datetime) -> Checked | None:
    """Predict every label by a model that never saw it, store that, and search for wrong labels.

    Holds an advisory lock on the project: while another worker is at it, and where an answer is not one class, this
    returns None. What is wrong with the data is told in the check's message, and the search goes by stored predictions
    alone. Safe to run twice: the second check stands in place of the first. One that breaks off leaves a row that says so.
    """
    if not label_checks.is_checkable(project):
        return None
    with locks.held(LockKind.LABEL_CHECK, project.pk) as is_ours:
        if not is_ours:
            return None
        began = time.monotonic()
        begun = label_checks.begin(project, now=now)
        done = _cross_validate(project, begun, label_checks.checkable(project), began=began)
        return Checked(done, label_errors.search(project, now=now))


def fail(project: Project, reason: str, *, now: dt.datetime) -> None:
    """Tell why the newest check was broken off; what came to an end is left alone."""
    label_checks.fail(project, f"Cross-validation came to nothing: {reason}", now=now)


def _cross_validate(project: Project, check: LabelCheck, of: Checkable, *, began: float) -> LabelCheck:
    def finished_at() -> dt.datetime:
        return check.started_at + dt.timedelta(seconds=time.monotonic() - began)

    try:
        with limited_threads():
            trainer = registry.get(policies.current_policy(project).trainer, of.payloads)
            found = held_out(trainer, of.payloads, of.labels, len(of.classes), is_trainable=of.is_trainable, seed=SEED)
    except TrainerError as error:
        return label_checks.record(
            check,
            of,
            finished_at=finished_at(),
            message=f"Cross-validation came to nothing: {error}.",
        )
    return label_checks.record(
        check,
        of,
        finished_at=finished_at(),
        trainer=trainer.name,
        folds=FOLDS,
        seed=SEED,
        rows=found.rows,
        probabilities=found.probabilities,
        unreadable=found.unreadable,
    )
