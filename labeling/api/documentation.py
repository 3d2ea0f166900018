"""What the API description cannot see in the code by itself."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, extend_schema
from rest_framework import serializers

from labeling.api.serializers import IntakeReportSerializer, LabelSchemaDefinitionSerializer
from labeling.services.recording import OnConflict


class _DefinitionFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registers itself in an untyped hook
    target_class = "labeling.api.serializers.DefinitionField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return auto_schema.resolve_serializer(LabelSchemaDefinitionSerializer, direction).ref


Method = TypeVar("Method", bound=Callable[..., Any])


def documents_intake(
    operation_id: str,
    summary: str,
    row: type[serializers.Serializer[None]],
    *,
    conflicts: Sequence[OnConflict] = tuple(OnConflict),
) -> Callable[[Method], Method]:
    """Describe a POST that takes many rows of one form."""
    return extend_schema(
        operation_id=operation_id,
        summary=summary,
        parameters=[
            OpenApiParameter(
                "on_conflict",
                enum=[choice.value for choice in conflicts],
                default=OnConflict.SKIP.value,
                description="What to do with a row that exists already.",
            ),
            OpenApiParameter(
                "results",
                enum=["all", "errors"],
                default="all",
                description="errors leaves out the rows that are good.",
            ),
            OpenApiParameter(
                "Idempotency-Key",
                location=OpenApiParameter.HEADER,
                description="A retry with the same key and the same body gets the stored answer, for 24 hours. "
                "Needs a Content-Length.",
            ),
            OpenApiParameter(
                "Content-Encoding",
                location=OpenApiParameter.HEADER,
                enum=["identity", "gzip"],
                description="gzip: the body is compressed. Limits are of the body as it was before.",
            ),
        ],
        request={"application/json": row(many=True), "application/x-ndjson": row},
        responses={200: IntakeReportSerializer, 207: IntakeReportSerializer},
    )
