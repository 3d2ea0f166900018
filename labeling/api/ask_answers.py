"""GET /projects/{slug}/answers: single answers to asks, as pages and as a file."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import ask_answers
from labeling.access import Capability
from labeling.ask_answers import GivenAnswer, Wanted
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.errors import InvalidInput
from labeling.models import QuestionVersion
from labeling.services import ask_answers_export
from labeling.services.ask_answers_export import FORMATS

_DEFAULT_FORMAT = "jsonl"


class AnswerFilters(serializers.Serializer[None]):
    question = serializers.CharField(required=False, max_length=64, help_text="Key of the question.")
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1, help_text="Of its wording.")
    model_version = serializers.CharField(
        required=False, max_length=100, help_text="Name of the model version whose prediction was asked about."
    )
    arm = serializers.ChoiceField(
        required=False, choices=["shown", "blind"], help_text="Whether the respondent saw what the model said."
    )
    drawn_by = serializers.ChoiceField(
        required=False, choices=["policy", "audit"], help_text="Asked for its worth, or by the uniform audit share."
    )
    respondent_hash = serializers.RegexField(r"^[0-9a-f]{64}$", required=False, help_text="As in an answer.")
    since = serializers.DateTimeField(required=False, help_text="Answered then or later.")
    until = serializers.DateTimeField(required=False, help_text="Answered before.")


class AnswerSerializer(serializers.Serializer[GivenAnswer]):
    """The answer that stands. Where `is_randomised` is true it was mixed with chance on the device: one answer means nothing,
    only the question's estimate does."""

    id = serializers.IntegerField(help_text="Of the ask.")
    question = serializers.CharField(help_text="Its key.")
    question_version = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=QuestionVersion.Kind.choices)
    key = serializers.CharField(help_text="Of the item.")
    model_version = serializers.CharField(allow_null=True)
    predicted_answer = serializers.JSONField(
        allow_null=True, help_text="What the model said when it was asked about; null: nothing."
    )
    is_blind = serializers.BooleanField(help_text="What the model said was hidden.")
    is_audit = serializers.BooleanField(help_text="Asked by the uniform audit share.")
    propensity = serializers.FloatField(help_text="Chance with which this opportunity was to be asked.")
    segment = serializers.CharField(allow_blank=True, help_text="Value of the policy's segment.")
    respondent_hash = serializers.CharField(
        allow_blank=True, help_text="Empty: nobody was named, or they are forgotten."
    )
    opinion = serializers.CharField(
        allow_blank=True, help_text="Kind of the opinion that was stated; empty where only the truth was."
    )
    value = serializers.JSONField(allow_null=True, help_text="Of the opinion, in the form of its kind.")
    score = serializers.FloatField(allow_null=True, help_text="The value as one number, where there is one.")
    correction = serializers.JSONField(
        allow_null=True, help_text="What they say is true, in the form of the label schema."
    )
    comment = serializers.CharField(allow_blank=True, help_text="As it was typed: no markup.")
    is_randomised = serializers.BooleanField()
    epsilon = serializers.FloatField(allow_null=True, help_text="Budget of the randomised response.")
    duration_ms = serializers.IntegerField(allow_null=True)
    shown_at = serializers.DateTimeField(allow_null=True)
    answered_at = serializers.DateTimeField(allow_null=True)


class AnswerList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="answers_list",
        summary="List answers to asks",
        parameters=[AnswerFilters],
        responses=AnswerSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Single answers, those to the newest asks first: what was said, about which prediction, and with which chance it was
        asked. Answers that were given anew stand in their last form.

        400 `unknown_question`, `unknown_model_version`.
        """
        asks = ask_answers.answered_asks(self.project, _wanted(request))
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(asks, request, view=self) or []
        found = [AnswerSerializer(each).data for each in ask_answers.given(page)]
        return paginator.get_paginated_response(found)


class AnswerExport(ProjectView):
    capabilities = {"GET": Capability.READ}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # The format is asked for by parameter, so no Accept header is refused; errors stay JSON.
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(
        operation_id="answers_export",
        summary="Export answers to asks",
        parameters=[AnswerFilters, OpenApiParameter("export_format", enum=list(FORMATS), default=_DEFAULT_FORMAT)],
        responses={(200, each.content_type.partition(";")[0]): OpenApiTypes.STR for each in FORMATS.values()},
    )
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """The same as a file, streamed, ordered by id. In CSV, what the model said, values and corrections are JSON."""
        name = request.query_params.get("export_format", _DEFAULT_FORMAT)
        if name not in FORMATS:
            raise InvalidInput(
                f"There is no export format “{name}”; known are {', '.join(FORMATS)}.",
                code="unknown_export_format",
                fields={"export_format": "unknown"},
            )
        content = ask_answers_export.lines(self.project, _wanted(request), format_name=name)
        file_name = f"{self.project.slug}-answers.{FORMATS[name].file_extension}"
        headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{file_name}"'}
        return StreamingHttpResponse(content, content_type=FORMATS[name].content_type, headers=headers)


def _wanted(request: Request) -> Wanted:
    filters = AnswerFilters(data=request.query_params.dict())
    filters.is_valid(raise_exception=True)
    return Wanted(**filters.validated_data)
