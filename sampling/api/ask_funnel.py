"""GET /projects/{slug}/asks/funnel"""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import ProjectView
from labeling.errors import InvalidInput
from labeling.models import Question
from sampling import ask_reports
from sampling.api.funnel_serializers import FunnelReportSerializer, PeriodSerializer


class AskFunnel(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(
        operation_id="ask_funnel_read",
        summary="Read the ask funnel",
        parameters=[PeriodSerializer],
        responses=FunnelReportSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """From opportunities to accepted answers, in all and by segment, model version and arm; and what asking does.
        400 `unknown_question` for a question that the project does not have."""
        asked = PeriodSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        question = asked.validated_data["question"]
        if question and not Question.objects.filter(project=self.project, key=question).exists():
            raise InvalidInput(
                f"There is no question “{question}”.", code="unknown_question", fields={"question": "unknown"}
            )
        period = ask_reports.period(now=timezone.now(), **asked.validated_data)
        return Response(FunnelReportSerializer(ask_reports.report(self.project, period)).data)
