"""Imports of files: sending one, watching it, its failed rows as CSV, cancelling and repeating it."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.access import Capability
from labeling.edges import NewestFirstPagination, ProjectView
from labeling.errors import InvalidInput, TooLarge
from labeling.models import ImportJob
from labeling.services import import_reports, imports
from labeling.services.import_reports import Progress
from labeling.tasks import RUN_IMPORT
from labeling.wakeup import wake

_FORM_BYTES = 1024 * 1024
"""What a form may have besides the file."""


class ImportJobSerializer(serializers.Serializer[Progress]):
    id = serializers.IntegerField(source="job.pk")
    format = serializers.ChoiceField(source="job.format", choices=ImportJob.Format.choices)
    state = serializers.ChoiceField(source="job.state", choices=ImportJob.State.choices)
    file_name = serializers.CharField(source="job.file_name")
    options = serializers.DictField(source="job.options")
    progress = serializers.FloatField(source="fraction", help_text="Part of the file that is done, from 0 to 1.")
    rows = serializers.IntegerField(source="job.position", help_text="Rows of the file that are done.")
    rows_per_second = serializers.FloatField(allow_null=True)
    created = serializers.IntegerField(source="job.created_count")
    updated = serializers.IntegerField(source="job.updated_count")
    skipped = serializers.IntegerField(source="job.skipped_count")
    failed = serializers.IntegerField(source="job.failed_count")
    annotations = serializers.IntegerField(
        source="job.annotation_count", help_text="Annotations and skips taken over with the rows."
    )
    message = serializers.CharField(source="job.message", help_text="Why the import failed.")
    worker_alive = serializers.BooleanField(help_text="false: the import waits until a worker is started.")
    notice = serializers.CharField(help_text="What to do while no worker is alive.")
    created_at = serializers.DateTimeField(source="job.created_at")
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)
    created_by = serializers.CharField(source="job.created_by.username", default=None, allow_null=True)


class NewImportSerializer(serializers.Serializer[None]):
    file = serializers.FileField(help_text="JSONL, CSV, Parquet, Label Studio JSON or a Hugging Face folder as zip.")
    format = serializers.ChoiceField(
        choices=ImportJob.Format.choices, required=False, help_text="Left out, the file tells."
    )
    options = serializers.JSONField(required=False, help_text="A JSON object; see docs/imports.md.")


class ImportList(ProjectView):
    capabilities = {"GET": Capability.READ, "POST": Capability.WRITE_DATA}
    pagination_class = NewestFirstPagination
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="imports_list", summary="List imports", responses=ImportJobSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """The newest first, each with how far it is."""
        jobs = ImportJob.objects.filter(project=self.project).select_related("created_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(jobs, request, view=self) or []
        told = import_reports.progress_of(list(page), now=timezone.now())
        return paginator.get_paginated_response([ImportJobSerializer(each).data for each in told])

    @extend_schema(
        operation_id="imports_create",
        summary="Import a file",
        request={"multipart/form-data": NewImportSerializer},
        responses={201: ImportJobSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """The file is kept and read by a worker; look at the import to see how far it is. Each bad row is told, good
        rows are kept. 400 `unknown_format`, `invalid_options`, `empty_file`, ..., 413 `file_too_large`."""
        if _length(request) > settings.IMPORT_MAX_BYTES + _FORM_BYTES:
            raise TooLarge(f"A file may have at most {settings.IMPORT_MAX_BYTES} bytes.", code="file_too_large")
        file = request.FILES.get("file")
        if file is None:
            raise InvalidInput("Send the file as the field “file” of a form.", fields={"file": "missing"})
        job = imports.create(
            self.project,
            name=file.name or "file",
            content=file,
            size=file.size or 0,
            by=self.caller.user,
            now=timezone.now(),
            file_format=request.POST.get("format", ""),
            options=imports.options_object(request.POST.get("options", "")),
        )
        wake(RUN_IMPORT, job.pk)
        return _answer(job, status.HTTP_201_CREATED)


class ImportDetail(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(operation_id="imports_read", summary="Read an import", responses=ImportJobSerializer)
    def get(self, request: Request, slug: str, job_id: int) -> Response:
        """How far it is, what became of the rows, and whether a worker is there to go on."""
        return _answer(imports.find(self.project, job_id))


class ImportErrors(ProjectView):
    capabilities = {"GET": Capability.READ}

    @extend_schema(
        operation_id="imports_errors",
        summary="Download failed rows",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, slug: str, job_id: int) -> StreamingHttpResponse:
        """CSV with row (its place in the file, from 0), key, code and message. The first 10,000 are listed, all are
        counted."""
        return errors_file(imports.find(self.project, job_id))


class CancelImport(ProjectView):
    capabilities = {"POST": Capability.WRITE_DATA}

    @extend_schema(
        operation_id="imports_cancel", summary="Cancel an import", request=None, responses=ImportJobSerializer
    )
    def post(self, request: Request, slug: str, job_id: int) -> Response:
        """What was read by now stays. 409 `import_finished`."""
        return _answer(imports.cancel(self.project, job_id, now=timezone.now()))


class RetryImport(ProjectView):
    capabilities = {"POST": Capability.WRITE_DATA}

    @extend_schema(
        operation_id="imports_retry", summary="Repeat an import", request=None, responses=ImportJobSerializer
    )
    def post(self, request: Request, slug: str, job_id: int) -> Response:
        """Go on where a failed or cancelled import stopped; one with failed rows begins anew. 409
        `import_not_retryable`."""
        job = imports.retry(self.project, job_id)
        wake(RUN_IMPORT, job.pk)
        return _answer(imports.find(self.project, job_id))


def errors_file(job: ImportJob) -> StreamingHttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="import-{job.pk}-errors.csv"'}
    return StreamingHttpResponse(_error_lines(job), content_type="text/csv; charset=utf-8", headers=headers)


def _error_lines(job: ImportJob) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(["row", "key", "code", "message"])
    for error in import_reports.errors(job):
        writer.writerow([error.row, error.key, error.code, error.message])
        if buffer.tell() > 64 * 1024:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return written


def _answer(job: ImportJob, code: int = status.HTTP_200_OK) -> Response:
    (told,) = import_reports.progress_of([job], now=timezone.now())
    data: dict[str, Any] = dict(ImportJobSerializer(told).data)
    return Response(data, status=code)


def _length(request: Request) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if str(text).isdigit() else 0
