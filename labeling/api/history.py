"""What an annotator has answered, and changing it: /tasks/history and /annotations/{id}/edit."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import selectors
from labeling.access import Capability
from labeling.api.task_serializers import ItemOnTheWire, TaskItemSerializer, item_on_the_wire
from labeling.api.tasks import AnnotatorView
from labeling.edges import NewestFirstPagination
from labeling.models import Annotation
from labeling.services import answers


class HistorySerializer(serializers.ModelSerializer[Annotation]):
    item = serializers.SerializerMethodField()
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)
    is_standing = serializers.SerializerMethodField(help_text="Neither taken back nor replaced.")
    superseded_by = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The answer that replaced it, if one did."
    )

    class Meta:
        model = Annotation
        fields = [
            "id", "task_id", "item", "answer", "comment", "is_flagged", "label_schema_version", "is_standing",
            "superseded_by", "duration_ms", "created_at", "withdrawn_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(TaskItemSerializer)
    def get_item(self, annotation: Annotation) -> ItemOnTheWire:
        item = annotation.item
        return item_on_the_wire(item.key, item.payload, item.segments)

    def get_is_standing(self, annotation: Annotation) -> bool:
        return annotation.withdrawn_at is None


class EditSerializer(serializers.Serializer[None]):
    answer = serializers.JSONField(help_text="In the form of the label schema in force.")
    comment = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=answers.LONGEST_COMMENT, trim_whitespace=False
    )
    is_flagged = serializers.BooleanField(required=False, default=False)


class EditedSerializer(serializers.Serializer[None]):
    annotation_id = serializers.IntegerField(help_text="Of the new answer.")


class HistoryPagination(NewestFirstPagination):
    page_size = 50
    max_page_size = 200  # payloads may be large


class History(AnnotatorView):
    capabilities = {"GET": Capability.ANNOTATE}
    pagination_class = HistoryPagination

    @extend_schema(
        operation_id="tasks_history",
        summary="List your answers",
        parameters=[OpenApiParameter("key_prefix", str, description="Only items whose key begins so.")],
        responses=HistorySerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Newest first, with those that were taken back or replaced."""
        own = selectors.own_annotations(
            self.project, self.annotator, key_prefix=request.query_params.get("key_prefix", "")
        )
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(own, request, view=self)
        return paginator.get_paginated_response(HistorySerializer(page, many=True).data)


class EditAnnotation(AnnotatorView):
    @extend_schema(
        operation_id="annotations_edit",
        summary="Change an answer",
        request=EditSerializer,
        responses={201: EditedSerializer},
    )
    def post(self, request: Request, slug: str, annotation_id: int) -> Response:
        """The new answer replaces the old one, which stays in the history. One's own; who reads the project (reviewers,
        managers, owners) may replace everybody's.

        404 `annotation_not_found`, 409 `annotation_withdrawn` or `already_answered`, 400 `invalid_answer`.
        """
        form = EditSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given: dict[str, Any] = form.validated_data
        new = answers.edit(
            self.project,
            annotation_id,
            by=self.annotator,
            now=timezone.now(),
            of_anybody=self.caller.may(Capability.READ),
            **given,
        )
        return Response({"annotation_id": new.pk}, status=status.HTTP_201_CREATED)
