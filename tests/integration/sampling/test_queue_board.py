"""The queue board: what its filters show, what a manager does with many tasks, who may, and what it asks the database."""

import datetime as dt
import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from labeling.models import Annotation, AnnotationTask, Item, PoolEntry, Project, Skip
from labeling.services import annotation_queue
from tests.factories import sampling as factory

BOARD = "/projects/pets/queue/"
_MOST_STATEMENTS = 24
"""Of the whole page, however long the queue: login and project 3, filters 2, figures 7, list 4, policy 4, engines 1."""


@pytest.fixture
def tasks(project: Project) -> list[AnnotationTask]:
    return factory.queue(project, 6, now=timezone.now() - dt.timedelta(hours=2))


@pytest.fixture
def board(client: Client, manager: User, tasks: list[AnnotationTask]) -> Client:
    client.force_login(manager)
    return client


def _shown(client: Client, query: str = "", path: str = BOARD) -> list[int]:
    """Ids of the tasks on the page, in its order."""
    response = client.get(f"{path}?{query}")
    assert response.status_code == 200
    return [int(number) for number in re.findall(r'<tr id="row-(\d+)"', response.content.decode())]


def _answer(task: AnnotationTask, by: User, *, comment: str = "", is_flagged: bool = False) -> Annotation:
    now = timezone.now()
    AnnotationTask.objects.filter(pk=task.pk).update(leased_to=by, lease_expires_at=now + dt.timedelta(minutes=5))
    return annotation_queue.submit(
        task.pk, annotator=by, answer={"choice": "cat"}, now=now, comment=comment, is_flagged=is_flagged
    )


def _do(client: Client, verb: str, tasks: list[AnnotationTask], query: str = "", **values: str) -> str:
    """Send the bulk form; return the notices of the page that follows."""
    data = {"action": "bulk", "verb": verb, "task": [str(task.pk) for task in tasks], **values}
    response = client.post(f"{BOARD}?{query}", data, follow=True)
    assert response.redirect_chain, response.content.decode()
    notices = re.findall(r'<div class="notice[^>]*><div>(.*?)</div>', response.content.decode(), re.DOTALL)
    return " ".join(notices)


def _ids(tasks: list[AnnotationTask]) -> list[int]:
    return [task.pk for task in tasks]


# -- the list --------------------------------------------------------------------------------------------------------


def test_waiting_tasks_stand_in_the_order_in_which_they_are_served(board: Client, tasks: list[AnnotationTask]) -> None:
    assert _shown(board) == _ids(tasks)
    _do(board, "pin", [tasks[4]])
    assert _shown(board)[0] == tasks[4].pk


def test_views_follow_the_state(board: Client, tasks: list[AnnotationTask], project: Project, annotator: User) -> None:
    now = timezone.now()
    _answer(tasks[0], annotator)
    annotation_queue.claim(project, annotator=annotator, now=now, limit=1)
    _do(board, "withdraw", [tasks[5]])
    assert _shown(board) == _ids(tasks[1:5])
    assert _shown(board, "state=leased") == [tasks[1].pk]
    assert _shown(board, "state=answered") == [tasks[0].pk]
    assert _shown(board, "state=withdrawn") == [tasks[5].pk]
    assert _shown(board, "state=unusable") == []
    annotation_queue.skip(tasks[1].pk, annotator=annotator, now=now, kind=Skip.Kind.UNUSABLE, reason="all black")
    assert _shown(board, "state=unusable") == [tasks[1].pk]
    assert "all black" in board.get(f"{BOARD}?state=unusable").content.decode()


def test_filters_narrow_the_list(board: Client, tasks: list[AnnotationTask], annotator: User, manager: User) -> None:
    first, second, third, *others = tasks
    AnnotationTask.objects.filter(pk=first.pk).update(informativeness=0.9, reason="manual")
    AnnotationTask.objects.filter(pk=second.pk).update(is_audit=True, created_at=timezone.now() - dt.timedelta(days=2))
    _do(board, "assign", [third], to=str(annotator.pk))
    _do(board, "due", others[:1], due_at="2020-01-01T10:00")
    for query, wanted in {
        "reason=manual": [first],
        "low=0.8": [first],
        "high=0.8&low=0.1": [others[0], third, second, *others[1:]],
        "mark=audit": [second],
        "mark=dated": others[:1],
        "mark=overdue": others[:1],
        "age=24": [second],
        f"person={annotator.pk}": [third],
        f"person={manager.pk}": [],
        "person=nobody": [others[0], first, second, *others[1:]],
        f"key={tasks[4].item.key}": [tasks[4]],
        "key=absent": [],
    }.items():
        assert _shown(board, query) == _ids(wanted), query


