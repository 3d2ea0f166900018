"""Who takes part in a project."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.api.serializers import MemberRoleSerializer, MembershipSerializer, MemberStageSerializer
from labeling.edges import IdCursorPagination, ProjectView
from labeling.models import Membership
from labeling.services import projects


class MemberList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.ADMINISTER}
    pagination_class = IdCursorPagination

    @extend_schema(operation_id="members_list", summary="List members", responses=MembershipSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        members = Membership.objects.filter(project=self.project).select_related("user")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(members, request, view=self)
        return paginator.get_paginated_response(MembershipSerializer(page, many=True).data)

    @extend_schema(
        operation_id="members_set",
        summary="Add a member or change role and skills",
        request=MemberRoleSerializer,
        responses=MembershipSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """404 `user_not_found`; 409 `last_owner` when nobody would own the project any more."""
        wanted = MemberRoleSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        membership = projects.set_member(self.project, **wanted.validated_data, by=self.caller.user)
        return Response(MembershipSerializer(membership).data)


class MemberDetail(ProjectView):
    capabilities = {"DELETE": Capability.ADMINISTER}

    @extend_schema(operation_id="members_remove", summary="Remove a member", responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """What the person annotated stays. 409 `last_owner` when nobody would own the project any more."""
        projects.remove_member(self.project, username=username, by=self.caller.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MemberStage(ProjectView):
    capabilities = {"POST": Capability.MANAGE}

    @extend_schema(
        operation_id="members_set_stage",
        summary="Send a member to training or to work",
        request=MemberStageSerializer,
        responses=MembershipSerializer,
    )
    def post(self, request: Request, slug: str, username: str) -> Response:
        """404 `member_not_found`; 409 `member_blocked`: a reviewer must release them first."""
        wanted = MemberStageSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        membership = projects.set_stage(
            self.project,
            username=username,
            stage=wanted.validated_data["stage"],
            by=self.caller.user,
            now=timezone.now(),
        )
        return Response(MembershipSerializer(membership).data)
