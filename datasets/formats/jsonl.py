"""JSON Lines in the canonical form that a snapshot's content hash is computed over.

The form is part of the stored data: another byte here and the file of an old snapshot no longer has the snapshot's
hash. See docs/algorithms/snapshots.md.
"""

import json
from collections.abc import Iterable, Iterator

from datasets.formats.row import DatasetRow

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def line(row: DatasetRow) -> bytes:
    r"""Encode one row canonically.

    A JSON object in UTF-8, ended by one "\n": keys of every object in order of code point, no space between tokens, only
    quote, backslash and control characters escaped, floats in the shortest form that reads back the same (Python's
    `repr`), None as null.

    >>> line(DatasetRow("a", "ham", 1.0, "train", None, False, {"text": "né\n"}, {}))
    b'{"is_audit":false,"key":"a","label":"ham","payload":{"text":"n\xc3\xa9\\n"},"probability":1.0,"propensity":null,"segments":{},"split":"train"}\n'
    """
    fields = {
        "key": row.key,
        "label": row.said,
        "probability": row.probability,
        "split": row.split,
        "propensity": row.propensity,
        "is_audit": row.is_audit,
        "payload": row.payload,
        "segments": row.segments,
    }
    return _encode(fields).encode() + b"\n"


def encode(rows: Iterable[DatasetRow]) -> Iterator[bytes]:
    """Encode rows, one chunk of bytes a row."""
    return map(line, rows)
