"""GET /projects/{slug}/control-arm"""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import ProjectView
from sampling.api.serializers import ControlArmSerializer
from sampling.services import control_arm, policies


class ControlArmDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="control_arm_read", summary="Read the control arm", responses=ControlArmSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Whether chosen labels teach more than random ones, the expected gain of the next labels, and an advice."""
        state = control_arm.state(self.project, policies.current_policy(self.project))
        return Response(ControlArmSerializer(state).data)
