"""Forms of annotation tasks on the wire."""

import datetime as dt
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from rest_framework import serializers

from labeling import markdown, selectors
from labeling.models import AnnotationTask, Project, Skip
from labeling.schema import AnySchema, JSONValue
from labeling.selectors import QueueCounts, Suggestion
from labeling.services import annotation_queue, answers
from labeling.services.annotation_queue import NothingReason, NothingServed

MOST_TASKS = 10
"""An annotator holds few tasks at a time: what one person holds nobody else gets."""
LARGEST_DURATION_MS = 2**31 - 1


class ItemOnTheWire(TypedDict):
    key: str
    payload: JSONValue
    segments: JSONValue
    rendered: NotRequired[dict[str, str]]


class SuggestionOnTheWire(TypedDict):
    answer: JSONValue
    confidence: float
    probabilities: dict[str, float]
    model_version: str


class DraftOnTheWire(TypedDict):
    answer: JSONValue
    comment: str
    version: int


class TaskOnTheWire(TypedDict):
    id: int
    item: ItemOnTheWire
    reason: str
    why: str
    informativeness: float | None
    propensity: float | None
    is_audit: bool
    suggestion: SuggestionOnTheWire | None
    draft: DraftOnTheWire | None
    is_assigned: bool
    due_at: dt.datetime | None
    answers_wanted: int
    lease_expires_at: dt.datetime | None
    label_schema_version: int


class CountsOnTheWire(TypedDict):
    open: int
    leased: int
    answered_today: int


class ServedOnTheWire(TypedDict):
    tasks: list[TaskOnTheWire]
    counts: CountsOnTheWire
    reason: str | None
    first_free_at: dt.datetime | None


def tasks_on_the_wire(
    tasks: Sequence[AnnotationTask],
    *,
    project: Project,
    annotator_id: int,
    label_schema: AnySchema,
    label_schema_version: int,
) -> list[TaskOnTheWire]:
    # Plain dicts, because this is the busiest answer of all; the serializers below describe it.
    suggestions = selectors.suggestions_for(
        tasks, project=project, label_schema=label_schema, annotator_id=annotator_id
    )
    return [
        {
            "id": task.pk,
            "item": item_on_the_wire(task.item.key, task.item.payload, task.item.segments),
            "reason": task.shown_reason,
            "why": selectors.why(
                task, label_schema, shows_suggestion=not selectors.hides_suggestion(task, project, annotator_id)
            ),
            "informativeness": task.informativeness,
            "propensity": task.propensity,
            "is_audit": task.is_audit,
            "suggestion": _suggestion(suggestions.get(task.pk)),
            "draft": _draft(task),
            "is_assigned": task.assigned_to_id is not None and task.reason != AnnotationTask.Reason.GOLD,
            "due_at": task.due_at,
            "answers_wanted": task.answers_wanted,
            "lease_expires_at": task.lease_expires_at,
            "label_schema_version": label_schema_version,
        }
        for task in tasks
    ]


def item_on_the_wire(key: str, payload: JSONValue, segments: JSONValue) -> ItemOnTheWire:
    """The item, and its Markdown as HTML that is safe to show."""
    item: ItemOnTheWire = {"key": key, "payload": payload, "segments": segments}
    if rendered := dict(markdown.rendered_fields(payload)):
        item["rendered"] = rendered
    return item


def _suggestion(suggestion: Suggestion | None) -> SuggestionOnTheWire | None:
    if suggestion is None:
        return None
    return {
        "answer": suggestion.answer,
        "confidence": suggestion.confidence,
        "probabilities": dict(suggestion.probabilities),
        "model_version": suggestion.model_version,
    }


def _draft(task: AnnotationTask) -> DraftOnTheWire | None:
    draft = task.own_draft
    return None if draft is None else {"answer": draft.answer, "comment": draft.comment, "version": draft.version}


def served_on_the_wire(
    tasks: list[TaskOnTheWire], counts: QueueCounts, nothing: NothingServed | None
) -> ServedOnTheWire:
    return {
        "tasks": tasks,
        "counts": {"open": counts.open, "leased": counts.leased, "answered_today": counts.answered_today},
        "reason": nothing.reason if nothing else None,
        "first_free_at": nothing.first_free_at if nothing else None,
    }


class TaskItemSerializer(serializers.Serializer[None]):
    key = serializers.CharField()
    payload = serializers.DictField()
    segments = serializers.DictField(child=serializers.CharField())
    rendered = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Markdown fields of the payload as HTML, sanitised."
    )


class SuggestionSerializer(serializers.Serializer[None]):
    answer = serializers.JSONField(help_text="In the form of the label schema.")
    confidence = serializers.FloatField()
    probabilities = serializers.DictField(
        child=serializers.FloatField(),
        help_text="Of the five best classes; empty where an answer is not made of classes.",
    )
    model_version = serializers.CharField()


class DraftSerializer(serializers.Serializer[None]):
    answer = serializers.JSONField(allow_null=True, help_text="As far as it got; need not be a valid answer.")
    comment = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=answers.LONGEST_COMMENT, trim_whitespace=False
    )
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="Counts the saves, from 1.")


class DraftSavedSerializer(serializers.Serializer[None]):
    version = serializers.IntegerField()


