"""Import jobs: a file that was sent is kept in the storage and read from there, chunk by chunk.

A chunk's rows, its row errors and the job's new position are one transaction. A job that was interrupted, by kill -9
say, goes on with the first chunk that was not committed. One process at a time works on a job.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import IO, Final

import msgspec
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from labeling.errors import Conflict, InvalidInput, NotFound, TooLarge
from labeling.file_formats import options as import_options
from labeling.file_formats import registry
from labeling.file_formats.options import Options
from labeling.file_formats.rows import FileError, Limits
from labeling.form_faults import fault_of
from labeling.locks import LockKind, held
from labeling.models import ImportJob, ImportRowError, Project
from labeling.services.import_chunks import Cancelled, ChunkImporter

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 5
"""So often a job is begun without a single chunk done, before it is given up."""
_STATES = ImportJob.State
_LONGEST_NAME: Final = 255
_LONGEST_MESSAGE: Final = 1_000


def limits() -> Limits:
    return Limits(row_bytes=settings.INTAKE_MAX_ROW_BYTES, unpacked_bytes=settings.IMPORT_MAX_UNPACKED_BYTES)


def create(
    project: Project,
    *,
    name: str,
    content: IO[bytes],
    size: int,
    by: User | None,
    now: dt.datetime,
    file_format: str = "",
    options: object = None,
) -> ImportJob:
    """Keep the file and make a pending job of it; without `file_format` the file tells.

    The file is in the storage before its row is. Raises TooLarge `file_too_large`, InvalidInput `invalid_options`,
    `unknown_format`, `empty_file` and other codes of a file that cannot be read at all.
    """
    parsed = parse_options(options)
    if size > settings.IMPORT_MAX_BYTES:
        raise TooLarge(f"A file may have at most {settings.IMPORT_MAX_BYTES} bytes.", code="file_too_large")
    known_format = check_file(name, content, file_format=file_format, options=parsed)
    content.seek(0)
    path = default_storage.save(f"imports/{project.pk}/{uuid.uuid4().hex}", File(content))
    return ImportJob.objects.create(
        project=project,
        format=known_format,
        file_name=(name.replace("\x00", "") or "file")[-_LONGEST_NAME:],
        stored_as=path,
        options=import_options.to_json(parsed),
        total_bytes=size,
        created_at=now,
        created_by=by,
    )


def options_object(text: str) -> dict[str, object]:
    """Options as a person or a form writes them. Raises InvalidInput `invalid_options` for what is no JSON object."""
    try:
        return msgspec.json.decode(text, type=dict[str, object]) if text.strip() else {}
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"{fault_of(error, dict[str, object]).about('The options')}.",
            code="invalid_options",
            fields={"options": "must be an object"},
        ) from None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(
            f"The options are no JSON object: {error}.", code="invalid_options", fields={"options": "no JSON object"}
        ) from None


def parse_options(value: object) -> Options:
    """Raises InvalidInput `invalid_options`."""
    try:
        return import_options.parse(value or {})
    except ValueError as error:
        raise InvalidInput(
            f"The options are not valid: {error}.", code="invalid_options", fields={"options": str(error)}
        ) from None


def check_file(name: str, content: IO[bytes], *, file_format: str, options: Options) -> str:
    """The file's format, after a look at its beginning. Raises InvalidInput with the code of what is wrong with it."""
    if file_format and file_format not in registry.FORMATS:
        raise InvalidInput(
            f"There is no format “{file_format[:50]}”; there are {', '.join(registry.FORMATS)}.",
            code="unknown_format",
            fields={"format": "unknown"},
        )
    content.seek(0)
    head = content.read(registry.SAMPLE_BYTES)
    try:
        known_format = file_format or registry.detect(name, head)
        if not head.strip():
            raise FileError("empty_file", "The file is empty.")
        registry.open_reader(known_format, content, limits(), options)
    except FileError as error:
        raise InvalidInput(error.message, code=error.code, fields={"file": error.message}) from None
    return known_format


def execute(
    job_id: int,
    *,
    now: Callable[[], dt.datetime] = timezone.now,
    should_stop: Callable[[], bool] = lambda: False,
    on_chunk: Callable[[ImportJob], None] = lambda job: None,
) -> ImportJob | None:
    """Read the job's file from where it stands, until its end or until `should_stop` says so after a chunk.

    Returns the job, unfinished if it was stopped; None if another process is at work on it or it is finished. What is
    wrong with the file fails the job and keeps what was read; errors of the engines are raised and leave it unfinished.
    """
    with held(LockKind.IMPORT_JOB, job_id) as is_mine:
        job = _begin(job_id, now()) if is_mine else None
        if job is None:
            return None
        try:
            with _opened(job) as file:
                importer = ChunkImporter(job, file, limits=limits(), now=now)
                while importer.import_next():
                    on_chunk(job)
                    if should_stop():
                        return job
        except FileError as error:
            return _finish(job, _STATES.FAILED, now(), error.message)
        except Cancelled:
            job.refresh_from_db()
            return job
        return _finish(job, _STATES.SUCCEEDED, now())


