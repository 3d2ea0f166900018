"""Who becomes champion: by the gate, by force, and back again."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoCaptureOnCommitCallbacks

from labeling import news
from labeling.models import Item, ModelVersion, PoolEntry, Prediction, Project
from tests.factories import datasets as make_dataset
from tests.factories import training as make
from tests.factories.training import NOW, Pets, later
from training.errors import AlreadyChampion, NotPromotable, PredictionsMissing
from training.models import LearningCurvePoint, Promotion, TrainingRun
from training.services import promotion, runs

pytestmark = pytest.mark.django_db


def audit_ids(project: Project) -> list[int]:
    return list(Item.objects.filter(project=project, bucket=0).order_by("pk").values_list("pk", flat=True))


def pets_with_champion(project: Project, by: User, *, n_audit: int, champion_errs_on: int) -> tuple[Pets, ModelVersion]:
    pets = make.pets(project, by, n_train=3, n_validation=0, n_audit=n_audit, n_unlabelled=5)
    said = make.wrong_about(pets.truth, audit_ids(project)[:champion_errs_on])
    return pets, make.model_saying(project, "deployed", said)


def assert_refused(champion: ModelVersion, candidate: ModelVersion, verdict: str) -> None:
    """The champion stays in place, in the table and in the pool; the refusal is on record."""
    champion.refresh_from_db()
    assert champion.is_champion
    assert not PoolEntry.objects.filter(project=champion.project).exclude(model_version=champion).exists()
    decision = Promotion.objects.get()
    assert (decision.outcome, decision.model_version, decision.is_forced) == ("refused", candidate, False)
    assert decision.gate["verdict"] == verdict
    assert not LearningCurvePoint.objects.exists()


def test_a_better_version_is_promoted_and_the_pool_rescored(
    project: Project, annotator: User, manager: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    pets, champion = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=10)
    candidate = make.model_saying(project, "better", pets.truth)
    heard: list[int] = []
    news.champion_changed.connect(
        lambda sender, project_id, **kwargs: heard.append(project_id), weak=False, dispatch_uid="t"
    )
    try:
        with django_capture_on_commit_callbacks(execute=True):
            made = promotion.promote(candidate, by=manager, now=NOW)
    finally:
        news.champion_changed.disconnect(dispatch_uid="t")

    champion.refresh_from_db()
    candidate.refresh_from_db()
    assert (champion.stage, candidate.stage) == (ModelVersion.Stage.RETIRED, ModelVersion.Stage.CHAMPION)
    assert (made.outcome, made.is_forced, made.created_by, made.previous) == ("promoted", False, manager, champion)
    assert (made.gate["gained"], made.gate["lost"]) == (10, 0)
    assert made.gate["difference"] == pytest.approx(0.5)
    assert not PoolEntry.objects.filter(project=project).exclude(model_version=candidate).exists()
    assert heard == [project.pk]
    point = LearningCurvePoint.objects.get()
    assert (point.model_version, point.accuracy, point.label_count) == (candidate, 1.0, 23)


@pytest.mark.parametrize(
    ("n_audit", "errors", "verdict"),
    [
        (30, 20, "worse"),
        (30, 2, "undecided"),
        (8, 1, "too_few_rows"),
        (4, 0, "too_few_rows"),
        (0, 0, "too_few_rows"),
    ],
)
def test_what_the_gate_does_not_pass_is_refused_and_recorded(
    project: Project, annotator: User, n_audit: int, errors: int, verdict: str
) -> None:
    pets, champion = pets_with_champion(project, annotator, n_audit=n_audit, champion_errs_on=0)
    said = make.wrong_about(pets.truth, audit_ids(project)[:errors])
    candidate = make.model_saying(project, "worse", said)
    with pytest.raises(NotPromotable):
        promotion.promote(candidate, by=None, now=NOW)
    assert_refused(champion, candidate, verdict)
    candidate.refresh_from_db()
    assert candidate.stage == ("rejected" if verdict == "worse" else "candidate")


def test_a_few_rows_without_a_loss_are_enough_for_a_young_project(project: Project, annotator: User) -> None:
    pets, _ = pets_with_champion(project, annotator, n_audit=5, champion_errs_on=1)
    candidate = make.model_saying(project, "better", pets.truth)
    made = promotion.promote(candidate, by=None, now=NOW)
    assert (made.outcome, made.gate["verdict"]) == ("promoted", "no_loss_seen")


def test_a_person_may_overrule_the_gate_and_that_is_recorded(project: Project, annotator: User, manager: User) -> None:
    pets, _ = pets_with_champion(project, annotator, n_audit=30, champion_errs_on=0)
    candidate = make.model_saying(project, "worse", make.wrong_about(pets.truth, pets.ids()))
    made = promotion.promote(candidate, by=manager, now=NOW, force=True)
    assert (made.outcome, made.is_forced, made.created_by) == ("promoted", True, manager)
    assert made.gate["verdict"] == "worse"
    candidate.refresh_from_db()
    assert candidate.is_champion


def test_force_that_was_not_needed_is_not_recorded_as_force(project: Project, annotator: User) -> None:
    pets, _ = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=5)
    made = promotion.promote(make.model_saying(project, "better", pets.truth), by=None, now=NOW, force=True)
    assert not made.is_forced


@pytest.mark.parametrize("force", [False, True])
def test_a_version_that_did_not_predict_the_whole_pool_is_refused(
    project: Project, annotator: User, force: bool
) -> None:
    pets, champion = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=10)
    unlabelled = list(PoolEntry.objects.filter(state=PoolEntry.State.AVAILABLE).values_list("pk", flat=True))
    said = {item_id: label for item_id, label in pets.truth.items() if item_id not in unlabelled[:2]}
    candidate = make.model_saying(project, "partial", said)
    with pytest.raises(PredictionsMissing, match="2 items"):
        promotion.promote(candidate, by=None, now=NOW, force=force)
    champion.refresh_from_db()
    assert champion.is_champion
    assert not Promotion.objects.exists()


def test_items_that_cannot_be_asked_any_more_need_no_prediction(project: Project, annotator: User) -> None:
    pets, _ = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=10)
    answered = PoolEntry.objects.filter(state=PoolEntry.State.ANSWERED, bucket__gte=1000).values_list("pk", flat=True)
    said = {item_id: label for item_id, label in pets.truth.items() if item_id not in set(answered)}
    assert promotion.promote(make.model_saying(project, "lean", said), by=None, now=NOW).outcome == "promoted"


def test_the_champion_cannot_be_promoted(project: Project, annotator: User) -> None:
    _, champion = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=0)
    with pytest.raises(AlreadyChampion):
        promotion.promote(champion, by=None, now=NOW)
    assert not Promotion.objects.exists()


def test_the_first_champion_of_a_trainer_is_compared_with_nothing(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator, n_audit=0)
    version = make.model_saying(project, "first", pets.truth, origin=ModelVersion.Origin.TRAINER)
    assert not version.is_champion
    made = promotion.promote(version, by=None, now=NOW)
    assert (made.outcome, made.previous, made.gate["verdict"], made.gate["rows"]) == ("promoted", None, "first", 0)


def test_a_retired_version_can_come_back(project: Project, annotator: User) -> None:
    pets, first = pets_with_champion(project, annotator, n_audit=20, champion_errs_on=0)
    worse = make.model_saying(project, "worse", make.wrong_about(pets.truth, audit_ids(project)))
    promotion.promote(worse, by=None, now=NOW, force=True)
    first.refresh_from_db()
    assert first.stage == ModelVersion.Stage.RETIRED

    back = promotion.promote(first, by=None, now=later(60))

    assert (back.outcome, back.previous, back.is_forced) == ("promoted", worse, False)
    assert not PoolEntry.objects.filter(project=project).exclude(model_version=first).exists()


def test_a_retired_version_that_is_refused_stays_retired(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator, n_audit=30)
    worse = make.model_saying(project, "worse", make.wrong_about(pets.truth, audit_ids(project)))
    promotion.promote(make.model_saying(project, "better", pets.truth), by=None, now=NOW)
    with pytest.raises(NotPromotable):
        promotion.promote(worse, by=None, now=NOW)
    worse.refresh_from_db()
    assert worse.stage == ModelVersion.Stage.RETIRED


def test_a_trained_version_coming_back_predicts_what_is_new_since(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator)
    runs.execute(runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW).pk, now=NOW)
    trained = ModelVersion.objects.get()
    newer = make.model_saying(project, "newer", pets.truth)
    promotion.promote(newer, by=None, now=NOW)
    late = make_dataset.item(project, "late", payload={"text": "bark bone"})

    promotion.promote(trained, by=None, now=later(60))

    assert Prediction.objects.get(model_version=trained, item=late).predicted_class == "dog"
    assert PoolEntry.objects.get(item=late).model_version == trained


def test_a_trained_version_whose_file_is_gone_needs_its_predictions(
    project: Project, annotator: User, artifact_dir: Path
) -> None:
    pets = make.pets(project, annotator)
    runs.execute(runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW).pk, now=NOW)
    trained = ModelVersion.objects.get()
    newer = make.model_saying(project, "newer", pets.truth)
    promotion.promote(newer, by=None, now=NOW)
    (artifact_dir / trained.artifact).unlink()
    promotion.promote(trained, by=None, now=later(1))
    promotion.promote(newer, by=None, now=later(2))
    make_dataset.item(project, "late", payload={"text": "bark bone"})
    with pytest.raises(PredictionsMissing, match="1 item of"):
        promotion.promote(trained, by=None, now=later(3))


def test_labels_of_classes_a_model_does_not_know_count_against_it(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator, n_audit=30)
    make.model_saying(project, "deployed", pets.truth)
    said = {item_id: ("dog" if label == "bird" else label) for item_id, label in pets.truth.items()}
    narrow = make.model_saying(project, "narrow", said, classes=("cat", "dog"))
    comparison = promotion.evaluate(narrow)
    assert comparison.candidate is not None
    assert comparison.candidate.accuracy == pytest.approx(2 / 3)
    assert comparison.candidate.log_loss > 5
    assert comparison.verdict == "worse"