class TaskSerializer(serializers.Serializer[None]):
    id = serializers.IntegerField()
    item = TaskItemSerializer()
    reason = serializers.ChoiceField(choices=AnnotationTask.Reason.choices)
    why = serializers.CharField(help_text="Why this item is asked, in one sentence.")
    informativeness = serializers.FloatField(allow_null=True, help_text="In [0, 1], higher is asked first.")
    propensity = serializers.FloatField(
        allow_null=True, help_text="Probability with which the item was drawn, at its draw."
    )
    is_audit = serializers.BooleanField(help_text="Drawn uniformly at random, whatever the model says.")
    suggestion = SuggestionSerializer(
        allow_null=True,
        help_text="What the champion says. Hidden for audit tasks and the project's blind share, so as not to sway answers.",
    )
    draft = DraftSerializer(allow_null=True, help_text="What you have written so far.")
    is_assigned = serializers.BooleanField(help_text="To you, by a person.")
    due_at = serializers.DateTimeField(allow_null=True)
    answers_wanted = serializers.IntegerField(help_text="From so many different people.")
    lease_expires_at = serializers.DateTimeField()
    label_schema_version = serializers.IntegerField()


class QueueCountsSerializer(serializers.Serializer[None]):
    open = serializers.IntegerField(help_text="Not answered yet, those on loan included.")
    leased = serializers.IntegerField()
    answered_today = serializers.IntegerField(help_text="By you, in this project.")


class ServedSerializer(serializers.Serializer[None]):
    tasks = TaskSerializer(many=True, help_text="In the order to work on; all are leased to you.")
    counts = QueueCountsSerializer()
    reason = serializers.ChoiceField(
        choices=[reason.value for reason in NothingReason], allow_null=True, help_text="Why there is no task."
    )
    first_free_at = serializers.DateTimeField(
        allow_null=True,
        help_text="With reason all_leased: when the first lease ends; with later: when the first comes back; "
        "with kept_for_others: when the first is anybody's.",
    )


class AnsweredSerializer(serializers.Serializer[None]):
    annotation_id = serializers.IntegerField()
    next = ServedSerializer(allow_null=True, help_text="As of tasks/next; only if `next` asked for tasks.")


class SkippedSerializer(serializers.Serializer[None]):
    next = ServedSerializer(allow_null=True, help_text="As of tasks/next; only if `next` asked for tasks.")


class UndoSerializer(serializers.Serializer[None]):
    annotation_id = serializers.IntegerField(
        required=False, default=None, allow_null=True, help_text="Which answer; the last one unless given."
    )


class UndoneSerializer(serializers.Serializer[None]):
    task = TaskSerializer(allow_null=True, help_text="Leased to you again; null if somebody else is at it by now.")
    annotation_id = serializers.IntegerField()
    undone = serializers.JSONField(help_text="The answer that was taken back.")


class LeaseSerializer(serializers.Serializer[None]):
    lease_expires_at = serializers.DateTimeField()


class WantedSerializer(serializers.Serializer[None]):
    limit = serializers.IntegerField(required=False, default=1, min_value=1, max_value=MOST_TASKS)


class _ThenNextSerializer(serializers.Serializer[None]):
    next = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=MOST_TASKS, help_text="So many tasks to hold afterwards."
    )


class AnswerSerializer(_ThenNextSerializer):
    answer = serializers.JSONField(help_text='In the form of the label schema, e.g. {"choice": "spam"}.')
    suggested_answer = serializers.JSONField(
        required=False,
        default=None,
        allow_null=True,
        help_text="What you were shown as the model's answer, if anything.",
    )
    comment = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=answers.LONGEST_COMMENT,
        help_text="To whoever reviews it.",
    )
    is_flagged = serializers.BooleanField(required=False, default=False, help_text="A reviewer should look at it.")
    duration_ms = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=0, max_value=LARGEST_DURATION_MS
    )


class SkipSerializer(_ThenNextSerializer):
    kind = serializers.ChoiceField(choices=Skip.Kind.choices, required=False, default=Skip.Kind.SOMEONE_ELSE)
    reason = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=annotation_queue.LONGEST_SKIP_REASON,
        help_text="Required with kind unusable.",
    )
    minutes = serializers.IntegerField(
        required=False,
        default=annotation_queue.LATER_MINUTES,
        min_value=1,
        max_value=annotation_queue.MOST_MINUTES,
        help_text="With kind later: after so many minutes it may come back.",
    )


class HeartbeatSerializer(serializers.Serializer[None]):
    task_ids = serializers.ListField(child=serializers.IntegerField(), max_length=100)


class HeldSerializer(serializers.Serializer[None]):
    lease_expires_at = serializers.DateTimeField()
    task_ids = serializers.ListField(child=serializers.IntegerField(), help_text="Those that are still yours.")


class TaskFilters(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=AnnotationTask.State.choices, required=False)
    reason = serializers.ChoiceField(choices=AnnotationTask.Reason.choices, required=False)
    is_audit = serializers.BooleanField(required=False, allow_null=True, default=None)
    item_key = serializers.CharField(required=False, max_length=200)


class QueuedTaskSerializer(serializers.ModelSerializer[AnnotationTask]):
    item_key = serializers.CharField(source="item.key", read_only=True)
    model_version = serializers.CharField(source="model_version.name", read_only=True, default=None, allow_null=True)
    leased_to = serializers.CharField(source="leased_to.username", read_only=True, default=None, allow_null=True)
    assigned_to = serializers.CharField(source="assigned_to.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = AnnotationTask
        fields = [
            "id", "item_id", "item_key", "state", "priority", "reason", "informativeness", "propensity", "is_audit",
            "model_version", "batch", "draw_rank", "pool_size", "leased_to", "lease_expires_at", "assigned_to", "required_skill",
            "is_pinned", "due_at", "boost", "answers_wanted", "answers_count", "created_at", "closed_at",
        ]  # fmt: skip
        read_only_fields = fields
