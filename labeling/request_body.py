"""The body of a bulk request as a stream of rows, within limits and without a parser that would hold all of it."""

import hashlib
import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec
from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import UnsupportedMediaType

from labeling.errors import InvalidInput, TooLarge

JSON_TYPE: Final = "application/json"
PLAIN_TYPE: Final = "text/plain"
"""What a beacon may carry without asking the server first; it is read as JSON."""
NDJSON_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)

_BLOCK_BYTES: Final = 256 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_GZIP_NAMES: Final = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
"""zlib's name for data with a gzip header and trailer, hence with a checksum."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Body:
    """One JSON object, a JSON array of rows, or NDJSON: one row a line; as it is or compressed by gzip.

    Limits and digest are of the body as it was before it was compressed, so that it makes no difference how it came, and
    a small body that unfolds to a huge one is given up at the limit. Memory does not grow with the length of NDJSON.

    Whether the type and the announced length are acceptable is decided when it is made, before a byte is read.
    """

    def __init__(self, request: HttpRequest, *, takes_plain_text: bool = False) -> None:
        self._is_compressed = _is_compressed(request)
        self._is_ndjson = _is_ndjson(request, takes_plain_text)
        self._limit: int = settings.INTAKE_MAX_NDJSON_BYTES if self._is_ndjson else settings.INTAKE_MAX_JSON_BYTES
        self._announced = _content_length(request)
        if self._announced is not None and self._announced > self._limit:
            raise self._too_large()
        # A server that ends the input itself can also take bodies of unknown length; Django reads those as empty.
        ends_itself = request.META.get("wsgi.input_terminated", False)
        self._input: _Readable = request.META["wsgi.input"] if ends_itself else request
        target = f"{self._is_ndjson}\n{request.META.get('QUERY_STRING', '')}\n"
        self._hash = hashlib.sha256(target.encode("utf-8", "surrogateescape"))

    def limit_to(self, most_bytes: int) -> None:
        """Take less from this caller than from others. Raises TooLarge if more is announced already."""
        self._limit = min(self._limit, most_bytes)
        if self._announced is not None and self._announced > self._limit:
            raise self._too_large()

    @property
    def has_length(self) -> bool:
        """Whether a body that breaks off can be told from one that ends."""
        return self._announced is not None

    def rows(self) -> Iterator[bytes]:
        """Each row as bytes, unchecked; of NDJSON every line, also blank ones.

        Raises InvalidInput `invalid_json`, `invalid_body`, `incomplete_body` or `invalid_gzip`, TooLarge
        `body_too_large`: at once for JSON, but for NDJSON when the stream gets there. A line beyond the limit for rows comes cut off, just too long.
        """
        return self._lines() if self._is_ndjson else self._elements()

    def read(self) -> bytes:
        return b"".join(self._blocks()).removeprefix(_BYTE_ORDER_MARK)

    def read_to_end(self) -> None:
        """Read what is left, for the hash alone."""
        for _ in self._blocks():
            pass

    def digest(self) -> str:
        """SHA-256 over query and body, once everything was read."""
        return self._hash.hexdigest()

    def _blocks(self) -> Iterator[bytes]:
        size = 0
        for block in _inflated(self._received()) if self._is_compressed else self._received():
            size += len(block)
            if size > self._limit:
                raise self._too_large()
            self._hash.update(block)
            yield block

    def _received(self) -> Iterator[bytes]:
        size = 0
        while self._announced is None or size < self._announced:
            wanted = _BLOCK_BYTES if self._announced is None else min(_BLOCK_BYTES, self._announced - size)
            block = self._input.read(wanted)
            if not block:
                break
            size += len(block)
            if size > self._limit:  # compressed nothings are endless, too
                raise self._too_large()
            yield block
        if self._announced is not None and size < self._announced:
            raise InvalidInput("The body ended before its announced length.", code="incomplete_body")

    def _lines(self) -> Iterator[bytes]:
        longest: int = settings.INTAKE_MAX_ROW_BYTES
        rest, is_cut, is_start = b"", False, True
        for block in self._blocks():
            *lines, last = block.split(b"\n")
            if lines:
                first = rest + lines[0] if not is_cut else rest
                yield first.removeprefix(_BYTE_ORDER_MARK) if is_start else first
                yield from lines[1:]
                rest, is_cut, is_start = last, False, False
            elif not is_cut:
                rest += last
            if len(rest) > longest:
                rest, is_cut = rest[: longest + 1], True
        if rest:
            yield rest.removeprefix(_BYTE_ORDER_MARK) if is_start else rest

    def _elements(self) -> Iterator[bytes]:
        body = self.read()
        start = body.lstrip()[:1]
        try:
            if start == b"[":
                elements = msgspec.json.decode(body, type=list[msgspec.Raw])
                return (bytes(element) for element in elements)
            if start == b"{":
                msgspec.json.decode(body, type=msgspec.Raw)
                return iter((body,))
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInput(f"The body is not JSON: {error}.", code="invalid_json") from None
        raise InvalidInput("The body must be a JSON object or an array of objects.", code="invalid_body")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body may have at most {self._limit} bytes.", code="body_too_large")


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What was compressed, in blocks of bounded size; one gzip member after another, perhaps padded with zeros."""
    inflater = None
    is_first = True
    for received in blocks:
        block = received
        while block:
            if inflater is None:
                block = block if is_first else block.lstrip(b"\x00")
                if not block:
                    break
                inflater, is_first = zlib.decompressobj(_GZIP_WINDOW), False
            try:
                inflated = inflater.decompress(block, _BLOCK_BYTES)
            except zlib.error as error:
                raise InvalidInput(f"The body is not gzip, or damaged: {error}.", code="invalid_gzip") from None
            if inflated:
                yield inflated
            if inflater.eof:
                block, inflater = inflater.unused_data, None
            else:
                block = inflater.unconsumed_tail
    if inflater is not None:
        if rest := inflater.flush():
            yield rest
        if not inflater.eof:
            raise InvalidInput("The compressed body ends too early.", code="invalid_gzip")


def _is_compressed(request: HttpRequest) -> bool:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return False
    if encoding in _GZIP_NAMES:
        return True
    raise UnsupportedMediaType(
        "", "Send the body as it is, or with Content-Encoding: gzip.", code="unsupported_content_encoding"
    )


def small_body(request: HttpRequest, most_bytes: int) -> bytes:
    """The whole body of a small request, JSON as such or as plain text, as it came.

    Raises TooLarge `body_too_large`, InvalidInput `incomplete_body`, UnsupportedMediaType.
    """
    if request.content_type not in (JSON_TYPE, PLAIN_TYPE):
        raise UnsupportedMediaType("", f"Send {JSON_TYPE} or {PLAIN_TYPE}, not {request.content_type!r}.")
    body = Body(request, takes_plain_text=True)
    body.limit_to(most_bytes)
    return body.read()


def _is_ndjson(request: HttpRequest, takes_plain_text: bool) -> bool:
    if request.content_type == JSON_TYPE or (takes_plain_text and request.content_type == PLAIN_TYPE):
        return False
    if request.content_type in NDJSON_TYPES:
        return True
    raise UnsupportedMediaType("", f"Send {JSON_TYPE} or application/x-ndjson, not {request.content_type!r}.")


def _content_length(request: HttpRequest) -> int | None:
    """As announced; None for a chunked body. Django takes a missing or broken header for 0, which cannot be told apart."""
    text = request.META.get("CONTENT_LENGTH", "")
    if text.isascii() and text.isdigit():
        return int(text)
    return None if request.META.get("wsgi.input_terminated", False) else 0
