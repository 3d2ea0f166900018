"""Reads that the services, tasks and edges of this app and of those above share."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone
from numpy.typing import NDArray

from labeling import prepared, schema, suggestion_arm
from labeling.models import (
    Annotation,
    AnnotationTask,
    Item,
    LabelSchema,
    Membership,
    ModelVersion,
    PoolEntry,
    Prediction,
    Project,
    Skip,
)
from labeling.probability import joint_confidence, unpack


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

_QUEUE_SIZE = """
SELECT count(*), count(*) FILTER (WHERE leased_to_id IS NOT NULL AND lease_expires_at > %(now)s)
FROM labeling_annotationtask WHERE project_id = %(project)s AND state = 'open'"""

_ANSWERED_TODAY = """
SELECT answered FROM labeling_annotatorday
WHERE project_id = %(project)s AND annotator_id = %(annotator)s AND day = %(today)s"""


@dataclass(frozen=True)
class QueueCounts:
    """`leased` is part of `open`; `answered_today` is the annotator's own, in this project, less what was taken back."""

    open: int
    leased: int
    answered_today: int


@dataclass(frozen=True)
class Suggestion:
    """What the champion says of an item: the answer in the form of the label schema, and how sure it is.

    `probabilities` are those of the best classes, best first; empty where an answer is not made of classes.
    """

    answer: schema.JSONValue
    confidence: float
    probabilities: tuple[tuple[str, float], ...]
    model_version: str


def queue_counts(project: Project, *, annotator: User, now: dt.datetime) -> QueueCounts:
    """Walks the open tasks, which are few."""
    return QueueCounts(*queue_size(project.pk, now), answered_today(project.pk, annotator.pk, now))


def queue_size(project_id: int, now: dt.datetime) -> tuple[int, int]:
    """Open tasks of the project, and how many of them are leased."""
    ((open_count, leased_count),) = prepared.fetch(_QUEUE_SIZE, {"project": project_id, "now": now})
    return open_count, leased_count


def recent_queue_size(project_id: int, now: dt.datetime) -> tuple[int, int]:
    """`queue_size` as of at most QUEUE_SIZE_SECONDS ago, for those who ask with every answer: it moves slowly."""
    known = _queue_sizes.get(project_id)
    tick = time.monotonic()
    if known is None or tick >= known[0]:
        if len(_queue_sizes) >= _MOST_QUEUES:
            _queue_sizes.clear()
        known = (tick + settings.QUEUE_SIZE_SECONDS, *queue_size(project_id, now))
        _queue_sizes[project_id] = known
    return known[1:]


_MOST_QUEUES = 10_000
_queue_sizes: dict[int, tuple[float, int, int]] = {}


def answered_today(project_id: int, annotator_id: int, now: dt.datetime) -> int:
    values: dict[str, prepared.Value] = {
        "project": project_id,
        "annotator": annotator_id,
        "today": timezone.localdate(now),
    }
    rows = prepared.fetch(_ANSWERED_TODAY, values)
    return int(rows[0][0]) if rows else 0


def servable_tasks() -> QuerySet[AnnotationTask]:
    """Open tasks that everybody may take: nobody skipped or answered their item, and they are assigned to nobody.

    What the watermark counts. A skipped task may be closed to all who are at work, and so may one that is asked again; if they
    counted, a handful of them would keep an empty queue from being filled.
    """
    skips = Skip.objects.filter(task__item=OuterRef("item"))
    return AnnotationTask.objects.filter(
        ~Exists(skips), state=AnnotationTask.State.OPEN, assigned_to__isnull=True
    ).exclude(reason=AnnotationTask.Reason.RELABEL)


def queue_listing(project: Project) -> QuerySet[AnnotationTask]:
    """All tasks of the project with what a listing shows of them."""
    return AnnotationTask.objects.filter(project=project).select_related(
        "item", "leased_to", "assigned_to", "model_version"
    )


def own_annotations(project: Project, annotator: User, *, key_prefix: str = "") -> QuerySet[Annotation]:
    """What the person answered in this project, those taken back or replaced too, with item, schema and `superseded_by`."""
    newer = Annotation.objects.filter(supersedes=OuterRef("pk")).values("pk")[:1]
    own = Annotation.objects.filter(annotator=annotator, item__project=project)
    if key_prefix:
        own = own.filter(item__key__startswith=key_prefix)
    return own.select_related("item", "label_schema").annotate(superseded_by=Subquery(newer))


@lru_cache(maxsize=256)
def schema_of(label_schema_id: int) -> schema.AnySchema:
    """A version of a label schema, parsed. Versions are append-only, so what was parsed once stays true."""
    return parsed(LabelSchema.objects.get(pk=label_schema_id))


def suggestions_for(
    tasks: Sequence[AnnotationTask], *, project: Project, label_schema: schema.AnySchema, annotator_id: int
) -> dict[int, Suggestion]:
    """By task, what the annotator is shown as the model's answer.

    Nothing where there is no prediction, where `hides_suggestion`, and for audit tasks: a shown suggestion anchors the
    answer, and the audit slice is what the model is measured by. One query if predictions are not made of
    classes, none if they are. The tasks come with item and pool entry.
    """
    if not project.shows_suggestions:
        return {}
    seen = [
        task
        for task in tasks
        if not (task.is_audit or task.is_training or hides_suggestion(task, project, annotator_id))
    ]
    scored = {task.pk: found for task in seen if (found := _scores(task.item)) is not None}
    if label_schema.prediction_form == "confidence":
        return _answers_of_models([task for task in tasks if task.pk in scored], scored, label_schema)
    return {
        task_id: suggestion
        for task_id, (version, scores) in scored.items()
        if (suggestion := _of_classes(version, scores, label_schema)) is not None
    }


