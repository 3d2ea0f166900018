"""Reads that the services, tasks and edges of this app and of those above share."""

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from labeling import prepared, schema
from labeling.models import Annotation, AnnotationTask, LabelSchema, Membership, ModelVersion, PoolEntry, Project, Skip
from labeling.probability import unpack


def current_schema(project: Project) -> LabelSchema:
    """The label schema in force: the highest version. Every project has one from its creation on."""
    return LabelSchema.objects.filter(project=project).latest("version")


def parsed(label_schema: LabelSchema) -> schema.AnySchema:
    """The stored row in the form that knows classes and answers."""
    return schema.parse_definition({**label_schema.definition, "kind": label_schema.kind})


def parsed_schema(project: Project) -> schema.AnySchema:
    """`current_schema` in the form that knows classes and answers."""
    return parsed(current_schema(project))


def champion(project: Project) -> ModelVersion | None:
    """The model version whose predictions the pool holds; None before the first one is registered."""
    return ModelVersion.objects.filter(project=project, stage=ModelVersion.Stage.CHAMPION).first()


@dataclass(frozen=True)
class ProjectCard:
    """A project as the list of projects shows it to one person."""

    project: Project
    role: str
    item_count: int
    answered_count: int
    open_count: int


def project_cards(user: User) -> list[ProjectCard]:
    """The projects the person has a part in, all of them for a superuser, by name."""
    roles = dict(user.memberships.values_list("project_id", "role"))
    projects = Project.objects.all() if user.is_superuser else Project.objects.filter(pk__in=roles)
    states: dict[int, dict[int, int]] = {}
    pool = PoolEntry.objects.filter(project__in=projects).values_list("project_id", "state")
    for project_id, state, count in pool.annotate(count=Count("pk")).order_by():
        states.setdefault(project_id, {})[state] = count
    tasks = AnnotationTask.objects.filter(project__in=projects, state=AnnotationTask.State.OPEN)
    open_counts = dict(tasks.values_list("project_id").annotate(count=Count("pk")).order_by())
    return [
        ProjectCard(
            project=project,
            role=Membership.Role(roles[project.pk]).label if project.pk in roles else "Superuser",
            item_count=sum(states.get(project.pk, {}).values()),
            answered_count=states.get(project.pk, {}).get(PoolEntry.State.ANSWERED, 0),
            open_count=open_counts.get(project.pk, 0),
        )
        for project in projects.order_by("name", "pk")
    ]


# -- the annotation queue ------------------------------------------------------------------------------------------

_SHOWN_PROBABILITIES = 5
_CLEAR_MARGIN = 0.3
"""Distance of the two best classes from which on the model is called sure enough to name one."""

_QUEUE_STATE = """
SELECT (SELECT max(version) FROM labeling_labelschema WHERE project_id = %(project)s), count(*), count(*) FILTER (WHERE leased_to_id IS NOT NULL AND lease_expires_at > %(now)s),
    coalesce((SELECT answered FROM labeling_annotatorday
              WHERE project_id = %(project)s AND annotator_id = %(annotator)s AND day = %(today)s), 0)
FROM labeling_annotationtask WHERE project_id = %(project)s AND state = 'open'"""


@dataclass(frozen=True)
class QueueCounts:
    """`leased` is part of `open`; `answered_today` is the annotator's own, in this project, less what was taken back."""

    open: int
    leased: int
    answered_today: int


@dataclass(frozen=True)
class QueueState:
    """What stands beside the tasks that an annotator gets."""

    label_schema_version: int
    counts: QueueCounts


@dataclass(frozen=True)
class Suggestion:
    """What the champion says of an item; `probabilities` are those of the best classes, best first."""

    class_key: str
    confidence: float
    probabilities: tuple[tuple[str, float], ...]


def queue_counts(project: Project, *, annotator: User, now: dt.datetime) -> QueueCounts:
    return queue_state(project, annotator=annotator, now=now).counts


