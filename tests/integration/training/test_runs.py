"""Training runs: what they train on, measure, and leave behind."""

from pathlib import Path

import numpy as np
import pytest
from django.contrib.auth.models import User

from datasets.errors import NothingToSnapshot
from datasets.models import Snapshot
from datasets.services import accept
from datasets.services import snapshot as snapshots
from labeling import locks
from labeling.locks import LockKind
from labeling.models import AnnotationTask, Item, ModelVersion, PoolEntry, Prediction, Project
from labeling.schema import JSONValue
from labeling.services import annotation_queue, projects
from tests.factories import datasets as make_dataset
from tests.factories import kinds
from tests.factories import training as make
from tests.factories.training import NOW, later
from tests.integration.datasets.concurrency import in_another_session
from training import selectors
from training.errors import KindNotTrainable, ModelVersionHasRun, TrainingAlreadyActive, UnknownTrainer
from training.models import LearningCurvePoint, Promotion, TrainingRun
from training.services import policies, predictions, runs
from training.services.predictions import Predicted
from training.trainers import artifacts, registry
from training.trainers.port import Payload
from training.trainers.text import TextTrainer

pytestmark = pytest.mark.django_db

MANUAL = TrainingRun.Trigger.MANUAL


def trained(project: Project, trainer: str | None = None) -> TrainingRun:
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW, trainer=trainer)
    return runs.execute(run.pk, now=later(1))


def test_a_run_trains_measures_predicts_the_pool_and_promotes(
    project: Project, annotator: User, artifact_dir: Path
) -> None:
    pets = make.pets(project, annotator)

    run = trained(project)

    assert run.state == TrainingRun.State.SUCCEEDED, run.message
    version = run.model_version
    assert version is not None
    assert (version.name, version.origin, version.stage) == ("text-0001", "trainer", "champion")
    assert version.classes == list(make.CLASSES)
    assert Prediction.objects.filter(model_version=version).count() == len(pets.truth)
    scored = PoolEntry.objects.filter(project=project, model_version=version, probabilities__isnull=False)
    assert scored.count() == len(pets.truth)
    loaded = artifacts.load(artifact_dir, version.artifact)
    item = Item.objects.get(project=project, key="pool-000")
    stored = selectors.stored_probabilities(version, [item.pk]).probabilities
    np.testing.assert_allclose(loaded.predict_proba([item.payload]), stored, atol=1e-6)


def test_the_metrics_of_a_run(project: Project, annotator: User) -> None:
    make.pets(project, annotator, n_train=24, n_validation=3, n_audit=12)
    run = trained(project)
    metrics = run.metrics
    assert metrics["n_train"] == 27
    assert metrics["class_counts"] == {"cat": 9, "dog": 9, "bird": 9}
    assert metrics["n_predicted"] == 69
    assert metrics["calibration_rows"] == 27
    assert metrics["calibration_temperature"] > 0
    assert metrics["candidate"]["n"] == 12
    assert metrics["candidate"]["accuracy_low"] <= metrics["candidate"]["accuracy"] == 1.0
    assert (metrics["champion"], metrics["champion_name"]) == (None, "")
    assert (run.started_at, run.finished_at and run.finished_at > later(1)) == (later(1), True)


