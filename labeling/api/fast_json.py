"""JSON in and out for the requests an annotator waits for: msgspec in place of DRF's serializers and renderer.

The serializers go on describing the API, and say what is wrong with a body that msgspec does not take.
"""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from django.http import HttpResponse
from msgspec import Meta
from rest_framework import serializers

from labeling.api.task_serializers import LARGEST_DURATION_MS, MOST_TASKS
from labeling.services.answers import LONGEST_COMMENT

Form = TypeVar("Form", bound=msgspec.Struct)

_ENCODER: Final = msgspec.json.Encoder()


class Wanted(msgspec.Struct):
    limit: Annotated[int, Meta(ge=1, le=MOST_TASKS)] = 1


class Given(msgspec.Struct):
    """The form of AnswerSerializer."""

    answer: object
    suggested_answer: Any = None
    comment: Annotated[str, Meta(max_length=LONGEST_COMMENT)] = ""
    is_flagged: bool = False
    duration_ms: Annotated[int, Meta(ge=0, le=LARGEST_DURATION_MS)] | None = None
    next: Annotated[int, Meta(ge=0, le=MOST_TASKS)] = 0


def read(data: Any, form: type[Form], serializer: type[serializers.Serializer[Any]]) -> Form:
    """Read a parsed body. What msgspec refuses is left to the serializer, which is more lenient ("3" for 3) or raises
    DRF's ValidationError with a message for each field."""
    try:
        return msgspec.convert(data, form)
    except msgspec.ValidationError:
        checked = serializer(data=data)
        checked.is_valid(raise_exception=True)
        return form(**checked.validated_data)


def answer(content: object, status: int = 200) -> HttpResponse:
    return HttpResponse(_ENCODER.encode(content), status=status, content_type="application/json")
