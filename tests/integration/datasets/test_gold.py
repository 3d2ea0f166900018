"""Known answers: they test without giving themselves away, never change a label, and train who is new."""

import datetime as dt
from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from datasets.models import AcceptancePolicy, AcceptedLabel, GoldItem, PendingItem
from datasets.services import accept, gold, gold_mixing
from datasets.services.gold import GoldRow
from datasets.services.gold_mixing import Mixed
from labeling.errors import InvalidInput
from labeling.models import Annotation, AnnotationTask, Item, LabelSchema, Membership, PoolEntry, Project, Skip
from labeling.services import annotation_queue, projects, queue_management
from tests.factories import crowd
from tests.factories import sampling as factory
from tests.factories.datasets import accepted

NOW = crowd.NOW
HOUR = dt.timedelta(hours=1)
URL = "/api/v1/projects/pets/gold"
_State, _Reason = AnnotationTask.State, AnnotationTask.Reason
_Pool = PoolEntry.State


def known(project: Project, count: int, *, prefix: str = "gold") -> list[Item]:
    items = factory.pool(project, count, prefix=prefix)
    for item in items:
        gold.make(project, item, answer={"choice": "cat"}, explanation="It says so.", by=None)
    return items


def filled(project: Project, count: int) -> list[Item]:
    """A champion and a queue drawn by its word."""
    items = factory.scored_pool(project, count)
    tasks = [factory.new_task(item, rank) for rank, item in enumerate(items)]
    annotation_queue.enqueue(project, tasks, batch=uuid4(), pool_size=count, now=NOW)
    return items


def pool_states(items: list[Item]) -> set[int]:
    return set(PoolEntry.objects.filter(item__in=items).values_list("state", flat=True))


def work(
    project: Project, annotator: User, count: int, *, choice: str = "cat", now: dt.datetime = NOW
) -> Iterator[AnnotationTask]:
    """Answer tasks one by one, with the mixing running after each; yields what was served."""
    for number in range(count):
        at = now + dt.timedelta(seconds=number)
        served = annotation_queue.claim(project, annotator=annotator, now=at)
        if not served:
            return
        annotation_queue.submit(served[0].pk, annotator=annotator, answer={"choice": choice}, now=at)
        gold_mixing.mix(project, now=at)
        yield served[0]


def mixed_in(annotator: User) -> "list[AnnotationTask]":
    return list(AnnotationTask.objects.filter(reason=_Reason.GOLD, assigned_to=annotator).order_by("pk"))


# -- naming them -------------------------------------------------------------------------------------------------


def test_an_item_with_a_known_answer_leaves_the_pool(project: Project, owner: User) -> None:
    (item,) = factory.pool(project, 1)
    made, is_new = gold.make(project, item, answer={"choice": "dog"}, explanation=" Barks. ", by=owner)
    assert (made.answer, made.explanation, made.created_by, is_new) == ({"choice": "dog"}, "Barks.", owner, True)
    assert pool_states([item]) == {_Pool.ANSWERED}
    again, is_new = gold.make(project, item, answer={"choice": "cat"}, explanation="", by=owner)
    assert (again.pk, again.answer, is_new) == (made.pk, {"choice": "cat"}, False)


def test_gold_of_the_audit_reserve_stays_in_the_pool_and_tests_nobody_before_it_was_drawn(
    project: Project, annotator: User
) -> None:
    filled(project, 40)
    reserve = factory.pool(project, 3, buckets=[0, 1, 2], prefix="reserve")
    for item in reserve:
        gold.make(project, item, answer={"choice": "cat"}, explanation="", by=None)
    assert pool_states(reserve) == {_Pool.AVAILABLE}
    list(work(project, annotator, 15))
    assert not mixed_in(annotator)
    PoolEntry.objects.filter(item__in=reserve).update(state=_Pool.ANSWERED)
    list(work(project, annotator, 15, now=NOW + HOUR))
    assert mixed_in(annotator)


