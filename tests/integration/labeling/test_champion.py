"""Model versions, scores that trainers compute, and what the pool holds when the champion changes."""

import datetime as dt
import threading
from collections.abc import Callable

import numpy as np
import pytest
from django.db import OperationalError, connection, transaction
from numpy.typing import NDArray

from labeling import news
from labeling.errors import Conflict, DomainError, InvalidInput
from labeling.models import Item, ModelVersion, PoolEntry, Prediction, Project
from labeling.probability import unpack
from labeling.services import bulk, intake, score_arrays
from labeling.services.recording import OnConflict
from tests.factories.labeling import CLASSES, item_row, model_version, other_project, prediction_part, prediction_row

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
STAGES = ModelVersion.Stage


def make_items(project: Project, count: int) -> NDArray[np.int64]:
    intake.record_items(project, [item_row(f"item {number}") for number in range(count)])
    return np.array(Item.objects.filter(project=project).order_by("id").values_list("id", flat=True))


def random_scores(count: int, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).dirichlet(np.ones(3), count).astype(np.float32)


def pool(project: Project) -> list[tuple[int | None, bytes | None]]:
    entries = PoolEntry.objects.filter(project=project).order_by("item_id")
    return [
        (entry.model_version_id, None if entry.probabilities is None else bytes(entry.probabilities))
        for entry in entries
    ]


def test_the_first_version_of_an_app_is_the_champion(project: Project) -> None:
    assert model_version(project, "m1").stage == STAGES.CHAMPION
    assert model_version(project, "m2").stage == STAGES.CANDIDATE


def test_a_trained_version_is_never_champion_by_itself(project: Project) -> None:
    trained = intake.register_model_version(project, name="t", classes=CLASSES, origin=ModelVersion.Origin.TRAINER)
    assert trained.stage == STAGES.CANDIDATE
    assert model_version(project, "m1").stage == STAGES.CHAMPION


@pytest.mark.parametrize(
    ("name", "classes", "error", "code"),
    [
        ("m1", CLASSES, Conflict, "model_version_exists"),
        ("m2", ["cat", "fish"], InvalidInput, "unknown_class"),
        ("m2", ["cat", "cat"], InvalidInput, "invalid_classes"),
        ("m2", [], InvalidInput, "invalid_classes"),
        ("", CLASSES, InvalidInput, "invalid_input"),
        ("m/2", CLASSES, InvalidInput, "invalid_input"),
        ("m\n2", CLASSES, InvalidInput, "invalid_input"),
        ("m" * 101, CLASSES, InvalidInput, "invalid_input"),
    ],
)
def test_a_version_that_cannot_be_is_refused(
    project: Project, name: str, classes: list[str], error: type[DomainError], code: str
) -> None:
    model_version(project, "m1")
    with pytest.raises(error) as caught:
        model_version(project, name, classes)
    assert caught.value.code == code
    assert ModelVersion.objects.count() == 1


def test_arrays_are_stored_as_predictions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_arrays, "CHUNK_ROWS", 4)
    model_version(project, "m1")
    candidate = model_version(project, "m2", ["bird", "cat", "dog"])
    ids, scores = make_items(project, 10), random_scores(10)
    assert intake.record_prediction_arrays(candidate, item_ids=ids, probabilities=scores) == 10
    predictions = list(Prediction.objects.order_by("item_id"))
    stored = np.stack([unpack(bytes(prediction.probabilities), 3) for prediction in predictions])
    np.testing.assert_allclose(stored, scores, atol=1e-7)
    for prediction, row in zip(predictions, stored, strict=True):
        assert prediction.predicted_class == candidate.classes[row.argmax()]
        assert prediction.confidence == row.max()
        assert (prediction.context, prediction.respondent_hash) == ({}, "")
    assert pool(project) == [(None, None)] * 10


def test_arrays_of_the_champion_reach_the_pool_and_replace_what_was_there(project: Project) -> None:
    champion = model_version(project)
    ids = make_items(project, 5)
    intake.record_predictions(project, [prediction_row("item 0", 1, 0, 0)])
    assert intake.record_prediction_arrays(champion, item_ids=ids, probabilities=random_scores(5)) == 5
    expected = [bytes(row) for row in Prediction.objects.order_by("item_id").values_list("probabilities", flat=True)]
    assert pool(project) == [(champion.pk, row) for row in expected]


def test_arrays_pass_over_items_of_other_projects(project: Project) -> None:
    champion = model_version(project)
    ids = make_items(other_project(), 2)
    assert intake.record_prediction_arrays(champion, item_ids=ids, probabilities=random_scores(2)) == 0
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(
    ("ids", "scores"),
    [
        ([1, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ([1], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]),
        ([1, 1], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]),
        ([1], [[0.5, 0.3, 0.1]]),
        ([1], [[float("nan"), 0.5, 0.5]]),
    ],
)
def test_arrays_that_are_no_predictions_are_refused(
    project: Project, ids: list[int], scores: list[list[float]]
) -> None:
    champion = model_version(project)
    with pytest.raises(ValueError, match=r"columns|twice|row 0"):
        intake.record_prediction_arrays(
            champion, item_ids=np.array(ids), probabilities=np.array(scores, dtype=np.float32)
        )
    assert not Prediction.objects.exists()


