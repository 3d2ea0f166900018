"""Forms of annotation tasks on the wire."""

import datetime as dt
from collections.abc import Sequence
from typing import TypedDict

from rest_framework import serializers

from labeling import selectors
from labeling.models import AnnotationTask
from labeling.schema import JSONValue
from labeling.selectors import QueueState
from labeling.services.annotation_queue import NothingReason, NothingServed

MOST_TASKS = 10
"""An annotator holds few tasks at a time: what one person holds nobody else gets."""
_LARGEST_DURATION_MS = 2**31 - 1


class ItemOnTheWire(TypedDict):
    key: str
    payload: JSONValue
    segments: JSONValue


SuggestionOnTheWire = TypedDict(
    "SuggestionOnTheWire", {"class": str, "confidence": float, "probabilities": dict[str, float]}
)


class TaskOnTheWire(TypedDict):
    id: int
    item: ItemOnTheWire
    reason: str
    why: str
    informativeness: float | None
    propensity: float | None
    is_audit: bool
    suggestion: SuggestionOnTheWire | None
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


def task_on_the_wire(task: AnnotationTask, label_schema_version: int) -> TaskOnTheWire:
    # Plain dicts, because this is the busiest answer of all; the serializers below describe it.
    return {
        "id": task.pk,
        "item": {"key": task.item.key, "payload": task.item.payload, "segments": task.item.segments},
        "reason": task.reason,
        "why": selectors.why(task),
        "informativeness": task.informativeness,
        "propensity": task.propensity,
        "is_audit": task.is_audit,
        "suggestion": _suggestion(task),
        "lease_expires_at": task.lease_expires_at,
        "label_schema_version": label_schema_version,
    }


def _suggestion(task: AnnotationTask) -> SuggestionOnTheWire | None:
    suggestion = selectors.suggestion_for(task)
    if suggestion is None:
        return None
    return {
        "class": suggestion.class_key,
        "confidence": suggestion.confidence,
        "probabilities": dict(suggestion.probabilities),
    }


def served_on_the_wire(
    tasks: Sequence[AnnotationTask], state: QueueState, nothing: NothingServed | None
) -> ServedOnTheWire:
    counts = state.counts
    return {
        "tasks": [task_on_the_wire(task, state.label_schema_version) for task in tasks],
        "counts": {"open": counts.open, "leased": counts.leased, "answered_today": counts.answered_today},
        "reason": nothing.reason if nothing else None,
        "first_free_at": nothing.first_free_at if nothing else None,
    }


class TaskItemSerializer(serializers.Serializer[None]):
    key = serializers.CharField()
    payload = serializers.DictField()
    segments = serializers.DictField(child=serializers.CharField())


class SuggestionSerializer(serializers.Serializer[None]):
    confidence = serializers.FloatField()
    probabilities = serializers.DictField(child=serializers.FloatField(), help_text="Of the five best classes.")

    def get_fields(self) -> dict[str, serializers.Field]:  # type: ignore[type-arg]  # as in the stubs of the base class
        # `class` cannot be the name of an attribute.
        return {"class": serializers.CharField(), **super().get_fields()}


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
        allow_null=True, help_text="What the champion says. Hidden for audit tasks, so that it cannot sway the answer."
    )
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
        allow_null=True, help_text="With reason all_leased: when the first lease ends."
    )


class AnsweredSerializer(serializers.Serializer[None]):
    annotation_id = serializers.IntegerField()
    next = ServedSerializer(allow_null=True, help_text="As of tasks/next; only if `next` asked for tasks.")


class SkippedSerializer(serializers.Serializer[None]):
    next = ServedSerializer(allow_null=True, help_text="As of tasks/next; only if `next` asked for tasks.")


class UndoneSerializer(serializers.Serializer[None]):
    task = TaskSerializer()
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
        required=False, default="", allow_blank=True, max_length=2000, help_text="To whoever reviews it."
    )
    is_flagged = serializers.BooleanField(required=False, default=False, help_text="A reviewer should look at it.")
    duration_ms = serializers.IntegerField(
        required=False, default=None, allow_null=True, min_value=0, max_value=_LARGEST_DURATION_MS
    )


class SkipSerializer(_ThenNextSerializer):
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=300)


class TaskFilters(serializers.Serializer[None]):
    state = serializers.ChoiceField(choices=AnnotationTask.State.choices, required=False)
    reason = serializers.ChoiceField(choices=AnnotationTask.Reason.choices, required=False)
    is_audit = serializers.BooleanField(required=False, allow_null=True, default=None)
    item_key = serializers.CharField(required=False, max_length=200)


class QueuedTaskSerializer(serializers.ModelSerializer[AnnotationTask]):
    item_key = serializers.CharField(source="item.key", read_only=True)
    model_version = serializers.CharField(source="model_version.name", read_only=True, default=None, allow_null=True)
    leased_to = serializers.CharField(source="leased_to.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = AnnotationTask
        fields = [
            "id", "item_id", "item_key", "state", "priority", "reason", "informativeness", "propensity", "is_audit",
            "model_version", "batch", "draw_rank", "pool_size", "leased_to", "lease_expires_at", "created_at", "closed_at",
        ]  # fmt: skip
        read_only_fields = fields
