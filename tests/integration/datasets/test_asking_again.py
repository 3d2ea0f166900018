"""Who is asked about an item once more: through the queue, by what this annotator's answer would teach."""

import datetime as dt
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User

from datasets.services import accept
from datasets.services.asking_again import PATIENCE
from labeling.models import AnnotationTask, Item, Project
from labeling.services import annotation_queue, queue_management
from labeling.services.annotation_queue import NothingReason, NothingServed
from tests.factories import beliefs as make
from tests.factories import datasets as facts
from tests.integration.datasets.concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)

NOW = facts.NOW
CLASSES = ("cat", "dog", "bird")
SIZE = 90


@dataclass(frozen=True)
class Team:
    """Three who are mostly right; two who each call all of one class dogs; one who guesses; and somebody new."""

    usual: list[User]
    blind_to_birds: User
    blind_to_cats: User
    guesser: User
    newcomer: User


@pytest.fixture
def team(project: Project) -> Team:
    people = make.annotators(project, 7)
    team = Team(people[:3], *people[3:])
    rng = np.random.default_rng(1)
    for number in range(SIZE):
        truth = CLASSES[number % 3]
        wrong = [each for each in CLASSES if each != truth]
        said = {user: truth if rng.random() < 0.8 else wrong[rng.integers(2)] for user in team.usual}
        said[team.blind_to_birds] = "dog" if truth == "bird" else truth
        said[team.blind_to_cats] = "dog" if truth == "cat" else truth
        said[team.guesser] = CLASSES[rng.integers(3)]
        make.answers(facts.item(project, f"crowd-{number}", bucket=5000 + number), said)
    return team


def doubtful(project: Project, team: Team, key: str, *labels: str) -> Item:
    item = facts.item(project, key, bucket=9000)
    make.answers(item, dict(zip(team.usual, labels, strict=False)))
    return item


def ready(project: Project, **policy: bool) -> None:
    """Fitted, and asked about again is only what was doubted: everybody has answered the rest, but the newcomer."""
    make.policy(project, **policy)
    make.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    queued = AnnotationTask.objects.filter(project=project, state="open", item__key__startswith="crowd")
    queue_management.withdraw(project, list(queued.values_list("pk", flat=True)), by=None, now=NOW)
    opened = AnnotationTask.objects.filter(project=project, state="open", informativeness__isnull=False)
    opened.update(created_at=NOW)


def drawn(project: Project, key: str) -> Item:
    item = facts.item(project, key, bucket=9500)
    task = annotation_queue.NewTask(item.pk, AnnotationTask.Reason.COLD_START, None, 0.5, False, 0, None)
    annotation_queue.enqueue(project, [task], batch=uuid4(), pool_size=1, now=NOW)
    return item


def served(project: Project, annotator: User, *, limit: int = 1, now: dt.datetime = NOW) -> list[str]:
    return [task.item.key for task in annotation_queue.claim(project, annotator=annotator, now=now, limit=limit)]


def test_each_of_two_at_once_is_asked_where_their_answer_teaches_most(project: Project, team: Team) -> None:
    doubtful(project, team, "cat or dog", "cat", "dog")
    doubtful(project, team, "bird or dog", "bird", "dog")
    ready(project)
    claims = [partial(served, project, user) for user in (team.blind_to_birds, team.blind_to_cats)]
    assert at_once(claims) == [["cat or dog"], ["bird or dog"]]


def test_many_at_once_get_different_tasks_the_most_valuable_first(project: Project, team: Team) -> None:
    for number in range(4):
        doubtful(project, team, f"cat or dog {number}", "cat", "dog")
        doubtful(project, team, f"bird or dog {number}", "bird", "dog")
    ready(project)
    people = [team.blind_to_birds, team.blind_to_cats, team.newcomer, team.usual[2]]
    found = at_once([partial(served, project, user, limit=2) for user in people])
    keys = [key for each in found for key in each]
    assert len(set(keys)) == len(keys) == 8


