"""GET /projects/{slug}/surrogate"""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import ProjectView
from sampling.api.serializers import SurrogateStatusSerializer
from sampling.services import surrogates


class SurrogateDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="surrogate_read", summary="Read the surrogate", responses=SurrogateStatusSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """The committee that scores the pool where no champion does: what it learned from, how good and how old it is."""
        return Response(SurrogateStatusSerializer(surrogates.status(self.project)).data)
