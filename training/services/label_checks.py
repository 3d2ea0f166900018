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
    alone. Safe to run twice: the second check stands in place of the first.
    """
    if not label_checks.is_checkable(project):
        return None
    with locks.held(LockKind.LABEL_CHECK, project.pk) as is_ours:
        if not is_ours:
            return None
        began = time.monotonic()
        done = _cross_validate(project, label_checks.checkable(project), now=now, began=began)
        return Checked(done, label_errors.search(project, now=now))


def _cross_validate(project: Project, of: Checkable, *, now: dt.datetime, began: float) -> LabelCheck:
    def finished_at() -> dt.datetime:
        return now + dt.timedelta(seconds=time.monotonic() - began)

    try:
        with limited_threads():
            trainer = registry.get(policies.current_policy(project).trainer, of.payloads)
            found = held_out(trainer, of.payloads, of.labels, len(of.classes), is_trainable=of.is_trainable, seed=SEED)
    except TrainerError as error:
        return label_checks.record(
            project,
            of,
            started_at=now,
            finished_at=finished_at(),
            message=f"Cross-validation came to nothing: {error}.",
        )
    return label_checks.record(
        project,
        of,
        started_at=now,
        finished_at=finished_at(),
        trainer=trainer.name,
        folds=FOLDS,
        seed=SEED,
        rows=found.rows,
        probabilities=found.probabilities,
        unreadable=found.unreadable,
    )