def test_an_answer_that_the_schema_does_not_have_is_refused_and_changes_nothing(project: Project) -> None:
    (item,) = factory.pool(project, 1)
    with pytest.raises(InvalidInput):
        gold.make(project, item, answer={"choice": "fish"}, explanation="", by=None)
    assert not GoldItem.objects.exists()
    assert pool_states([item]) == {_Pool.AVAILABLE}


def test_the_accepted_label_can_be_taken_for_the_known_answer(project: Project, owner: User) -> None:
    (item,) = accepted(project, owner, {"a": "bird"})
    made, _ = gold.make_of_label(project, item, explanation="", by=owner)
    assert made.answer == {"choice": "bird"}


def test_gold_that_was_a_mistake_is_taken_back_and_its_item_may_be_drawn_again(project: Project, owner: User) -> None:
    items = known(project, 1)
    projects.set_stage(project, username="owner", stage="training", by=owner, now=NOW)
    gold_mixing.mix(project, now=NOW)
    assert pool_states(items) == {_Pool.QUEUED}
    gold.remove(GoldItem.objects.get(), now=NOW)
    assert pool_states(items) == {_Pool.AVAILABLE}
    assert {task.state for task in mixed_in(owner)} == {_State.WITHDRAWN}


def test_the_item_is_noted_to_be_believed_anew_only_by_the_label_model(project: Project) -> None:
    known(project, 1)
    assert not PendingItem.objects.exists()
    AcceptancePolicy.objects.create(project=project, version=1, method=AcceptancePolicy.Method.LABEL_MODEL)
    (item,) = known(project, 1, prefix="other")
    assert PendingItem.objects.get().item == item


def test_many_are_named_at_once_and_each_row_stands_for_itself(project: Project, app_client: APIClient) -> None:
    factory.pool(project, 2)
    rows = [
        {"key": "item-00000", "answer": {"choice": "dog"}, "explanation": "Barks."},
        {"key": "nobody", "answer": {"choice": "dog"}},
        {"key": "item-00001", "answer": {"choice": "fish"}},
        "no row",
        {"answer": {"choice": "dog"}},
        None,
    ]
    answer = app_client.post(URL, {"rows": rows}, format="json")
    assert answer.status_code == 207
    body = answer.json()
    assert (body["created"], body["updated"], body["failed"]) == (1, 0, 5)
    assert [each.get("code") for each in body["results"]] == [
        None, "item_not_found", "unknown_class", "invalid_row", "invalid_row", "invalid_row",
    ]  # fmt: skip
    assert [each["index"] for each in body["results"]] == [0, 1, 2, 3, 4, 5]
    again = app_client.post(URL, {"rows": rows[:1]}, format="json")
    assert (again.status_code, again.json()["updated"]) == (200, 1)
    (listed,) = app_client.get(URL).json()["results"]
    assert (listed["key"], listed["explanation"], listed["is_active"]) == ("item-00000", "Barks.", True)
    changed = app_client.patch(f"{URL}/{listed['id']}", {"is_active": False}, format="json")
    assert changed.json()["is_active"] is False
    assert app_client.delete(f"{URL}/{listed['id']}").status_code == 204
    assert app_client.delete(f"{URL}/{listed['id']}").status_code == 404
    assert app_client.post(URL, {"rows": []}, format="json").status_code == 400


def test_annotators_do_not_see_what_is_gold(project: Project, annotator_client: APIClient) -> None:
    known(project, 1)
    assert annotator_client.get(URL).status_code == 403


# -- mixing them in ----------------------------------------------------------------------------------------------