def test_audit_rows_are_never_trained_on(project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that a person picked by hand from the reserve."""
    make.pets(project, annotator)
    picked = make_dataset.item(project, "picked", payload={"text": "purr"}, bucket=7)
    make_dataset.annotation(picked, annotator, "cat", reason=AnnotationTask.Reason.MANUAL, propensity=None)
    make.more_labels(project, annotator, 1)
    seen: list[Payload] = []

    class Spy(TextTrainer):
        def fit(self, payloads, labels, **options):  # type: ignore[no-untyped-def]  # as its parent
            seen.extend(payloads)
            return super().fit(payloads, labels, **options)

    monkeypatch.setattr(registry, "TRAINERS", {"text": Spy()})
    run = trained(project)

    trained_on = {str(payload["text"]) for payload in seen}
    assert len(seen) == len(trained_on) == 28
    for item in Item.objects.filter(project=project, bucket__lt=1000):
        assert item.payload["text"] not in trained_on
    # ... nor measured on: a person's pick is no random sample.
    assert run.metrics["candidate"]["n"] == 12


def test_the_candidate_and_the_champion_are_measured_on_the_same_rows(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator, n_audit=24)
    audit = list(Item.objects.filter(project=project, key__startswith="audit").order_by("key"))
    said = make.wrong_about(pets.truth, [item.pk for item in audit[:6]])
    del said[audit[-1].pk]
    champion = make.model_saying(project, "deployed", said)
    assert champion.is_champion

    run = trained(project)

    assert run.metrics["champion_name"] == "deployed"
    assert run.metrics["champion"]["n"] == run.metrics["candidate"]["n"] == 23
    assert run.metrics["champion"]["accuracy"] == pytest.approx(17 / 23)
    decision = Promotion.objects.get()
    assert (decision.outcome, decision.previous, decision.gate["verdict"]) == ("promoted", champion, "not_worse")
    assert decision.gate["gained"] == 6
    champion.refresh_from_db()
    assert champion.stage == ModelVersion.Stage.RETIRED


def test_a_worse_candidate_is_refused_and_the_pool_keeps_its_scores(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator, n_train=3, n_validation=0, n_audit=30)
    champion = make.model_saying(project, "deployed", pets.truth)
    # Trained on labels that are all wrong, the candidate errs on every audit row.
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    rotated = make.wrong_about(pets.truth, pets.ids())

    class Contrary(TextTrainer):
        def fit(self, payloads, labels, **options):  # type: ignore[no-untyped-def]  # as its parent
            texts = Item.objects.filter(project=project).values_list("pk", "payload")
            return super().fit([p for _, p in texts], [rotated[pk] for pk, _ in texts], **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "TRAINERS", {"text": Contrary()})
        run = runs.execute(run.pk, now=later(1))

    assert run.state == TrainingRun.State.SUCCEEDED
    assert run.model_version is not None
    assert run.model_version.stage == ModelVersion.Stage.REJECTED
    decision = Promotion.objects.get()
    assert (decision.outcome, decision.gate["verdict"], decision.is_forced) == ("refused", "worse", False)
    champion.refresh_from_db()
    assert champion.is_champion
    assert not PoolEntry.objects.filter(project=project).exclude(model_version=champion).exists()


def test_without_automatic_promotion_a_good_candidate_waits_for_a_person(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    policies.new_version(project, by=None, promotes_automatically=False)
    run = trained(project)
    assert run.state == TrainingRun.State.SUCCEEDED
    assert run.model_version is not None
    assert run.model_version.stage == ModelVersion.Stage.CANDIDATE
    assert not Promotion.objects.exists()
    assert PoolEntry.objects.filter(project=project, probabilities__isnull=False).count() == 0


def test_a_run_adds_a_point_of_the_deployed_model_to_the_learning_curve(project: Project, annotator: User) -> None:
    make.pets(project, annotator, n_train=24, n_validation=3, n_audit=12)
    run = trained(project)
    point = LearningCurvePoint.objects.get()
    assert (point.arm, point.source, point.label_count) == ("active", "audit", 39)
    assert (point.evaluated_on, point.model_version) == (12, run.model_version)
    assert point.accuracy_low <= point.accuracy <= point.accuracy_high


def test_names_count_the_runs_of_the_project_and_avoid_taken_ones(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator)
    first = trained(project)
    make.model_saying(project, "text-0002", pets.truth)
    second = trained(project)
    assert first.model_version is not None
    assert second.model_version is not None
    assert (first.model_version.name, second.model_version.name) == ("text-0001", f"text-0002-run{second.pk}")


def test_executing_a_finished_run_again_changes_nothing(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = trained(project)
    before = TrainingRun.objects.values().get()
    runs.execute(run.pk, now=later(100))
    assert TrainingRun.objects.values().get() == before
    assert ModelVersion.objects.count() == Promotion.objects.count() == LearningCurvePoint.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_is_at_is_left_alone(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    with locks.held(LockKind.TRAINING_RUN, run.pk):
        left = in_another_session(lambda: runs.execute(run.pk, now=later(1)))
        assert in_another_session(lambda: runs.is_at_work(run.pk))
    assert (left.state, left.attempts) == (TrainingRun.State.PENDING, 0)
    assert not ModelVersion.objects.exists()


def test_one_run_at_a_time(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    first = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    with pytest.raises(TrainingAlreadyActive):
        runs.request(project, trigger=MANUAL, by=None, now=NOW)
    assert [run.pk for run in TrainingRun.objects.all()] == [first.pk]
    assert Snapshot.objects.count() == 1


def test_without_labels_there_is_nothing_to_train_on(project: Project) -> None:
    with pytest.raises(NothingToSnapshot):
        runs.request(project, trigger=MANUAL, by=None, now=NOW)
    assert not TrainingRun.objects.exists()
    assert not Snapshot.objects.exists()


def test_an_unknown_trainer_is_refused(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    with pytest.raises(UnknownTrainer):
        trained(project, trainer="forest")
    assert not TrainingRun.objects.exists()


def test_a_label_without_the_key_the_trainer_reads_fails_the_run_by_name(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    odd = make_dataset.item(project, "odd", payload={"pixels": [[1]]}, bucket=5000)
    make_dataset.annotation(odd, annotator, "cat")
    make.more_labels(project, annotator, 1)
    run = trained(project)
    assert run.state == TrainingRun.State.FAILED
    assert run.message == "item “odd”: “text” is missing"
    assert not ModelVersion.objects.exists()
    assert selectors.active_run(project) is None


def test_labels_in_the_reserve_alone_are_nothing_to_learn_from(project: Project, annotator: User) -> None:
    make.pets(project, annotator, n_train=0, n_validation=0, n_audit=3)
    run = trained(project)
    assert (run.state, run.message) == (
        TrainingRun.State.FAILED,
        "no payload has “text” or “features”, which the built-in trainers read",
    )


def test_an_item_that_cannot_be_read_is_left_out_and_named(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator)
    make_dataset.item(project, "odd", payload={"pixels": [[1]]}, bucket=5000)
    make_dataset.item(project, "even", payload={"text": 7}, bucket=5000)
    run = trained(project)
    assert run.state == TrainingRun.State.SUCCEEDED
    assert run.metrics["n_predicted"] == len(pets.truth)
    assert run.metrics["n_unreadable"] == 2
    assert run.metrics["unreadable_example"] == "item “odd”: “text” is missing"
    assert "Without a prediction: 2" in run.message
    assert PoolEntry.objects.filter(item__key__in=["odd", "even"], probabilities__isnull=True).count() == 2


def test_a_class_that_left_the_schema_meanwhile_fails_the_run(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    projects.new_schema_version(project, definition={"classes": [{"key": "cat"}, {"key": "dog"}]}, by=None)
    run = runs.execute(run.pk, now=later(1))
    assert run.state == TrainingRun.State.FAILED
    assert "bird" in run.message
    assert not ModelVersion.objects.exists()


def test_a_repeated_attempt_fills_up_the_candidate_of_the_interrupted_one(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets = make.pets(project, annotator)
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)

    class Interrupted(BaseException):
        """Like a kill: nothing catches it."""

    def interrupt(*args: object, **kwargs: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "predict_all", interrupt)
        with pytest.raises(Interrupted):
            runs.execute(run.pk, now=later(1))
    left = TrainingRun.objects.get(pk=run.pk)
    assert (left.state, left.attempts) == (TrainingRun.State.RUNNING, 1)
    assert ModelVersion.objects.get().stage == ModelVersion.Stage.CANDIDATE
    assert not runs.is_at_work(run.pk)

    done = runs.execute(run.pk, now=later(2))

    assert (done.state, done.attempts) == (TrainingRun.State.SUCCEEDED, 2)
    assert ModelVersion.objects.get() == done.model_version
    assert Prediction.objects.count() == len(pets.truth)
    assert Promotion.objects.count() == LearningCurvePoint.objects.count() == 1


def test_a_worker_that_was_cut_off_does_not_finish_what_another_took_over(
    project: Project, annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session died with the lock, it trained on, and meanwhile somebody else did the run."""
    make.pets(project, annotator)
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    predict_all = predictions.predict_all

    def lose_the_run(*args: object) -> Predicted:
        TrainingRun.objects.filter(pk=run.pk).update(attempts=2)
        return predict_all(*args)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(predictions, "predict_all", lose_the_run)
    left = runs.execute(run.pk, now=later(1))
    assert left.state == TrainingRun.State.RUNNING
    assert not Promotion.objects.exists()
    assert not ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION).exists()


