"""GET, POST /projects/{slug}/ask-policies, and a preview on the log."""

import datetime as dt

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from sampling import selectors
from sampling.api.ask_serializers import AskPolicyChangesSerializer, AskPolicySerializer, AskReplaySerializer
from sampling.services import ask_policies, ask_replay

_MOST_HOURS = 24 * 30


class _Hours(serializers.Serializer[None]):
    hours = serializers.IntegerField(required=False, default=24, min_value=1, max_value=_MOST_HOURS)


class AskPolicyList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="ask_policies_list", summary="List ask policies", responses=AskPolicySerializer(many=True)
    )
    def get(self, request: Request, slug: str) -> Response:
        """All versions, the one in force first."""
        ask_policies.current_policy(self.project)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(selectors.ask_policy_versions(self.project), request, view=self)
        return paginator.get_paginated_response(AskPolicySerializer(page, many=True).data)

    @extend_schema(
        operation_id="ask_policies_create",
        summary="Change the ask policy",
        request=AskPolicyChangesSerializer,
        responses={201: AskPolicySerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a new version in force, within two seconds: the current one with these changes. Nothing new if nothing differs."""
        changes = AskPolicyChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        policy = ask_policies.new_version(self.project, by=self.caller.user, **changes.validated_data)
        return Response(AskPolicySerializer(policy).data, status=status.HTTP_201_CREATED)


class AskPolicyPreview(ProjectView):
    capabilities = {"POST": Capability.MANAGE}

    @extend_schema(
        operation_id="ask_policies_preview",
        summary="Preview an ask policy",
        parameters=[OpenApiParameter("hours", int, default=24, description="How far back the log is replayed.")],
        request=AskPolicyChangesSerializer,
        responses=AskReplaySerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """What the current policy with these changes would have done on the opportunities of the last hours: expected asks,
        answers and dismissals with intervals, and which segments they would have covered. Changes nothing."""
        changes = AskPolicyChangesSerializer(data=request.data)
        changes.is_valid(raise_exception=True)
        wanted = _Hours(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        now = timezone.now()
        replayed = ask_replay.replay(
            self.project,
            ask_policies.draft(self.project, **changes.validated_data),
            since=now - dt.timedelta(hours=wanted.validated_data["hours"]),
            until=now,
        )
        return Response(AskReplaySerializer(replayed).data)