def test_a_newcomer_gets_about_one_test_in_four_and_never_an_item_twice(project: Project, annotator: User) -> None:
    filled(project, 160)
    golds = known(project, 60)
    served = list(work(project, annotator, 120))
    tests = [task for task in served if task.reason == _Reason.GOLD]
    assert 8 <= len(tests) <= 35
    assert len({task.item_id for task in served}) == len(served)
    first = sum(task.reason == _Reason.GOLD for task in served[:40])
    assert 3 <= first <= 16
    last = sum(task.reason == _Reason.GOLD for task in served[-40:])
    assert last <= first  # a good record needs fewer
    assert pool_states(golds) <= {_Pool.ANSWERED, _Pool.QUEUED}


def test_running_twice_opens_nothing_more(project: Project, annotator: User) -> None:
    filled(project, 40)
    known(project, 10)
    list(work(project, annotator, 25))
    before = AnnotationTask.objects.count()
    for _ in range(5):
        assert gold_mixing.mix(project, now=NOW + HOUR) == Mixed(0, 0, 0)
    assert AnnotationTask.objects.count() == before


def test_a_test_looks_like_any_other_task(project: Project, annotator: User, annotator_client: APIClient) -> None:
    filled(project, 60)
    golds = known(project, 20)
    version = factory.champion(project, "newer")
    factory.scores(version, golds, np.tile([0.5, 0.3, 0.2], (20, 1)))
    shown: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for number in range(40):
        (task,) = annotator_client.post("/api/v1/projects/pets/tasks/next", {}, format="json").json()["tasks"]
        is_test = AnnotationTask.objects.get(pk=task["id"]).reason == _Reason.GOLD
        shown[is_test].append(task)
        annotation_queue.submit(task["id"], annotator=annotator, answer={"choice": "cat"}, now=_now())
        gold_mixing.mix(project, now=_now())
        if number > 20 and shown[True]:
            break
    assert shown[True]
    usual = shown[False][0]
    for test in shown[True]:
        assert set(test) == set(usual)
        for name in ("reason", "is_audit", "is_assigned", "due_at", "answers_wanted", "informativeness", "propensity"):
            assert test[name] == usual[name], name
        assert "gold" not in str(test).replace(str(test["item"]), "")
        assert "known" not in str(test["why"])


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def test_tests_never_change_a_label(project: Project, annotator: User, owner: User) -> None:
    filled(project, 60)
    labelled = accepted(project, owner, {f"known-{number:02}": "dog" for number in range(12)})
    for item in labelled:
        gold.make_of_label(project, item, explanation="", by=owner)
    before = dict(AcceptedLabel.objects.values_list("item_id", "pk"))
    served = list(work(project, annotator, 50, choice="bird"))
    assert sum(task.reason == _Reason.GOLD for task in served) >= 5
    accept.accept_pending(project.pk, now=NOW + HOUR)
    now = AcceptedLabel.objects.filter(item__in=labelled, superseded_at__isnull=True)
    assert dict(now.values_list("item_id", "pk")) == before
    assert set(now.values_list("label", flat=True)) == {"dog"}


def test_an_unanswered_test_is_withdrawn_and_its_item_stays_answered(project: Project, annotator: User) -> None:
    filled(project, 40)
    golds = known(project, 5)
    while not mixed_in(annotator):
        assert list(work(project, annotator, 1))
    (test,) = mixed_in(annotator)
    assert (test.state, pool_states([test.item])) == (_State.OPEN, {_Pool.QUEUED})
    later = NOW + gold_mixing.WITHDRAW_AFTER + HOUR
    assert gold_mixing.mix(project, now=later).withdrawn == 1
    test.refresh_from_db()
    assert (test.state, pool_states(golds)) == (_State.WITHDRAWN, {_Pool.ANSWERED})


def test_a_test_that_was_passed_by_does_not_come_back(project: Project, annotator: User) -> None:
    filled(project, 60)
    known(project, 1)
    while not mixed_in(annotator):
        assert list(work(project, annotator, 1))
    (test,) = annotation_queue.claim(project, annotator=annotator, now=NOW + HOUR)
    assert test.reason == _Reason.GOLD
    annotation_queue.skip(test.pk, annotator=annotator, now=NOW + HOUR, kind=Skip.Kind.SOMEONE_ELSE)
    assert gold_mixing.mix(project, now=NOW + HOUR).withdrawn == 1
    list(work(project, annotator, 30, now=NOW + HOUR))
    assert len(mixed_in(annotator)) == 1


