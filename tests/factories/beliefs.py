"""Projects that go by the label model, and what respondents and reviewers say."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from django.contrib.auth.models import User

from datasets.models import AcceptancePolicy, AcceptedLabel, ItemBelief, ReviewCase, ReviewDecision
from datasets.services import acceptance_policies, beliefs
from labeling import selectors
from labeling.models import (
    Annotation,
    AnnotationTask,
    Correction,
    Feedback,
    Item,
    Membership,
    PoolEntry,
    Prediction,
    Project,
)
from tests.factories import datasets as make
from tests.factories.labeling import model_version

NOW = make.NOW


def policy(project: Project, **changes: Any) -> AcceptancePolicy:
    return acceptance_policies.new_version(project, by=None, **{"method": "label_model", **changes})


def annotators(project: Project, count: int) -> list[User]:
    people = [User.objects.create_user(f"annotator-{number}") for number in range(count)]
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role=Membership.Role.ANNOTATOR) for user in people
    )
    return people


def answers(item: Item, said: Mapping[User, str], **task: Any) -> list[Annotation]:
    """One answered task of the item with an answer by each of these people."""
    made = AnnotationTask.objects.create(
        project=item.project, item=item, state=AnnotationTask.State.ANSWERED, created_at=NOW, closed_at=NOW,
        **{"reason": AnnotationTask.Reason.UNCERTAIN, "propensity": 0.25, "answers_wanted": len(said),
           "answers_count": len(said), **task},
    )  # fmt: skip
    item.pool_entry.state = item.pool_entry.State.ANSWERED
    item.pool_entry.save()
    return [
        Annotation.objects.create(
            task=made, item=item, annotator=user, label_schema=selectors.current_schema(item.project),
            answer={"choice": label}, created_at=NOW,
        )
        for user, label in said.items()
    ]  # fmt: skip


def crowd(project: Project, people: Sequence[User], *, size: int = 30, skill: float = 0.9, seed: int = 1) -> list[Item]:
    """Items that all of these people answered, independently and mostly rightly: enough to learn what people are like."""
    rng = np.random.default_rng(seed)
    classes = ["cat", "dog", "bird"]
    items = []
    for number in range(size):
        item = make.item(project, f"crowd-{number}", bucket=5000 + number)
        truth = number % 3
        said = {user: classes[truth if rng.random() < skill else (truth + rng.integers(1, 3)) % 3] for user in people}
        answers(item, said)
        items.append(item)
    return items


def predicted(item: Item, label: str) -> Prediction:
    """What the champion m1 said of the item."""
    version = item.project.model_versions.first() or model_version(item.project)
    found = Prediction.objects.filter(item=item, model_version=version).first()
    return found or Prediction.objects.create(
        item=item, model_version=version, predicted_class=label, confidence=0.8, created_at=NOW
    )


def correction(item: Item, label: str, *, by: str = "", at: dt.datetime = NOW, **others: Any) -> Correction:
    return Correction.objects.create(
        project=item.project, client_id=uuid4().hex, channel=Correction.Channel.APP, item=item,
        respondent_hash=by and by.ljust(64, "0"), label_schema=selectors.current_schema(item.project),
        answer={"choice": label}, occurred_at=at, received_at=at, **others,
    )  # fmt: skip


def feedback(
    item: Item,
    kind: str,
    score: float | None,
    *,
    about: str = "cat",
    by: str = "",
    at: dt.datetime = NOW,
    **others: Any,
) -> Feedback:
    return Feedback.objects.create(
        project=item.project, client_id=uuid4().hex, channel=Feedback.Channel.APP, item=item,
        prediction=predicted(item, about), respondent_hash=by and by.ljust(64, "0"), kind=kind, score=score,
        occurred_at=at, received_at=at, **others,
    )  # fmt: skip


def decision(
    item: Item, reviewer: User, label: str | None, *, action: str = "decide", at: dt.datetime = NOW
) -> ReviewDecision:
    """What a reviewer says of an item, in a case that is closed by it."""
    case = ReviewCase.objects.filter(item=item).order_by("pk").last() or ReviewCase.objects.create(
        project=item.project, item=item, kind=ReviewCase.Kind.MANUAL, opened_at=at
    )
    ReviewCase.objects.filter(pk=case.pk).update(state=ReviewCase.State.DECIDED, closed_at=at)
    return ReviewDecision.objects.create(
        case=case, item=item, reviewer=reviewer, action=action, decided_at=at,
        label_schema=selectors.current_schema(item.project), answer=None if label is None else {"choice": label},
    )  # fmt: skip


def label(item: Item) -> AcceptedLabel | None:
    return AcceptedLabel.objects.filter(item=item, superseded_at__isnull=True).first()


def belief(item: Item) -> ItemBelief:
    return ItemBelief.objects.get(item=item)


def fitted(project: Project, *, now: dt.datetime = NOW) -> None:
    assert beliefs.fit(project, now=now) is not None


def fresh(project: Project, key: str = "fresh", bucket: int = 9000) -> Item:
    return make.item(project, key, bucket=bucket)


def pool_state(item: Item) -> int:
    return PoolEntry.objects.get(item=item).state


def open_task(item: Item) -> AnnotationTask | None:
    return AnnotationTask.objects.filter(item=item, state=AnnotationTask.State.OPEN).first()


def rows(item: Item) -> list[tuple[str, str, bool]]:
    """Label and method of every row, and whether it stands."""
    found = AcceptedLabel.objects.filter(item=item).order_by("pk")
    return [(each.label, each.method, each.superseded_at is None) for each in found]


def said_by_respondents(item: Item, label: str, count: int = 8) -> None:
    for number in range(count):
        correction(item, label, by=f"user-{number}")
