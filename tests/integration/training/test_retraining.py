"""When runs start by themselves, and how lost ones are found again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from labeling.locks import LockKind
from labeling.models import Item, ModelVersion, PoolEntry, Prediction, Project
from tests.factories import datasets as make_dataset
from tests.factories import training as make
from tests.factories.training import NOW, later
from training import selectors, tasks
from training.errors import InvalidPolicy
from training.models import LearningCurvePoint, Promotion, RetrainingPolicy, TrainingRun
from training.services import policies, predictions, runs

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.django_db
def test_enough_new_labels_start_one_run(project: Project, annotator: User) -> None:
    policies.new_version(project, by=None, min_new_labels=20, cooldown_seconds=60)
    make.pets(project, annotator, n_train=12, n_validation=0, n_audit=7)
    assert runs.request_if_due(project, now=NOW) is None
    make.more_labels(project, annotator, 1)
    due = runs.request_if_due(project, now=NOW)
    assert due is not None
    assert (due.trigger, due.snapshot.row_count) == (TrainingRun.Trigger.VOLUME, 20)
    assert runs.request_if_due(project, now=later(3600)) is None
    assert TrainingRun.objects.count() == 1


@pytest.mark.django_db
def test_after_a_run_new_labels_and_the_cooldown_count(project: Project, annotator: User) -> None:
    policies.new_version(project, by=None, min_new_labels=6, growth_fraction=0.5, cooldown_seconds=60)
    make.pets(project, annotator, n_train=12, n_validation=0, n_audit=0)
    first = runs.request_if_due(project, now=NOW)
    assert first is not None
    runs.execute(first.pk, now=NOW)
    make.more_labels(project, annotator, 5)
    assert runs.request_if_due(project, now=later(3600)) is None
    make.more_labels(project, annotator, 1, prefix="last")
    assert runs.request_if_due(project, now=later(59)) is None
    assert runs.request_if_due(project, now=later(60)) is not None


@pytest.mark.django_db
def test_a_failed_run_is_not_repeated_without_new_labels(project: Project, annotator: User) -> None:
    policies.new_version(project, by=None, min_new_labels=1, cooldown_seconds=0)
    make_dataset.accepted(project, annotator, {"a": "cat"})
    first = runs.request_if_due(project, now=NOW)
    assert first is not None
    runs.fail(first.pk, "for the test", now=NOW)
    assert runs.request_if_due(project, now=later(3600)) is None


@pytest.mark.django_db
def test_zero_turns_the_trigger_off(project: Project, annotator: User) -> None:
    policies.new_version(project, by=None, min_new_labels=0)
    make.pets(project, annotator)
    assert runs.request_if_due(project, now=NOW) is None
    assert not TrainingRun.objects.exists()


@pytest.mark.django_db
def test_policies_are_versions(project: Project, manager: User) -> None:
    first = policies.current_policy(project)
    same = policies.new_version(project, by=manager, min_new_labels=first.min_new_labels)
    assert same == first
    second = policies.new_version(project, by=manager, min_new_labels=7)
    assert (second.version, second.min_new_labels, second.created_by) == (2, 7, manager)
    assert policies.current_policy(project) == second
    first.refresh_from_db()
    assert first.min_new_labels == 50


@pytest.mark.django_db
def test_a_policy_out_of_range_is_refused_naming_every_field(project: Project) -> None:
    policies.current_policy(project)
    with pytest.raises(InvalidPolicy) as caught:
        policies.new_version(
            project, by=None, trainer="forest", min_new_labels=-1, growth_fraction=float("nan"), cooldown_seconds=-1
        )
    assert set(caught.value.fields) == {"trainer", "min_new_labels", "growth_fraction", "cooldown_seconds"}
    assert RetrainingPolicy.objects.count() == 1


@pytest.mark.django_db
def test_a_trained_champion_predicts_items_that_come_later(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    runs.execute(runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW).pk, now=NOW)
    assert selectors.trained_champions_behind(now=later(60)) == []
    late = make_dataset.item(project, "late", payload={"text": "purr mouse"})
    champion = ModelVersion.objects.get()
    assert selectors.trained_champions_behind(now=later(60)) == [champion]

    predictions.predict_missing(champion)

    assert Prediction.objects.get(item=late).predicted_class == "cat"
    assert PoolEntry.objects.get(item=late).model_version == champion
    assert selectors.trained_champions_behind(now=later(60)) == []


@pytest.mark.django_db
def test_an_item_that_the_champion_cannot_read_is_not_asked_about_for_ever(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    runs.execute(runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW).pk, now=NOW)
    make_dataset.item(project, "odd", payload={"pixels": [[1]]})
    assert predictions.predict_missing(ModelVersion.objects.get()).unreadable == 1
    assert len(selectors.trained_champions_behind(now=later(60))) == 1
    assert selectors.trained_champions_behind(now=later(25 * 3600)) == []


@pytest.mark.django_db
def test_the_sweep_lets_the_champion_predict_what_is_new(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    runs.execute(runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW).pk, now=NOW)
    late = make_dataset.item(project, "late", payload={"text": "purr mouse"})
    Item.objects.filter(pk=late.pk).update(created_at=timezone.now())
    tasks.sweep_predictions()
    assert PoolEntry.objects.get(item=late).probabilities is not None


@pytest.mark.django_db
def test_a_run_that_meets_an_unexpected_error_fails_with_its_words(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)

    def break_down(*args: object) -> None:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(predictions, "predict_all", break_down)
    tasks.run(run.pk)
    run.refresh_from_db()
    assert (run.state, run.message) == (TrainingRun.State.FAILED, "Unexpected error: by chance")
    assert not ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION).exists()


@pytest.mark.django_db
def test_a_pending_run_is_looked_for_only_after_a_while(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)
    assert selectors.unfinished_runs(pending_before=NOW) == []
    assert selectors.unfinished_runs(pending_before=later(1)) == [run.pk]
    runs.execute(run.pk, now=NOW)
    assert selectors.unfinished_runs(pending_before=later(1)) == []


_STUCK_WORKER = """
import sys, threading
import django
django.setup()
from pathlib import Path
from django.conf import settings
from django.db import connections
connections.databases["default"]["NAME"] = sys.argv[2]
settings.ARTIFACT_DIR = Path(sys.argv[3])
from django.utils import timezone
from training.services import runs, predictions

