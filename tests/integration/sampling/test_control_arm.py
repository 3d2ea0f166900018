"""Chosen labels against random ones: measured, shown, and fallen back from."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from datasets.services import accept
from labeling.models import AnnotationTask, Project
from sampling import tasks
from sampling.models import ArmComparison, RefillRun
from sampling.services import control_arm, policies, refill, surrogates
from tests.factories import datasets as make
from tests.factories import sampling as make_pool

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
TOPICS = {"cat": "purring whiskers", "dog": "barking tail", "bird": "singing feathers"}
Add = Callable[..., None]


@pytest.fixture
def add(project: Project, annotator: User) -> Add:
    """Labels of items drawn at random (in the reserve) or chosen, of some of the classes."""
    made = 0

    def label(count: int, *, is_random: bool, classes: tuple[str, ...] = tuple(TOPICS)) -> None:
        nonlocal made
        for number in range(count):
            name = classes[number % len(classes)]
            item = make.item(
                project,
                f"{name}-{made}",
                payload={"text": f"{TOPICS[name]} of number {made % 7}"},
                bucket=10 if is_random else make_pool.OUTSIDE_RESERVE,
            )
            make.annotation(item, annotator, name, is_audit=is_random)
            made += 1
        accept.accept_pending(project.pk, now=NOW)

    return label


def run_refill(project: Project) -> RefillRun:
    requested = refill.request(project, trigger=RefillRun.Trigger.MANUAL, seed=1)
    return refill.execute(requested.pk, now=NOW)


def test_chosen_labels_that_miss_a_class_make_refills_draw_at_random(project: Project, add: Add) -> None:
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    tasks.compare_arms(project.pk)
    said = ArmComparison.objects.get()
    assert said.verdict == "worse", said.reason
    assert said.difference_high is not None
    assert said.difference_high < 0
    assert (said.label_count, said.trained_on, said.evaluated_on) == (120, 48, 60)

    items = make_pool.scored_pool(project, 100)
    policies.new_version(project, by=None, batch_size=20, low_watermark=1, batch_rule="top_k", epsilon=0.0)
    run = run_refill(project)
    assert (run.phase, run.rule) == (RefillRun.Phase.FALLBACK, "uniform")
    assert run.phase_reason.startswith("At random: after 120 labels, 48 chosen ones taught")
    drawn = AnnotationTask.objects.filter(batch=run.batch).order_by("draw_rank")
    assert [task.reason for task in drawn] == [AnnotationTask.Reason.RANDOM] * 20
    for rank, task in enumerate(drawn):
        assert task.propensity == pytest.approx(1 / (len(items) - rank))


def test_labels_of_a_fall_back_are_in_neither_arm(project: Project, add: Add, annotator: User) -> None:
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    first = control_arm.refresh(project, now=NOW)
    assert first is not None
    # What the fall back draws is not chosen, so it says nothing of whether choosing would do better now.
    for number in range(60):
        item = make.item(
            project, f"bird-drawn-{number}", payload={"text": "singing feathers"}, bucket=make_pool.OUTSIDE_RESERVE
        )
        make.annotation(item, annotator, "bird", reason=AnnotationTask.Reason.RANDOM)
    accept.accept_pending(project.pk, now=NOW)
    again = control_arm.refresh(project, now=NOW)
    assert again is not None
    assert again.label_count == 180
    assert (again.verdict, again.trained_on, again.evaluated_on) == ("worse", first.trained_on, first.evaluated_on)
    assert {point["labels"] for point in again.curve} == {point["labels"] for point in first.curve}


def test_the_policy_may_refuse_to_fall_back(project: Project, add: Add) -> None:
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    control_arm.refresh(project, now=NOW)
    policy = policies.new_version(project, by=None, falls_back=False)
    assert control_arm.should_fall_back(project, policy) == ""
    assert control_arm.state(project, policy).comparison is not None


def test_chosen_labels_get_another_chance_after_half_as_many_more(project: Project, add: Add) -> None:
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    control_arm.refresh(project, now=NOW)
    policy = policies.current_policy(project)
    assert control_arm.should_fall_back(project, policy)
    add(59, is_random=False, classes=("cat", "dog"))
    assert control_arm.should_fall_back(project, policy)
    add(1, is_random=False)
    assert control_arm.should_fall_back(project, policy) == "", "180 labels: another chance"
    add(90, is_random=False, classes=("cat", "dog"))
    assert control_arm.should_fall_back(project, policy), "270 labels, and still the newest word is that they are worse"
    add(60, is_random=False, classes=("bird",))
    newer = control_arm.refresh(project, now=NOW)
    assert newer is not None
    assert newer.verdict == "undecided"
    assert control_arm.should_fall_back(project, policy) == ""


def test_it_is_compared_when_labels_have_grown_by_a_tenth(project: Project, add: Add) -> None:
    add(40, is_random=True)
    assert control_arm.refresh(project, now=NOW) is None
    add(60, is_random=False)
    assert control_arm.refresh(project, now=NOW) is not None
    add(9, is_random=False)
    assert control_arm.refresh(project, now=NOW) is None
    add(1, is_random=False)
    assert control_arm.refresh(project, now=NOW) == ArmComparison.objects.get(label_count=110)


def test_too_few_random_labels_say_so_and_change_nothing(project: Project, add: Add) -> None:
    add(10, is_random=True)
    add(90, is_random=False)
    said = control_arm.refresh(project, now=NOW)
    assert said is not None
    assert (said.verdict, said.difference, said.gain) == ("too_few", None, None)
    assert "10 random labels" in said.reason
    state = control_arm.state(project, policies.current_policy(project))
    assert (state.advice, state.falls_back_because) == ("too_early", "")


def test_a_learned_project_is_advised_to_stop(project: Project, add: Add) -> None:
    add(300, is_random=True)
    add(300, is_random=False)
    said = control_arm.refresh(project, now=NOW)
    assert said is not None
    assert said.verdict == "undecided"
    policy = policies.new_version(project, by=None, stop_below_gain=0.02)
    assert said.gain_high is not None
    assert control_arm.state(project, policy).advice == ("stop" if said.gain_high < 0.02 else "continue")
    assert said.gain_high < 0.02


def test_a_surrogate_falls_back_too(project: Project, add: Add) -> None:
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    make_pool.pool(project, 30)
    policies.new_version(project, by=None, batch_size=5, low_watermark=1)
    tasks.make_features(project.pk)
    assert surrogates.train(project, now=NOW) is not None
    control_arm.refresh(project, now=NOW)
    assert run_refill(project).phase == RefillRun.Phase.FALLBACK


def test_the_overview_and_the_api_show_it(
    owner: User, project: Project, add: Add, owner_client: APIClient, annotator_client: APIClient
) -> None:
    path = "/api/v1/projects/pets/control-arm"
    assert owner_client.get(path).json() == {"comparison": None, "advice": "too_early", "falls_back_because": ""}
    add(60, is_random=True)
    add(60, is_random=False, classes=("cat", "dog"))
    control_arm.refresh(project, now=NOW)
    said = owner_client.get(path).json()
    assert said["comparison"]["verdict"] == "worse"
    assert {point["arm"] for point in said["comparison"]["curve"]} == {"active", "random"}
    assert said["falls_back_because"].startswith("At random")
    assert annotator_client.get(path).status_code == 403
    client = Client()
    client.force_login(owner)
    page = client.get(reverse("overview", args=["pets"])).content.decode()
    assert "Chosen labels teach less than random ones." in page
    assert "drawing at random" in page
    assert "Refills draw at random until that changes." in page
    assert "style=" not in page
