"""Who is served what: skills, assignments, priorities, three kinds of skips, several answers to an item."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from labeling.errors import AlreadyAnswered, DomainError, InvalidInput, LeaseExpired, TaskClosed
from labeling.models import Annotation, AnnotationTask, AnnotatorDay, Item, Membership, PoolEntry, Project, Skip
from labeling.services import annotation_queue, answers, queue_management
from labeling.services.annotation_queue import NothingReason, NothingServed
from tests import recount
from tests.factories import sampling as make

pytestmark = pytest.mark.django_db

NOW = make.NOW
LEASE = dt.timedelta(seconds=settings.LEASE_SECONDS)
MINUTE = dt.timedelta(minutes=1)
CAT, DOG = {"choice": "cat"}, {"choice": "dog"}


@pytest.fixture(autouse=True)
def counters_agree(request: pytest.FixtureRequest, project: Project) -> Any:
    """Whatever a test does, afterwards every counter equals a recount."""
    yield
    assert recount.disagreements(project) == []


def claim(project: Project, person: User, limit: int = 1, now: dt.datetime = NOW) -> list[int]:
    return [task.pk for task in annotation_queue.claim(project, annotator=person, now=now, limit=limit)]


def answer(task_id: int, person: User, now: dt.datetime = NOW, said: dict[str, str] = CAT) -> Annotation:
    return annotation_queue.submit(task_id, annotator=person, answer=said, now=now)


def why(project: Project, person: User, now: dt.datetime = NOW) -> NothingServed:
    return annotation_queue.why_nothing(project, annotator=person, now=now)


def manage(action: str, project: Project, tasks: list[AnnotationTask], **value: Any) -> queue_management.Outcome:
    outcome: queue_management.Outcome = getattr(queue_management, action)(
        project, [task.pk for task in tasks], by=None, now=NOW, **value
    )
    return outcome


# -- skills and assignments --------------------------------------------------------------------------------------


def test_a_task_that_needs_a_skill_waits_for_somebody_with_it(
    project: Project, annotator: User, reviewer: User
) -> None:
    german, plain = make.queue(project, 2)
    assert manage("require_skill", project, [german], skill="german").changed == 1
    Membership.objects.filter(user=reviewer).update(skills=["german", "french"])
    assert claim(project, annotator, limit=2) == [plain.pk]
    assert claim(project, reviewer, limit=2) == [german.pk]


def test_the_skill_comes_from_the_segment_that_the_project_names(project: Project, annotator: User) -> None:
    first, second = make.pool(project, 2)
    Item.objects.filter(pk=first.pk).update(segments={"language": "de"})
    project.skill_segment = "language"
    project.save()
    drawn = [make.new_task(item, rank) for rank, item in enumerate((first, second))]
    annotation_queue.enqueue(project, drawn, batch=uuid.uuid4(), pool_size=2, now=NOW)
    needed = dict(AnnotationTask.objects.values_list("item", "required_skill"))
    assert needed == {first.pk: "de", second.pk: ""}
    (served,) = annotation_queue.claim(project, annotator=annotator, now=NOW, limit=2)
    assert served.item_id == second.pk


def test_an_assigned_task_goes_to_its_person_and_before_drawn_ones(
    project: Project, annotator: User, reviewer: User
) -> None:
    drawn, given = make.queue(project, 2)
    manage("assign", project, [given], to=annotator)
    assert claim(project, reviewer, limit=2) == [drawn.pk]
    assert claim(project, annotator) == [given.pk]


def test_assigning_ends_the_lease_of_somebody_else(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, reviewer)
    manage("assign", project, [task], to=annotator)
    with pytest.raises(DomainError):
        answer(task.pk, reviewer)
    assert claim(project, reviewer) == []
    assert claim(project, annotator) == [task.pk]


def test_only_people_who_label_here_are_assigned_to(project: Project, stranger: User, annotator: User) -> None:
    tasks = make.queue(project, 2)
    with pytest.raises(InvalidInput) as caught:
        manage("assign", project, tasks, to=stranger)
    assert caught.value.code == "not_an_annotator"
    claim(project, annotator)
    AnnotationTask.objects.update(answers_wanted=2)
    answer(tasks[0].pk, annotator)
    outcome = manage("assign", project, tasks, to=annotator)
    assert (outcome.changed, [each.code for each in outcome.refused]) == (1, ["already_answered"])


# -- priorities --------------------------------------------------------------------------------------------------


def test_pins_then_dates_then_boosts_then_the_draw(project: Project, annotator: User) -> None:
    drawn, boosted, late, soon, pinned, lowered = make.queue(project, 6)
    manage("pin", project, [pinned])
    manage("due", project, [late], due_at=NOW + 2 * LEASE)
    manage("due", project, [soon], due_at=NOW + LEASE)
    manage("boost", project, [boosted], boost=5)
    manage("boost", project, [lowered], boost=-5)
    expected = [pinned.pk, soon.pk, late.pk, boosted.pk, drawn.pk, lowered.pk]
    assert claim(project, annotator, limit=6) == expected
    for pk in expected:
        annotation_queue.release(pk, annotator=annotator, now=NOW)
    manage("unpin", project, [pinned])
    manage("due", project, [soon, late], due_at=None)
    manage("boost", project, [boosted, lowered], boost=0)
    assert claim(project, annotator, limit=6) == sorted(expected)


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("boost", {"boost": 1001.0}),
        ("boost", {"boost": float("nan")}),
        ("due", {"due_at": dt.datetime(2300, 1, 1, tzinfo=dt.UTC)}),
        ("require_skill", {"skill": "x" * 101}),
        ("want_answers", {"answers_wanted": 0}),
    ],
)
def test_values_out_of_range_change_nothing(project: Project, action: str, value: dict[str, Any]) -> None:
    tasks = make.queue(project, 1)
    before = list(AnnotationTask.objects.values())
    with pytest.raises(InvalidInput):
        manage(action, project, tasks, **value)
    assert list(AnnotationTask.objects.values()) == before


def test_closed_and_foreign_tasks_are_refused_by_name(project: Project, annotator: User) -> None:
    done, waiting = make.queue(project, 2)
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    (foreign,) = make.queue(elsewhere, 1)
    claim(project, annotator)
    answer(done.pk, annotator)
    outcome = manage("pin", project, [done, waiting, foreign])
    assert outcome.changed == 1
    assert {each.id: each.code for each in outcome.refused} == {done.pk: "task_closed", foreign.pk: "task_not_found"}
    assert not AnnotationTask.objects.get(pk=foreign.pk).is_pinned


def test_a_redraw_leaves_alone_what_a_person_had_a_hand_in(project: Project, annotator: User, reviewer: User) -> None:
    drawn, pinned, dated, given, partly = make.queue(project, 5)
    manage("pin", project, [pinned])
    manage("due", project, [dated], due_at=NOW)
    manage("assign", project, [given], to=reviewer)
    manage("want_answers", project, [partly], answers_wanted=2)
    AnnotationTask.objects.filter(pk=partly.pk).update(leased_to=annotator, lease_expires_at=NOW + LEASE)
    answer(partly.pk, annotator)
    assert annotation_queue.withdraw_open(project, now=NOW) == 1
    assert AnnotationTask.objects.get(state="withdrawn").pk == drawn.pk


def test_a_manager_withdraws_and_releases(project: Project, annotator: User) -> None:
    leased, free = make.queue(project, 2)
    claim(project, annotator)
    outcome = manage("release", project, [leased, free])
    assert (outcome.changed, [each.code for each in outcome.refused]) == (1, ["not_leased"])
    assert manage("withdraw", project, [leased, free]).changed == 2
    assert set(PoolEntry.objects.values_list("state", flat=True)) == {PoolEntry.State.AVAILABLE}


# -- skips -------------------------------------------------------------------------------------------------------


def skip(task: AnnotationTask, person: User, kind: Skip.Kind, **more: Any) -> None:
    annotation_queue.skip(task.pk, annotator=person, now=NOW, kind=kind, **more)


def test_what_is_put_off_comes_back_later_and_to_others_at_once(
    project: Project, annotator: User, reviewer: User
) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    skip(task, annotator, Skip.Kind.LATER, minutes=10)
    assert claim(project, annotator) == []
    assert why(project, annotator) == NothingServed(NothingReason.LATER, NOW + 10 * MINUTE)
    assert claim(project, reviewer) == [task.pk]
    annotation_queue.release(task.pk, annotator=reviewer, now=NOW)
    assert claim(project, annotator, now=NOW + 10 * MINUTE) == [task.pk]
    answer(task.pk, annotator, now=NOW + 11 * MINUTE)


def test_a_task_can_be_put_off_again(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    for now in (NOW, NOW + 30 * MINUTE):
        assert claim(project, annotator, now=now) == [task.pk]
        annotation_queue.skip(task.pk, annotator=annotator, now=now, kind=Skip.Kind.LATER)
    assert Skip.objects.get().until == NOW + 60 * MINUTE


def test_what_is_left_to_others_never_comes_back(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    skip(task, annotator, Skip.Kind.SOMEONE_ELSE)
    assert claim(project, annotator, now=NOW + 1000 * LEASE) == []
    assert why(project, annotator).reason == NothingReason.NOTHING_LEFT_FOR_YOU
    assert claim(project, reviewer) == [task.pk]


def test_an_unusable_item_leaves_the_pool_until_a_manager_returns_it(
    project: Project, annotator: User, reviewer: User
) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    skip(task, annotator, Skip.Kind.UNUSABLE, reason="half the text is missing")
    task.refresh_from_db()
    assert (task.state, task.leased_to, PoolEntry.objects.get().state) == ("unusable", None, PoolEntry.State.UNUSABLE)
    assert claim(project, reviewer) == []
    assert queue_management.requeue(project, [task.item_id], by=None, now=NOW).refused[0].code == "unusable"
    assert queue_management.return_to_pool(project, [task.item_id], by=None, now=NOW).changed == 1
    assert PoolEntry.objects.get().state == PoolEntry.State.AVAILABLE


@pytest.mark.parametrize(
    "more",
    [
        {"kind": Skip.Kind.UNUSABLE},
        {"kind": Skip.Kind.UNUSABLE, "reason": "  "},
        {"kind": Skip.Kind.LATER, "minutes": 0},
        {"kind": Skip.Kind.LATER, "minutes": 100_000},
        {"kind": Skip.Kind.LATER, "reason": "x" * 301},
    ],
)
def test_a_skip_that_makes_no_sense_is_refused(project: Project, annotator: User, more: dict[str, Any]) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    with pytest.raises(InvalidInput):
        annotation_queue.skip(task.pk, annotator=annotator, now=NOW, **more)
    assert not Skip.objects.exists()
    task.refresh_from_db()
    assert (task.state, task.leased_to) == ("open", annotator)


# -- several answers ---------------------------------------------------------------------------------------------


def test_a_task_stays_open_until_it_has_the_answers_it_wants(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    manage("want_answers", project, [task], answers_wanted=2)
    claim(project, annotator)
    answer(task.pk, annotator)
    task.refresh_from_db()
    assert (task.state, task.answers_count, task.leased_to) == ("open", 1, None)
    assert PoolEntry.objects.get().state == PoolEntry.State.QUEUED
    assert claim(project, annotator) == []
    assert claim(project, reviewer) == [task.pk]
    answer(task.pk, reviewer, said=DOG)
    task.refresh_from_db()
    assert (task.state, task.answers_count) == ("answered", 2)
    assert PoolEntry.objects.get().state == PoolEntry.State.ANSWERED


def test_wanting_fewer_answers_closes_what_has_enough(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    manage("want_answers", project, [task], answers_wanted=3)
    claim(project, annotator)
    answer(task.pk, annotator)
    manage("want_answers", project, [task], answers_wanted=1)
    task.refresh_from_db()
    assert (task.state, PoolEntry.objects.get().state) == ("answered", PoolEntry.State.ANSWERED)


def test_withdrawing_a_task_keeps_the_answers_it_has(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    manage("want_answers", project, [task], answers_wanted=3)
    claim(project, annotator)
    answer(task.pk, annotator)
    manage("withdraw", project, [task])
    task.refresh_from_db()
    assert (task.state, task.answers_wanted) == ("answered", 1)


def test_a_labelled_item_is_asked_again_of_somebody_else(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    answer(task.pk, annotator)
    outcome = queue_management.requeue(project, [task.item_id, 999_999], by=None, now=NOW)
    assert (outcome.changed, [each.code for each in outcome.refused]) == (1, ["item_not_found"])
    again = AnnotationTask.objects.get(state="open")
    assert again.reason == AnnotationTask.Reason.RELABEL
    assert queue_management.requeue(project, [task.item_id], by=None, now=NOW).refused[0].code == "already_queued"
    assert claim(project, annotator) == []
    assert claim(project, reviewer) == [again.pk]
    manage("withdraw", project, [again])
    assert PoolEntry.objects.get().state == PoolEntry.State.ANSWERED


# -- taking back and changing ------------------------------------------------------------------------------------


def test_an_undo_by_name_can_be_repeated(project: Project, annotator: User) -> None:
    first, second = make.queue(project, 2)
    claim(project, annotator, limit=2)
    given = answer(first.pk, annotator)
    answer(second.pk, annotator)
    for _ in range(3):
        undone = answers.undo(project, annotator=annotator, now=NOW, annotation_id=given.pk)
        assert undone.task is not None
        assert undone.task.pk == first.pk
    assert Annotation.objects.filter(withdrawn_at__isnull=False).count() == 1
    assert AnnotatorDay.objects.get().answered == 1


def test_an_undo_of_one_of_several_answers_leaves_the_others(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    manage("want_answers", project, [task], answers_wanted=3)
    claim(project, annotator)
    answer(task.pk, annotator)
    claim(project, reviewer)
    undone = answers.undo(project, annotator=annotator, now=NOW)
    assert undone.task is None  # the reviewer is at it
    task.refresh_from_db()
    assert (task.answers_count, task.leased_to) == (0, reviewer)


def test_an_item_that_is_asked_again_is_not_undone_but_can_be_edited(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    given = answer(task.pk, annotator)
    queue_management.requeue(project, [task.item_id], by=None, now=NOW)
    with pytest.raises(DomainError) as caught:
        answers.undo(project, annotator=annotator, now=NOW)
    assert caught.value.code == "asked_again"
    new = answers.edit(project, given.pk, by=annotator, answer=DOG, now=NOW)
    assert (new.supersedes, new.answer) == (given, DOG)


def test_an_edit_is_a_new_row_and_the_old_one_stays(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    given = answer(task.pk, annotator)
    tomorrow = NOW + dt.timedelta(days=1)
    new = answers.edit(
        project, given.pk, by=annotator, answer=DOG, now=tomorrow, comment="looked again", is_flagged=True
    )
    given.refresh_from_db()
    assert (given.answer, given.withdrawn_at) == (CAT, tomorrow)
    assert (new.answer, new.comment, new.is_flagged, new.supersedes_id) == (DOG, "looked again", True, given.pk)
    with pytest.raises(DomainError) as caught:
        answers.edit(project, given.pk, by=annotator, answer=CAT, now=tomorrow)
    assert caught.value.code == "annotation_withdrawn"


def test_answers_of_others_are_edited_only_by_who_may(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    given = answer(task.pk, annotator)
    with pytest.raises(DomainError) as caught:
        answers.edit(project, given.pk, by=reviewer, answer=DOG, now=NOW)
    assert caught.value.code == "annotation_not_found"
    new = answers.edit(project, given.pk, by=reviewer, answer=DOG, now=NOW, of_anybody=True)
    assert new.annotator == reviewer


def test_a_reviewer_with_an_answer_of_their_own_edits_that(project: Project, annotator: User, reviewer: User) -> None:
    (task,) = make.queue(project, 1)
    manage("want_answers", project, [task], answers_wanted=2)
    claim(project, annotator)
    given = answer(task.pk, annotator)
    claim(project, reviewer)
    answer(task.pk, reviewer)
    with pytest.raises(AlreadyAnswered):
        answers.edit(project, given.pk, by=reviewer, answer=DOG, now=NOW, of_anybody=True)


# -- drafts ------------------------------------------------------------------------------------------------------


def draft(project: Project, task: AnnotationTask, person: User, text: str, version: int) -> int:
    saved = answers.save_draft(
        project, task.pk, annotator=person, answer={"choice": text}, comment="", version=version, now=NOW
    )
    return saved.version


def test_a_draft_comes_back_with_its_task_and_goes_with_the_answer(
    project: Project, annotator: User, reviewer: User
) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    draft(project, task, annotator, "ca", 1)
    draft(project, task, annotator, "cat", 3)
    (again,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    assert again.own_draft is not None
    assert (again.own_draft.answer, again.own_draft.version) == ({"choice": "cat"}, 3)
    annotation_queue.release(task.pk, annotator=annotator, now=NOW)
    (others,) = annotation_queue.claim(project, annotator=reviewer, now=NOW)
    assert others.own_draft is None
    annotation_queue.release(task.pk, annotator=reviewer, now=NOW)
    claim(project, annotator)
    answer(task.pk, annotator)
    assert not task.drafts.exists()


def test_an_older_draft_never_wins(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    draft(project, task, annotator, "new", 5)
    with pytest.raises(DomainError) as caught:
        draft(project, task, annotator, "old", 5)
    assert caught.value.code == "draft_outdated"
    assert task.drafts.get().answer == {"choice": "new"}


def test_a_draft_may_be_a_comment_only_and_arrive_after_the_release(project: Project, annotator: User) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    annotation_queue.release(task.pk, annotator=annotator, now=NOW)
    answers.save_draft(project, task.pk, annotator=annotator, answer=None, comment="Why?", version=1, now=NOW)
    (again,) = annotation_queue.claim(project, annotator=annotator, now=NOW)
    assert again.own_draft is not None
    assert (again.own_draft.answer, again.own_draft.comment) == (None, "Why?")


def test_a_draft_is_refused_while_another_has_the_task_and_when_it_is_closed(
    project: Project, annotator: User, reviewer: User
) -> None:
    (task,) = make.queue(project, 1)
    claim(project, annotator)
    with pytest.raises(DomainError) as caught:
        draft(project, task, reviewer, "cat", 1)
    assert caught.value.code == "not_leased"
    answer(task.pk, annotator)
    with pytest.raises(TaskClosed):
        draft(project, task, annotator, "cat", 1)
    assert not task.drafts.exists()


# -- leases ------------------------------------------------------------------------------------------------------


def test_one_heartbeat_extends_what_is_still_ones_own(project: Project, annotator: User, reviewer: User) -> None:
    mine, lost, never = make.queue(project, 3)
    claim(project, annotator, limit=2)
    AnnotationTask.objects.filter(pk=lost.pk).update(leased_to=reviewer)
    until, held = annotation_queue.extend_all(
        project, [mine.pk, lost.pk, never.pk, 999_999], annotator=annotator, now=NOW + MINUTE
    )
    assert (until, held) == (NOW + MINUTE + LEASE, frozenset({mine.pk}))
    leases = dict(AnnotationTask.objects.values_list("pk", "lease_expires_at"))
    assert leases == {mine.pk: NOW + MINUTE + LEASE, lost.pk: NOW + LEASE, never.pk: None}
    with pytest.raises(LeaseExpired):
        answer(mine.pk, annotator, now=NOW + MINUTE + LEASE)


def test_nothing_says_why(project: Project, annotator: User, reviewer: User) -> None:
    assert why(project, annotator).reason == NothingReason.EMPTY
    first, second = make.queue(project, 2)
    manage("assign", project, [first], to=reviewer)
    manage("require_skill", project, [second], skill="german")
    assert why(project, annotator).reason == NothingReason.NOT_ELIGIBLE
    manage("require_skill", project, [second], skill="")
    claim(project, reviewer, limit=2)
    assert why(project, annotator) == NothingServed(NothingReason.ALL_LEASED, NOW + LEASE)