def test_an_answer_is_followed_by_the_task_where_the_next_teaches_most(project: Project, team: Team) -> None:
    for key in ("cat or dog", "another cat or dog"):
        doubtful(project, team, key, "cat", "dog")
    doubtful(project, team, "bird or dog", "bird", "dog")
    ready(project)
    (task,) = annotation_queue.claim(project, annotator=team.blind_to_birds, now=NOW)
    recorded = annotation_queue.submit_and_claim(
        task.pk, project=project, annotator=team.blind_to_birds, answer={"choice": "cat"}, now=NOW, limit=2
    )
    keys = [task.item.key, *(each.item.key for each in recorded.tasks)]
    assert sorted(keys[:2]) == ["another cat or dog", "cat or dog"]
    assert keys[2] == "bird or dog"


def test_a_guesser_gets_drawn_items_and_a_second_opinion_only_when_nobody_else_gave_it(
    project: Project, team: Team
) -> None:
    doubtful(project, team, "doubtful", "cat", "dog")
    drawn(project, "drawn")
    ready(project)
    assert served(project, team.guesser, limit=3) == ["drawn"]
    (held,) = annotation_queue.claim(project, annotator=team.guesser, now=NOW)
    annotation_queue.submit(held.pk, annotator=team.guesser, answer={"choice": "cat"}, now=NOW)
    assert served(project, team.guesser) == []
    nothing = annotation_queue.why_nothing(project, annotator=team.guesser, now=NOW)
    assert nothing == NothingServed(NothingReason.KEPT_FOR_OTHERS, NOW + PATIENCE)
    assert served(project, team.guesser, now=NOW + PATIENCE) == ["doubtful"]


@pytest.mark.parametrize(("draws_first", "order"), [(False, ["doubtful", "drawn"]), (True, ["drawn", "doubtful"])])
def test_the_policy_says_whether_draws_come_first(
    project: Project, team: Team, draws_first: bool, order: list[str]
) -> None:
    doubtful(project, team, "doubtful", "cat", "dog")
    drawn(project, "drawn")
    ready(project, draws_first=draws_first)
    assert served(project, team.blind_to_birds, limit=2) == order


def test_what_a_person_pinned_or_assigned_comes_first_for_everybody(project: Project, team: Team) -> None:
    doubtful(project, team, "doubtful", "cat", "dog")
    pinned, assigned = drawn(project, "pinned"), drawn(project, "assigned")
    ready(project)
    tasks = queue_management.open_tasks_of(project, [pinned.pk, assigned.pk])
    queue_management.pin(project, [tasks[pinned.pk]], by=None, now=NOW)
    queue_management.assign(project, [tasks[assigned.pk]], to=team.blind_to_birds, by=None, now=NOW)
    assert served(project, team.blind_to_birds, limit=3) == ["pinned", "assigned", "doubtful"]


def test_a_pinned_second_opinion_is_served_to_whoever_asks(project: Project, team: Team) -> None:
    item = doubtful(project, team, "doubtful", "cat", "dog")
    doubtful(project, team, "more doubtful", "cat", "dog", "bird")
    ready(project)
    queue_management.pin(project, list(queue_management.open_tasks_of(project, [item.pk]).values()), by=None, now=NOW)
    assert served(project, team.guesser, limit=2) == ["doubtful"]


def test_somebody_new_is_asked_too_and_never_twice_about_an_item(project: Project, team: Team) -> None:
    doubtful(project, team, "doubtful", "cat", "dog")
    ready(project)
    assert served(project, team.usual[0]) == []
    assert served(project, team.newcomer) == ["doubtful"]
    assert served(project, team.blind_to_birds) == []  # it is leased


def test_where_votes_decide_priority_alone_orders_second_opinions(project: Project, team: Team) -> None:
    doubtful(project, team, "doubtful", "cat", "dog")
    ready(project)
    make.policy(project, method="votes")
    assert served(project, team.guesser) == ["doubtful"]
