"""Cases that nobody needs to decide any more are closed, by votes, by the label model, and when one follows the other."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.test import Client

from datasets.models import AcceptancePolicy, ReviewCase
from datasets.services import accept, disagreements, review
from datasets.services.acceptance_policies import new_version
from labeling.models import Annotation, AnnotationTask, Item, Project
from labeling.services import queue_management
from tests.factories import beliefs as believed
from tests.factories import datasets as factory
from tests.factories.reviews import LATER, NOW, answered, case, disputed


@pytest.fixture
def item(project: Project, owner: User, annotator: User) -> Item:
    """Two say different things about it, and a case is open."""
    made = disputed(project, "a", {owner: "cat", annotator: "dog"})
    assert disagreements.open_cases(project, now=NOW) == 1
    return made


def state(of: Item) -> tuple[str, object]:
    found = ReviewCase.objects.get(item=of)
    return found.state, found.detail.get("settled")


def agree(of: Item, *people: User) -> None:
    """The newest task of the item, which all of these answer alike."""
    answered(of, dict.fromkeys(people, "cat"))


def withdraw(of: Item, *people: User) -> None:
    """As undoing does: the label's evidence is noted as pending."""
    Annotation.objects.filter(item=of, annotator__in=people).update(withdrawn_at=NOW)


# -- by votes ----------------------------------------------------------------------------------------------------------


def test_answers_that_agree_enough_close_a_case_with_the_reason(
    project: Project, item: Item, reviewer: User, manager: User
) -> None:
    new_version(project, by=None, threshold=0.7)
    agree(item, reviewer)
    accept.accept_pending(project.pk, now=NOW)
    assert state(item) == ("open", None)  # two of three
    agree(item, manager)
    accept.accept_pending(project.pk, now=LATER)
    reason = {"by": "votes", "answers": 4, "largest_share": 0.75, "at": LATER.isoformat()}
    assert state(item) == ("settled", reason)
    assert ReviewCase.objects.get().closed_at == LATER
    assert disagreements.open_cases(project, now=LATER) == 0


def test_a_withdrawn_answer_settles_what_it_disputed(
    project: Project, item: Item, annotator: User, owner: User
) -> None:
    withdraw(item, annotator)
    assert disagreements.settle(project, now=LATER) == 1
    assert state(item)[0] == "settled"


def test_a_case_without_any_answer_left_is_closed(project: Project, item: Item, annotator: User, owner: User) -> None:
    withdraw(item, annotator, owner)
    accept.accept_pending(project.pk, now=LATER)
    disagreements.settle(project, now=LATER)
    assert state(item) == ("settled", {"by": "nothing_stands", "at": LATER.isoformat()})


def test_ground_truth_closes_a_case(project: Project, item: Item, owner: User) -> None:
    (truth,) = answered(item, {owner: "bird"})
    Annotation.objects.filter(pk=truth.pk).update(is_ground_truth=True)
    accept.accept_pending(project.pk, now=LATER)
    assert state(item) == ("settled", {"by": "ground_truth", "at": LATER.isoformat()})


def test_what_a_reviewer_is_at_or_a_person_asked_for_stays_open(
    project: Project, item: Item, annotator: User, reviewer: User
) -> None:
    wanted = ReviewCase.objects.get()
    withdraw(item, annotator)
    until = review.claim(project, wanted.pk, by=reviewer, now=NOW)
    assert disagreements.settle(project, now=NOW) == 0
    review.send_to_review(project, item, by=reviewer, now=NOW)
    assert disagreements.settle(project, now=until + dt.timedelta(seconds=1)) == 0
    assert state(item) == ("open", None)


def test_what_is_opened_again_by_a_person_stays_open(
    project: Project, item: Item, annotator: User, reviewer: User
) -> None:
    withdraw(item, annotator)
    assert disagreements.settle(project, now=LATER) == 1
    review.reopen(project, ReviewCase.objects.get().pk, by=reviewer, now=LATER)
    assert disagreements.settle(project, now=LATER) == 0
    assert ReviewCase.objects.get().state == "open"


def test_what_is_being_asked_about_waits_for_the_answer(project: Project, item: Item, annotator: User) -> None:
    withdraw(item, annotator)
    queue_management.requeue(project, [item.pk], by=None, now=NOW)
    assert disagreements.settle(project, now=LATER) == 0


