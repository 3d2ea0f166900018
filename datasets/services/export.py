"""Exporting snapshots as files."""

from collections.abc import Iterator
from dataclasses import dataclass

from datasets import selectors
from datasets.errors import UnknownExportFormat
from datasets.formats import registry
from datasets.models import Snapshot

_BYTES_PER_CHUNK = 64 * 1024


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
