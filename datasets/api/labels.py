"""GET /projects/{slug}/labels, and what changed of them."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import selectors
from datasets.api.serializers import AcceptedLabelSerializer, ChangesWanted, LabelFilters
from datasets.services import export
from labeling.access import Capability
from labeling.edges import IdCursorPagination, ProjectView


class LabelList(ProjectView):
    capabilities = {"GET": Capability.READ}
    pagination_class = IdCursorPagination

    @extend_schema(
        operation_id="labels_list",
        summary="List accepted labels",
        parameters=[LabelFilters],
        responses=AcceptedLabelSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The current label of every item that has one, in the order of acceptance."""
        filters = LabelFilters(data=request.query_params.dict())
        filters.is_valid(raise_exception=True)
        wanted = filters.validated_data
        labels = selectors.with_evidence_ids(selectors.current_labels(self.project)).select_related(
            "item", "label_schema"
        )
        labels = labels.defer("item__payload", "item__segments", "label_schema__definition")
        if (since_id := wanted.get("since_id")) is not None:
            labels = labels.filter(pk__gt=since_id)
        if (label := wanted.get("label")) is not None:
            labels = labels.filter(label=label)
        if (is_audit := wanted.get("is_audit")) is not None:
            labels = labels.filter(is_audit=is_audit)
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(labels, request, view=self)
        return paginator.get_paginated_response(AcceptedLabelSerializer(page, many=True).data)


class LabelExport(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(
        operation_id="labels_export",
        summary="Export what changed",
        parameters=[ChangesWanted],
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """NDJSON, streamed: every label that was accepted or withdrawn after the change `since`, in the order of the changes.

        Apply the lines in their order: `accepted` sets the label of an item, `withdrawn` takes away the label of that id. The
        last line, `{"event": "end", "next": N}`, gives the `since` of the next call; a file without it is cut off.
        """
        wanted = ChangesWanted(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        lines = export.label_changes(
            self.project, since=wanted.validated_data["since"], with_payloads=wanted.validated_data["payload"]
        )
        return StreamingHttpResponse(lines, content_type="application/x-ndjson", headers={"Cache-Control": "no-store"})