def test_cases_of_other_kinds_and_projects_are_left_alone(
    project: Project, item: Item, annotator: User, stranger: User
) -> None:
    flagged = case(factory.item(project, "flagged"), kind=ReviewCase.Kind.FLAGGED)
    withdraw(item, annotator)
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    assert disagreements.settle(elsewhere, now=LATER) == 0
    assert disagreements.settle(project, now=LATER) == 1
    assert state(flagged.item)[0] == "open"


def test_answers_to_tests_of_annotators_are_no_disagreement(project: Project, owner: User, annotator: User) -> None:
    item = disputed(project, "a", {owner: "cat"})
    answered(item, {annotator: "dog"})
    AnnotationTask.objects.filter(annotations__annotator=annotator).update(reason=AnnotationTask.Reason.GOLD)
    assert disagreements.open_cases(project, now=LATER) == 0


def test_the_page_says_why_a_case_is_closed(
    client: Client, project: Project, item: Item, annotator: User, reviewer: User
) -> None:
    withdraw(item, annotator)
    disagreements.settle(project, now=LATER)
    client.force_login(reviewer)
    listed = client.get(f"/projects/{project.slug}/review/?state=settled").content.decode()
    page = client.get(f"/projects/{project.slug}/review/{ReviewCase.objects.get().pk}/").content.decode()
    for shown in (listed, page):
        assert "By now 1 answer, of which 100% say the same" in shown
    assert "Settled by later evidence" in page


# -- from one to the other ---------------------------------------------------------------------------------------------


@pytest.fixture
def people(project: Project) -> list[User]:
    return believed.annotators(project, 3)


@pytest.fixture
def crowd(project: Project, people: list[User]) -> list[Item]:
    return believed.crowd(project, people, size=30)


def to_label_model(project: Project, **changes: object) -> AcceptancePolicy:
    made = believed.policy(project, **changes)
    believed.fitted(project)
    return made


def test_cases_of_votes_are_closed_where_the_label_model_is_sure_or_asks_again(
    project: Project, people: list[User], crowd: list[Item]
) -> None:
    sure, unsure = (factory.item(project, key, bucket=9_000) for key in ("sure", "unsure"))
    believed.answers(sure, {people[0]: "cat", people[1]: "cat", people[2]: "dog"})
    believed.answers(unsure, {people[0]: "cat", people[1]: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    disagreements.open_cases(project, now=NOW)
    assert state(sure)[0] == state(unsure)[0] == "open"

    to_label_model(project, threshold=0.8)
    accept.accept_pending(project.pk, now=LATER)
    assert believed.belief(sure).action == "accept"
    assert believed.belief(unsure).action == "ask"
    closed, reason = state(sure)
    assert closed == "settled"
    assert isinstance(reason, dict)
    assert (reason["by"], reason["label"]) == ("label_model", "cat")
    assert state(unsure) == ("settled", {"by": "asked_again", "at": LATER.isoformat()})


def test_a_case_stays_open_where_the_label_model_wants_a_reviewer_too(
    project: Project, people: list[User], crowd: list[Item]
) -> None:
    item = factory.item(project, "split", bucket=9_000)
    believed.answers(item, {people[0]: "cat", people[1]: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    disagreements.open_cases(project, now=NOW)
    to_label_model(project, most_answers=2)
    accept.accept_pending(project.pk, now=LATER)
    assert believed.belief(item).action == "review"
    assert state(item) == ("open", None)


def test_cases_of_the_label_model_are_closed_where_votes_agree(
    project: Project, people: list[User], crowd: list[Item]
) -> None:
    item = factory.item(project, "contradicted", bucket=9_000)
    believed.answers(item, {people[0]: "cat", people[1]: "cat"})
    believed.policy(project, most_answers=2, threshold=1.0)
    believed.fitted(project)
    accept.accept_pending(project.pk, now=NOW)
    assert state(item) == ("open", None)
    believed.policy(project, method="votes", threshold=0.9)
    accept.accept_pending(project.pk, now=LATER)
    closed, reason = state(item)
    assert closed == "settled"
    assert isinstance(reason, dict)
    assert reason["by"] == "votes"