def suggestion_about(item: Item, label_schema: schema.AnySchema) -> Suggestion | None:
    """What the champion says of the item, for whoever asks to see it. The item comes with its pool entry."""
    found = _scores(item)
    if found is None:
        return None
    version, scores = found
    if label_schema.prediction_form != "confidence":
        return _of_classes(version, scores, label_schema)
    said = Prediction.objects.filter(item=item, model_version=version).values_list("answer", flat=True).first()
    return _of_answer(version, scores, said, item, label_schema)


def hides_suggestion(task: AnnotationTask, project: Project, annotator_id: int) -> bool:
    """Whether the annotator does not see what the model says of this task: the project hides it, or chance chose so."""
    return not project.shows_suggestions or suggestion_arm.is_blind(task.pk, annotator_id, project.blind_share)


def why(task: AnnotationTask, label_schema: schema.AnySchema, *, shows_suggestion: bool = True) -> str:
    """Say to the annotator, in one sentence, why this item is asked.

    What the model says is named only if the annotator may see it.
    """
    reasons, reason = AnnotationTask.Reason, task.shown_reason
    if task.is_audit:
        return "Drawn at random to measure the model honestly, so its suggestion stays hidden."
    if task.is_training:
        return "For your training: the right answer is shown after yours."
    if reason == reasons.COLD_START:
        return "Chosen without asking a model, which could not say yet what is worth asking."
    if reason == reasons.RANDOM:
        return "Drawn at random, whatever a model says of it."
    if reason == reasons.MANUAL:
        return "Put into the queue by a person."
    if reason == reasons.RELABEL:
        return "Asked again, to check the label it has."
    if task.informativeness is not None and task.model_version_id is None:
        return "A small model that learned from the labels so far is not sure about this item."
    found = _scores(task.item)
    if found is None:
        return "The model has said nothing about this item yet."
    version, scores = found
    if not shows_suggestion:
        return "The model is not sure about this item; its suggestion stays hidden here."
    if label_schema.prediction_form == "confidence":
        return f"The model gives its own answer a chance of {float(scores[0]):.0%} to be right."
    titles = {each.key: each.label for each in label_schema.label_classes}
    if label_schema.prediction_form == "independent":
        doubtful = int(np.argmin(np.abs(scores - 0.5)))
        name = version.classes[doubtful]
        return f"The model doubts whether {titles.get(name, name)} applies ({float(scores[doubtful]):.0%})."
    first, *others = (int(index) for index in np.argsort(-scores, kind="stable")[:2])
    name = titles.get(version.classes[first], version.classes[first])
    if others and scores[first] - scores[others[0]] < _CLEAR_MARGIN:
        second = titles.get(version.classes[others[0]], version.classes[others[0]])
        return f"The model is torn between {name} ({scores[first]:.0%}) and {second} ({scores[others[0]]:.0%})."
    return f"The model says {name} ({scores[first]:.0%}); an answer shows whether it may be so sure."


def _answers_of_models(
    tasks: Sequence[AnnotationTask],
    scored: Mapping[int, tuple[ModelVersion, NDArray[np.float32]]],
    label_schema: schema.AnySchema,
) -> dict[int, Suggestion]:
    versions = {version.pk for version, _ in scored.values()}
    predictions = Prediction.objects.filter(item__in=[task.item_id for task in tasks], model_version__in=versions)
    answers = {
        (item_id, version_id): answer
        for item_id, version_id, answer in predictions.values_list("item_id", "model_version_id", "answer")
    }
    suggestions = {}
    for task in tasks:
        version, scores = scored[task.pk]
        answer = answers.get((task.item_id, version.pk))
        if (suggestion := _of_answer(version, scores, answer, task.item, label_schema)) is not None:
            suggestions[task.pk] = suggestion
    return suggestions


def _of_answer(
    version: ModelVersion,
    scores: NDArray[np.float32],
    answer: schema.JSONValue,
    item: Item,
    label_schema: schema.AnySchema,
) -> Suggestion | None:
    try:
        # Schema and payload may have changed since the model said it, and what is confirmed must be valid.
        label_schema.check_against(label_schema.parse_answer(answer), item.payload)
    except schema.SchemaError:
        return None
    return Suggestion(answer, round(float(scores[0]), 4), (), version.name)


def _of_classes(
    version: ModelVersion, scores: NDArray[np.float32], label_schema: schema.AnySchema
) -> Suggestion | None:
    by_class = dict(zip(version.classes, scores.tolist(), strict=True))
    known = [by_class.get(key, 0.0) for key in label_schema.class_keys]
    answer = label_schema.answer_from(known)
    if answer is None:
        return None
    best = np.argsort(-scores, kind="stable")[:_SHOWN_PROBABILITIES]
    shown = tuple((version.classes[index], round(float(scores[index]), 4)) for index in best)
    if label_schema.prediction_form == "independent":
        confidence = float(joint_confidence(scores[np.newaxis])[0])
    elif not (confidence := max(known)):
        return None  # all it has ever heard of is gone from the schema
    return Suggestion(answer, round(confidence, 4), shown, version.name)


def _scores(item: Item) -> tuple[ModelVersion, NDArray[np.float32]] | None:
    """The champion's scores of the item, with their version; None where it has said nothing."""
    entry = getattr(item, "pool_entry", None)
    if entry is None or entry.probabilities is None or entry.model_version_id is None:
        return None
    version = _version(entry.model_version_id)
    return version, unpack(bytes(entry.probabilities), len(version.classes))


@lru_cache(maxsize=256)
def _version(model_version_id: int) -> ModelVersion:
    """Name and classes of a version never change, so what was read once stays true. Its stage does change."""
    return ModelVersion.objects.only("name", "classes").get(pk=model_version_id)


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
