"""/projects/{slug}/gold: items whose answer is known, and what annotators in training are told."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from datasets.errors import GoldNotFound
from datasets.models import GoldItem
from datasets.services import gold, gold_mixing
from datasets.services.gold import GoldRow, Made
from datasets.services.gold_mixing import Lesson
from labeling.access import Capability
from labeling.edges import IdCursorPagination, ProjectView

MOST_ROWS = 5_000


class GoldRowSerializer(serializers.Serializer[None]):
    key = serializers.CharField(max_length=200, trim_whitespace=False, help_text="Of an item of the project.")
    answer = serializers.JSONField(help_text='In the form of the label schema, e.g. {"choice": "spam"}.')
    explanation = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=gold.LONGEST_EXPLANATION,
        help_text="Shown to annotators in training after their answer.",
    )


class GoldRowsSerializer(serializers.Serializer[None]):
    rows = serializers.ListField(
        child=serializers.JSONField(allow_null=True), min_length=1, max_length=MOST_ROWS,
        help_text="Each with key, answer and, if wanted, explanation; each succeeds or fails on its own.",
    )  # fmt: skip


class GoldSerializer(serializers.ModelSerializer[GoldItem]):
    key = serializers.CharField(source="item.key", read_only=True)
    label_schema_version = serializers.IntegerField(source="label_schema.version", read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = GoldItem
        fields = [
            "id", "item_id", "key", "answer", "explanation", "is_active", "label_schema_version", "created_at", "created_by",
        ]  # fmt: skip
        read_only_fields = fields


class GoldResultSerializer(serializers.Serializer[None]):
    index = serializers.IntegerField(help_text="Place in the rows, from 0.")
    key = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=["created", "updated", "failed"])
    id = serializers.IntegerField(required=False)
    code = serializers.CharField(required=False, help_text="Of a failed row, for programs.")
    message = serializers.CharField(required=False, help_text="Of a failed row, for people.")


class GoldReportSerializer(serializers.Serializer[None]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    failed = serializers.IntegerField()
    results = GoldResultSerializer(many=True)


class GoldChangeSerializer(serializers.Serializer[None]):
    is_active = serializers.BooleanField(help_text="Whether it is mixed into annotators' work.")


class LessonSerializer(serializers.Serializer[Lesson]):
    is_right = serializers.BooleanField()
    right_answer = serializers.JSONField()
    explanation = serializers.CharField()
    hits = serializers.IntegerField(source="record.hits", help_text="Right answers in this training.")
    misses = serializers.IntegerField(source="record.misses")
    verdict = serializers.ChoiceField(
        choices=["honest", "not_honest", "undecided"], help_text="honest: the training is over."
    )


class GoldList(ProjectView):
    capabilities = {"GET": Capability.MANAGE, "POST": Capability.MANAGE}
    pagination_class = IdCursorPagination

    @extend_schema(operation_id="gold_list", summary="List known answers", responses=GoldSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = GoldItem.objects.filter(project=self.project).select_related("item", "label_schema", "created_by")
        found = found.defer("item__payload", "item__segments", "label_schema__definition")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(found, request, view=self)
        return paginator.get_paginated_response(GoldSerializer(page, many=True).data)

    @extend_schema(
        operation_id="gold_send",
        summary="Say which answers are known",
        request=GoldRowsSerializer,
        responses={200: GoldReportSerializer, 207: GoldReportSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """200 when every row is good, 207 when some (or all) failed. An item that is gold already gets the new answer."""
        form = GoldRowsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        results = _results(form.validated_data["rows"], self)
        counts = {name: sum(each["status"] == name for each in results) for name in ("created", "updated", "failed")}
        code = status.HTTP_207_MULTI_STATUS if counts["failed"] else status.HTTP_200_OK
        return Response({**counts, "results": results}, status=code)


class GoldDetail(ProjectView):
    capabilities = {"PATCH": Capability.MANAGE, "DELETE": Capability.MANAGE}

    @extend_schema(
        operation_id="gold_change",
        summary="Use a known answer, or not",
        request=GoldChangeSerializer,
        responses=GoldSerializer,
    )
    def patch(self, request: Request, slug: str, gold_id: int) -> Response:
        form = GoldChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        found = gold.of(self.project, gold_id)
        gold.set_active(found, is_active=form.validated_data["is_active"])
        return Response(GoldSerializer(found).data)

    @extend_schema(operation_id="gold_remove", summary="Take back a known answer", responses={204: None})
    def delete(self, request: Request, slug: str, gold_id: int) -> Response:
        """For one that was a mistake: it is not known after all. What annotators said stays."""
        gold.remove(gold.of(self.project, gold_id), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Training(ProjectView):
    capabilities = {"GET": Capability.ANNOTATE}

    @extend_schema(operation_id="training_read", summary="Learn from an answer", responses=LessonSerializer)
    def get(self, request: Request, slug: str, annotation_id: int) -> Response:
        """Whether your answer in training was right, and why. 404 `gold_not_found` for all other answers."""
        if self.caller.user is None:
            raise GoldNotFound("There is nothing to be told about this answer.")
        lesson = gold_mixing.lesson(self.project, annotation_id, annotator=self.caller.user)
        return Response(LessonSerializer(lesson).data)


def _results(rows: list[Any], view: GoldList) -> list[dict[str, Any]]:
    """Rows that are no rows fail here, all others by their content; results are in the order of the rows."""
    results: list[dict[str, Any]] = []
    good: list[tuple[int, GoldRow]] = []
    for index, row in enumerate(rows):
        form = GoldRowSerializer(data=row)
        key = row.get("key") if isinstance(row, dict) else None
        if form.is_valid():
            good.append((index, GoldRow(**form.validated_data)))
        else:
            message = "; ".join(
                " ".join(map(str, errors))
                if name == api_settings.NON_FIELD_ERRORS_KEY
                else f"{name}: {' '.join(map(str, errors))}"
                for name, errors in form.errors.items()
            )
            results.append({
                "index": index, "key": key if isinstance(key, str) else None, "status": "failed", "code": "invalid_row",
                "message": message[:300],
            })  # fmt: skip
    made = gold.make_many(view.project, [row for _, row in good], by=view.caller.user)
    results += [_result(index, each) for (index, _), each in zip(good, made, strict=True)]
    return sorted(results, key=lambda each: int(each["index"]))


def _result(index: int, made: Made) -> dict[str, Any]:
    if made.gold is not None:
        status_ = "created" if made.is_new else "updated"
        return {"index": index, "key": made.key, "status": status_, "id": made.gold.pk}
    error = made.error
    code, message = ("error", "") if error is None else (error.code, error.message[:300])
    return {"index": index, "key": made.key, "status": "failed", "code": code, "message": message}
