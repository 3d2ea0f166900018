"""Where one more answer pays: who is asked again, and what ends early."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from datasets.services import accept, overlap
from labeling.models import AnnotationTask, Ask, Item, PoolEntry, Project
from labeling.services import annotation_queue, queue_management
from tests.factories import asking
from tests.factories import beliefs as make
from tests.factories import datasets as facts
from tests.factories.beliefs import fresh, open_task, pool_state, rows, said_by_respondents

NOW = facts.NOW
LATER = NOW + dt.timedelta(minutes=5)
_State = AnnotationTask.State


def test_an_item_in_doubt_is_asked_about_once_more_and_no_more_when_it_is_settled(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item = fresh(project)
    make.answers(item, {people[0]: "cat", people[1]: "dog"}, reason="audit", is_audit=True, propensity=0.5)
    accept.accept_pending(project.pk, now=NOW)
    assert make.belief(item).action == "ask"
    task = open_task(item)
    assert task is not None
    assert (task.reason, task.answers_wanted, task.is_audit, task.propensity) == ("relabel", 1, True, 0.5)
    assert task.informativeness == pytest.approx(make.belief(item).value)
    assert task.priority == pytest.approx(make.belief(item).value)
    assert accept.accept_pending(project.pk, now=NOW) == 0
    assert AnnotationTask.objects.filter(item=item).count() == 2

    for number in range(9):
        make.correction(item, "cat", by=f"user-{number}")
    make.policy(project, threshold=0.7)
    accept.accept_pending(project.pk, now=LATER)
    label = make.label(item)
    assert label is not None
    assert (label.reason, label.is_audit, label.propensity) == ("audit", True, 0.5)
    assert open_task(item) is None
    assert AnnotationTask.objects.get(pk=task.pk).state == _State.WITHDRAWN
    assert pool_state(item) == PoolEntry.State.ANSWERED


def test_the_most_valuable_come_first_and_only_so_many_at_once(
    project: Project, crowd: list[Item], people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "MOST_OPEN", 2)
    said = ({people[0]: "cat"}, {people[0]: "cat", people[1]: "dog"}, {people[2]: "bird"}, {people[2]: "dog"})
    items = [fresh(project, f"item-{number}") for number in range(4)]
    for item, answers in zip(items, said, strict=True):
        make.answers(item, answers)
    accept.accept_pending(project.pk, now=NOW)
    most = sorted(items, key=lambda item: -make.belief(item).value)
    assert len({make.belief(item).value for item in items}) == 4
    assert [open_task(item) is not None for item in most] == [True, True, False, False]
    served = annotation_queue.claim(project, annotator=people[3], now=NOW, limit=4)
    assert [task.item_id for task in served] == [item.pk for item in most[:2]]


def test_a_task_ends_early_once_its_item_is_accepted_unless_somebody_is_at_it(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    items = [fresh(project, key) for key in ("free", "leased", "pinned")]
    made = {}
    for item in items:
        [first, second] = make.answers(item, {people[0]: "cat", people[1]: "cat"})
        assert first.task_id == second.task_id
        made[item.key] = first.task
        AnnotationTask.objects.filter(pk=first.task_id).update(state=_State.OPEN, answers_wanted=4, closed_at=None)
        PoolEntry.objects.filter(item=item).update(state=PoolEntry.State.QUEUED)
    AnnotationTask.objects.filter(pk=made["leased"].pk).update(
        leased_to=people[2], lease_expires_at=NOW + dt.timedelta(minutes=1)
    )
    AnnotationTask.objects.filter(pk=made["pinned"].pk).update(is_pinned=True)
    accept.accept_pending(project.pk, now=NOW)
    states = {key: AnnotationTask.objects.get(pk=task.pk).state for key, task in made.items()}
    assert states == {"free": _State.ANSWERED, "leased": _State.OPEN, "pinned": _State.OPEN}
    assert AnnotationTask.objects.get(pk=made["free"].pk).answers_wanted == 2
    assert AnnotationTask.objects.get(pk=made["leased"].pk).leased_to == people[2]

    overlap.keep_up(project, now=LATER)  # the lease is over
    assert AnnotationTask.objects.get(pk=made["leased"].pk).state == _State.ANSWERED


def test_nobody_is_asked_about_an_item_that_everybody_has_answered(
    project: Project, crowd: list[Item], people: list[User], owner: User
) -> None:
    item = fresh(project)
    make.answers(item, {people[0]: "cat", people[1]: "dog", people[2]: "cat", people[3]: "dog", owner: "bird"})
    make.policy(project, most_answers=9)
    accept.accept_pending(project.pk, now=NOW)
    assert make.belief(item).action == "ask"
    assert open_task(item) is None


def test_what_was_never_drawn_of_the_audit_reserve_is_not_asked_about(project: Project, crowd: list[Item]) -> None:
    reserved, other = fresh(project, "reserved", bucket=0), fresh(project, "other")
    for item in (reserved, other):
        make.correction(item, "cat", by="ada")
    accept.accept_pending(project.pk, now=NOW)
    assert open_task(reserved) is None
    task = open_task(other)
    assert task is not None
    assert task.reason == "manual"


def test_what_respondents_settle_while_it_is_asked_about_leaves_queue_and_pool(
    project: Project, crowd: list[Item]
) -> None:
    make.policy(project, least_annotations=0)
    item = fresh(project)
    make.correction(item, "dog", by="ada")
    accept.accept_pending(project.pk, now=NOW)
    task = open_task(item)
    assert task is not None
    said_by_respondents(item, "dog")
    accept.accept_pending(project.pk, now=LATER)
    assert make.label(item) is not None
    assert AnnotationTask.objects.get(pk=task.pk).state == _State.WITHDRAWN
    assert pool_state(item) == PoolEntry.State.ANSWERED


def test_an_item_that_one_ask_settled_keeps_the_chance_of_the_ask(project: Project, crowd: list[Item]) -> None:
    make.policy(project, least_annotations=0, least_evidence=1, threshold=0.3)
    one, two = fresh(project, "one"), fresh(project, "two")
    version = asking.question(project)
    asks = [
        Ask.objects.create(
            project=project, opportunity_id=f"o-{number}", question_version=version, item=one, propensity=0.2,
            expires_at=LATER,
        )
        for number in range(2)
    ]  # fmt: skip
    make.correction(one, "dog", by="ada", ask=asks[0])
    for number, ask in enumerate(asks):
        make.correction(two, "dog", by=f"user-{number}", ask=ask)
    accept.accept_pending(project.pk, now=NOW)
    labels = [make.label(one), make.label(two)]
    assert [(label.reason, label.propensity) for label in labels if label] == [("asked", 0.2), ("asked", None)]


def test_a_persons_request_for_another_look_is_left_alone(project: Project, crowd: list[Item]) -> None:
    queue_management.requeue(project, [crowd[0].pk], by=None, now=NOW)
    overlap.keep_up(project, now=LATER)
    assert open_task(crowd[0]) is not None


def test_what_was_to_be_asked_once_more_is_asked_no_more_after_the_switch_back(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    doubtful, sent_back = fresh(project), fresh(project, "sent-back")
    for item in (doubtful, sent_back):
        make.answers(item, {people[0]: "cat", people[1]: "dog", people[2]: "dog"})
    queue_management.requeue(project, [sent_back.pk], by=None, now=NOW)
    make.policy(project, threshold=1.0)
    accept.accept_pending(project.pk, now=NOW)
    assert open_task(doubtful) is not None
    make.policy(project, method="votes")
    accept.accept_pending(project.pk, now=LATER)
    assert open_task(doubtful) is None
    assert pool_state(doubtful) == PoolEntry.State.ANSWERED
    assert rows(doubtful)[-1] == ("dog", "majority", True)
    assert open_task(sent_back) is not None
