"""GET /projects/{slug}/accuracy"""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling import selectors as labeling_selectors
from labeling.access import Capability
from labeling.edges import ProjectView
from training import selectors
from training.api.serializers import AccuracySerializer
from training.errors import ModelVersionNotFound
from training.services import accuracy


class AccuracyDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(
        operation_id="accuracy_read",
        summary="Estimate the accuracy of a model",
        parameters=[OpenApiParameter("model_version", str, description="Its name; the champion without one.")],
        responses=AccuracySerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Estimates that stay right although labels were actively chosen, each with its interval and whether to trust it.

        `headline` is the one to quote: the audit labels, sharpened by the model's own confidence where that makes the interval
        narrower; null while nothing can be believed. 404 `model_version_not_found`, also while there is no champion.
        """
        name = request.query_params.get("model_version")
        version = selectors.model_version(self.project, name) if name else labeling_selectors.champion(self.project)
        if version is None:
            raise ModelVersionNotFound("There is no champion yet.")
        return Response(AccuracySerializer(accuracy.estimates(version)).data)
