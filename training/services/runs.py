"""Training runs: from a frozen snapshot to a candidate, its figures, and the decision about it."""

import datetime as dt
import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from datasets import selectors as datasets_selectors
from datasets.models import Snapshot
from datasets.services import snapshot as snapshots
from labeling import locks
from labeling import selectors as labeling_selectors
from labeling.errors import Conflict, DomainError
from labeling.locks import LockKind
from labeling.models import LabelSchema, ModelVersion, Project
from labeling.services import intake
from training import retraining, selectors
from training.errors import KindNotTrainable, ModelVersionHasRun, TrainingAlreadyActive, UnknownTrainer
from training.evaluation import Scores
from training.models import Promotion, TrainingRun
from training.services import curve, policies, predictions, promotion
from training.services.predictions import Predicted
from training.services.promotion import Comparison
from training.trainers import artifacts, registry
from training.trainers.pipeline import FittedModel
from training.trainers.port import TrainerError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""A run that stops its worker this often (out of memory, say) is given up."""

EXTERNAL: Final = "external"
"""What stands for the trainer of a run that was reported over the API."""

TRAINABLE_KINDS: Final = frozenset({LabelSchema.Kind.SINGLE_CHOICE, LabelSchema.Kind.RATING})
"""Task types of one class an item that is to be read from its text or numbers."""

_FINISHED: Final = (TrainingRun.State.SUCCEEDED, TrainingRun.State.FAILED)
_LONGEST_MESSAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """What a run found out. Of a run reported over the API only the last three are known.

    n_train, class_counts
        Rows it trained on (train and validation splits), in all and by class.
    calibration_temperature, calibration_rows, calibration_note
        See labeling.calibration.Temperature.
    fit_seconds, predict_seconds, n_predicted
        Wall time of the training with its calibration, and of the prediction of so many items.
    n_unreadable, unreadable_example
        Items that the model cannot read and so did not predict, and the first of them with the reason.
    candidate, champion
        Figures of both on the same audit labels, None where there is nothing to measure.
    champion_name
        The champion it was compared with; empty when there was none.
    """

    n_train: int = 0
    class_counts: dict[str, int] | None = None
    calibration_temperature: float | None = None
    calibration_rows: int = 0
    calibration_note: str = ""
    fit_seconds: float | None = None
    predict_seconds: float | None = None
    n_predicted: int = 0
    n_unreadable: int = 0
    unreadable_example: str = ""
    candidate: Scores | None
    champion: Scores | None
    champion_name: str


@dataclass(frozen=True)
class _Trained:
    version: ModelVersion
    model: FittedModel
    n_train: int
    class_counts: dict[str, int]
    fit_seconds: float
    predict_seconds: float
    predicted: Predicted


def request(
    project: Project,
    *,
    trigger: TrainingRun.Trigger,
    by: User | None,
    now: dt.datetime,
    trainer: str | None = None,
    snapshot: Snapshot | None = None,
    seed: int = 0,
) -> TrainingRun:
    """Ask for a run, on a new snapshot unless one is named; `execute` does the work.

    `trainer` defaults to the policy's. Raises UnknownTrainer, KindNotTrainable, TrainingAlreadyActive, NothingToSnapshot;
    then no snapshot is left behind.
    """
    _require_trainable(project)
    trainer = policies.current_policy(project).trainer if trainer is None else trainer
    if trainer not in registry.names():
        known = ", ".join(registry.names())
        raise UnknownTrainer(f"There is no trainer “{trainer}”; there are {known}.", fields={"trainer": "unknown"})
    _refuse_second(project)
    try:
        with transaction.atomic():
            return TrainingRun.objects.create(
                project=project,
                snapshot=snapshot or snapshots.take(project, by=by, now=now, note="Taken for a training run"),
                trainer=trainer,
                trigger=trigger,
                seed=seed,
                created_at=now,
                created_by=by,
            )
    except IntegrityError:
        # Somebody was faster; the constraint that says so is the only one a new run can break.
        _refuse_second(project)
        raise


def request_if_due(project: Project, *, now: dt.datetime) -> TrainingRun | None:
    """Ask for a run if the policy finds that enough labels are new; None when it does not."""
    policy = policies.current_policy(project)
    if policy.min_new_labels == 0 or not is_trainable(project):
        return None
    last = selectors.last_run(project)
    decision = retraining.should_retrain(
        retraining.RetrainingState(
            labels=datasets_selectors.current_labels(project).count(),
            labels_at_last_run=last.snapshot.row_count if last else 0,
            seconds_since_last_run=(now - last.created_at).total_seconds() if last else None,
            is_run_active=selectors.active_run(project) is not None,
        ),
        retraining.RetrainingPolicy(
            min_new_labels=policy.min_new_labels,
            growth_fraction=policy.growth_fraction,
            cooldown_seconds=policy.cooldown_seconds,
        ),
    )
    if not decision.is_due:
        return None
    try:
        return request(project, trigger=TrainingRun.Trigger.VOLUME, by=None, now=now)
    except Conflict as reason:
        logger.info("no training of project %s now: %s", project.pk, reason)
        return None


def report(
    project: Project, *, version: ModelVersion, snapshot: Snapshot, by: User | None, now: dt.datetime
) -> TrainingRun:
    """Record that an external trainer made the version from the snapshot, with its figures on the audit labels.

    They are those of the predictions it has posted by now. Reporting the same again changes nothing. Raises
    ModelVersionHasRun when another run stands for this version.
    """
    found = selectors.training_runs(project).filter(model_version=version).first()
    if found is None:
        comparison = promotion.compare(version, selectors.holdout_of(snapshot))
        metrics = _metrics(comparison, trained=None)
        run = TrainingRun(
            project=project, snapshot=snapshot, trainer=EXTERNAL, trigger=TrainingRun.Trigger.API,
            state=TrainingRun.State.SUCCEEDED, model_version=version, metrics=asdict(metrics),
            message=comparison.summary, created_at=now, created_by=by, started_at=now, finished_at=now,
        )  # fmt: skip
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError:
            found = selectors.training_runs(project).get(model_version=version)
        else:
            return run
    if (found.snapshot_id, found.trainer) != (snapshot.pk, EXTERNAL):
        raise ModelVersionHasRun(f"Training run {found.pk} has made “{version.name}” already.")
    return found


def execute(run_id: int, *, now: dt.datetime) -> TrainingRun:
    """Do the run, unless it is finished or somebody else is at it; return it as it stands then.

    Holds an advisory lock on the run, so that a sweep can tell a slow worker from a dead one. Safe to repeat after a crash
    at any point: the candidate made by the interrupted attempt is filled up, not made twice, and everything that counts
    (champion, promotion, curve point, end of the run) happens in one transaction. What is wrong with the data ends the run
    as FAILED with the reason; an engine that is gone raises, and the run stays to be repeated.
    """
    with locks.held(LockKind.TRAINING_RUN, run_id) as is_ours:
        if is_ours and (run := _begin(run_id, now=now)) is not None:
            began = time.monotonic()
            try:
                trained = _train(run)
            except (TrainerError, DomainError) as error:
                fail(run_id, str(error), now=now + _since(began))
            else:
                _finish(run, trained, now=now + _since(began))
    return TrainingRun.objects.select_related("snapshot", "model_version", "project").get(pk=run_id)


def is_trainable(project: Project) -> bool:
    """Whether the built-in trainers learn the project's task type."""
    return labeling_selectors.current_schema(project).kind in TRAINABLE_KINDS