def test_a_new_champion_retires_the_old_one_and_fills_the_pool(
    project: Project, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    old, new = model_version(project, "m1"), model_version(project, "m2", ["dog", "cat"])
    ids = make_items(project, 3)
    intake.record_prediction_arrays(old, item_ids=ids, probabilities=random_scores(3))
    halves = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    intake.record_prediction_arrays(new, item_ids=ids[:2], probabilities=halves)
    heard: list[int] = []

    def hear(sender: object, *, project_id: int, **kwargs: object) -> None:
        heard.append(project_id)

    news.champion_changed.connect(hear)
    try:
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]  # it is a context manager
            intake.set_champion(new, now=NOW)
    finally:
        news.champion_changed.disconnect(hear)
    assert heard == [project.pk]
    old.refresh_from_db()
    assert (old.stage, new.stage) == (STAGES.RETIRED, STAGES.CHAMPION)
    assert pool(project) == [(new.pk, halves[0].tobytes()), (new.pk, halves[1].tobytes()), (None, None)]
    assert list(PoolEntry.objects.order_by("item_id").values_list("scored_at", flat=True)) == [NOW, NOW, None]


def test_setting_the_champion_again_changes_nothing(project: Project) -> None:
    champion = model_version(project)
    ids = make_items(project, 3)
    intake.record_prediction_arrays(champion, item_ids=ids, probabilities=random_scores(3))
    before = pool(project)
    intake.set_champion(champion, now=NOW)
    assert pool(project) == before
    assert ModelVersion.objects.get().stage == STAGES.CHAMPION


def test_other_projects_pools_are_left_alone(project: Project) -> None:
    elsewhere = other_project()
    theirs, ours = model_version(elsewhere), model_version(project)
    for version, where in ((theirs, elsewhere), (ours, project)):
        ids = make_items(where, 2)
        intake.record_prediction_arrays(version, item_ids=ids, probabilities=random_scores(2))
    before = pool(elsewhere)
    intake.set_champion(model_version(project, "m2"), now=NOW)
    assert pool(elsewhere) == before
    assert pool(project) == [(None, None)] * 2
    theirs.refresh_from_db()
    assert theirs.stage == STAGES.CHAMPION


# -- two connections -----------------------------------------------------------------------------------------------


def in_another_connection(work: Callable[[], object]) -> Exception | None:
    """Run `work` in a thread that waits for a lock only briefly; return what it raised."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '100ms'")
            work()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.django_db(transaction=True)
def test_a_promotion_waits_for_an_import_of_its_version(project: Project) -> None:
    model_version(project, "m1")
    candidate = model_version(project, "m2")
    with transaction.atomic():
        bulk.lock_versions(project, ["m2"])
        error = in_another_connection(lambda: intake.set_champion(candidate, now=NOW))
    assert isinstance(error, OperationalError)
    assert ModelVersion.objects.get(name="m1").stage == STAGES.CHAMPION


@pytest.mark.django_db(transaction=True)
def test_an_import_waits_for_a_promotion_and_then_sees_the_new_champion(project: Project) -> None:
    model_version(project, "m1")
    candidate = model_version(project, "m2")
    row = item_row("a", prediction=prediction_part(model_version="m2"))
    with transaction.atomic():
        intake.set_champion(candidate, now=NOW)
        error = in_another_connection(lambda: intake.record_items(project, [row]))
    assert isinstance(error, OperationalError)
    assert not Item.objects.exists()
    assert in_another_connection(lambda: intake.record_items(project, [row])) is None
    assert PoolEntry.objects.get().model_version == candidate


@pytest.mark.django_db(transaction=True)
def test_imports_of_the_same_keys_in_opposite_order_do_not_block_each_other_for_good(project: Project) -> None:
    model_version(project)
    rows = [item_row(f"{number:03}", prediction=prediction_part()) for number in range(300)]
    reports: list[int] = []

    def run(order: int) -> None:
        try:
            for mode in (OnConflict.UPDATE, OnConflict.SKIP):
                reports.append(intake.record_items(project, rows[::order], on_conflict=mode).failed)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(order,)) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports == [0] * 8
    assert Item.objects.count() == PoolEntry.objects.count() == Prediction.objects.count() == 300


@pytest.mark.django_db(transaction=True)
def test_two_promotions_at_once_leave_one_champion(project: Project) -> None:
    versions = [model_version(project, f"m{number}") for number in range(4)]
    errors: list[Exception | None] = []
    threads = [
        threading.Thread(
            target=lambda version=version: errors.append(
                in_another_connection(lambda: intake.set_champion(version, now=NOW))
            )
        )
        for version in versions[1:]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(error is None or isinstance(error, OperationalError) for error in errors)
    assert ModelVersion.objects.filter(stage=STAGES.CHAMPION).count() == 1
