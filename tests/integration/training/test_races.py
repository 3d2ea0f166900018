"""Several workers and several people at once."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from datasets.models import Snapshot
from labeling.models import ModelVersion, PoolEntry, Project
from tests.factories import training as make
from tests.factories.training import NOW, later
from tests.integration.datasets.concurrency import at_once
from training.errors import AlreadyChampion, TrainingAlreadyActive
from training.models import LearningCurvePoint, Promotion, TrainingRun
from training.services import promotion, runs

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_workers_with_one_run_do_it_once(project: Project, annotator: User) -> None:
    make.pets(project, annotator)
    run = runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)
    at_once([lambda: runs.execute(run.pk, now=later(1))] * 2)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (TrainingRun.State.SUCCEEDED, 1)
    assert ModelVersion.objects.count() == Promotion.objects.count() == LearningCurvePoint.objects.count() == 1


def test_of_two_requests_at_once_one_is_refused(project: Project, annotator: User) -> None:
    make.pets(project, annotator)

    def request() -> bool:
        try:
            runs.request(project, trigger=TrainingRun.Trigger.MANUAL, by=None, now=NOW)
        except TrainingAlreadyActive:
            return False
        return True

    assert sorted(at_once([request] * 2)) == [False, True]
    assert TrainingRun.objects.count() == Snapshot.objects.count() == 1


def test_two_promotions_at_once_leave_one_champion_and_the_pool_with_its_scores(
    project: Project, annotator: User
) -> None:
    pets = make.pets(project, annotator)
    make.model_saying(project, "deployed", make.wrong_about(pets.truth, pets.ids()))
    rivals = [make.model_saying(project, name, pets.truth) for name in ("a", "b")]
    at_once([partial(promotion.promote, rival, by=None, now=NOW) for rival in rivals])
    champion = ModelVersion.objects.get(stage=ModelVersion.Stage.CHAMPION)
    assert champion in rivals
    assert not PoolEntry.objects.exclude(model_version=champion).exists()
    # The second one was compared with the first, not with the model both set out to replace.
    first, second = Promotion.objects.order_by("pk")
    assert (second.previous, second.model_version) == (first.model_version, champion)


def test_one_version_promoted_twice_at_once_becomes_champion_once(project: Project, annotator: User) -> None:
    pets = make.pets(project, annotator)
    make.model_saying(project, "deployed", make.wrong_about(pets.truth, pets.ids()))
    version = make.model_saying(project, "better", pets.truth)

    def promote() -> bool:
        try:
            promotion.promote(ModelVersion.objects.get(pk=version.pk), by=None, now=NOW)
        except AlreadyChampion:
            return False
        return True

    assert sorted(at_once([promote] * 2)) == [False, True]
    assert Promotion.objects.count() == 1
