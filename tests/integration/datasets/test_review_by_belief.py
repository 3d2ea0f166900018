"""What the label model sends to reviewers, and takes back."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from datasets.models import ReviewCase
from datasets.services import accept
from datasets.services.pending import note_items
from labeling.models import Item, Project
from tests.factories import beliefs as make
from tests.factories import datasets as facts
from tests.factories.beliefs import fresh, open_task

NOW = facts.NOW
LATER = NOW + dt.timedelta(minutes=5)


def test_what_the_evidence_does_not_settle_goes_to_review_and_comes_back_when_it_does(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item = fresh(project)
    make.policy(project, most_answers=2)
    make.answers(item, {people[0]: "cat", people[1]: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    case = ReviewCase.objects.get(item=item)
    assert (case.kind, case.state) == ("disagreement", "open")
    assert case.value == pytest.approx(make.belief(item).value)
    assert open_task(item) is None

    for number in range(20):
        make.correction(item, "cat", by=f"user-{number}")
    accept.accept_pending(project.pk, now=LATER)
    case.refresh_from_db()
    assert make.label(item) is not None
    assert (case.state, case.closed_at) == ("settled", LATER)


def test_an_item_that_everybody_has_answered_goes_to_review_instead_of_waiting(
    project: Project, crowd: list[Item], people: list[User]
) -> None:
    item, another = fresh(project), fresh(project, "another")
    make.policy(project, most_answers=9)
    everybody = list(User.objects.filter(memberships__project=project))
    make.answers(item, {each: ("cat", "dog")[number % 2] for number, each in enumerate(everybody)})
    make.answers(another, {people[0]: "cat", people[1]: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    assert make.belief(item).action == make.belief(another).action == "ask"
    assert open_task(item) is None
    assert open_task(another) is not None
    assert list(ReviewCase.objects.values_list("item", "kind", "state")) == [(item.pk, "disagreement", "open")]
    accept.accept_pending(project.pk, now=LATER)
    assert ReviewCase.objects.count() == 1


def test_a_case_a_reviewer_is_at_stays_open(project: Project, crowd: list[Item], people: list[User]) -> None:
    ReviewCase.objects.create(
        project=project, item=crowd[0], kind="disagreement", claimed_by=people[0], claimed_until=LATER
    )
    note_items(project, [crowd[0].pk])
    accept.accept_pending(project.pk, now=NOW)
    assert ReviewCase.objects.get().state == "open"


def test_an_ambiguous_item_is_not_reviewed_again_before_somebody_speaks(
    project: Project, crowd: list[Item], people: list[User], reviewer: User
) -> None:
    item = fresh(project)
    make.policy(project, most_answers=2)
    make.answers(item, {people[0]: "cat", people[1]: "dog"})
    accept.accept_pending(project.pk, now=NOW)
    ReviewCase.objects.filter(item=item).update(state="ambiguous", closed_at=LATER)
    note_items(project, [item.pk])
    accept.accept_pending(project.pk, now=LATER)
    assert not ReviewCase.objects.filter(item=item, state="open").exists()
    make.correction(item, "bird", by="ada", at=LATER + dt.timedelta(seconds=1))
    accept.accept_pending(project.pk, now=LATER)
    assert ReviewCase.objects.filter(item=item, state="open").count() == 1
