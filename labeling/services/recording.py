"""Rows of a stream, recorded chunk by chunk: each row is judged on its own, each chunk is one transaction."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec
import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from labeling import news, prepared, selectors, wire
from labeling.duplicates import SeenHashes
from labeling.errors import DomainError
from labeling.models import EmbeddingSpace, Project
from labeling.respondent_hash import keyed_hash, respondent_key
from labeling.services import bulk, embeddings, prediction_rows
from labeling.services.prediction_rows import Score
from labeling.splitting import bucket_of
from labeling.wire import Row, RowError

CHUNK_ROWS: Final = 10_000
CHUNK_BYTES: Final = 8 * 1024 * 1024
LISTED_RESULTS: Final = 100_000
"""More results than this are counted, not listed: the answer is held in memory."""

LONGEST_MESSAGE: Final = 300

Status = Literal["created", "updated", "skipped", "failed"]


class OnConflict(StrEnum):
    """What to do with a row whose item (or prediction of that model version) exists already."""

    SKIP = "skip"
    UPDATE = "update"
    ERROR = "error"


class RowResult(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one row; `index` is its place in the array, or its line, from 0."""

    index: int
    key: str | None
    status: Status
    code: str = ""
    message: str = ""


class IntakeReport(msgspec.Struct):
    """What became of all rows: received = created + updated + skipped + failed."""

    received: int = 0
    created: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0
    results: list[RowResult] = msgspec.field(default_factory=list)
    results_truncated: bool = False


_IS_WAITING: Final = """
SELECT EXISTS (SELECT FROM labeling_feedback WHERE project_id = %(project)s AND is_waiting)
    OR EXISTS (SELECT FROM labeling_correction WHERE project_id = %(project)s AND is_waiting)"""
_BYTES_A_NUMBER: Final = 2
_NO_SCORE: Final = (None, None, None, None, None)

Outcome = Status | RowError
"""Of one row, while its chunk is being stored."""


class _Keyed(Protocol):
    @property
    def key(self) -> str: ...


AnyRow = TypeVar("AnyRow", bound=_Keyed)


class RowRecorder(Generic[AnyRow]):
    """Records the rows of one request. A subclass says how a row is read and stored.

    When the stream breaks off, the rows before that are recorded; when a chunk cannot be stored, those before it stay.
    `report` then tells how far it came.
    """

    def __init__(
        self, project: Project, *, on_conflict: OnConflict, lists_good_rows: bool, now: dt.datetime | None = None
    ) -> None:
        self.report = IntakeReport()
        self._project = project
        self._on_conflict = on_conflict
        self._lists_good_rows = lists_good_rows
        self._now = now or timezone.now()
        self._largest_row = settings.INTAKE_MAX_ROW_BYTES
        self._respondent_key = respondent_key(project.pk, settings.RESPONDENT_KEY)

    def record(self, rows: Iterable[bytes | object]) -> IntakeReport:
        """Take all rows: JSON as bytes, or objects that json can write. Blank ones are passed over."""
        for batch in _batches(rows):
            self._record_batch(batch)
        return self.report

    def _parse(self, raw: bytes) -> AnyRow:
        raise NotImplementedError

    def _store_rows(self, rows: Sequence[AnyRow]) -> dict[int, Outcome]:
        """Write the rows in one transaction; return by position what became of them."""
        raise NotImplementedError

    def _record_batch(self, batch: Sequence[tuple[int, bytes | object]]) -> None:
        results: list[RowResult] = []
        indexes: list[int] = []
        rows: list[AnyRow] = []
        for index, raw in batch:
            try:
                rows.append(self._parse(raw if isinstance(raw, bytes) else _to_json(raw)))
                indexes.append(index)
            except RowError as error:
                results.append(_failed(index, error))
        outcomes = self._store_rows(rows)
        for position, outcome in outcomes.items():
            if isinstance(outcome, RowError):
                results.append(_failed(indexes[position], outcome, rows[position].key))
            elif self._lists_good_rows:
                results.append(RowResult(indexes[position], rows[position].key, outcome))
        self._add_to_report(len(batch), list(outcomes.values()), results)

    def _add_to_report(self, received: int, outcomes: Sequence[Outcome], results: list[RowResult]) -> None:
        report = self.report
        report.received += received
        for status in ("created", "updated", "skipped"):
            setattr(report, status, getattr(report, status) + outcomes.count(status))
        report.failed = report.received - report.created - report.updated - report.skipped
        results.sort(key=lambda result: result.index)
        room = LISTED_RESULTS - len(report.results)
        report.results += results[:room]
        report.results_truncated |= len(results) > room


