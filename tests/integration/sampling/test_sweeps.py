"""Sweeps find the projects where there is something to learn; the work itself is a task of its own for each."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from datasets.services import accept
from labeling.models import Embedding, EmbeddingSpace, Project
from labeling.services import projects
from sampling import tasks
from sampling.models import ArmComparison
from sampling.services import control_arm, features, policies, surrogates
from tests.factories import datasets as make
from tests.factories import sampling as make_pool

pytestmark = pytest.mark.django_db

NOW = make_pool.NOW
WORDS = {"cat": "purring whiskers", "dog": "barking tail"}


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    calls: list[tuple[str, int]] = []
    monkeypatch.setattr(tasks, "wake", lambda name, number: calls.append((name, number)))
    return calls


def fill(project: Project, annotator: User, *, count: int = 40) -> None:
    """Labels of texts of two topics; half of the labels are of the audit reserve."""
    for number in range(count):
        name = "cat" if number % 3 else "dog"
        is_audit = number % 2 == 0
        item = make.item(
            project,
            f"{project.slug}-{number}",
            payload={"text": f"{WORDS[name]} number {number}"},
            bucket=10 if is_audit else make_pool.OUTSIDE_RESERVE,
        )
        make.annotation(item, annotator, name, is_audit=is_audit)
    accept.accept_pending(project.pk, now=NOW)


@pytest.fixture
def other(project: Project, owner: User) -> Project:
    definition = {"classes": [{"key": key} for key in make_pool.CLASSES]}
    return projects.create(slug="others", name="Others", definition=definition, by=owner)


def test_nothing_is_woken_where_nothing_is_to_be_learned(
    project: Project, annotator: User, woken: list[tuple[str, int]]
) -> None:
    fill(project, annotator, count=100)
    for sweep in (tasks.sweep_features, tasks.sweep_surrogates, tasks.sweep_control_arms):
        sweep()
    # A surrogate needs the vectors first.
    assert woken == [(tasks.MAKE_FEATURES, project.pk), (tasks.COMPARE_ARMS, project.pk)]
    tasks.make_features(project.pk)
    tasks.compare_arms(project.pk)
    woken.clear()
    tasks.sweep_surrogates()
    assert woken == [(tasks.TRAIN_SURROGATE, project.pk)]
    tasks.train_surrogate(project.pk)
    woken.clear()
    for sweep in (tasks.sweep_features, tasks.sweep_surrogates, tasks.sweep_control_arms):
        sweep()
    assert woken == []
    assert ArmComparison.objects.count() == 1


@pytest.mark.parametrize(
    ("sweep", "service", "name"),
    [
        (tasks.sweep_features, features, tasks.MAKE_FEATURES),
        (tasks.sweep_surrogates, surrogates, tasks.TRAIN_SURROGATE),
        (tasks.sweep_control_arms, control_arm, tasks.COMPARE_ARMS),
    ],
)
def test_a_broken_project_does_not_starve_the_next(
    project: Project,
    other: Project,
    woken: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    sweep: object,
    service: object,
    name: str,
) -> None:
    def is_due(asked: Project) -> bool:
        if asked == project:
            raise KeyError("something nobody thought of")
        return True

    monkeypatch.setattr(service, "is_due", is_due)
    assert callable(sweep)
    sweep()
    assert woken == [(name, other.pk)]


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_lost_extractor_is_fitted_anew_for_the_items_that_came_since(
    project: Project, annotator: User, is_damaged: bool
) -> None:
    fill(project, annotator)
    policies.new_version(project, by=None, batch_rule="k_center")
    first = features.build(project, now=NOW)
    assert first is not None
    path = Path(settings.ARTIFACT_DIR) / first.artifact
    if is_damaged:
        path.write_bytes(b"nonsense")
    else:
        path.unlink()
    assert not features.is_due(project), "every item has its vector"

    make.item(project, "late", payload={"text": "purring tail"}, bucket=make_pool.OUTSIDE_RESERVE)
    assert features.is_due(project)
    tasks.make_features(project.pk)

    space = features.current_space(project)
    assert space is not None
    assert space != first
    assert Embedding.objects.filter(space=space).count() == 41
    assert EmbeddingSpace.objects.filter(project=project).count() == 2
    assert not features.is_due(project)