def test_a_manager_who_withdraws_a_test_leaves_its_item_answered(
    project: Project, annotator: User, owner: User
) -> None:
    filled(project, 40)
    golds = known(project, 3)
    while not mixed_in(annotator):
        assert list(work(project, annotator, 1))
    queue_management.withdraw(project, [mixed_in(annotator)[0].pk], by=owner, now=NOW)
    assert pool_states(golds) == {_Pool.ANSWERED}


def test_gold_that_is_not_in_use_is_not_mixed_in(project: Project, annotator: User) -> None:
    filled(project, 40)
    known(project, 3)
    for each in GoldItem.objects.all():
        gold.set_active(each, is_active=False)
    list(work(project, annotator, 30))
    assert not mixed_in(annotator)


def test_gold_of_a_class_that_is_gone_is_not_mixed_in(project: Project, annotator: User, owner: User) -> None:
    filled(project, 40)
    known(project, 3)
    projects.new_schema_version(project, definition={"classes": [{"key": "dog"}, {"key": "bird"}]}, by=owner)
    list(work(project, annotator, 30, choice="dog"))
    assert not mixed_in(annotator)


# -- training ----------------------------------------------------------------------------------------------------


def learner(project: Project, annotator: User, owner: User) -> None:
    projects.set_stage(project, username=annotator.username, stage="training", by=owner, now=NOW)


def test_in_training_there_is_gold_only(project: Project, annotator: User, owner: User) -> None:
    filled(project, 10)
    golds = known(project, 10)
    learner(project, annotator, owner)
    assert not annotation_queue.claim(project, annotator=annotator, now=NOW, limit=5)
    nothing = annotation_queue.why_nothing(project, annotator=annotator, now=NOW)
    assert nothing.reason == annotation_queue.NothingReason.TRAINING
    assert gold_mixing.mix(project, now=NOW).opened == gold_mixing.TRAINING_AHEAD
    served = annotation_queue.claim(project, annotator=annotator, now=NOW, limit=5)
    assert {task.item_id for task in served} <= {item.pk for item in golds}
    assert all(task.is_training for task in served)


def test_who_shows_to_be_good_in_training_goes_to_work_by_themselves(
    project: Project, annotator: User, owner: User
) -> None:
    filled(project, 30)
    golds = known(project, 12)
    learner(project, annotator, owner)
    gold_mixing.mix(project, now=NOW)
    served = []
    for task in work(project, annotator, 12):
        served.append(task)
        if Membership.objects.get(user=annotator).stage == Membership.Stage.WORKING:
            break
    assert 2 <= len(served) < 12
    assert annotation_queue.claim(project, annotator=annotator, now=NOW + HOUR)[0].reason != _Reason.GOLD
    gold_mixing.mix(project, now=NOW + HOUR)
    assert not AnnotationTask.objects.filter(is_training=True, state=_State.OPEN).exists()
    assert pool_states(golds) == {_Pool.ANSWERED}


def test_who_does_not_stays_in_training(project: Project, annotator: User, owner: User) -> None:
    known(project, 12)
    learner(project, annotator, owner)
    gold_mixing.mix(project, now=NOW)
    assert len(list(work(project, annotator, 12, choice="bird"))) == 12
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.TRAINING
    record = gold_mixing.records(project, [annotator.pk], in_training=True)[annotator.pk]
    assert (record.hits, record.misses) == (0, 12)
    assert gold_mixing.test_of(project).verdict(record.hits, record.misses) == "not_honest"


