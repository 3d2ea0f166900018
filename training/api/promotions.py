"""GET /projects/{slug}/promotions, POST /projects/{slug}/model-versions/{name}/promote."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from training import selectors
from training.api.serializers import NewPromotionSerializer, PromotionSerializer
from training.services import promotion


class PromotionList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = NewestFirstPagination

    @extend_schema(operation_id="promotions_list", summary="List promotions", responses=PromotionSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Every decision about the champion with the gate's findings, refusals included, the newest first."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(selectors.promotions(self.project), request, view=self)
        return paginator.get_paginated_response(PromotionSerializer(page, many=True).data)


class ModelVersionPromotion(ProjectView):
    capabilities = {"POST": Capability.MANAGE}

    @extend_schema(
        operation_id="model_versions_promote",
        summary="Promote a model version",
        request=NewPromotionSerializer,
        responses={201: PromotionSerializer},
    )
    def post(self, request: Request, slug: str, name: str) -> Response:
        """Make the version champion if it is not worse on the audit labels; the queue is then drawn by its predictions.

        It must have predicted every item that is or can be queued: 409 `predictions_missing` says how many it lacks.
        409 `not_promotable` when the gate refuses; `force` overrules the gate. 409 `already_champion`.
        """
        wanted = NewPromotionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        made = promotion.promote(
            selectors.model_version(self.project, name),
            by=self.caller.user,
            now=timezone.now(),
            force=wanted.validated_data["force"],
        )
        return Response(PromotionSerializer(made).data, status=status.HTTP_201_CREATED)