def queue_state(project: Project, *, annotator: User, now: dt.datetime) -> QueueState:
    """One statement; it walks the open tasks, which are few."""
    values: dict[str, prepared.Value] = {
        "project": project.pk,
        "annotator": annotator.pk,
        "now": now,
        "today": timezone.localdate(now),
    }
    ((version, *counts),) = prepared.fetch(_QUEUE_STATE, values)
    return QueueState(version, QueueCounts(*counts))


def servable_tasks() -> QuerySet[AnnotationTask]:
    """Open tasks that everybody may take: nobody skipped their item.

    What the watermark counts. A skipped task may be closed to all who are at work; if it counted, a handful of them
    would keep an empty queue from being filled.
    """
    skips = Skip.objects.filter(task__item=OuterRef("item"))
    return AnnotationTask.objects.filter(~Exists(skips), state=AnnotationTask.State.OPEN)


def queue_listing(project: Project) -> QuerySet[AnnotationTask]:
    """All tasks of the project with what a listing shows of them."""
    return AnnotationTask.objects.filter(project=project).select_related("item", "leased_to", "model_version")


def suggestion_for(task: AnnotationTask) -> Suggestion | None:
    """What an annotator is shown as the model's answer; None where there is no prediction, and for audit tasks.

    A shown suggestion anchors the answer, and the audit slice is what the model is measured by.
    """
    return None if task.is_audit else _champion_says(task)


def why(task: AnnotationTask) -> str:
    """Say to the annotator, in one sentence, why this item is asked."""
    reasons = AnnotationTask.Reason
    if task.is_audit:
        return "Drawn at random to measure the model honestly, so its suggestion stays hidden."
    if task.reason == reasons.COLD_START:
        return "Drawn at random, because there is no model yet that could say what is worth asking."
    if task.reason == reasons.MANUAL:
        return "Put into the queue by a person."
    suggestion = _champion_says(task)
    if suggestion is None:
        return "The model has said nothing about this item yet."
    (first, first_probability), *others = suggestion.probabilities
    if others and first_probability - others[0][1] < _CLEAR_MARGIN:
        second, second_probability = others[0]
        return f"The model is torn between {first} ({first_probability:.0%}) and {second} ({second_probability:.0%})."
    return f"The model says {first} ({first_probability:.0%}); an answer shows whether it may be so sure."


def _champion_says(task: AnnotationTask) -> Suggestion | None:
    entry = getattr(task.item, "pool_entry", None)
    if entry is None or entry.probabilities is None or entry.model_version_id is None:
        return None
    classes = _classes(entry.model_version_id)
    probabilities = unpack(bytes(entry.probabilities), len(classes))
    best = np.argsort(-probabilities, kind="stable")[:_SHOWN_PROBABILITIES]
    shown = tuple((classes[index], round(float(probabilities[index]), 4)) for index in best)
    return Suggestion(class_key=shown[0][0], confidence=shown[0][1], probabilities=shown)


@lru_cache(maxsize=256)
def _classes(model_version_id: int) -> tuple[str, ...]:
    """The classes of a version never change, so what was read once stays true."""
    return tuple(ModelVersion.objects.values_list("classes", flat=True).get(pk=model_version_id))


# -- projects over the API -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemCounts:
    """Items of a project by the state of their pool entry."""

    available: int
    queued: int
    answered: int
    unusable: int


def visible_projects(user: User) -> QuerySet[Project]:
    """The projects the person has a part in; all of them for a superuser."""
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(memberships__user=user)


def item_counts(project: Project) -> ItemCounts:
    """Counted in one walk over an index of the narrow pool table."""
    rows = PoolEntry.objects.filter(project=project).values_list("state").annotate(count=Count("pk")).order_by()
    counts = dict(rows)
    return ItemCounts(**{state.label: counts.get(state.value, 0) for state in PoolEntry.State})


def last_withdrawn(task: AnnotationTask, *, annotator: User) -> Annotation:
    """The answer that the annotator took back last."""
    return Annotation.objects.filter(task=task, annotator=annotator, withdrawn_at__isnull=False).latest("id")
