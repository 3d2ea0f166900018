"""A crowd that answers items: honest people, and those who do not look."""

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
from django.contrib.auth.models import User
from django.utils import timezone
from numpy.random import Generator

from labeling import selectors
from labeling.models import Annotation, AnnotationTask, AnnotatorDay, Item, LabelSchema, Membership, PoolEntry, Project

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
CLASSES = ("cat", "dog", "bird")
Habit = Callable[[Generator, int], int]
"""(chance, true class) -> the class said."""


def honest(accuracy: float = 0.85) -> Habit:
    def say(rng: Generator, truth: int) -> int:
        return truth if rng.random() < accuracy else int((truth + rng.integers(1, len(CLASSES))) % len(CLASSES))

    return say


def guessing(rng: Generator, truth: int) -> int:
    return int(rng.integers(len(CLASSES)))


def always_the_same(rng: Generator, truth: int) -> int:
    return 0


def inverted(rng: Generator, truth: int) -> int:
    return (truth + 1) % len(CLASSES)


def person(project: Project, name: str, role: Membership.Role = Membership.Role.ANNOTATOR) -> User:
    user = User.objects.create_user(name, password=f"{name}-pass")
    Membership.objects.create(project=project, user=user, role=role)
    return user


def items(project: Project, count: int, *, prefix: str = "crowd", segment: str = "") -> list[Item]:
    made = Item.objects.bulk_create(
        Item(
            project=project, key=f"{prefix}-{number:04}", payload={"text": f"text {number}"}, bucket=5_000,
            segments={segment: ("de", "fr")[number % 2]} if segment else {},
        )
        for number in range(count)
    )  # fmt: skip
    PoolEntry.objects.bulk_create(
        PoolEntry(item=item, project=project, bucket=item.bucket, state=PoolEntry.State.ANSWERED) for item in made
    )
    return made


def answer(
    project: Project,
    people: Sequence[User],
    said: Sequence[Sequence[int | None]],
    of: Sequence[Item],
    *,
    seconds: Callable[[int, int], float] = lambda who, place: 6.0 + (who + place) % 5,
    now: dt.datetime = NOW,
) -> None:
    """Store what people said: `said[who][place]` is a class of the item at that place, or None. The tasks want all answers."""
    schema = selectors.current_schema(project)
    tasks = AnnotationTask.objects.bulk_create(
        AnnotationTask(
            project=project, item=item, state=AnnotationTask.State.ANSWERED, reason=AnnotationTask.Reason.UNCERTAIN,
            informativeness=0.5, propensity=0.25, answers_wanted=len(people), answers_count=len(people), created_at=now,
            closed_at=now,
        )
        for item in of
    )  # fmt: skip
    rows = [
        _annotation(schema, task, item, user, choice, seconds(who, place), now, place)
        for who, user in enumerate(people)
        for place, (task, item) in enumerate(zip(tasks, of, strict=True))
        if (choice := said[who][place]) is not None
    ]
    Annotation.objects.bulk_create(rows)
    for user in people:
        given = sum(row.annotator_id == user.pk for row in rows)
        day, _ = AnnotatorDay.objects.get_or_create(project=project, annotator=user, day=timezone.localdate(now))
        AnnotatorDay.objects.filter(pk=day.pk).update(answered=day.answered + given)


def _annotation(
    schema: LabelSchema,
    task: AnnotationTask,
    item: Item,
    user: User,
    choice: int,
    took: float,
    now: dt.datetime,
    place: int,
) -> Annotation:
    return Annotation(
        task=task, item=item, annotator=user, label_schema=schema, answer={"choice": CLASSES[choice]},
        duration_ms=round(took * 1000),
        # Spread over a day, so that nobody's pace is a burst.
        created_at=now - dt.timedelta(minutes=10 * place % 1440, seconds=user.pk % 60),
    )  # fmt: skip


def truths(count: int, seed: int = 0) -> list[int]:
    return [int(each) for each in np.random.default_rng(seed).integers(len(CLASSES), size=count)]


def say(habit: Habit, truth: Sequence[int], seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    return [habit(rng, each) for each in truth]
