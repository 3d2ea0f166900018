"""One import at work: rows of its file, mapped and recorded chunk by chunk."""

import datetime as dt
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final

import msgspec
from django.contrib.auth.models import User
from django.db import transaction

from labeling import selectors
from labeling.errors import DomainError
from labeling.file_formats import options as import_options
from labeling.file_formats import registry
from labeling.file_formats.rows import FileError, Limits, MappedRow, RawRow
from labeling.models import ImportJob, ImportRowError, Membership, ModelVersion, Project
from labeling.services import bulk, intake, media
from labeling.services.imported_annotations import AnnotationImporter
from labeling.services.recording import (
    LONGEST_MESSAGE,
    IntakeReport,
    ItemRecorder,
    OnConflict,
    PredictionRecorder,
    Recorder,
)
from labeling.wire import LONGEST_KEY, RowError

CHUNK_ROWS: Final = 5_000
CHUNK_BYTES: Final = 8 * 1024 * 1024
LISTED_ERRORS: Final = 10_000
"""More failed rows than this are counted, not listed."""
_LONGEST_CODE: Final = 100

_encode: Final = msgspec.json.Encoder().encode


class Cancelled(Exception):
    """Somebody cancelled the job while its chunk was being recorded; the chunk is rolled back."""


@dataclass
class _Chunk:
    """Rows that were read and mapped, ready to be recorded in one transaction."""

    next_row: int = 0
    size: int = 0
    row_count: int = 0
    items: list[bytes] = field(default_factory=list)
    item_rows: list[MappedRow] = field(default_factory=list)
    predictions: list[bytes] = field(default_factory=list)
    prediction_rows: list[MappedRow] = field(default_factory=list)
    errors: list[ImportRowError] = field(default_factory=list)
    model_versions: set[str] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return self.row_count >= CHUNK_ROWS or self.size >= CHUNK_BYTES


@dataclass
class _Counts:
    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0
    annotations: int = 0


