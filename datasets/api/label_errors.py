"""/projects/{slug}/label-errors: accepted labels that look wrong, and a search for them."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets.models import LabelCheck, SuspectLabel
from datasets.services import label_checks, label_errors
from datasets.services.label_errors import MOST_LISTED, Search
from labeling import news
from labeling.access import Capability
from labeling.edges import ProjectView


class SuspectLabelSerializer(serializers.ModelSerializer[SuspectLabel]):
    item_key = serializers.CharField(source="item.key", read_only=True)
    label_id = serializers.IntegerField(source="accepted_label_id", read_only=True)
    label = serializers.CharField(source="accepted_label.label", read_only=True)  # type: ignore[assignment]  # a field here, a caption there
    review_id = serializers.IntegerField(
        source="open_case_id", read_only=True, allow_null=True, help_text="The item's open case."
    )

    class Meta:
        model = SuspectLabel
        fields = [
            "label_id", "item_id", "item_key", "label", "source", "model", "score", "self_confidence", "review_id", "found_at",
        ]  # fmt: skip
        read_only_fields = fields


class LabelCheckSerializer(serializers.ModelSerializer[LabelCheck]):
    class Meta:
        model = LabelCheck
        fields = [
            "id", "trainer", "folds", "seed", "label_count", "unreadable_count", "agreement", "message", "started_at",
            "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class LabelErrorsSerializer(serializers.Serializer[None]):
    count = serializers.IntegerField(help_text="Labels that look wrong by the newest search and wait for a decision.")
    results = SuspectLabelSerializer(many=True, help_text="The most suspicious first.")
    last_check = LabelCheckSerializer(allow_null=True, help_text="The newest cross-validation.")


class LabelErrorsWanted(serializers.Serializer[None]):
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MOST_LISTED)


class LabelSearchSerializer(serializers.Serializer[Search]):
    labels = serializers.IntegerField()
    judged = serializers.IntegerField()
    cross_validated = serializers.IntegerField()
    suspects = serializers.IntegerField()
    opened = serializers.IntegerField(help_text="Review cases.")
    open_now = serializers.IntegerField()
    no_prediction = serializers.IntegerField()
    in_sample = serializers.IntegerField()
    certain = serializers.IntegerField()
    other_classes = serializers.IntegerField()
    summary = serializers.CharField()
    is_check_started = serializers.BooleanField(
        default=False, help_text="Whether a cross-validation was asked for; its findings come later."
    )


class LabelErrors(ProjectView):
    capabilities = {"GET": Capability.REVIEW, "POST": Capability.REVIEW}

    @extend_schema(
        operation_id="label_errors_list",
        summary="List accepted labels that look wrong",
        parameters=[LabelErrorsWanted],
        responses=LabelErrorsSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """By the newest search, without the class that the model would give: a reviewer is not to be swayed."""
        wanted = LabelErrorsWanted(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        found, last = label_errors.listed(self.project), label_checks.last_check(self.project)
        content = {
            "count": found.count(),
            "results": SuspectLabelSerializer(found[: wanted.validated_data["limit"]], many=True).data,
            "last_check": None if last is None else LabelCheckSerializer(last).data,
        }
        return Response(content)

    @extend_schema(
        operation_id="label_errors_search",
        summary="Look for wrong labels now",
        request=None,
        responses={202: LabelSearchSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Searches with what models have said already, and starts a cross-validation, after which another search follows."""
        found = label_errors.search(self.project, now=timezone.now())
        is_started = label_checks.is_checkable(self.project)
        if is_started:
            news.tell(news.label_check_wanted, project_id=self.project.pk)
        content = LabelSearchSerializer(found).data | {"is_check_started": is_started}
        return Response(content, status=status.HTTP_202_ACCEPTED)
