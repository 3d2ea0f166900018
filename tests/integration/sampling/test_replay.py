"""A refill run is drawn again from its row."""

import io

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from datasets.services import accept
from labeling.models import AnnotationTask, Item, ModelVersion, Prediction, Project
from labeling.probability import pack
from labeling.services import annotation_queue
from sampling.errors import NotReplayable
from sampling.models import RefillRun, Surrogate
from sampling.services import features, policies, refill, surrogates
from sampling.services.replay import replay
from tests.factories import datasets as make_labels
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
BUCKETS = [10 if number % 8 == 0 else make.OUTSIDE_RESERVE for number in range(80)]


def run_refill(project: Project, seed: int = 1) -> RefillRun:
    requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=seed)
    return refill.execute(requested.pk, now=NOW)


@pytest.mark.parametrize("rule", ["stochastic", "softmax", "top_k", "cluster_quotas"])
def test_a_run_gives_the_same_batch_after_everything_has_changed(project: Project, annotator: User, rule: str) -> None:
    items = make.scored_pool(project, 80, buckets=BUCKETS)
    ModelVersion.objects.update(origin=ModelVersion.Origin.APP)
    features.build(project, now=NOW)
    policies.new_version(project, by=None, batch_rule=rule, batch_size=12, low_watermark=1)
    first = run_refill(project)
    annotation_queue.claim(project, annotator=annotator, now=NOW)
    policies.new_version(project, by=None, batch_size=30)
    second = run_refill(project, seed=2)
    make.pool(project, 15, prefix="later")
    make.scores(make.champion(project, "next"), items, np.random.default_rng(9).dirichlet(np.ones(3), 80))
    for run, count in ((first, 12), (second, 18)):
        said = replay(RefillRun.objects.get(pk=run.pk))
        assert (said.is_same, said.has_same_scores) == (True, True), said
        assert (said.drawn_count, said.compared_count) == (count, count)


def test_a_run_scored_by_a_surrogate_is_replayed_with_that_surrogate(project: Project, annotator: User) -> None:
    items = make.pool(project, 60, buckets=BUCKETS[:60])
    features.build(project, now=NOW)
    policies.new_version(project, by=None, batch_size=10, low_watermark=1, hand_over_labels_per_class=1)
    version = make.champion(project, "none")
    ModelVersion.objects.filter(pk=version.pk).update(stage="retired")
    _label(project, annotator, items[:20])
    assert surrogates.train(project, now=NOW) is not None
    run = run_refill(project)
    assert run.surrogate is not None
    _label(project, annotator, items[20:40])
    surrogates.train(project, now=NOW)
    assert Surrogate.objects.count() == 2
    said = replay(RefillRun.objects.get(pk=run.pk))
    assert (said.is_same, said.has_same_scores) == (True, True)


def test_other_scores_are_noticed(project: Project) -> None:
    items = make.scored_pool(project, 60)
    run = run_refill(project)
    Prediction.objects.filter(item=items[7]).update(probabilities=pack(np.array([0.2, 0.3, 0.5])))
    assert not replay(run).has_same_scores


def test_what_cannot_be_replayed_says_why(project: Project, owner_client: APIClient) -> None:
    make.scored_pool(project, 30)
    policies.new_version(project, by=None, batch_size=1, low_watermark=1)
    run = run_refill(project)
    full = run_refill(project)
    with pytest.raises(NotReplayable, match="drew a batch"):
        replay(full)
    answer = owner_client.post(f"/api/v1/projects/pets/refills/{full.pk}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_replayable")
    RefillRun.objects.filter(pk=run.pk).update(pool_record=None)
    with pytest.raises(CommandError, match="newest runs only"):
        call_command("replay_refill", run.pk)
    with pytest.raises(CommandError, match="no refill run 0"):
        call_command("replay_refill", 0)


def test_old_runs_let_go_of_their_pool(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refill, "RECORDS_KEPT", 2)
    make.scored_pool(project, 30)
    runs = []
    for size in (3, 6, 9):
        policies.new_version(project, by=None, batch_size=size, low_watermark=1)
        runs.append(run_refill(project))
    kept = [run.pool_record is not None for run in RefillRun.objects.order_by("pk")]
    assert kept == [False, True, True]


def test_the_command_and_the_api_say_the_same(project: Project, owner_client: APIClient) -> None:
    make.scored_pool(project, 30, buckets=BUCKETS[:30])
    policies.new_version(project, by=None, batch_size=5, low_watermark=1)
    run = run_refill(project)
    said = io.StringIO()
    call_command("replay_refill", run.pk, stdout=said)
    assert said.getvalue().strip() == "The same batch: 5 tasks compared, with the same scores."
    answer = owner_client.post(f"/api/v1/projects/pets/refills/{run.pk}/replay")
    assert answer.status_code == 200
    assert answer.json() == {
        "is_same": True, "has_same_scores": True, "drawn_count": 5, "compared_count": 5, "differing_ranks": [],
    }  # fmt: skip
    task = AnnotationTask.objects.filter(batch=run.batch).order_by("draw_rank").last()
    assert task is not None
    other = Item.objects.exclude(annotation_tasks__batch=run.batch).first()
    AnnotationTask.objects.filter(pk=task.pk).update(item=other)
    with pytest.raises(CommandError, match="Differs at the draws: 4"):
        call_command("replay_refill", run.pk)


def _label(project: Project, by: User, items: list[Item]) -> None:
    for number, item in enumerate(items):
        make_labels.annotation(item, by, make.CLASSES[number % 2])
    accept.accept_pending(project.pk, now=NOW)
