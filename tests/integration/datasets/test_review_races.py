"""Two reviewers at the same moment, each in a session of their own."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from datasets.errors import ReviewClosed
from datasets.models import ReviewCase, ReviewDecision
from datasets.services import disagreements, review
from labeling.models import Project
from tests.factories import datasets as factory
from tests.factories.reviews import NOW, case, disputed
from tests.integration.datasets.concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_reviewers_who_start_at_once_get_different_cases(project: Project, owner: User, reviewer: User) -> None:
    for number in range(6):
        case(factory.item(project, f"i{number}"), value=number / 10)
    for _ in range(5):
        ReviewCase.objects.update(claimed_by=None, claimed_until=None)
        claimed = at_once([partial(review.next_case, project, by=who, now=NOW) for who in (owner, reviewer)])
        assert None not in claimed
        assert claimed[0] != claimed[1]


def test_of_two_decisions_at_once_one_counts_and_the_other_is_told(
    project: Project, owner: User, reviewer: User
) -> None:
    wanted = case(factory.item(project, "a"))

    def decide(who: User, answer: str) -> str:
        try:
            made = review.decide(project, wanted.pk, by=who, now=NOW, answer={"choice": answer})
        except ReviewClosed as error:
            return error.fields["decided_by"]
        return f"decided by {made.reviewer}"

    came = set(at_once([lambda: decide(owner, "cat"), lambda: decide(reviewer, "dog")]))
    first = ReviewDecision.objects.get().reviewer.username
    assert came == {f"decided by {first}", first}


def test_an_item_sent_by_two_at_once_has_one_case(project: Project, owner: User, reviewer: User) -> None:
    item = factory.item(project, "a")
    sent = at_once([partial(review.send_to_review, project, item, by=who, now=NOW) for who in (owner, reviewer)])
    assert sorted(each.is_new for each in sent) == [False, True]
    assert ReviewCase.objects.count() == 1
    assert ReviewDecision.objects.count() == 2


def test_sweeps_at_once_open_each_disagreement_once(project: Project, owner: User, annotator: User) -> None:
    for number in range(5):
        disputed(project, f"i{number}", {owner: "cat", annotator: "dog"})
    opened = at_once([lambda: disagreements.open_cases(project, now=NOW)] * 3)
    assert sum(opened) == ReviewCase.objects.count() == 5