class Recorder(RowRecorder[Row]):
    """Items or predictions, whose model versions and classes are checked many rows at a time."""

    def __init__(
        self, project: Project, *, on_conflict: OnConflict, lists_good_rows: bool, now: dt.datetime | None = None
    ) -> None:
        super().__init__(project, on_conflict=on_conflict, lists_good_rows=lists_good_rows, now=now)
        self._seen = SeenHashes()

    def _identity(self, row: Row) -> int:
        """A hash of what may occur only once in a request."""
        raise NotImplementedError

    def _store(self, chunk: bulk.Chunk, staged: Sequence[bulk.StagedRow]) -> dict[int, Outcome]:
        """Write the staged rows; return by position what became of them."""
        raise NotImplementedError

    @transaction.atomic
    def _store_rows(self, rows: Sequence[Row]) -> dict[int, Outcome]:
        names = {row.prediction.model_version for row in rows if row.prediction is not None}
        versions = bulk.lock_versions(self._project, names) if names else {}
        # After the versions are locked: while there is one, the kind of the schema stays.
        scores = prediction_rows.score(rows, versions, selectors.parsed_schema(self._project) if names else None)
        outcomes: dict[int, Outcome] = dict(scores.refused)
        space = self._embedding_space(rows, outcomes)
        good = [position for position in range(len(rows)) if position not in outcomes]
        is_first = self._seen.admit(np.fromiter((self._identity(rows[p]) for p in good), np.int64, len(good)))
        for place in np.flatnonzero(~is_first):
            outcomes[good[place]] = RowError("duplicate_key_in_request", "An earlier row of this request has this key.")
        champion = next((version.pk for version in versions.values() if version.is_champion), None)
        staged = [
            self._stage(position, rows[position], scores.by_position.get(position))
            for position in good
            if position not in outcomes
        ]
        if staged:
            chunk = bulk.Chunk(self._project, champion_id=champion, now=self._now)
            chunk.stage(staged)
            outcomes |= self._store(chunk, staged)
        if space is not None:
            kept = self._keeps_embedding
            vectors = {
                row.key: row.embedding for place, row in enumerate(rows) if row.embedding and kept(outcomes[place])
            }
            embeddings.store(self._project, space, vectors)
        if any(outcome in ("created", "updated") for outcome in outcomes.values()):
            _tell_waiting_feedback(self._project)
        return outcomes

    def _embedding_space(self, rows: Sequence[Row], outcomes: dict[int, Outcome]) -> EmbeddingSpace | None:
        """The space of the rows' vectors, if any row has one; rows whose vector is of another width are refused."""
        with_vector = [place for place, row in enumerate(rows) if row.embedding and place not in outcomes]
        if not with_vector:
            return None
        space = embeddings.app_space(self._project, width=len(rows[with_vector[0]].embedding or b"") // _BYTES_A_NUMBER)
        for place in with_vector:
            width = len(rows[place].embedding or b"") // _BYTES_A_NUMBER
            if width != space.width:
                message = f"Embeddings have {space.width} numbers in this project, not {width}."
                outcomes[place] = RowError("invalid_embedding", message, rows[place].key)
        return space

    def _keeps_embedding(self, outcome: Outcome) -> bool:
        """An item that exists keeps its vector unless it is updated on purpose."""
        return outcome == "created" or (outcome == "updated" and self._on_conflict == OnConflict.UPDATE)

    def _stage(self, position: int, row: Row, score: Score | None) -> bulk.StagedRow:
        is_item = bool(row.payload)
        respondent = row.prediction.respondent if row.prediction is not None else ""
        version_id, probabilities, predicted_class, confidence, answer = score or _NO_SCORE
        return bulk.StagedRow(
            position,
            row.key,
            bucket_of(self._project.pk, row.key) if is_item else 0,
            bulk.jsonb(row.payload) if is_item else None,
            bulk.jsonb(row.segments) if is_item else None,
            version_id,
            probabilities,
            predicted_class,
            confidence,
            keyed_hash(self._respondent_key, respondent),
            bulk.jsonb(row.context),
            None if answer is None else bulk.jsonb(answer),
        )


class ItemRecorder(Recorder):
    """Items, each with or without a prediction. A row whose item exists counts as updated when anything was written."""

    def _parse(self, raw: bytes) -> Row:
        return wire.parse_item(raw, largest_bytes=self._largest_row)

    def _identity(self, row: Row) -> int:
        return hash(row.key)

    def _store(self, chunk: bulk.Chunk, staged: Sequence[bulk.StagedRow]) -> dict[int, Outcome]:
        created = chunk.create_items()
        outcomes: dict[int, Outcome] = dict.fromkeys(created, "created")
        existing = [row for row in staged if row.position not in outcomes]
        if not existing:
            return outcomes
        if self._on_conflict == OnConflict.ERROR:
            return outcomes | {row.position: _already_exists() for row in existing}
        chunk.unstage(created)
        if self._on_conflict == OnConflict.UPDATE:
            chunk.update_items()
            chunk.store_predictions(replace=True)
            return outcomes | {row.position: "updated" for row in existing}
        stored = chunk.store_predictions(replace=False)
        return outcomes | {row.position: "updated" if stored.get(row.position) else "skipped" for row in existing}


class PredictionRecorder(Recorder):
    """Predictions of items that exist."""

    def _parse(self, raw: bytes) -> Row:
        return wire.parse_prediction(raw, largest_bytes=self._largest_row)

    def _identity(self, row: Row) -> int:
        return hash((row.key, row.prediction.model_version if row.prediction is not None else None))

    def _store(self, chunk: bulk.Chunk, staged: Sequence[bulk.StagedRow]) -> dict[int, Outcome]:
        stored = chunk.store_predictions(replace=self._on_conflict == OnConflict.UPDATE)
        return {row.position: self._outcome(row.position, stored) for row in staged}

    def _outcome(self, position: int, stored: dict[int, bool | None]) -> Outcome:
        if position not in stored:
            return RowError("unknown_item", "There is no item of this key.")
        is_new = stored[position]
        if is_new is not None:
            return "created" if is_new else "updated"
        return _already_exists() if self._on_conflict == OnConflict.ERROR else "skipped"


def _tell_waiting_feedback(project: Project) -> None:
    """Feedback that came before what it is about waits for it: one look into a small index."""
    if prepared.fetch(_IS_WAITING, {"project": project.pk})[0][0]:
        news.tell(news.feedback_joinable, project_id=project.pk)


def _batches(rows: Iterable[bytes | object]) -> Iterator[list[tuple[int, bytes | object]]]:
    batch: list[tuple[int, bytes | object]] = []
    size = 0
    try:
        for index, row in enumerate(rows):
            if isinstance(row, bytes):
                if not row or row.isspace():
                    continue
                size += len(row)
            batch.append((index, row))
            if len(batch) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                full, batch, size = batch, [], 0
                yield full
    except DomainError:
        # The stream cannot be read any further: what came before counts.
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _to_json(row: object) -> bytes:
    try:
        return json.dumps(row, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise RowError("invalid_json", f"This cannot be written as JSON: {error}.") from None


def _failed(index: int, error: RowError, key: str | None = None) -> RowResult:
    # The client's own words come back shortened and, because answers are stored too, without NUL.
    key = error.key if key is None else key
    return RowResult(
        index,
        None if key is None else key.replace("\x00", "\ufffd"),
        "failed",
        error.code,
        error.message[:LONGEST_MESSAGE].replace("\x00", "\ufffd"),
    )


def _already_exists() -> RowError:
    return RowError("already_exists", "It exists already, and on_conflict=error was asked for.")
