"""GET /projects/{slug}/sources, the trail of one, and what reviewers decide about it."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import source_figures
from datasets.api.source_serializers import (
    NewSourceDecisionSerializer,
    SourceDecisionSerializer,
    SourceFilters,
    SourceSerializer,
)
from datasets.errors import StandingNotFound
from datasets.models import SourceDecision
from datasets.services import standings
from datasets.services.standings import Action
from labeling.access import Capability
from labeling.edges import IdCursorPagination, NewestFirstPagination, ProjectView
from labeling.errors import NotAllowed


class SourceList(ProjectView):
    capabilities = {"GET": Capability.REVIEW}
    pagination_class = IdCursorPagination

    @extend_schema(
        operation_id="sources_list",
        summary="List sources and how far they are trusted",
        parameters=[SourceFilters],
        responses=SourceSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Annotators and respondents that have said enough to be judged."""
        filters = SourceFilters(data=request.query_params.dict())
        filters.is_valid(raise_exception=True)
        found = source_figures.standings(self.project).filter(**filters.validated_data)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(found, request, view=self)
        return paginator.get_paginated_response(SourceSerializer(page, many=True).data)


class SourceDecisions(ProjectView):
    capabilities = {"GET": Capability.REVIEW, "POST": Capability.REVIEW}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="source_decisions_list",
        summary="List what was decided about a source",
        responses=SourceDecisionSerializer(many=True),
    )
    def get(self, request: Request, slug: str, source_id: int) -> Response:
        """Every change of its step or weight, by the examination or a person, the newest first."""
        if not source_figures.standings(self.project).filter(pk=source_id).exists():
            raise StandingNotFound("There is no such source in this project.")
        found = SourceDecision.objects.filter(standing=source_id).select_related("decided_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(found, request, view=self)
        return paginator.get_paginated_response(SourceDecisionSerializer(page, many=True).data)

    @extend_schema(
        operation_id="source_decisions_create",
        summary="Decide about a source",
        request=NewSourceDecisionSerializer,
        responses={201: SourceSerializer},
    )
    def post(self, request: Request, slug: str, source_id: int) -> Response:
        """An examination does not overrule it until the source has said more and the findings are stronger.

        409 `standing_changed` when somebody decided meanwhile: who, when and what is in `fields`. 403 `own_standing` about
        oneself, `blocks_a_manager`; 400 `comment_required`, `invalid_weight`.
        """
        form = NewSourceDecisionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        if self.caller.user is None:
            raise NotAllowed("People decide about sources, not API keys.", code="permission_denied")
        decided = standings.decide(
            self.project, source_id, action=Action(given["action"]), by=self.caller.user, now=timezone.now(),
            last_decision_id=given["last_decision_id"], comment=given["comment"], weight=given["weight"],
        )  # fmt: skip
        found = source_figures.standings(self.project).get(pk=decided.pk)
        return Response(SourceSerializer(found).data, status=status.HTTP_201_CREATED)
