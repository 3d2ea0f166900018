"""GET, POST /projects/{slug}/snapshots, one snapshot, and its export."""

from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import selectors
from datasets.api.serializers import NewSnapshotSerializer, SnapshotSerializer
from datasets.formats import registry
from datasets.models import Snapshot
from datasets.services import export, snapshot
from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView


class SnapshotList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.MANAGE}
    pagination_class = NewestFirstPagination

    @extend_schema(operation_id="snapshots_list", summary="List snapshots", responses=SnapshotSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Dataset versions, the newest first."""
        snapshots = Snapshot.objects.filter(project=self.project).select_related("label_schema", "created_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(snapshots, request, view=self)
        return paginator.get_paginated_response(SnapshotSerializer(page, many=True).data)

    @extend_schema(
        operation_id="snapshots_create",
        summary="Take a snapshot",
        request=NewSnapshotSerializer,
        responses={201: SnapshotSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Freeze the labels accepted by now into an immutable dataset version. 409 `nothing_to_snapshot` without any."""
        wanted = NewSnapshotSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        taken = snapshot.take(self.project, by=self.caller.user, now=timezone.now(), note=wanted.validated_data["note"])
        return Response(SnapshotSerializer(taken).data, status=status.HTTP_201_CREATED)


class SnapshotDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="snapshots_read", summary="Read a snapshot", responses=SnapshotSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """One dataset version: its content hash and its rows counted by split and by class."""
        return Response(SnapshotSerializer(selectors.snapshot(self.project, number)).data)


class SnapshotExport(ProjectView):
    capabilities = {"GET": Capability.READ}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        # The format is asked for by parameter, so no Accept header is refused; errors stay JSON.
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(
        operation_id="snapshots_export",
        summary="Export a snapshot",
        parameters=[
            OpenApiParameter("export_format", enum=list(registry.FORMATS), default=registry.DEFAULT),
            OpenApiParameter("If-None-Match", location=OpenApiParameter.HEADER),
        ],
        responses={
            **{
                (200, export_format.content_type.partition(";")[0]): OpenApiTypes.STR
                for export_format in registry.FORMATS.values()
            },
            304: OpenApiResponse(description="The file you have is the same."),
        },
    )
    def get(self, request: Request, slug: str, number: int) -> HttpResponseBase:
        """The rows as a file, streamed, ordered by item key.

        SHA-256 over the JSONL file is the snapshot's `content_hash`, which is also the ETag.
        """
        found = selectors.snapshot(self.project, number)
        file = export.prepare(found, format_name=request.query_params.get("export_format", registry.DEFAULT))
        etag = f'"{found.content_hash}"'
        if (unchanged := get_conditional_response(request._request, etag=etag)) is not None:
            return unchanged
        headers = {"ETag": etag, "Content-Disposition": f'attachment; filename="{file.file_name}"'}
        return StreamingHttpResponse(file.content, content_type=file.content_type, headers=headers)