class ChunkImporter:
    """Reads on from the job's position. Each `import_next` is one transaction, after which the job's row is up to date."""

    def __init__(self, job: ImportJob, file: IO[bytes], *, limits: Limits, now: Callable[[], dt.datetime]) -> None:
        self._job = job
        self._project: Project = job.project
        self._now = now
        options = import_options.parse(job.options)
        self._reader = registry.open_reader(job.format, file, limits, options)
        self._label_schema = selectors.current_schema(self._project)
        self._schema = selectors.parsed(self._label_schema)
        self._mapper = registry.mapper_for(job.format, self._reader, self._schema, options)
        self._end_error: FileError | None = None
        # One iterator for all chunks: it knows where in the file we are.
        self._rows = self._safe_rows(job.position)
        self._is_at_end = False
        self._on_conflict = OnConflict(options.on_conflict)
        self._items = ItemRecorder(self._project, on_conflict=self._on_conflict, lists_good_rows=False, now=now())
        self._predictions = PredictionRecorder(
            self._project, on_conflict=self._on_conflict, lists_good_rows=False, now=now()
        )
        self._annotations = AnnotationImporter(
            self._project, label_schema=self._label_schema, by=_author(job), now=job.created_at
        )

    def import_next(self) -> bool:
        """Record one chunk; False if there was none left. Raises FileError where the file cannot be read any further
        (after what came before is recorded), Cancelled."""
        if self._is_at_end:
            if self._end_error is not None:
                raise self._end_error
            return False
        chunk = self._gather()
        if chunk.row_count:
            self._register_versions(chunk.model_versions)
            self._record(chunk)
        return chunk.row_count > 0 or self._end_error is not None

    # -- reading ------------------------------------------------------------------------------------------------------

    def _gather(self) -> _Chunk:
        chunk = _Chunk(next_row=self._job.position)
        for row in self._rows:
            chunk.row_count += 1
            chunk.next_row = row.number + 1
            try:
                self._add(chunk, self._mapper.map(row))
            except RowError as error:
                chunk.errors.append(self._row_error(row.number, error.key, error.code, error.message))
            if chunk.is_full:
                return chunk
        self._is_at_end = True
        return chunk

    def _safe_rows(self, start: int) -> Iterator[RawRow]:
        """The rows; what ends them before their time is kept until those before it are recorded."""
        try:
            yield from self._reader.rows(start)
        except FileError as error:
            self._end_error = error

    def _add(self, chunk: _Chunk, row: MappedRow) -> None:
        if row.images and isinstance(row.item, dict):
            self._store_images(row)
        item = row.item if isinstance(row.item, bytes) else _json(row.item) if row.item is not None else None
        predictions = [_json(each) for each in row.predictions]
        if item is not None:
            chunk.items.append(item)
            chunk.item_rows.append(row)
        chunk.predictions += predictions
        chunk.prediction_rows += [row] * len(predictions)
        chunk.size += len(item or b"") + sum(map(len, predictions))
        chunk.model_versions |= row.model_versions

    def _store_images(self, row: MappedRow) -> None:
        """Keep the row's images and put their addresses into its payload."""
        payload = row.item["payload"] if isinstance(row.item, dict) else None
        if not isinstance(payload, dict):
            return
        for name, image in row.images.items():
            content = io.BytesIO(image) if isinstance(image, bytes) else self._reader.open_image(image)
            if content is None:
                raise RowError("image_missing", f"The archive has no file “{str(image)[:200]}”.", row.key)
            file_name = str(image)[-200:] if isinstance(image, str) else f"{row.key}.image"
            with content:
                try:
                    stored = media.store(
                        self._project, name=file_name, content=content, by=self._job.created_by, now=self._now()
                    )
                except DomainError as error:
                    raise RowError(error.code, error.message, row.key) from None
            payload[name] = stored.url

    # -- recording ----------------------------------------------------------------------------------------------------

    def _register_versions(self, names: set[str]) -> None:
        known = set(ModelVersion.objects.filter(project=self._project, name__in=names).values_list("name", flat=True))
        for name in sorted(names - known):
            try:
                intake.register_model_version(self._project, name=name, classes=self._schema.class_keys)
            except DomainError:
                continue  # not a name, or registered meanwhile: recording tells, row by row

    @transaction.atomic
    def _record(self, chunk: _Chunk) -> None:
        counts = _Counts(failed=len(chunk.errors))
        # All versions first: everybody who locks several kinds of rows begins with these.
        if chunk.model_versions:
            bulk.lock_versions(self._project, chunk.model_versions)
        item_report = _recorded(self._items, chunk.items)
        refused = self._count(item_report, chunk.item_rows, chunk, counts)
        others = [place for place, row in enumerate(chunk.prediction_rows) if row.number not in refused]
        rows = [chunk.prediction_rows[place] for place in others]
        report = _recorded(self._predictions, [chunk.predictions[place] for place in others])
        # A further prediction of an item in this file is part of its row; alone it is a row of its own.
        alone = _Counts()
        self._count(report, rows, chunk, alone)
        self._add_lone_predictions(report, rows, alone, counts)
        answers = {row.key: row.answers for row in chunk.item_rows if row.answers and row.number not in refused}
        counts.annotations = self._annotations.take_over(answers) if answers else 0
        self._store_errors(chunk.errors)
        self._advance(chunk, counts)

    def _count(self, report: IntakeReport, rows: list[MappedRow], chunk: _Chunk, counts: _Counts) -> set[int]:
        """Add up what became of the rows, and note why some were refused; returns the numbers of these."""
        counts.created += report.created
        counts.updated += report.updated
        counts.skipped += report.skipped
        refused: set[int] = set()
        for result in report.results:
            row = rows[result.index]
            refused.add(row.number)
            if result.code == "duplicate_key_in_request" and not row.has_own_key:
                counts.skipped += 1  # the same content twice: one item, as it would be in two files
                continue
            counts.failed += 1
            chunk.errors.append(self._row_error(row.number, result.key or row.key, result.code, result.message))
        return refused

    def _add_lone_predictions(
        self, report: IntakeReport, rows: list[MappedRow], alone: _Counts, counts: _Counts
    ) -> None:
        """Count rows, not predictions: those of a row with an item were counted with it."""
        counts.failed += alone.failed
        if all(row.item is None for row in rows):
            counts.created += alone.created
            counts.updated += alone.updated
            counts.skipped += alone.skipped

    def _row_error(self, number: int, key: str | None, code: str, message: str) -> ImportRowError:
        return ImportRowError(
            job=self._job,
            row=number,
            key=_storable(key or "")[:LONGEST_KEY],
            code=code[:_LONGEST_CODE],
            message=_storable(message)[:LONGEST_MESSAGE],
        )

    def _store_errors(self, errors: list[ImportRowError]) -> None:
        room = LISTED_ERRORS - ImportRowError.objects.filter(job=self._job).count() if errors else 0
        if room > 0:
            errors.sort(key=lambda error: error.row)
            ImportRowError.objects.bulk_create(errors[:room], ignore_conflicts=True)

    def _advance(self, chunk: _Chunk, counts: _Counts) -> None:
        job = self._job
        job.position = chunk.next_row
        job.done_bytes = job.total_bytes if self._is_at_end else min(self._reader.done_bytes, job.total_bytes)
        job.created_count += counts.created
        job.updated_count += counts.updated
        job.skipped_count += counts.skipped
        job.failed_count += counts.failed
        job.annotation_count += counts.annotations
        job.attempts = 0
        names = ("created_count", "updated_count", "skipped_count", "failed_count", "annotation_count")
        values = {name: getattr(job, name) for name in ("position", "done_bytes", "attempts", *names)}
        if not ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.RUNNING).update(**values):
            raise Cancelled


def _recorded(recorder: Recorder, rows: list[bytes]) -> IntakeReport:
    """What became of these rows alone; the recorder goes on remembering the keys of those before."""
    recorder.report = IntakeReport()
    return recorder.record(rows)


def _author(job: ImportJob) -> User:
    """Who has given answers that nobody known here has given: who imports them, or for an app the first owner."""
    if job.created_by is not None:
        return job.created_by
    owner = Membership.objects.filter(project=job.project, role=Membership.Role.OWNER).order_by("pk").first()
    if owner is None:
        raise FileError("no_author", "The project has no owner in whose name answers could be taken over.")
    return owner.user


def _json(value: object) -> bytes:
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RowError("invalid_json", f"This cannot be written as JSON: {error}.") from None


def _storable(text: str) -> str:
    """Without NUL and halves of surrogate pairs, which PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
