"""Exporting snapshots as files, and changes of labels as a stream."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from datasets import selectors
from datasets.errors import UnknownExportFormat
from datasets.formats import registry
from datasets.formats.row import value_of
from datasets.models import Snapshot
from labeling.models import Project

_BYTES_PER_CHUNK = 64 * 1024
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Export:
    file_name: str
    content_type: str
    content: Iterator[bytes]
    """Read as it is consumed, with constant memory."""


def prepare(snapshot: Snapshot, *, format_name: str = registry.DEFAULT) -> Export:
    """Describe the file of a snapshot and begin it; raises UnknownExportFormat.

    The same snapshot and format give the same bytes at any time.
    """
    try:
        export_format = registry.FORMATS[format_name]
    except KeyError:
        known = ", ".join(registry.FORMATS)
        raise UnknownExportFormat(
            f"There is no export format “{format_name}”; known are {known}.", fields={"export_format": "unknown"}
        ) from None
    file_name = f"{snapshot.project.slug}-snapshot-{snapshot.number}.{export_format.file_extension}"
    lines = export_format.encode(selectors.snapshot_rows(snapshot))
    return Export(file_name, export_format.content_type, _in_chunks(lines))


def label_changes(project: Project, *, since: int, with_payloads: bool) -> Iterator[bytes]:
    """NDJSON of what `selectors.label_changes` tells, ended by a line that says where to go on: {"event": "end", "next": N}.

    A file without that line is cut off. Read as it is consumed, with constant memory.
    """
    return _in_chunks(_change_lines(project, since, with_payloads))


def _change_lines(project: Project, since: int, with_payloads: bool) -> Iterator[bytes]:
    last = since
    for row in selectors.label_changes(project, since=since, with_payloads=with_payloads):
        last = row.change
        line: dict[str, object] = {
            "seq": row.change,
            "event": "accepted" if row.superseded_at is None else "withdrawn",
            "id": row.id,
            "item_key": row.item_key,
            "label": value_of(row.answer),
            "answer": row.answer,
            "probability": row.probability,
            "method": row.method,
            "is_audit": row.is_audit,
            "reason": row.reason,
            "propensity": row.propensity,
            "accepted_at": row.accepted_at,
        }
        if with_payloads:
            line["payload"], line["segments"] = row.payload, row.segments
        yield _encode(line) + b"\n"
    yield _encode({"event": "end", "next": last}) + b"\n"


def _in_chunks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join lines: a chunk costs a system call or more on its way out."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _BYTES_PER_CHUNK:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)
