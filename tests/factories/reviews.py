"""Items that are in doubt: answered several times, and cases about them."""

import datetime as dt
from collections.abc import Mapping

from django.contrib.auth.models import User

from datasets.models import ReviewCase
from datasets.services import accept
from labeling import selectors
from labeling.models import Annotation, AnnotationTask, Item, PoolEntry, Project
from labeling.schema import JSONValue
from tests.factories import datasets as factory

NOW = factory.NOW
LATER = NOW + dt.timedelta(hours=1)


def answered(of: Item, answers: Mapping[User, str | Mapping[str, JSONValue]]) -> list[Annotation]:
    """One task that so many people answered; a text stands for a choice."""
    task = AnnotationTask.objects.create(
        project=of.project,
        item=of,
        state=AnnotationTask.State.ANSWERED,
        reason=AnnotationTask.Reason.RANDOM,
        answers_wanted=max(1, len(answers)),
        answers_count=len(answers),
        created_at=NOW,
        closed_at=NOW,
    )
    PoolEntry.objects.filter(item=of).update(state=PoolEntry.State.ANSWERED)
    return [
        Annotation.objects.create(
            task=task,
            item=of,
            annotator=who,
            label_schema=selectors.current_schema(of.project),
            answer={"choice": said} if isinstance(said, str) else dict(said),
            duration_ms=4_200,
            created_at=NOW,
        )
        for who, said in answers.items()
    ]


def disputed(project: Project, key: str, answers: Mapping[User, str]) -> Item:
    """An item that these people answered so, with the label that votes give it."""
    made = factory.item(project, key)
    answered(made, answers)
    accept.accept_pending(project.pk, now=NOW)
    return made


def case(of: Item, *, value: float = 0.5, kind: ReviewCase.Kind = ReviewCase.Kind.DISAGREEMENT) -> ReviewCase:
    return ReviewCase.objects.create(project=of.project, item=of, kind=kind, value=value, opened_at=NOW)