def is_at_work(run_id: int) -> bool:
    """Whether a worker holds the run now."""
    return locks.is_held(LockKind.TRAINING_RUN, run_id)


def fail(run_id: int, message: str, *, now: dt.datetime) -> None:
    """End an unfinished run as FAILED. A candidate it made stays, without a promotion."""
    TrainingRun.objects.filter(pk=run_id).exclude(state__in=_FINISHED).update(
        state=TrainingRun.State.FAILED, message=message[:_LONGEST_MESSAGE], finished_at=now
    )


def _require_trainable(project: Project) -> None:
    if not is_trainable(project):
        kind = labeling_selectors.current_schema(project).get_kind_display().lower()
        raise KindNotTrainable(
            f"The built-in trainers do not learn answers of this type ({kind}). Train outside, from an exported snapshot, "
            "and register the model version over the API."
        )


def _refuse_second(project: Project) -> None:
    if active := selectors.active_run(project):
        raise TrainingAlreadyActive(f"Training run {active.pk} is {active.state}; wait for its end.")


def _begin(run_id: int, *, now: dt.datetime) -> TrainingRun | None:
    with transaction.atomic():
        run = (
            TrainingRun.objects.select_for_update(of=("self",))
            .select_related("project", "snapshot__label_schema")
            .get(pk=run_id)
        )
        if run.state in _FINISHED:
            return None
        if run.attempts >= MAX_ATTEMPTS:
            fail(run_id, f"Its worker stopped {MAX_ATTEMPTS} times before it was done; its log may say why.", now=now)
            return None
        run.state = TrainingRun.State.RUNNING
        run.attempts += 1
        run.started_at = now
        run.save(update_fields=["state", "attempts", "started_at"])
        return run