def test_a_second_training_begins_anew(project: Project, annotator: User, owner: User) -> None:
    known(project, 20)
    learner(project, annotator, owner)
    gold_mixing.mix(project, now=NOW)
    list(work(project, annotator, 10))
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.WORKING
    projects.set_stage(project, username="annotator", stage="training", by=owner, now=NOW + HOUR)
    gold_mixing.mix(project, now=NOW + HOUR)
    assert Membership.objects.get(user=annotator).stage == Membership.Stage.TRAINING


def test_the_right_answer_is_told_after_an_answer_in_training_and_then_it_stays(
    project: Project, annotator: User, owner: User, annotator_client: APIClient
) -> None:
    known(project, 5)
    learner(project, annotator, owner)
    gold_mixing.mix(project, now=_now())
    base = "/api/v1/projects/pets"
    (task,) = annotator_client.post(f"{base}/tasks/next", {}, format="json").json()["tasks"]
    assert task["reason"] == "gold"
    assert task["suggestion"] is None
    given = annotator_client.post(f"{base}/tasks/{task['id']}/submit", {"answer": {"choice": "dog"}}, format="json")
    annotation = given.json()["annotation_id"]
    lesson = annotator_client.get(f"{base}/training/{annotation}")
    assert lesson.json() == {
        "is_right": False, "right_answer": {"choice": "cat"}, "explanation": "It says so.", "hits": 0, "misses": 1,
        "verdict": "undecided",
    }  # fmt: skip
    undone = annotator_client.post(f"{base}/tasks/undo", {}, format="json")
    assert (undone.status_code, undone.json()["code"]) == (409, "answer_shown")
    changed = annotator_client.post(
        f"{base}/annotations/{annotation}/edit", {"answer": {"choice": "cat"}}, format="json"
    )
    assert (changed.status_code, changed.json()["code"]) == (409, "answer_shown")
    assert Annotation.objects.get().answer == {"choice": "dog"}


def test_nothing_is_told_about_other_answers(
    project: Project, annotator: User, annotator_client: APIClient, owner: User
) -> None:
    filled(project, 40)
    known(project, 10)
    list(work(project, annotator, 20))
    assert mixed_in(annotator)
    for answer in Annotation.objects.filter(annotator=annotator):
        told = annotator_client.get(f"/api/v1/projects/pets/training/{answer.pk}")
        assert (told.status_code, told.json()["code"]) == (404, "gold_not_found")


def test_several_learners_share_few_gold_items(project: Project, owner: User) -> None:
    known(project, 4)
    people = [crowd.person(project, f"new{number}") for number in range(3)]
    for person in people:
        learner(project, person, owner)
    assert gold_mixing.mix(project, now=NOW).opened == 4
    assert all(mixed_in(person) for person in people)


def test_a_manager_sets_the_stage_over_the_api_and_an_annotator_does_not(
    project: Project, annotator: User, annotator_client: APIClient, manager: User
) -> None:
    url, body = "/api/v1/projects/pets/members/annotator/stage", {"stage": "training"}
    assert annotator_client.post(url, body, format="json").status_code == 403
    client = APIClient()
    client.force_login(manager)
    assert client.post(url, body, format="json").json()["stage"] == "training"
    assert client.post(url, {"stage": "blocked"}, format="json").status_code == 400
    assert client.post(url.replace("annotator/", "nobody/"), body, format="json").status_code == 404


def test_answers_that_are_no_single_choice_can_be_known_too(project: Project, annotator: User, owner: User) -> None:
    LabelSchema.objects.filter(project=project).update(kind="numeric", definition={"minimum": 0, "maximum": 1})
    items = factory.pool(project, 6)
    made = gold.make_many(project, [GoldRow(item.key, {"number": 0.5}) for item in items], by=None)
    assert all(each.gold is not None for each in made), made
    learner(project, annotator, owner)
    gold_mixing.mix(project, now=NOW)
    (task,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    annotation_queue.submit(task.pk, annotator=annotator, answer={"number": 0.5}, now=NOW)
    assert gold_mixing.records(project, [annotator.pk])[annotator.pk].hits == 1
