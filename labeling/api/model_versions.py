"""Model versions of a project. Making one the champion is training's."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import selectors
from labeling.access import Capability
from labeling.api.serializers import ModelVersionSerializer, NewModelVersionSerializer
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.models import ModelVersion
from labeling.services import intake


class ModelVersionList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.WRITE_DATA}
    pagination_class = NewestFirstPagination

    @extend_schema(
        operation_id="model_versions_list",
        summary="List model versions",
        responses=ModelVersionSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The newest first; at most one is the champion."""
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(ModelVersion.objects.filter(project=self.project), request, view=self)
        return paginator.get_paginated_response(ModelVersionSerializer(page, many=True).data)

    @extend_schema(
        operation_id="model_versions_register",
        summary="Register a model version",
        request=NewModelVersionSerializer,
        responses={201: ModelVersionSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Predictions name it. The first one is taken for the model you have deployed and becomes the champion."""
        wanted = NewModelVersionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        version = intake.register_model_version(
            self.project,
            name=data["name"],
            classes=data.get("classes", selectors.parsed_schema(self.project).class_keys),
            description=data["description"],
        )
        return Response(ModelVersionSerializer(version).data, status=status.HTTP_201_CREATED)
