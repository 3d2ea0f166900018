"""POST /projects/{slug}/tasks/bulk: what managers do with many tasks at once."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import Caller, ProjectView
from labeling.errors import InvalidInput
from labeling.services import queue_management
from labeling.services.queue_management import Outcome, Refusal

MOST_AT_ONCE: Final = 10_000

_ON_TASKS: Final = (
    "pin", "unpin", "boost", "due", "assign", "unassign", "skill", "answers", "withdraw", "release",
)  # fmt: skip
_ON_ITEMS: Final = ("requeue", "return_to_pool")


class BulkSerializer(serializers.Serializer[None]):
    action = serializers.ChoiceField(
        choices=[*_ON_TASKS, *_ON_ITEMS],
        help_text="The last two are about items, all others about open tasks.",
    )
    task_ids = serializers.ListField(child=serializers.IntegerField(), required=False, max_length=MOST_AT_ONCE)
    item_keys = serializers.ListField(
        child=serializers.CharField(max_length=200, trim_whitespace=False), required=False, max_length=MOST_AT_ONCE
    )
    value = serializers.JSONField(
        required=False,
        default=None,
        help_text="boost: a number. due: a time or null. assign, and requeue if wanted: a username. skill: a text. "
        "answers: a number of people.",
    )
    answers_wanted = serializers.IntegerField(
        required=False, default=1, min_value=1, max_value=queue_management.MOST_ANSWERS, help_text="Of a requeue."
    )


class RefusalSerializer(serializers.Serializer[None]):
    id = serializers.IntegerField(allow_null=True, help_text="Of the task, or of the item where items were named.")
    key = serializers.CharField(allow_null=True, help_text="Of the item, where items were named by key.")
    code = serializers.CharField()
    message = serializers.CharField()


class OutcomeSerializer(serializers.Serializer[None]):
    changed = serializers.IntegerField()
    refused = RefusalSerializer(many=True)


class BulkTasks(ProjectView):
    capabilities = {"POST": Capability.MANAGE}

    @extend_schema(
        operation_id="tasks_bulk", summary="Change many tasks", request=BulkSerializer, responses=OutcomeSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        """Pin, boost, date, assign, withdraw or release open tasks, named by id or by the keys of their items; put items
        into the queue again, or return unusable ones to the pool.

        200 also when some, or all, are refused: `refused` names each with its reason, and nothing else about it changed.
        """
        form = BulkSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        if ("task_ids" in given) == ("item_keys" in given):
            raise InvalidInput("Name either task_ids or item_keys.", fields={"task_ids": "either", "item_keys": "or"})
        ids, unknown, key_of = _named(self.caller, given)
        outcome = _act(self.caller, given, ids)
        refused = [_refusal(each, key_of) for each in outcome.refused]
        refused += [
            {"id": None, "key": key, "code": "item_not_found", "message": "There is no such item."} for key in unknown
        ]
        return Response({"changed": outcome.changed, "refused": refused})


def _named(caller: Caller, given: dict[str, Any]) -> tuple[list[int], list[str], dict[int, str]]:
    """Ids of what is meant (items or tasks, as the action wants), keys that are unknown, and the keys by id."""
    is_about_items = given["action"] in _ON_ITEMS
    if "task_ids" in given:
        ids = given["task_ids"]
        return (queue_management.items_of(caller.project, ids) if is_about_items else ids), [], {}
    keys: list[str] = given["item_keys"]
    items = queue_management.item_ids_of(caller.project, keys)
    unknown = [key for key in dict.fromkeys(keys) if key not in items]
    key_of = {pk: key for key, pk in items.items()}
    if is_about_items:
        return list(items.values()), unknown, key_of
    tasks = queue_management.open_tasks_of(caller.project, items.values())
    unknown += [key for key, pk in items.items() if pk not in tasks]
    return list(tasks.values()), unknown, {task: key_of[item] for item, task in tasks.items()}


def _act(caller: Caller, given: dict[str, Any], ids: Sequence[int]) -> Outcome:
    project, value = caller.project, given["value"]
    common: dict[str, Any] = {"by": caller.user, "now": timezone.now()}
    actions: dict[str, Callable[[], Outcome]] = {
        "pin": lambda: queue_management.pin(project, ids, **common),
        "unpin": lambda: queue_management.unpin(project, ids, **common),
        "boost": lambda: queue_management.boost(project, ids, boost=_number(value), **common),
        "due": lambda: queue_management.due(project, ids, due_at=_time(value), **common),
        "assign": lambda: queue_management.assign(project, ids, to=_person(value), **common),
        "unassign": lambda: queue_management.assign(project, ids, to=None, **common),
        "skill": lambda: queue_management.require_skill(project, ids, skill=_text(value), **common),
        "answers": lambda: queue_management.want_answers(project, ids, answers_wanted=_count(value), **common),
        "withdraw": lambda: queue_management.withdraw(project, ids, **common),
        "release": lambda: queue_management.release(project, ids, **common),
        "requeue": lambda: queue_management.requeue(
            project,
            ids,
            answers_wanted=given["answers_wanted"],
            assigned_to=None if value is None else _person(value),
            **common,
        ),
        "return_to_pool": lambda: queue_management.return_to_pool(project, ids, **common),
    }
    return actions[given["action"]]()


def _refusal(refusal: Refusal, key_of: dict[int, str]) -> dict[str, object]:
    return {"id": refusal.id, "key": key_of.get(refusal.id), "code": refusal.code, "message": refusal.message}


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"The value must be {what}.", code="invalid_value", fields={"value": f"must be {what}"})


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("a number")
    return float(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("a whole number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("a text")
    return value


def _time(value: object) -> dt.datetime | None:
    if value is None:
        return None
    try:
        time = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise _wrong("a time such as 2026-05-04T12:00:00Z, or null")
    return time


def _person(value: object) -> User:
    person = User.objects.filter(username=value, is_active=True).first() if isinstance(value, str) else None
    if person is None:
        raise _wrong("the username of a member")
    return person