def test_a_run_that_stops_its_worker_three_times_is_given_up(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=MANUAL, by=None, now=NOW)
    TrainingRun.objects.filter(pk=run.pk).update(state=TrainingRun.State.RUNNING, attempts=runs.MAX_ATTEMPTS)
    given_up = runs.execute(run.pk, now=later(1))
    assert given_up.state == TrainingRun.State.FAILED
    assert "stopped 3 times" in given_up.message
    assert not ModelVersion.objects.exists()


def test_an_external_run_is_recorded_with_its_figures(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator)
    make.model_saying(project, "deployed", make.wrong_about(pets.truth, pets.ids()))
    taken = snapshots.take(project, by=None, now=NOW)
    version = make.model_saying(project, "ours-2", pets.truth)

    run = runs.report(project, version=version, snapshot=taken, by=None, now=NOW)
    again = runs.report(project, version=version, snapshot=taken, by=None, now=later(5))

    assert run == again
    assert (run.state, run.trigger, run.trainer) == ("succeeded", "api", "external")
    assert run.metrics["candidate"]["accuracy"] == 1.0
    assert run.metrics["champion"]["accuracy"] == 0.0
    assert not Promotion.objects.exists()


def test_a_version_made_by_another_run_cannot_be_reported(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = trained(project)
    assert run.model_version is not None
    with pytest.raises(ModelVersionHasRun):
        runs.report(project, version=run.model_version, snapshot=run.snapshot, by=None, now=NOW)
    assert TrainingRun.objects.count() == 1


def test_numeric_features_train_a_numeric_model(project: Project, annotator: User) -> None:
    for number in range(12):
        label = make.CLASSES[number % 3]
        features: list[JSONValue] = [float(number % 3 == place) + number / 100 for place in range(3)]
        item = make_dataset.item(project, f"row-{number}", payload={"features": features}, bucket=5000)
        make_dataset.annotation(item, annotator, label)
    make.more_labels(project, annotator, 0)
    run = trained(project)
    assert run.model_version is not None
    assert run.model_version.name == "numeric-0001"


def test_what_the_trainers_do_not_learn_is_refused_and_never_starts_by_itself(annotator: User) -> None:
    person = User.objects.create_user("labeller")
    project = kinds.project("spans", annotator=person)
    (task,) = annotation_queue.claim(project, annotator=person, now=NOW)
    annotation_queue.submit(task.pk, annotator=person, answer={"spans": []}, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    with pytest.raises(KindNotTrainable):
        runs.request(project, trigger=MANUAL, by=None, now=NOW)
    policies.new_version(project, by=None, min_new_labels=1)
    assert runs.request_if_due(project, now=later(1)) is None
    assert not Snapshot.objects.filter(project=project).exists()


def test_ratings_are_learnt_as_classes(artifact_dir: Path) -> None:
    person = User.objects.create_user("labeller")
    texts = [("bad awful terrible", 1), ("good great lovely", 5)]
    payloads: list[dict[str, object]] = [
        {"text": f"{words} number {number}"} for number in range(30) for words, _ in texts
    ]
    project = kinds.project("rating", annotator=person, payloads=payloads)
    for task in annotation_queue.claim(project, annotator=person, now=NOW, limit=len(payloads)):
        rating = next(rating for words, rating in texts if words in task.item.payload["text"])
        annotation_queue.submit(task.pk, annotator=person, answer={"rating": rating}, now=NOW)
    accept.accept_pending(project.pk, now=NOW)
    run = trained(project)
    assert run.state == TrainingRun.State.SUCCEEDED, run.message
    assert run.model_version is not None
    assert run.model_version.classes == ["1", "2", "3", "4", "5"]
    predicted = Prediction.objects.filter(model_version=run.model_version).values_list("predicted_class", flat=True)
    assert set(predicted) == {"1", "5"}