def stuck(version, model):
    # The model is trained, saved and registered, and one prediction is written; then the worker hangs.
    made = predict_all(version, model)
    print("stuck", flush=True)
    threading.Event().wait()

predict_all, predictions.predict_all = predictions.predict_all, stuck
runs.execute(int(sys.argv[1]), now=timezone.now())
"""


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_worker_is_killed_is_found_and_done_once(
    project: Project, annotator: User, artifact_dir: Path
) -> None:
    pets = make.pets(project, annotator)
    run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)
    worker = subprocess.Popen(
        [sys.executable, "-c", _STUCK_WORKER, str(run.pk), connection.settings_dict["NAME"], str(artifact_dir)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.test"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "stuck\n"
        # While it lives, nobody else takes the run, and nothing counts yet.
        assert runs.is_at_work(run.pk)
        assert runs.execute(run.pk, now=later(1)).attempts == 1
        assert Prediction.objects.count() == len(pets.truth)
        assert not ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION).exists()
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=30)
        if worker.stdout is not None:
            worker.stdout.close()
    with connection.cursor() as cursor:
        # The server notices the dead client by itself; waiting for its lock is waiting for that.
        key = (LockKind.TRAINING_RUN << 48) | run.pk
        cursor.execute("SELECT pg_advisory_lock(%s), pg_advisory_unlock(%s)", [key, key])

    assert selectors.unfinished_runs(pending_before=NOW) == [run.pk]
    assert not runs.is_at_work(run.pk)
    done = runs.execute(run.pk, now=later(2))

    assert (done.state, done.attempts) == (TrainingRun.State.SUCCEEDED, 2)
    assert ModelVersion.objects.get() == done.model_version
    assert Prediction.objects.count() == len(pets.truth)
    assert Promotion.objects.count() == LearningCurvePoint.objects.count() == TrainingRun.objects.count() == 1
