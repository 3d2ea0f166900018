"""Comma-separated values (RFC 4180): one header line, CRLF line ends, UTF-8 without a byte order mark.

Cells hold the data as it is. A cell that begins with =, +, - or @ is a formula to a spreadsheet program, but putting an
apostrophe before it would change keys, labels and training texts for every program that reads the file as data, which
is what it is for. See docs/algorithms/snapshots.md for how to open it in a spreadsheet safely.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Final

from datasets.formats.row import DatasetRow

COLUMNS: Final = (
    "key", "label", "probability", "split", "propensity", "is_audit", "text", "segments", "payload",
)  # fmt: skip
"""`text` repeats the payload's text, or is empty; `segments` and `payload` are JSON objects, with nothing left out."""

_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def encode(rows: Iterable[DatasetRow]) -> Iterator[bytes]:
    """Encode rows after a header line, one chunk of bytes a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield _taken(buffer)
    for row in rows:
        writer.writerow(_cells(row))
        yield _taken(buffer)


def _cells(row: DatasetRow) -> tuple[str, ...]:
    text = row.payload.get("text")
    return (
        row.key,
        row.said if isinstance(row.said, str) else _to_json(row.said),
        repr(row.probability),
        row.split,
        "" if row.propensity is None else repr(row.propensity),
        "true" if row.is_audit else "false",
        text if isinstance(text, str) else "",
        _to_json(row.segments),
        _to_json(row.payload),
    )


def _taken(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return written
