"""The demo's crowd: real digits, simulated people, complete or not there at all."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from datasets import selectors
from datasets.models import BeliefRun, GoldItem, ReviewCase, ReviewDecision, SourceDecision, SourceStanding
from datasets.services import review
from feedbackproject import demo, demo_crowd
from labeling.models import Annotation, AnnotationTask, Correction, Feedback, Item, Membership, Project
from labeling.services import annotation_queue
from tests.factories import sampling

Step = SourceStanding.Step


@pytest.fixture
def people(db: None) -> tuple[User, User]:
    return User.objects.create_superuser("demo"), User.objects.create_user("ann")


@pytest.fixture
def crowd(people: tuple[User, User]) -> Project:
    owner, annotator = people
    assert demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now())
    return Project.objects.get(slug=demo_crowd.SLUG)


def standing(project: Project, username: str) -> SourceStanding:
    return SourceStanding.objects.get(project=project, annotator__username=username)


def test_a_crowd_has_labelled_real_digits_and_its_pages_have_something_to_show(crowd: Project) -> None:
    every = demo.digits()
    truth = {tuple(map(tuple, each["pixels"])): label for each, label in zip(every.payloads, every.labels, strict=True)}
    items = {item.pk: truth[tuple(map(tuple, item.payload["pixels"]))] for item in Item.objects.filter(project=crowd)}
    labels = selectors.current_labels(crowd)
    assert labels.count() >= 100
    assert sum(items[label.item_id] == label.label for label in labels) / labels.count() >= 0.9

    assert BeliefRun.objects.filter(project=crowd).exists()
    assert GoldItem.objects.filter(project=crowd).count() == 30
    said = Annotation.objects.filter(task__project=crowd)
    assert said.values("annotator").distinct().count() == len(demo_crowd.CROWD) + 1
    assert said.filter(task__reason=AnnotationTask.Reason.GOLD).count() >= 20
    assert {each.kind for each in Feedback.objects.filter(project=crowd)} == {"thumb", "click", "retry"}
    assert Correction.objects.filter(project=crowd).count() >= 50

    open_cases = ReviewCase.objects.filter(project=crowd, state=ReviewCase.State.OPEN)
    assert open_cases.count() >= 4
    assert open_cases.filter(kind=ReviewCase.Kind.MANUAL).count() == 2
    assert ReviewDecision.objects.filter(reviewer__username=demo_crowd.REVIEWER).exists()


def test_who_does_not_look_is_set_aside_with_reasons_and_the_others_are_trusted(crowd: Project) -> None:
    spammer = standing(crowd, "sim-zoe")
    assert spammer.step in (Step.QUARANTINE, Step.SHADOW_IGNORE, Step.BLOCK)
    assert any("Said “1”" in reason["text"] for reason in spammer.reasons)
    assert SourceDecision.objects.filter(standing=spammer).exists()
    assert standing(crowd, "sim-otto").step != Step.NONE
    for honest in ("sim-berta", "sim-carl", "sim-dora", "sim-emil", "sim-frida"):
        assert standing(crowd, honest).step == Step.NONE
    respondents = SourceStanding.objects.filter(project=crowd, annotator=None)
    assert [each.answers for each in respondents.exclude(step__in=[Step.NONE, Step.WEIGHT])] == [25]


def test_it_is_said_that_its_people_are_simulated_and_nobody_is_let_in_as_them(
    crowd: Project, people: tuple[User, User], client: Client
) -> None:
    invented = User.objects.filter(memberships__project=crowd).exclude(pk__in=[each.pk for each in people])
    assert all(each.username.startswith("sim-") and not each.has_usable_password() for each in invented)
    assert Annotation.objects.filter(annotator__username="sim-nina", task__is_training=True).exists()
    client.force_login(people[0])
    page = client.get(f"/projects/{crowd.slug}/").content.decode()
    assert "simulated people" in page
    assert "all readers are simulated" in page


def test_tasks_and_cases_are_left_for_who_tries_the_demo_and_all_that_was_said_lies_in_the_past(
    crowd: Project, people: tuple[User, User]
) -> None:
    for person in people:
        assert len(annotation_queue.claim(crowd, annotator=person, now=timezone.now(), limit=10)) == 10
    case = review.next_case(crowd, by=people[0], now=timezone.now())
    assert case is not None

    times = [
        *Annotation.objects.filter(task__project=crowd).values_list("created_at", flat=True),
        *Feedback.objects.filter(project=crowd).values_list("received_at", flat=True),
    ]
    assert max(times) <= timezone.now()
    assert min(times) >= timezone.now() - dt.timedelta(days=demo_crowd.DAYS, hours=1)


def test_a_project_of_the_name_is_left_alone(project: Project, people: tuple[User, User]) -> None:
    owner, annotator = people
    Project.objects.filter(pk=project.pk).update(slug=demo_crowd.SLUG)
    sampling.pool(project, 3)
    users = User.objects.count()
    assert not demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now())
    assert (Item.objects.count(), User.objects.count()) == (3, users)
    assert not Membership.objects.filter(user=owner).exists()


def test_other_projects_are_not_touched_and_loading_again_adds_nothing(
    project: Project, people: tuple[User, User]
) -> None:
    owner, annotator = people
    sampling.pool(project, 3)
    assert demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now())
    before = [Annotation.objects.count(), Item.objects.count(), Membership.objects.count()]
    assert not demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now())
    assert [Annotation.objects.count(), Item.objects.count(), Membership.objects.count()] == before
    assert Item.objects.filter(project=project).count() == 3
    assert not Annotation.objects.filter(item__project=project).exists()


def test_a_load_that_is_broken_off_leaves_nothing(people: tuple[User, User], monkeypatch: pytest.MonkeyPatch) -> None:
    owner, annotator = people

    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("feedbackproject.demo_crowd.queue_management.requeue", broken)
    with pytest.raises(KeyboardInterrupt):
        demo_crowd.ensure(owner=owner, annotator=annotator, now=timezone.now())
    assert not Project.objects.filter(slug=demo_crowd.SLUG).exists()
    assert set(User.objects.all()) == set(people)
