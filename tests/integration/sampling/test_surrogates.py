"""Pools that no champion scores: a surrogate learns from the accepted labels and scores them."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from datasets.models import AcceptedLabel
from datasets.services import accept
from labeling.models import Annotation, AnnotationTask, Item, Project
from sampling import tasks
from sampling.errors import InvalidPolicy
from sampling.models import RefillRun, Surrogate
from sampling.services import features, policies, refill, surrogates
from tests.factories import datasets as make
from tests.factories import kinds as make_kind
from tests.factories import sampling as make_pool

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WORDS = {"cat": "purring whiskers", "dog": "barking tail"}
OUTSIDE_RESERVE, IN_RESERVE = 5_000, 10


@pytest.fixture
def pets(project: Project) -> list[Item]:
    """60 texts of two topics, the first of each ten in the audit reserve, with vectors."""
    items = [
        make.item(
            project,
            f"pet-{number}",
            payload={"text": f"{WORDS['cat' if number % 2 else 'dog']} number {number}"},
            bucket=IN_RESERVE if number % 10 < 2 else OUTSIDE_RESERVE,
        )
        for number in range(60)
    ]
    features.build(project, now=NOW)
    return items


def label(project: Project, by: User, items: list[Item], *, as_: str = "") -> None:
    for item in items:
        said = as_ or ("cat" if int(item.key.split("-")[1]) % 2 else "dog")
        make.annotation(item, by, said, is_audit=item.bucket == IN_RESERVE)
    accept.accept_pending(project.pk, now=NOW)


def run_refill(project: Project) -> RefillRun:
    requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=1)
    return refill.execute(requested.pk, now=NOW)


def test_a_refill_without_a_champion_is_scored_by_a_surrogate(
    project: Project, pets: list[Item], annotator: User
) -> None:
    policies.new_version(project, by=None, batch_size=10, low_watermark=1, hand_over_labels_per_class=3)
    label(project, annotator, pets[:24])
    tasks.train_surrogate(project.pk)
    trained = Surrogate.objects.get()
    assert (trained.state, trained.fit, trained.number) == ("ready", "full", 1), trained.message
    # The 6 labels of the reserve measure it, and it never saw them.
    assert (trained.label_count, trained.audit_count, trained.accuracy) == (18, 6, 1.0)
    assert trained.classes == ["cat", "dog"]

    run = run_refill(project)

    assert (run.phase, run.surrogate, run.model_version) == (RefillRun.Phase.ACTIVE, trained, None), run.phase_reason
    drawn = AnnotationTask.objects.filter(batch=run.batch)
    assert drawn.count() == 10
    for task in drawn:
        assert task.informativeness is not None
        assert task.propensity is not None
        assert task.model_version is None
        assert task.reason == ("audit" if task.is_audit else "uncertain")


def test_items_like_no_labelled_one_are_the_most_informative(
    project: Project, pets: list[Item], annotator: User
) -> None:
    odd = make.item(project, "odd-0", payload={"text": "purring whiskers barking tail"}, bucket=OUTSIDE_RESERVE)
    features.build(project, now=NOW)
    label(project, annotator, pets[:40])
    policies.new_version(project, by=None, batch_rule="top_k", epsilon=0.0, batch_size=5, low_watermark=1)
    surrogates.train(project, now=NOW)
    first = AnnotationTask.objects.filter(batch=run_refill(project).batch).order_by("draw_rank").first()
    assert first is not None
    assert first.item == odd


def test_it_is_trained_again_when_labels_have_grown_and_not_before(
    project: Project, pets: list[Item], annotator: User
) -> None:
    assert surrogates.train(project, now=NOW) is None
    label(project, annotator, [pets[1]])
    failed = surrogates.train(project, now=NOW)
    assert failed is not None
    assert (failed.state, "at least two classes" in failed.message) == ("failed", True)
    assert surrogates.train(project, now=NOW) is None, "nothing is new"
    label(project, annotator, pets[10:50])
    assert surrogates.train(project, now=NOW) == Surrogate.objects.get(number=2, state="ready")
    label(project, annotator, [pets[51]])
    assert surrogates.status(project).labels_behind == 1
    assert surrogates.train(project, now=NOW) is None, "one label more than 31 is not enough"
    label(project, annotator, [pets[53]])
    assert surrogates.train(project, now=NOW) is not None


def test_with_many_labels_it_goes_on_learning_until_one_is_taken_back(
    project: Project, pets: list[Item], annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surrogates, "GOES_ON_FROM", 20)
    label(project, annotator, pets[:30])
    assert surrogates.train(project, now=NOW).fit == "full"  # type: ignore[union-attr]
    label(project, annotator, pets[30:40])
    went_on = surrogates.train(project, now=NOW)
    assert went_on is not None
    assert (went_on.fit, went_on.label_count, went_on.fitted_labels) == ("partial", 32, 24)
    assert went_on.accuracy == 1.0

    Annotation.objects.filter(item=pets[12]).update(withdrawn_at=NOW)
    accept.accept_pending(project.pk, now=NOW)
    label(project, annotator, pets[42:46])
    assert AcceptedLabel.objects.filter(superseded_at__isnull=False).count() == 1
    assert surrogates.train(project, now=NOW).fit == "full"  # type: ignore[union-attr]


def test_a_class_that_is_new_to_it_makes_it_train_anew(
    project: Project, pets: list[Item], annotator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surrogates, "GOES_ON_FROM", 20)
    label(project, annotator, pets[:30])
    surrogates.train(project, now=NOW)
    label(project, annotator, pets[32:36], as_="bird")
    again = surrogates.train(project, now=NOW)
    assert again is not None
    assert (again.fit, again.classes) == ("full", ["cat", "dog", "bird"])


def test_a_champion_takes_over_and_the_policy_may_say_otherwise(
    project: Project, pets: list[Item], annotator: User
) -> None:
    policies.new_version(project, by=None, hand_over_labels_per_class=2)
    label(project, annotator, pets[:24])
    surrogates.train(project, now=NOW)
    version = make_pool.champion(project)
    make_pool.scores(version, pets[24:], np.random.default_rng(0).dirichlet(np.ones(3), 36))
    assert not surrogates.status(project).is_wanted
    run = run_refill(project)
    assert (run.model_version, run.surrogate) == (version, None)

    policies.new_version(project, by=None, score_source="surrogate", batch_size=200)
    run = run_refill(project)
    assert (run.model_version, run.surrogate) == (version, Surrogate.objects.get())
    assert not AnnotationTask.objects.filter(batch=run.batch, model_version__isnull=False).exists()


@pytest.mark.parametrize("goes_on_from", [surrogates.GOES_ON_FROM, 10])
def test_a_damaged_artifact_fails_the_refill_and_another_is_trained_from_the_same_labels(
    project: Project, pets: list[Item], annotator: User, monkeypatch: pytest.MonkeyPatch, goes_on_from: int
) -> None:
    monkeypatch.setattr(surrogates, "GOES_ON_FROM", goes_on_from)
    policies.new_version(project, by=None, hand_over_labels_per_class=2)
    label(project, annotator, pets[:24])
    trained = surrogates.train(project, now=NOW)
    assert trained is not None
    (Path(settings.ARTIFACT_DIR) / trained.artifact).write_bytes(b"nonsense")
    run = run_refill(project)
    assert (run.state, "is damaged" in run.message) == ("failed", True)

    assert surrogates.is_due(project)
    again = surrogates.train(project, now=NOW)
    assert again is not None
    assert (again.state, again.number, again.fit) == ("ready", 2, "full")
    trained.refresh_from_db()
    assert (trained.state, trained.message) == ("failed", "Its artifact cannot be read any more.")
    run = run_refill(project)
    assert (run.state, run.surrogate) == ("succeeded", again)
    assert not surrogates.is_due(project)


def test_without_labels_to_train_on_a_lost_one_is_given_up_once(
    project: Project, pets: list[Item], annotator: User
) -> None:
    label(project, annotator, pets[:24])
    trained = surrogates.train(project, now=NOW)
    assert trained is not None
    (Path(settings.ARTIFACT_DIR) / trained.artifact).unlink()
    dogs = Annotation.objects.filter(item__in=[pet for pet in pets[:24] if int(pet.key.split("-")[1]) % 2 == 0])
    dogs.update(withdrawn_at=NOW)
    accept.accept_pending(project.pk, now=NOW)
    AcceptedLabel.objects.exclude(label="cat").update(superseded_at=NOW)
    failed = surrogates.train(project, now=NOW)
    assert failed is not None
    assert failed.state == "failed"
    assert not surrogates.is_due(project)
    assert run_refill(project).phase == RefillRun.Phase.COLD_START


def test_projects_whose_answers_are_no_class_have_none(owner: User) -> None:
    spans = make_kind.project("spans", annotator=owner)
    assert not surrogates.is_due(spans)
    assert not surrogates.status(spans).is_wanted


def test_the_api_and_the_queue_page_show_it(
    owner_client: APIClient, project: Project, pets: list[Item], annotator: User, owner: User
) -> None:
    path = "/api/v1/projects/pets/surrogate"
    assert owner_client.get(path).json() == {
        "is_wanted": True, "labels_behind": 0, "current": None, "last_failure": None,
    }  # fmt: skip
    label(project, annotator, pets[:24])
    surrogates.train(project, now=NOW)
    said = owner_client.get(path).json()
    assert (said["current"]["number"], said["current"]["audit_count"], said["labels_behind"]) == (1, 6, 0)
    browser = Client()
    browser.force_login(owner)
    page = browser.get(reverse("queue", args=["pets"])).content.decode()
    assert "scores the pool" in page
    assert "Surrogate 1: trained anew, 2 classes" in page


@pytest.mark.parametrize(
    "strategy", ["vote_entropy", "consensus_entropy", "kl_disagreement", "bald", "expected_model_change", "margin"]
)
def test_strategies_over_committees_and_vectors_score_by_the_surrogate(
    project: Project, pets: list[Item], annotator: User, strategy: str
) -> None:
    label(project, annotator, pets[:24])
    surrogates.train(project, now=NOW)
    policies.new_version(
        project, by=None, strategy=strategy, score_source="surrogate", hand_over_labels_per_class=2, batch_size=10,
        low_watermark=1,
    )  # fmt: skip
    run = run_refill(project)
    assert (run.state, run.phase, run.selected_count) == ("succeeded", "active", 10), run.message
    assert not AnnotationTask.objects.filter(batch=run.batch, informativeness__isnull=True).exists()


def test_a_strategy_over_a_committee_is_refused_without_a_surrogate(project: Project) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        policies.new_version(project, by=None, strategy="bald")
    assert "only a surrogate has" in refused.value.fields["strategy"]


def test_before_the_first_surrogate_a_strategy_over_committees_begins_cold(project: Project, pets: list[Item]) -> None:
    policies.new_version(project, by=None, strategy="bald", score_source="surrogate", batch_size=5, low_watermark=1)
    run = run_refill(project)
    assert (run.state, run.phase, run.selected_count) == ("succeeded", "cold_start", 5), run.message