def _begin(job_id: int, now: dt.datetime) -> ImportJob | None:
    """Count the attempt, so that a file that kills every worker is not read for ever."""
    with transaction.atomic():
        job = (
            ImportJob.objects.select_related("project")
            .select_for_update(of=("self",))
            .filter(pk=job_id, state__in=[_STATES.PENDING, _STATES.RUNNING])
            .first()
        )
        if job is None:
            return None
        job.attempts += 1
        job.state = _STATES.RUNNING
        job.started_at = job.started_at or now
        job.save(update_fields=["attempts", "state", "started_at"])
    if job.attempts > MOST_ATTEMPTS:
        _finish(job, _STATES.FAILED, now, f"Given up at row {job.position}: {MOST_ATTEMPTS} attempts ended half-way.")
        return None
    return job


def _opened(job: ImportJob) -> IO[bytes]:
    try:
        file: IO[bytes] = default_storage.open(job.stored_as, "rb")
    except FileNotFoundError:
        raise FileError("file_missing", "The file is not in the storage any more. Send it again.") from None
    return file


def _finish(job: ImportJob, state: str, now: dt.datetime, message: str = "") -> ImportJob:
    unfinished = ImportJob.objects.filter(pk=job.pk, state__in=[_STATES.PENDING, _STATES.RUNNING])
    unfinished.update(state=state, finished_at=now, message=message[:_LONGEST_MESSAGE])
    job.refresh_from_db()
    logger.info(
        "import %s is %s: %s new, %s changed, %s passed over, %s failed; %s",
        *(job.pk, job.state, job.created_count, job.updated_count, job.skipped_count, job.failed_count),
        job.message or "no remarks",
    )
    return job


def fail(job_id: int, *, message: str, now: dt.datetime) -> None:
    """Give the job up, because of an error that trying again would not mend."""
    _finish(ImportJob.objects.get(pk=job_id), _STATES.FAILED, now, message)


def find(project: Project, job_id: int) -> ImportJob:
    """Raises NotFound `import_not_found`."""
    job = ImportJob.objects.filter(project=project, pk=job_id).select_related("created_by").first()
    if job is None:
        raise NotFound("There is no such import in this project.", code="import_not_found")
    return job


def cancel(project: Project, job_id: int, *, now: dt.datetime) -> ImportJob:
    """Stop the job before its next chunk; what was read stays. Raises NotFound, Conflict `import_finished`."""
    job = find(project, job_id)
    unfinished = ImportJob.objects.filter(pk=job.pk, state__in=[_STATES.PENDING, _STATES.RUNNING])
    if not unfinished.update(state=_STATES.CANCELLED, finished_at=now):
        raise Conflict("The import is over already.", code="import_finished")
    return find(project, job_id)


@transaction.atomic
def retry(project: Project, job_id: int) -> ImportJob:
    """Let a job that failed or was cancelled go on where it stopped; one with failed rows begins anew.

    Items that are there already are treated as the job's on_conflict says. Raises NotFound, Conflict
    `import_not_retryable`.
    """
    find(project, job_id)
    job = ImportJob.objects.select_for_update().get(pk=job_id)
    has_failed_rows = job.state == _STATES.SUCCEEDED and job.failed_count > 0
    if job.state not in (_STATES.FAILED, _STATES.CANCELLED) and not has_failed_rows:
        raise Conflict(
            "Only an import that stopped, or that has failed rows, can be repeated.", code="import_not_retryable"
        )
    if has_failed_rows:
        ImportRowError.objects.filter(job=job).delete()
        job.position = job.done_bytes = job.annotation_count = 0
        job.created_count = job.updated_count = job.skipped_count = job.failed_count = 0
    job.state, job.message, job.attempts, job.finished_at, job.started_at = _STATES.PENDING, "", 0, None, None
    job.save()
    return job


def unfinished_ids() -> list[int]:
    """Jobs that wait for a worker or lost theirs; also those being worked on, which `execute` passes over."""
    states = [_STATES.PENDING, _STATES.RUNNING]
    return list(ImportJob.objects.filter(state__in=states).order_by("pk").values_list("pk", flat=True))


def forget_files(*, now: dt.datetime) -> int:
    """Delete the files of jobs that ended long ago; the jobs and their figures stay. Return how many."""
    oldest = now - dt.timedelta(days=settings.IMPORT_KEEP_DAYS)
    forgotten = 0
    for job in ImportJob.objects.filter(finished_at__lt=oldest).exclude(stored_as=""):
        default_storage.delete(job.stored_as)
        ImportJob.objects.filter(pk=job.pk).update(stored_as="")
        forgotten += 1
    return forgotten


def error_counts(job: ImportJob) -> Mapping[str, int]:
    """How many of the listed row errors there are of each code."""
    counts: dict[str, int] = {}
    for code in ImportRowError.objects.filter(job=job).values_list("code", flat=True):
        counts[code] = counts.get(code, 0) + 1
    return counts
