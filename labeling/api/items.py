"""POST /projects/{slug}/items. Reading items also shows accepted labels, so that is in datasets.api.items."""

from django.http import HttpResponse
from rest_framework.request import Request

from labeling.api.documentation import documents_intake
from labeling.api.intake import IntakeView
from labeling.api.serializers import ItemRowSerializer
from labeling.services.recording import ItemRecorder


class ItemIntake(IntakeView):
    endpoint = "items"
    recorder = ItemRecorder

    @documents_intake("items_send", "Send items", ItemRowSerializer)
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Store items, each with or without a prediction, as one JSON object, a JSON array or streamed NDJSON.

        Every row succeeds or fails on its own: 200 when all are good, 207 when some or all failed, with code and message
        for each that did. Other statuses mean that the request as a whole could not be used; of a stream that breaks
        off or grows too large, the rows stored until then stay.
        """
        return self.take_rows(request)
