"""GET, POST /projects/{slug}/acceptance-policy, and its versions."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets.api.acceptance_serializers import (
    AcceptancePolicyChangesSerializer,
    AcceptancePolicySerializer,
    AcceptanceReportSerializer,
)
from datasets.models import AcceptancePolicy
from datasets.services import acceptance_policies
from datasets.services.acceptance_report import report
from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView


class AcceptancePolicyView(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}

    @extend_schema(
        operation_id="acceptance_policy_read",
        summary="Read the acceptance policy",
        responses=AcceptanceReportSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """The version in force (0: the default, by votes), the last fit of the label model, and what is to be done about how many items."""
        return Response(AcceptanceReportSerializer(report(self.project, now=timezone.now())).data)

    @extend_schema(
        operation_id="acceptance_policy_change",
        summary="Change the acceptance policy",
        request=AcceptancePolicyChangesSerializer,
        responses={201: AcceptancePolicySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a new version in force: the current one with these changes. Nothing new if nothing differs.

        Labels follow within moments, after a fit of the label model where it is switched on. 400 `invalid_policy` or
        `label_model_needs_single_choice`, 409 `policy_outdated`.
        """
        changes = AcceptancePolicyChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        policy = acceptance_policies.new_version(self.project, by=self.caller.user, **changes.validated_data)
        return Response(AcceptancePolicySerializer(policy).data, status=status.HTTP_201_CREATED)


class AcceptancePolicyVersions(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="acceptance_policy_versions",
        summary="List versions of the acceptance policy",
        responses=AcceptancePolicySerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions that were saved, the one in force first."""
        versions = AcceptancePolicy.objects.filter(project=self.project).select_related("created_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(versions, request, view=self)
        return paginator.get_paginated_response(AcceptancePolicySerializer(page, many=True).data)
