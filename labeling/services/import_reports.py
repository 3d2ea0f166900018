"""What is told about imports: how far one has come, and what a file would become before it is imported."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec

from labeling import selectors
from labeling.file_formats import registry
from labeling.file_formats.options import Options
from labeling.file_formats.rows import FileError, MappedRow
from labeling.models import ImportJob, ImportRowError, Project
from labeling.services import health, imports
from labeling.wire import RowError

NO_WORKER: Final = (
    "No worker is alive, so the import waits. Start one (`make run` does; see docs/operations.md), or import from the "
    "shell: `manage.py import`."
)
_PREVIEW_ROWS: Final = 5
_LONGEST_CELL: Final = 300


@dataclass(frozen=True)
class Progress:
    """`fraction` of the file that is done, by bytes; `rows_per_second` of the last start, None before it."""

    job: ImportJob
    fraction: float
    rows_per_second: float | None
    worker_alive: bool
    notice: str

    @property
    def is_finished(self) -> bool:
        return self.job.finished_at is not None

    @property
    def has_errors(self) -> bool:
        return self.job.failed_count > 0

    @property
    def may_be_repeated(self) -> bool:
        states = ImportJob.State
        return self.job.state in (states.FAILED, states.CANCELLED) or (
            self.job.state == states.SUCCEEDED and self.has_errors
        )


def progress_of(jobs: list[ImportJob], *, now: dt.datetime) -> list[Progress]:
    """With one look at the worker for all of them."""
    is_alive = any(job.finished_at is None for job in jobs) and health.check(now=now).worker.is_up
    return [_progress(job, is_alive, now) for job in jobs]


def _progress(job: ImportJob, is_alive: bool, now: dt.datetime) -> Progress:
    is_over = job.finished_at is not None
    seconds = ((job.finished_at or now) - job.started_at).total_seconds() if job.started_at else 0.0
    fraction = 1.0 if job.state == ImportJob.State.SUCCEEDED else job.done_bytes / max(job.total_bytes, 1)
    return Progress(
        job=job,
        fraction=min(fraction, 1.0),
        rows_per_second=round(job.position / seconds, 1) if seconds > 0 else None,
        worker_alive=is_over or is_alive,
        notice="" if is_over or is_alive else NO_WORKER,
    )


def errors(job: ImportJob) -> Iterator[ImportRowError]:
    """The failed rows that are listed, in the order of the file; read in pieces."""
    return ImportRowError.objects.filter(job=job).order_by("row", "pk").iterator(chunk_size=1_000)


# -- preview -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PreviewRow:
    number: int
    key: str = ""
    payload: list[tuple[str, str]] = field(default_factory=list)
    segments: list[tuple[str, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    prediction: str = ""
    error: str = ""


@dataclass(frozen=True)
class Preview:
    format_name: str
    rows: list[PreviewRow]


def preview(
    project: Project, *, name: str, content: IO[bytes], is_cut: bool, file_format: str = "", options: Options
) -> Preview:
    """What the first rows would become; nothing is stored. `is_cut` says that `content` is only the file's beginning.

    Raises InvalidInput as `imports.create` does.
    """
    known_format = imports.check_file(name, content, file_format=file_format, options=options)
    reader = registry.open_reader(known_format, content, imports.limits(), options)
    mapper = registry.mapper_for(known_format, reader, selectors.parsed_schema(project), options)
    rows: list[PreviewRow] = []
    try:
        for row in reader.rows():
            try:
                rows.append(_previewed(mapper.map(row)))
            except RowError as error:
                rows.append(PreviewRow(row.number, key=error.key or "", error=error.message))
            if len(rows) > _PREVIEW_ROWS:
                break
    except FileError as error:
        if not is_cut:
            rows.append(PreviewRow(len(rows), error=error.message))
    if is_cut and len(rows) <= _PREVIEW_ROWS and len(rows) > 1:
        rows.pop()  # the last row is probably cut, too
    return Preview(ImportJob.Format(known_format).label, rows[:_PREVIEW_ROWS])


def _previewed(row: MappedRow) -> PreviewRow:
    item = msgspec.json.decode(row.item) if isinstance(row.item, bytes) else row.item or {}
    payload, segments = item.get("payload"), item.get("segments")
    prediction = item.get("prediction") or (row.predictions[0] if row.predictions else None)
    return PreviewRow(
        row.number,
        key=row.key if row.has_own_key else "from its content",
        payload=[(str(name), _cell(value)) for name, value in payload.items()] if isinstance(payload, dict) else [],
        segments=[(str(name), _cell(value)) for name, value in segments.items()] if isinstance(segments, dict) else [],
        answers=["skipped" if each.is_skip else _cell(each.answer) for each in row.answers],
        prediction=_cell(prediction) if prediction else "",
    )


def _cell(value: object) -> str:
    if not isinstance(value, str):
        try:
            value = msgspec.json.encode(value).decode()
        except (TypeError, ValueError, RecursionError):
            value = str(type(value).__name__)
    return value if len(value) <= _LONGEST_CELL else f"{value[:_LONGEST_CELL]}…"
