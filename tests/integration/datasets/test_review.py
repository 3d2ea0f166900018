"""Review cases: who gets which, what each decision changes, and what is left in the trail."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from datasets.errors import AlreadyInReview, ReviewClaimed, ReviewClosed, ReviewNotFound
from datasets.models import AcceptedLabel, GoldItem, PendingItem, ReviewCase, ReviewDecision
from datasets.services import accept, disagreements, review
from labeling.errors import Conflict, DomainError, InvalidInput
from labeling.models import AnnotationTask, Item, PoolEntry, Project
from labeling.services import queue_management
from tests.factories import datasets as factory
from tests.factories.reviews import LATER, NOW, answered, case, disputed

CAT = {"choice": "cat"}


@pytest.fixture
def item(project: Project, owner: User, annotator: User) -> Item:
    return disputed(project, "a", {owner: "cat", annotator: "dog"})


def trail(of: Item) -> list[tuple[str, str]]:
    decisions = ReviewDecision.objects.filter(item=of).order_by("pk")
    return [(decision.action, decision.reviewer.username) for decision in decisions]


def pool_state(of: Item) -> int:
    return PoolEntry.objects.get(item=of).state


# -- opening -----------------------------------------------------------------------------------------------------


def test_a_person_sends_an_item_to_review_once_and_the_wish_is_kept(
    project: Project, item: Item, owner: User, reviewer: User
) -> None:
    first = review.send_to_review(project, item, by=owner, now=NOW, comment="Odd.")
    again = review.send_to_review(project, item, by=reviewer, now=LATER, comment="Odd indeed.")
    assert (first.is_new, again.is_new, again.case) == (True, False, first.case)
    assert first.case.kind == ReviewCase.Kind.MANUAL
    assert trail(item) == [("open", "owner"), ("open", "reviewer")]
    assert [each.comment for each in ReviewDecision.objects.order_by("pk")] == ["Odd.", "Odd indeed."]


def test_a_wish_moves_an_open_case_to_the_top(project: Project, item: Item, owner: User) -> None:
    known = case(item, value=0.1)
    sent = review.send_to_review(project, item, by=owner, now=NOW)
    assert sent.case == known
    assert ReviewCase.objects.get().value == review.VALUE_OF_A_WISH


# -- who is at what ----------------------------------------------------------------------------------------------


def test_two_reviewers_at_once_get_different_cases_in_the_order_of_value(
    project: Project, owner: User, reviewer: User
) -> None:
    low, high = (case(factory.item(project, key), value=value) for key, value in (("l", 0.2), ("h", 0.6)))
    assert review.next_case(project, by=owner, now=NOW) == high
    assert review.next_case(project, by=reviewer, now=NOW) == low
    assert review.next_case(project, by=owner, now=NOW) == high


def test_a_claim_that_ran_out_or_was_given_back_is_free_for_others(
    project: Project, item: Item, owner: User, reviewer: User
) -> None:
    wanted = case(item)
    until = review.claim(project, wanted.pk, by=owner, now=NOW)
    assert until == NOW + dt.timedelta(minutes=review.CLAIM_MINUTES)
    with pytest.raises(ReviewClaimed, match="owner is at this case") as refused:
        review.claim(project, wanted.pk, by=reviewer, now=NOW)
    assert refused.value.fields == {"claimed_by": "owner"}
    assert review.next_case(project, by=reviewer, now=NOW) is None
    assert review.next_case(project, by=reviewer, now=until) == wanted
    review.release(project, wanted.pk, by=owner)  # not theirs any more
    assert ReviewCase.objects.get().claimed_by == reviewer
    review.release(project, wanted.pk, by=reviewer)
    assert review.next_case(project, by=owner, now=until) == wanted


def test_going_on_passes_over_what_was_looked_at(project: Project, owner: User) -> None:
    first, second, third = (
        case(factory.item(project, f"i{n}"), value=value) for n, value in enumerate((0.6, 0.4, 0.4))
    )
    assert review.next_case(project, by=owner, now=NOW, after=first) == second
    assert review.next_case(project, by=owner, now=NOW, after=second) == third
    assert review.next_case(project, by=owner, now=NOW, after=third) is None
    assert review.next_case(project, by=owner, now=NOW, kind="flagged") is None


# -- deciding ----------------------------------------------------------------------------------------------------


def test_a_decision_is_kept_and_its_item_is_believed_anew(project: Project, item: Item, reviewer: User) -> None:
    made = review.decide(
        project, case(item).pk, by=reviewer, now=LATER, answer=CAT, comment="Whiskers.", saw_suggestion=True
    )
    assert (made.answer, made.comment, made.saw_suggestion, made.decided_at) == (CAT, "Whiskers.", True, LATER)
    closed = ReviewCase.objects.get()
    assert (closed.state, closed.closed_at, closed.claimed_by) == ("decided", LATER, None)
    assert PendingItem.objects.filter(item=item).exists()
    assert trail(item) == [("decide", "reviewer")]


def test_the_second_who_decides_is_told_who_decided_what(
    project: Project, item: Item, owner: User, reviewer: User
) -> None:
    wanted = case(item)
    review.decide(project, wanted.pk, by=owner, now=NOW, answer=CAT)
    for act in (
        lambda: review.decide(project, wanted.pk, by=reviewer, now=LATER, answer={"choice": "dog"}),
        lambda: review.mark_ambiguous(project, wanted.pk, by=reviewer, now=LATER, comment="?"),
        lambda: review.send_back(project, wanted.pk, by=reviewer, now=LATER, comment="?"),
        lambda: review.make_gold(project, wanted.pk, by=reviewer, now=LATER, answer=CAT),
        lambda: review.claim(project, wanted.pk, by=reviewer, now=LATER),
    ):
        with pytest.raises(ReviewClosed, match=r"owner was here first\. Decided: cat") as refused:
            act()
        assert refused.value.fields["decided_by"] == "owner"
    assert trail(item) == [("decide", "owner")]
    assert not GoldItem.objects.exists()


@pytest.mark.parametrize(
    ("answer", "code"),
    [({"choice": "cow"}, "unknown_class"), ({"text": "x"}, "invalid_answer"), (None, "invalid_answer")],
)
def test_an_answer_that_cannot_be_changes_nothing(
    project: Project, item: Item, reviewer: User, answer: object, code: str
) -> None:
    wanted = case(item)
    for act in (review.decide, review.make_gold):
        with pytest.raises(InvalidInput) as refused:
            act(project, wanted.pk, by=reviewer, now=LATER, answer=answer)
        assert refused.value.code == code
    assert ReviewCase.objects.get().state == ReviewCase.State.OPEN
    assert trail(item) == []


def test_an_item_nobody_answered_is_not_drawn_after_its_decision(project: Project, reviewer: User) -> None:
    waiting, free = (factory.item(project, key, bucket=5_000) for key in ("waiting", "free"))
    queue_management.requeue(project, [waiting.pk], by=None, now=NOW)
    for each in (waiting, free):
        review.decide(project, case(each).pk, by=reviewer, now=LATER, answer=CAT)
    accept.accept_pending(project.pk, now=LATER)
    assert {pool_state(waiting), pool_state(free)} == {PoolEntry.State.ANSWERED}
    assert AnnotationTask.objects.get().state == AnnotationTask.State.WITHDRAWN


def test_an_ambiguous_item_nobody_answered_is_not_drawn(project: Project, reviewer: User) -> None:
    item = factory.item(project, "free", bucket=5_000)
    review.mark_ambiguous(project, case(item).pk, by=reviewer, now=LATER, comment="Half hidden.")
    accept.accept_pending(project.pk, now=LATER)
    assert pool_state(item) == PoolEntry.State.ANSWERED


def test_an_audit_task_is_asked_whatever_a_reviewer_decided(project: Project, reviewer: User) -> None:
    waiting = factory.item(project, "waiting")
    queue_management.requeue(project, [waiting.pk], by=None, now=NOW)
    AnnotationTask.objects.update(is_audit=True)
    review.decide(project, case(waiting).pk, by=reviewer, now=LATER, answer=CAT)
    assert AnnotationTask.objects.get().state == AnnotationTask.State.OPEN


def test_a_decision_is_the_label_until_an_annotator_says_something_newer(
    project: Project, item: Item, reviewer: User
) -> None:
    review.decide(project, case(item).pk, by=reviewer, now=LATER, answer={"choice": "bird"})
    review.send_to_review(project, item, by=reviewer, now=LATER)  # asks for another look; takes nothing back
    accept.accept_pending(project.pk, now=LATER)
    label = AcceptedLabel.objects.get(item=item, superseded_at=None)
    assert (label.label, label.method) == ("bird", AcceptedLabel.Method.REVIEWED)


def test_a_task_somebody_is_at_stays_theirs(project: Project, annotator: User, reviewer: User) -> None:
    waiting = factory.item(project, "waiting")
    queue_management.requeue(project, [waiting.pk], by=None, now=NOW)
    AnnotationTask.objects.update(leased_to=annotator, lease_expires_at=LATER + dt.timedelta(minutes=1))
    review.decide(project, case(waiting).pk, by=reviewer, now=LATER, answer=CAT)
    assert AnnotationTask.objects.get().state == AnnotationTask.State.OPEN


def test_sending_back_asks_one_more_annotator_and_keeps_the_comment(
    project: Project, item: Item, reviewer: User
) -> None:
    wanted = case(item)
    with pytest.raises(InvalidInput) as refused:
        review.send_back(project, wanted.pk, by=reviewer, now=LATER, comment=" ")
    assert refused.value.code == "comment_required"
    made = review.send_back(project, wanted.pk, by=reviewer, now=LATER, comment="Look at the ears.")
    assert (made.action, made.comment) == ("send_back", "Look at the ears.")
    task = AnnotationTask.objects.get(item=item, state=AnnotationTask.State.OPEN)
    assert (task.reason, task.answers_wanted) == (AnnotationTask.Reason.RELABEL, 1)
    assert ReviewCase.objects.get().state == ReviewCase.State.SENT_BACK


def test_an_unusable_item_cannot_be_sent_back(project: Project, item: Item, reviewer: User) -> None:
    PoolEntry.objects.filter(item=item).update(state=PoolEntry.State.UNUSABLE)
    with pytest.raises(Conflict) as refused:
        review.send_back(project, case(item).pk, by=reviewer, now=LATER, comment="Again.")
    assert refused.value.code == "item_unusable"
    assert ReviewCase.objects.get().state == ReviewCase.State.OPEN


def test_gold_is_made_with_its_explanation_and_again_with_another_answer(
    project: Project, item: Item, reviewer: User, owner: User
) -> None:
    wanted = case(item)
    review.make_gold(project, wanted.pk, by=reviewer, now=LATER, answer=CAT, explanation="Whiskers.")
    gold = GoldItem.objects.get()
    assert (gold.answer, gold.explanation, gold.is_active, gold.created_by) == (CAT, "Whiskers.", True, reviewer)
    other = case(item)
    review.make_gold(project, other.pk, by=owner, now=LATER, answer={"choice": "dog"})
    assert GoldItem.objects.get().answer == {"choice": "dog"}
    assert trail(item) == [("gold", "reviewer"), ("gold", "owner")]


def test_an_ambiguous_item_has_no_label_until_its_case_is_opened_again(
    project: Project, item: Item, owner: User, reviewer: User
) -> None:
    def label() -> str | None:
        accept.accept_pending(project.pk, now=LATER)
        return AcceptedLabel.objects.filter(item=item, superseded_at=None).values_list("label", flat=True).first()

    assert label() is not None
    wanted = case(item)
    review.mark_ambiguous(project, wanted.pk, by=reviewer, now=LATER, comment="Half hidden.")
    assert review.ambiguous_items([item.pk]) == {item.pk}
    assert label() is None
    assert pool_state(item) == PoolEntry.State.ANSWERED
    review.reopen(project, wanted.pk, by=owner, now=LATER)
    assert review.ambiguous_items([item.pk]) == set()
    assert label() is not None
    assert trail(item) == [("ambiguous", "reviewer"), ("reopen", "owner")]


def test_opening_a_gold_case_again_takes_the_gold_away_and_keeps_the_trail(
    project: Project, item: Item, reviewer: User
) -> None:
    wanted = case(item)
    review.make_gold(project, wanted.pk, by=reviewer, now=NOW, answer=CAT)
    review.reopen(project, wanted.pk, by=reviewer, now=LATER, comment="Wrong after all.")
    opened = ReviewCase.objects.get()
    assert (opened.state, opened.closed_at) == (ReviewCase.State.OPEN, None)
    assert not GoldItem.objects.exists()
    assert trail(item) == [("gold", "reviewer"), ("reopen", "reviewer")]


def test_an_item_has_one_open_case_whatever_is_opened_again(project: Project, item: Item, reviewer: User) -> None:
    first = case(item)
    with pytest.raises(Conflict) as refused:
        review.reopen(project, first.pk, by=reviewer, now=NOW)
    assert refused.value.code == "review_open"
    review.decide(project, first.pk, by=reviewer, now=NOW, answer=CAT)
    second = case(item)
    with pytest.raises(AlreadyInReview) as other:
        review.reopen(project, first.pk, by=reviewer, now=NOW)
    assert other.value.fields == {"review": str(second.pk)}


def test_cases_of_other_projects_and_long_comments_are_refused(
    project: Project, item: Item, reviewer: User, stranger: User
) -> None:
    wanted = case(item)
    elsewhere = Project.objects.get(slug="other")
    with pytest.raises(ReviewNotFound):
        review.decide(elsewhere, wanted.pk, by=stranger, now=NOW, answer=CAT)
    with pytest.raises(DomainError):
        review.decide(project, wanted.pk, by=reviewer, now=NOW, answer=CAT, comment="x" * 2001)
    assert ReviewCase.objects.get().state == ReviewCase.State.OPEN


# -- disagreements -----------------------------------------------------------------------------------------------


def test_disagreements_are_opened_once_the_most_disputed_first(
    project: Project, owner: User, annotator: User, reviewer: User
) -> None:
    agreed = disputed(project, "agreed", {owner: "cat", annotator: "cat"})
    two_to_one = disputed(project, "two to one", {owner: "cat", annotator: "cat", reviewer: "dog"})
    split = disputed(project, "split", {owner: "cat", annotator: "dog", reviewer: "bird"})
    assert disagreements.open_cases(project, now=LATER) == 2
    assert disagreements.open_cases(project, now=LATER) == 0
    opened = ReviewCase.objects.order_by("-value")
    assert [each.item for each in opened] == [split, two_to_one]
    assert opened[0].value == pytest.approx(1.0986, abs=1e-4)
    assert opened[1].detail == {"answers": 3, "largest_share": 0.6667}
    assert not ReviewCase.objects.filter(item=agreed).exists()


def test_an_answer_to_a_later_task_that_contradicts_the_first_is_a_disagreement(
    project: Project, owner: User, annotator: User
) -> None:
    item = disputed(project, "a", {owner: "cat"})
    answered(item, {annotator: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    assert disagreements.open_cases(project, now=LATER) == 1


def test_what_a_reviewer_decided_is_not_brought_up_again_without_a_new_answer(
    project: Project, item: Item, reviewer: User, manager: User
) -> None:
    disagreements.open_cases(project, now=NOW)
    review.mark_ambiguous(project, ReviewCase.objects.get().pk, by=reviewer, now=LATER, comment="?")
    assert disagreements.open_cases(project, now=LATER) == 0
    review.reopen(project, ReviewCase.objects.get().pk, by=reviewer, now=LATER)
    review.send_back(project, ReviewCase.objects.get().pk, by=reviewer, now=LATER, comment="Again.")
    assert disagreements.open_cases(project, now=LATER) == 0
    AnnotationTask.objects.filter(item=item, state="open").update(
        state=AnnotationTask.State.ANSWERED, closed_at=LATER, answers_count=1
    )
    (newest,) = answered(item, {manager: "bird"})
    type(newest).objects.filter(pk=newest.pk).update(created_at=LATER + dt.timedelta(hours=1))
    accept.accept_pending(project.pk, now=LATER)
    assert disagreements.open_cases(project, now=LATER) == 1
