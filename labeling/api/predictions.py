"""POST /projects/{slug}/predictions"""

from django.http import HttpResponse
from rest_framework.request import Request

from labeling.api.documentation import documents_intake
from labeling.api.intake import IntakeView
from labeling.api.serializers import PredictionRowSerializer
from labeling.services.recording import PredictionRecorder


class PredictionIntake(IntakeView):
    endpoint = "predictions"
    recorder = PredictionRecorder

    @documents_intake("predictions_send", "Send predictions", PredictionRowSerializer)
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Store what model versions say of items that exist; the champion's reach the pool at once.

        Rows, answers and limits are as for items.
        """
        return self.take_rows(request)