def test_an_answer_belongs_to_who_gave_it(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    _answer(tasks[0], annotator)
    assert _shown(board, f"state=answered&person={annotator.pk}") == [tasks[0].pk]
    assert _shown(board, f"state=answered&person={tasks[0].pk + 999}") == [tasks[0].pk]  # nobody: filters nothing


@pytest.mark.parametrize("order", ["", "informative", "oldest", "newest"])
@pytest.mark.parametrize("state", ["", "answered"])
def test_pages_show_every_task_once(
    order: str, state: str, client: Client, manager: User, annotator: User, project: Project
) -> None:
    tasks = factory.queue(project, 60)
    for number, task in enumerate(tasks[::3]):
        score = None if number % 4 == 0 else number % 5 / 10
        AnnotationTask.objects.filter(pk=task.pk).update(informativeness=score)
    if state:
        AnnotationTask.objects.update(state=state, closed_at=timezone.now())
    client.force_login(manager)
    seen: list[int] = []
    after = ""
    for _ in range(4):
        response = client.get(BOARD, {"state": state, "sort": order, "after": after})
        seen += [int(number) for number in re.findall(r'<tr id="row-(\d+)"', response.content.decode())]
        found = re.search(r'id="next-page" href="[^"]*[?&;]after=([^"&]+)', response.content.decode())
        if not found:
            break
        after = found[1].replace("%3A", ":").replace("%2B", "+").replace("%7E", "~")
    assert sorted(seen) == sorted(_ids(tasks))
    assert len(seen) == len(set(seen)) == 60


@pytest.mark.parametrize("after", ["x", "~", "1~x", "nan~1", "2026-01-01~3", "~5", "1e999~2", "1~" + "9" * 30])
def test_a_cursor_that_was_not_made_here_is_answered(after: str, board: Client) -> None:
    for sort in ("", "oldest", "informative"):
        assert board.get(BOARD, {"after": after, "sort": sort}).status_code == 200


def test_counts_stand_beside_the_filters(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    _answer(tasks[0], annotator, is_flagged=True, comment="two animals")
    content = board.get(BOARD).content.decode()
    counts = dict(re.findall(r'data-view-count="(\w*)">([\d,+]+)<', content))
    assert counts == {"": "5", "leased": "0", "flagged": "1", "answered": "1", "withdrawn": "0", "unusable": "0"}
    assert re.search(r'id="reason-uncertain"[^>]*>Model unsure <span class="num">5<', content)


def test_what_was_flagged_reaches_a_reviewer(
    board: Client, tasks: list[AnnotationTask], annotator: User, reviewer: User
) -> None:
    _answer(tasks[0], annotator, is_flagged=True, comment="two <b>animals</b>")
    _answer(tasks[1], annotator)
    _answer(tasks[2], annotator, comment="blurred")
    board.force_login(reviewer)
    assert set(_shown(board, "state=flagged")) == {tasks[0].pk, tasks[2].pk}
    content = board.get(f"{BOARD}?state=flagged").content.decode()
    assert "two &lt;b&gt;animals&lt;/b&gt;" in content
    item_page = f"/projects/pets/items/{tasks[0].item_id}/"
    assert item_page in content
    said = board.get(item_page).content.decode()
    assert "two &lt;b&gt;animals&lt;/b&gt;" in said
    assert "Flagged" in said


def test_a_flag_that_was_taken_back_is_gone(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    annotation = _answer(tasks[0], annotator, is_flagged=True)
    Annotation.objects.filter(pk=annotation.pk).update(withdrawn_at=timezone.now())
    assert _shown(board, "state=flagged") == []


# -- bulk actions ----------------------------------------------------------------------------------------------------


def test_tasks_are_pinned_boosted_dated_and_freed(board: Client, tasks: list[AnnotationTask]) -> None:
    chosen = tasks[1:3]
    assert "2 items pinned" in _do(board, "pin", chosen)
    assert AnnotationTask.objects.filter(is_pinned=True).count() == 2
    _do(board, "unpin", chosen)
    assert not AnnotationTask.objects.filter(is_pinned=True).exists()
    _do(board, "boost", chosen, boost="2.5")
    assert AnnotationTask.objects.filter(boost=2.5, priority=2.5).count() == 2
    _do(board, "due", chosen, due_at="2031-05-06T07:08")
    assert AnnotationTask.objects.filter(due_at=dt.datetime(2031, 5, 6, 7, 8, tzinfo=dt.UTC)).count() == 2
    _do(board, "undue", chosen)
    assert not AnnotationTask.objects.filter(due_at__isnull=False).exists()


def test_tasks_are_assigned_and_reserved(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    chosen = tasks[:2]
    _do(board, "assign", chosen, to=str(annotator.pk))
    assert AnnotationTask.objects.filter(assigned_to=annotator).count() == 2
    _do(board, "unassign", chosen)
    assert not AnnotationTask.objects.filter(assigned_to__isnull=False).exists()
    _do(board, "skill", chosen, skill="arabic")
    assert AnnotationTask.objects.filter(required_skill="arabic").count() == 2
    _do(board, "unskill", chosen)
    assert not AnnotationTask.objects.filter(required_skill="arabic").exists()
    _do(board, "answers", chosen, answers_wanted="3")
    assert AnnotationTask.objects.filter(answers_wanted=3).count() == 2


def test_a_lease_is_released(board: Client, tasks: list[AnnotationTask], annotator: User, project: Project) -> None:
    annotation_queue.claim(project, annotator=annotator, now=timezone.now(), limit=1)
    notices = _do(board, "release", tasks[:2])
    assert "1 item released" in notices
    assert f"{tasks[1].item.key}. Nobody is at this task" in notices
    assert not AnnotationTask.objects.filter(leased_to__isnull=False).exists()


def test_a_labelled_item_is_asked_again(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    _answer(tasks[0], annotator)
    assert "1 item put into the queue again" in _do(board, "requeue", tasks[:1], "state=answered", answers_wanted="2")
    again = AnnotationTask.objects.get(item=tasks[0].item, state="open")
    assert (again.reason, again.answers_wanted) == ("relabel", 2)


def test_an_unusable_item_goes_back_to_the_pool(
    board: Client, tasks: list[AnnotationTask], annotator: User, project: Project
) -> None:
    annotation_queue.claim(project, annotator=annotator, now=timezone.now(), limit=1)
    annotation_queue.skip(tasks[0].pk, annotator=annotator, now=timezone.now(), kind=Skip.Kind.UNUSABLE, reason="noise")
    assert "1 item returned" in _do(board, "return_to_pool", tasks[:1], "state=unusable")
    assert PoolEntry.objects.get(item=tasks[0].item).state == PoolEntry.State.AVAILABLE


def test_what_cannot_be_changed_is_named_and_stays(board: Client, tasks: list[AnnotationTask], annotator: User) -> None:
    _answer(tasks[0], annotator)
    notices = _do(board, "pin", tasks[:2])
    assert "1 item pinned" in notices
    assert f"Left as it is: {tasks[0].item.key}. This task was closed as answered." in notices
    assert list(AnnotationTask.objects.filter(is_pinned=True)) == [tasks[1]]


def test_everything_that_matches_is_changed(board: Client, tasks: list[AnnotationTask]) -> None:
    AnnotationTask.objects.filter(pk__in=_ids(tasks[:4])).update(reason="manual")
    assert "4 items withdrawn" in _do(board, "withdraw", [], "reason=manual", everything="on")
    assert set(_shown(board)) == set(_ids(tasks[4:]))


@pytest.mark.parametrize(
    "values",
    [
        {"verb": "boost"},
        {"verb": "boost", "boost": "9999"},
        {"verb": "boost", "boost": "nan"},
        {"verb": "due"},
        {"verb": "due", "due_at": "soon"},
        {"verb": "due", "due_at": "2300-01-01T00:00"},
        {"verb": "assign"},
        {"verb": "skill"},
        {"verb": "answers", "answers_wanted": "0"},
        {"verb": "explode"},
    ],
)
def test_a_wrong_value_changes_nothing(values: dict[str, str], board: Client, tasks: list[AnnotationTask]) -> None:
    before = list(AnnotationTask.objects.order_by("id").values())
    response = board.post(BOARD, {"action": "bulk", "task": _ids(tasks), **values})
    assert response.status_code == 422
    assert list(AnnotationTask.objects.order_by("id").values()) == before


def test_people_of_other_projects_are_no_choice(board: Client, tasks: list[AnnotationTask], stranger: User) -> None:
    data = {"action": "bulk", "verb": "assign", "task": _ids(tasks), "to": str(stranger.pk)}
    assert board.post(BOARD, data).status_code == 422
    assert not AnnotationTask.objects.filter(assigned_to__isnull=False).exists()


def test_tasks_of_other_projects_are_out_of_reach(board: Client, stranger: User) -> None:
    elsewhere = factory.queue(Project.objects.get(slug="other"), 1)
    assert "There is no such task" in _do(board, "withdraw", elsewhere)
    assert AnnotationTask.objects.get(pk=elsewhere[0].pk).state == "open"


def test_nothing_chosen_is_said(board: Client) -> None:
    assert "Nothing is chosen" in _do(board, "pin", [])
    assert not AnnotationTask.objects.filter(is_pinned=True).exists()


def test_only_who_manages_may_change(
    client: Client,
    tasks: list[AnnotationTask],
    reviewer: User,
    annotator: User,
    stranger: User,
) -> None:
    for person, status in ((reviewer, 403), (annotator, 403), (stranger, 404)):
        client.force_login(person)
        for verb in ("pin", "withdraw", "requeue"):
            data = {"action": "bulk", "verb": verb, "task": _ids(tasks), "everything": "on"}
            assert client.post(BOARD, data).status_code == status
    assert AnnotationTask.objects.filter(state="open", is_pinned=False).count() == len(tasks)


def test_a_reviewer_sees_the_board_without_controls(
    client: Client, reviewer: User, tasks: list[AnnotationTask]
) -> None:
    client.force_login(reviewer)
    content = client.get(BOARD).content.decode()
    assert tasks[0].item.key in content
    assert "data-pick" not in content
    assert 'id="bulk"' not in content


@pytest.mark.parametrize(("name", "status"), [("reviewer", 200), ("annotator", 403), ("stranger", 404)])
def test_who_sees_an_item(
    name: str, status: int, client: Client, request: pytest.FixtureRequest, tasks: list[AnnotationTask]
) -> None:
    client.force_login(request.getfixturevalue(name))
    assert client.get(f"/projects/pets/items/{tasks[0].item_id}/").status_code == status


def test_an_item_of_another_project_is_not_found(board: Client, stranger: User) -> None:
    elsewhere = factory.pool(Project.objects.get(slug="other"), 1)
    assert board.get(f"/projects/pets/items/{elsewhere[0].pk}/").status_code == 404


# -- live parts, cost --------------------------------------------------------------------------------------------------


def test_a_part_is_sent_when_it_changed_and_not_before(board: Client, tasks: list[AnnotationTask]) -> None:
    asked = {"HX-Request": "true", "Live-Parts": "rows,counts"}
    first = board.get(BOARD, headers=asked)
    tags = re.findall(r'data-live-tag="([^"]+)"', first.content.decode())
    assert len(tags) == 2
    known = asked | {"If-None-Match": ", ".join(f'"{tag}"' for tag in tags)}
    unchanged = board.get(BOARD, headers=known)
    assert (unchanged.status_code, unchanged.content) == (204, b"")
    _do(board, "pin", tasks[3:4])
    changed = board.get(BOARD, headers=known)
    assert re.findall(r'data-live-part="(\w+)"', changed.content.decode()) == ["rows"]
    assert 'hx-swap-oob="true"' in changed.content.decode()


def test_the_page_asks_no_more_of_a_longer_queue(board: Client, project: Project, annotator: User) -> None:
    board.get(BOARD)  # makes the first version of the policy
    with CaptureQueriesContext(
        connection,
    ) as short:
        board.get(BOARD)
    for task in factory.queue(project, 60)[:5]:
        _answer(task, annotator, comment="see this")
    for query in ("", "state=flagged", "state=answered"):
        with CaptureQueriesContext(connection) as long:
            board.get(f"{BOARD}?{query}")
        assert len(long) <= _MOST_STATEMENTS, [each["sql"][:120] for each in long]
    assert len(short) <= _MOST_STATEMENTS


def test_a_poll_of_the_rows_asks_for_the_rows_only(board: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        board.get(BOARD, headers={"HX-Request": "true", "Live-Parts": "rows"})
    asked = " ".join(each["sql"] for each in queries)
    assert "labeling_annotatorday" not in asked
    assert "sampling_refillrun" not in asked
    assert Item.objects.exists()