def _train(run: TrainingRun) -> _Trained:
    rows = list(datasets_selectors.snapshot_rows(run.snapshot, splits=("train", "validation")))
    payloads, labels = [row.payload for row in rows], [row.label for row in rows]
    began = time.monotonic()
    try:
        with predictions.limited_threads():
            trainer = registry.get(run.trainer, payloads)
            classes = labeling_selectors.parsed(run.snapshot.label_schema).class_keys
            model = trainer.fit(payloads, labels, seed=run.seed, classes=classes)
    except TrainerError as error:
        raise TrainerError(predictions.naming(error, [row.key for row in rows])) from error
    fit_seconds = time.monotonic() - began
    version = _candidate(run, model)
    began = time.monotonic()
    predicted = predictions.predict_all(version, model)
    predict_seconds = time.monotonic() - began
    return _Trained(version, model, len(rows), dict(Counter(labels)), fit_seconds, predict_seconds, predicted)


def _candidate(run: TrainingRun, model: FittedModel) -> ModelVersion:
    """The run's model version, its model saved: made now, or by an attempt before that did not come to its end."""
    version = run.model_version
    name = version.name if version is not None else _free_name(run, model.trainer.name)
    artifact = artifacts.save(model, settings.ARTIFACT_DIR, f"{run.project_id}/{name}")
    if version is not None:
        ModelVersion.objects.filter(pk=version.pk).update(artifact=artifact)
        return version
    with transaction.atomic():
        run.model_version = intake.register_model_version(
            run.project,
            name=name,
            classes=model.classes,
            description=f"Trained on snapshot {run.snapshot.number}",
            origin=ModelVersion.Origin.TRAINER,
            artifact=artifact,
        )
        run.save(update_fields=["model_version"])
    return run.model_version


def _free_name(run: TrainingRun, trainer: str) -> str:
    """text-0007 for the project's seventh run; with the run's id as well where an app took that name."""
    number = TrainingRun.objects.filter(project=run.project, pk__lte=run.pk).count()
    name = f"{trainer}-{number:04d}"
    is_taken = ModelVersion.objects.filter(project=run.project, name=name).exists()
    return f"{name}-run{run.pk}" if is_taken else name


def _finish(run: TrainingRun, trained: _Trained, *, now: dt.datetime) -> None:
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=run.project_id)
        current = TrainingRun.objects.select_for_update().get(pk=run.pk)
        if (current.state, current.attempts) != (TrainingRun.State.RUNNING, run.attempts):
            logger.warning("training run %s was taken over while this worker was cut off", run.pk)
            return
        version = ModelVersion.objects.select_related("project").get(pk=trained.version.pk)
        comparison = promotion.compare(version, selectors.holdout_of(run.snapshot))
        message = comparison.summary
        if version.is_champion:
            message = "Promoted by a person before the run was done."
        elif not comparison.is_passed or policies.current_policy(run.project).promotes_automatically:
            decision = promotion.decide(version, comparison, by=run.created_by, now=now)
            if decision.outcome == Promotion.Outcome.PROMOTED:
                message = f"Promoted. {message}"
        if trained.predicted.unreadable:
            message += f" Without a prediction: {trained.predicted.unreadable:,}, e.g. {trained.predicted.example}."
        curve.record_audit_point(run.project, now=now)
        current.metrics = asdict(_metrics(comparison, trained))
        current.state, current.message, current.finished_at = TrainingRun.State.SUCCEEDED, message, now
        current.save(update_fields=["metrics", "state", "message", "finished_at"])


def _metrics(comparison: Comparison, trained: _Trained | None) -> RunMetrics:
    figures = RunMetrics(
        candidate=comparison.candidate,
        champion=comparison.champion,
        champion_name=comparison.champion_version.name if comparison.champion_version else "",
    )
    if trained is None:
        return figures
    temperature = trained.model.temperature
    return RunMetrics(
        n_train=trained.n_train,
        class_counts=trained.class_counts,
        calibration_temperature=temperature.value,
        calibration_rows=temperature.held_out,
        calibration_note=temperature.note,
        fit_seconds=round(trained.fit_seconds, 3),
        predict_seconds=round(trained.predict_seconds, 3),
        n_predicted=trained.predicted.count,
        n_unreadable=trained.predicted.unreadable,
        unreadable_example=trained.predicted.example,
        candidate=figures.candidate,
        champion=figures.champion,
        champion_name=figures.champion_name,
    )


def _since(began: float) -> dt.timedelta:
    return dt.timedelta(seconds=time.monotonic() - began)
