"""GET, POST /projects/{slug}/retraining-policies."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from training.api.serializers import NewRetrainingPolicySerializer, RetrainingPolicySerializer
from training.models import RetrainingPolicy
from training.services import policies


class PolicyList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="retraining_policies_list",
        summary="List retraining policies",
        responses=RetrainingPolicySerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions; the first one of the first page is in force."""
        policies.current_policy(self.project)  # so that the list is never empty
        versions = RetrainingPolicy.objects.filter(project=self.project).select_related("created_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(versions, request, view=self)
        return paginator.get_paginated_response(RetrainingPolicySerializer(page, many=True).data)

    @extend_schema(
        operation_id="retraining_policies_create",
        summary="Change the retraining policy",
        request=NewRetrainingPolicySerializer,
        responses={201: RetrainingPolicySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a new version in force: the current one with the given changes."""
        wanted = NewRetrainingPolicySerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        version = policies.new_version(self.project, by=self.caller.user, **wanted.validated_data)
        return Response(RetrainingPolicySerializer(version).data, status=status.HTTP_201_CREATED)
