"""/projects/{slug}/retention-policies: how long things are kept, what that would delete now, and what it deleted."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.models import RetentionPolicy, RetentionRun
from labeling.models.retention import DAYS
from labeling.services import retention_policies
from sampling.services import retention_preview
from sampling.services.retention_preview import Due


class RetentionPolicySerializer(serializers.ModelSerializer[RetentionPolicy]):
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True, help_text="Empty for apps."
    )
    days_in_force = serializers.SerializerMethodField(
        help_text="The shorter of the policy's and the installation's days; what is kept for ever is missing."
    )

    class Meta:
        model = RetentionPolicy
        fields = ["version", *DAYS, "days_in_force", "created_at", "created_by"]
        read_only_fields = fields

    def get_days_in_force(self, policy: RetentionPolicy) -> dict[str, int]:
        return retention_policies.days_of(policy)


class RetentionChangesSerializer(serializers.Serializer[None]):
    """What is left out stays as it is; null: as long as the installation does. Ranges are checked by the service."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            name: serializers.IntegerField(required=False, allow_null=True, help_text=meaning)
            for name, meaning in RetentionPolicy.meanings().items()
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A field that is misspelt must not keep things for ever without a word."""
        if unknown := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError(dict.fromkeys(unknown, "is no field of a retention policy"))
        return attrs


class DueSerializer(serializers.Serializer[Due]):
    name = serializers.CharField(help_text="Field of the policy.")
    days = serializers.IntegerField(allow_null=True, help_text="That hold; null: for ever.")
    most_days = serializers.IntegerField(allow_null=True, help_text="The installation's maximum; null: none.")
    rows = serializers.IntegerField(help_text="Rows that would be deleted or blanked now.")
    is_more = serializers.BooleanField(help_text="There are more: at most 100,000 a table are counted.")


class RetentionRunSerializer(serializers.ModelSerializer[RetentionRun]):
    policy_version = serializers.IntegerField(
        source="policy.version", read_only=True, default=0, help_text="0: the installation's days alone."
    )
    days = serializers.DictField(child=serializers.IntegerField(), read_only=True, help_text="That held.")
    counts = serializers.DictField(
        child=serializers.IntegerField(), read_only=True, help_text="Rows that were deleted or blanked, by field."
    )

    class Meta:
        model = RetentionRun
        fields = ["id", "policy_version", "days", "counts", "started_at", "ended_at"]
        read_only_fields = fields


class RetentionPolicyList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.HANDLE_RESPONDENTS}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="retention_policies_list",
        summary="List retention policies",
        responses=RetentionPolicySerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions that were saved, the one in force first; none as long as the installation's days hold."""
        versions = RetentionPolicy.objects.filter(project=self.project).select_related("created_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(versions, request, view=self)
        return paginator.get_paginated_response(RetentionPolicySerializer(page, many=True).data)

    @extend_schema(
        operation_id="retention_policies_create",
        summary="Change the retention policy",
        request=RetentionChangesSerializer,
        responses={201: RetentionPolicySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a new version in force: the current one with these changes. Nothing new if nothing differs.

        What is older is deleted within six hours, for good. Days may be shorter than the installation's, never longer: 400
        `invalid_policy`. For owners and secret keys.
        """
        policy = retention_policies.new_version(self.project, by=self.caller.user, **_changes(request))
        return Response(RetentionPolicySerializer(policy).data, status=status.HTTP_201_CREATED)


class RetentionPreview(ProjectView):
    capabilities = {"POST": Capability.READ}

    @extend_schema(
        operation_id="retention_policies_preview",
        summary="Preview a retention policy",
        request=RetentionChangesSerializer,
        responses=DueSerializer(many=True),
    )
    def post(self, request: Request, slug: str) -> Response:
        """How many rows the current policy with these changes would delete or blank now. Changes nothing."""
        draft = retention_policies.draft(self.project, **_changes(request))
        found = retention_preview.preview(draft, now=timezone.now())
        return Response([DueSerializer(each).data for each in found])


class RetentionRunList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="retention_runs_list",
        summary="List what was deleted by age",
        responses=RetentionRunSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Every sweep that deleted or blanked anything, the newest first."""
        runs = RetentionRun.objects.filter(project=self.project).select_related("policy")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(runs, request, view=self)
        return paginator.get_paginated_response(RetentionRunSerializer(page, many=True).data)


def _changes(request: Request) -> Any:
    changes = RetentionChangesSerializer(data=request.data)
    changes.is_valid(raise_exception=True)
    return changes.validated_data
