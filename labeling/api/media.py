"""Images of a project: sending them, and looking at them with the rights of a member or of a secret key."""

from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView, require
from labeling.errors import InvalidInput
from labeling.models import MediaFile
from labeling.services import media


class MediaFileSerializer(serializers.ModelSerializer[MediaFile]):
    url = serializers.CharField(help_text="What to write into a payload: {'image': url}.")

    class Meta:
        model = MediaFile
        fields = ["url", "file_name", "content_type", "size", "width", "height", "sha256", "created_at"]
        read_only_fields = fields


class NewMediaSerializer(serializers.Serializer[None]):
    file = serializers.FileField(help_text="JPEG, PNG, GIF or WebP.")


class MediaList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.WRITE_DATA}
    pagination_class = NewestFirstPagination
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="media_list", summary="List images", responses=MediaFileSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        paginator = self.pagination_class()
        files = MediaFile.objects.filter(project=self.project).select_related("project")
        page = paginator.paginate_queryset(files, request, view=self)
        return paginator.get_paginated_response(MediaFileSerializer(page, many=True).data)

    @extend_schema(
        operation_id="media_upload",
        summary="Upload an image",
        request={"multipart/form-data": NewMediaSerializer},
        responses={201: MediaFileSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """The same bytes sent again give the same address. 400 `not_an_image`, 413 `media_too_large`."""
        file = request.FILES.get("file")
        if file is None:
            raise InvalidInput("Send the image as the field “file” of a form.", fields={"file": "missing"})
        stored = media.store(
            self.project, name=file.name or "image", content=file, by=self.caller.user, now=timezone.now()
        )
        return Response(MediaFileSerializer(stored).data, status=status.HTTP_201_CREATED)


class MediaContent(ProjectView):
    @extend_schema(
        operation_id="media_read", summary="Read an image", responses={(200, "image/*"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, slug: str, sha256: str) -> FileResponse:
        """For members and secret keys of the project only. The bytes under an address never change."""
        if not self.caller.may(Capability.ANNOTATE):
            require(self.caller, Capability.READ)
        found = media.find(self.project, sha256)
        response = FileResponse(media.opened(found), content_type=found.content_type)
        response["Content-Length"] = str(found.size)
        # `private`: no shared cache may hand it to somebody who is not logged in.
        response["Cache-Control"] = "private, max-age=31536000, immutable"
        response["X-Content-Type-Options"] = "nosniff"
        return response
