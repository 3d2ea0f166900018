"""The overview's figures come from the rows they claim to come from."""

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.services import accept
from feedbackproject import overview
from labeling.models import AnnotationTask, ModelVersion, Project
from labeling.services import intake
from tests.factories.datasets import annotation, item
from training.services import curve

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
AUDIT_BUCKET, TRAIN_BUCKET = 5, 5000


@pytest.fixture
def judged(project: Project, owner: User) -> ModelVersion:
    """A champion that says cat of everything: right on 3 of 4 audit items, on 1 of 5 chosen ones; 1 item unlabelled."""
    truths = ["cat", "cat", "cat", "dog", "cat", "dog", "dog", "bird", "bird", ""]
    items = [
        item(project, f"item-{place}", bucket=AUDIT_BUCKET if place < 4 else TRAIN_BUCKET)
        for place in range(len(truths))
    ]
    version = intake.register_model_version(project, name="first", classes=["cat", "dog", "bird"])
    intake.record_prediction_arrays(
        version,
        item_ids=np.array([each.pk for each in items]),
        probabilities=np.tile(np.array([0.6, 0.3, 0.1], dtype=np.float32), (len(items), 1)),
    )
    intake.refresh_pool(project, version, now=NOW)
    for place, (each, truth) in enumerate(zip(items, truths, strict=True)):
        if truth:
            reason = AnnotationTask.Reason.AUDIT if place < 4 else AnnotationTask.Reason.UNCERTAIN
            annotation(each, owner, truth, reason=reason, is_audit=place < 4)
    accept.accept_pending(project.pk, now=NOW)
    return version


def test_accuracy_rests_on_the_random_items_and_the_naive_mean_on_the_others(
    project: Project, judged: ModelVersion
) -> None:
    found = overview.accuracy(project)
    assert found is not None
    assert (found.estimates.audit.value, found.estimates.audit.n) == (0.75, 4)
    assert (found.naive.value, found.naive.n) == (0.2, 5)
    assert found.champion == judged


def test_there_is_no_accuracy_without_a_champion(project: Project) -> None:
    assert overview.accuracy(project) is None


def test_the_page_shows_both_and_says_which_to_believe(
    client: Client, owner: User, project: Project, judged: ModelVersion
) -> None:
    client.force_login(owner)
    content = client.get("/projects/pets/").content.decode()
    assert '<span class="figure-number">75.0%</span>' in content
    assert '<span class="figure-number struck">20.0%</span>' in content
    assert "Do not believe this one" in content


def test_the_funnel_counts_every_stage(client: Client, owner: User, project: Project, judged: ModelVersion) -> None:
    client.force_login(owner)
    stages = client.get("/projects/pets/").context["stages"]
    assert [(stage.name, stage.count) for stage in stages] == [
        *(("Items", 10), ("Predicted", 10), ("Queued", 9), ("Labelled", 9), ("Accepted", 9), ("Trained", 0))
    ]


def test_the_learning_curve_is_drawn_from_its_second_point(
    client: Client, owner: User, project: Project, judged: ModelVersion
) -> None:
    client.force_login(owner)
    curve.record_audit_point(project, now=NOW)
    assert "role-axis" not in client.get("/projects/pets/").content.decode()
    annotation(project.items.get(key="item-9"), owner, "cat")
    accept.accept_pending(project.pk, now=NOW)
    curve.record_audit_point(project, now=NOW)
    assert "role-axis" in client.get("/projects/pets/").content.decode()
