"""Rows of one request; pure but for the random key."""

import zlib
from collections import deque
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from feedback_client.rows import Route, Row

SMALLEST_COMPRESSED_BYTES: Final = 1_000
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 5
"""Beyond it, JSON shrinks little for much more time."""

Queued = tuple[int, Row]
"""A row with its number in its lane."""


@dataclass(frozen=True)
class Batch:
    route: Route
    sent_rows: int
    repeated_rows: int
    """Rows that are done without being sent."""
    row_bytes: int
    """Of both kinds."""
    body: bytes
    is_compressed: bool
    idempotency_key: str
    """The same at each retry, as is the body: so the service stores the rows once, whatever became of its answers."""

    @property
    def row_count(self) -> int:
        return self.sent_rows + self.repeated_rows


def take_batch(route: Route, waiting: "deque[Queued]", *, most_rows: int, most_bytes: int) -> Batch:
    """Take the next rows off the front, in order; `waiting` must not be empty.

    The service refuses the second row of the same identity in one request. One that repeats the version, too, it would
    skip in the next request, so that it need not be sent; one with another version is put back for the next batch, without
    holding up the rows behind it: an app that logs two models side by side names every item twice.
    """
    rows: list[bytes] = []
    repeated_rows = repeated_bytes = size = 0
    put_back: list[Queued] = []
    versions: dict[str, set[str]] = {}
    while waiting and len(rows) < most_rows and len(put_back) < most_rows:
        row = waiting[0][1]
        if rows and size + len(rows) + len(row.body) > most_bytes:
            break
        queued = waiting.popleft()
        known = versions.get(row.identity)
        if known is None:
            versions[row.identity] = {row.version}
            rows.append(row.body)
            size += len(row.body)
        elif row.version in known:
            repeated_rows += 1
            repeated_bytes += len(row.body)
        else:
            put_back.append(queued)
    waiting.extendleft(reversed(put_back))
    body = b"\n".join(rows)
    is_compressed = len(body) >= SMALLEST_COMPRESSED_BYTES
    return Batch(
        route,
        len(rows),
        repeated_rows,
        size + repeated_bytes,
        _gzipped(body) if is_compressed else body,
        is_compressed,
        uuid4().hex,
    )


def _gzipped(body: bytes) -> bytes:
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return deflater.compress(body) + deflater.flush()
