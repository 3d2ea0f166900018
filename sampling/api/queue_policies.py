"""GET, POST /projects/{slug}/queue-policies, and a preview."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from sampling import selectors
from sampling.api.serializers import PolicyChangesSerializer, PreviewSerializer, QueuePolicySerializer
from sampling.errors import InvalidPolicy
from sampling.services import policies
from sampling.services.preview import preview


class QueuePolicyList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="queue_policies_list",
        summary="List queue policies",
        responses=QueuePolicySerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions, the one in force first."""
        policies.current_policy(self.project)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(selectors.policy_versions(self.project), request, view=self)
        return paginator.get_paginated_response(QueuePolicySerializer(page, many=True).data)

    @extend_schema(
        operation_id="queue_policies_create",
        summary="Change the queue policy",
        request=PolicyChangesSerializer,
        responses={201: QueuePolicySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a new version in force: the current one with these changes. Nothing new if nothing differs."""
        changes = PolicyChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        policy = policies.new_version(self.project, by=self.caller.user, **changes.validated_data)
        return Response(QueuePolicySerializer(policy).data, status=status.HTTP_201_CREATED)


class QueuePolicyPreview(ProjectView):
    capabilities = {"POST": Capability.MANAGE}

    @extend_schema(
        operation_id="queue_policies_preview",
        summary="Preview a queue policy",
        request=PolicyChangesSerializer,
        responses=PreviewSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """The batch that the current policy with these changes would fill an empty queue with. Changes nothing."""
        changes = PolicyChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        try:
            said = preview(self.project, **changes.validated_data)
        except ValueError as error:
            raise InvalidPolicy(str(error)) from error
        return Response(PreviewSerializer(said).data)
