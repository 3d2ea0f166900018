"""The elements of one big JSON array, cut out one by one without reading the array as a whole.

Only brackets and the ends of strings are looked at, so that an element which is no valid JSON, or is too large, is one
bad row and not the end of the file.
"""

import re
from collections.abc import Iterator
from typing import IO, Final

from labeling.file_formats.jsonl import parse_object, too_large
from labeling.file_formats.lines import UTF8_BOM
from labeling.file_formats.rows import FileError, RawRow, SingleFile
from labeling.wire import RowError

_PIECE: Final = 256 * 1024
# Outside of strings: a whole string without escapes in one step, else what opens, closes or divides.
_BETWEEN: Final = re.compile(rb'"[^"\\]*"|["\[\]{},]')
_NESTED: Final = re.compile(rb'"[^"\\]*"|["\[\]{}]')
_IN_STRING: Final = re.compile(rb'["\\]')


class JsonArray(SingleFile):
    """The number of a row is its place in the array, from 0. A file with a single object has one row."""

    def rows(self, start: int = 0) -> Iterator[RawRow]:
        self._file.seek(0)
        for number, element in enumerate(split(self._file, self._limits.row_bytes)):
            if number < start:
                continue
            if isinstance(element, RowError):
                yield RawRow(number, element)
            else:
                yield RawRow(number, parse_object(element))


def split(file: IO[bytes], largest: int) -> Iterator[bytes | RowError]:
    """Yield each element's bytes; a RowError for one of more than `largest` bytes and for one cut off by the file's end.

    Raises FileError where there is no array (or object) at all, or something after it.

    >>> import io
    >>> list(split(io.BytesIO(b'[{"a": 1}, {"b": "]"}]'), 100))
    [b'{"a": 1}', b'{"b": "]"}']
    """
    head = b""
    while not head and (piece := file.read(_PIECE)):
        head = piece.removeprefix(UTF8_BOM).lstrip()
    if not head:
        raise FileError("empty_file", "The file is empty.")
    if head[:1] == b"{":
        yield _single(head, file, largest)
        return
    if head[:1] != b"[":
        raise FileError("not_an_array", "The file is no JSON array of tasks.")
    yield from _Splitter(largest).elements(head[1:], file)


def _single(head: bytes, file: IO[bytes], largest: int) -> bytes | RowError:
    text = head + file.read(max(0, largest + 1 - len(head)))
    return too_large(largest) if len(text.rstrip()) > largest else text


class _Splitter:
    """Where in the text we are, from one piece of the file to the next."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._depth = 0  # of brackets inside the array
        self._is_in_string = self._is_escaped = self._is_over = False
        self._parts: list[bytes] = []
        self._size = 0

    def elements(self, piece: bytes, file: IO[bytes]) -> Iterator[bytes | RowError]:
        while True:
            yield from (element for element in self._cut(piece) if element is not None)
            if not (piece := file.read(_PIECE)):
                break
        if self._is_over:
            return
        if self._taken() is not None:
            yield RowError("truncated_file", "The file ends in the middle of this row.")
        raise FileError("truncated_file", "The file ends before its array does.")

    def _cut(self, piece: bytes) -> Iterator[bytes | RowError | None]:
        begin = position = 0
        while position < len(piece):
            if self._is_over:
                if piece[position:].strip():
                    raise FileError("not_an_array", "Something follows after the array.")
                return
            if self._is_in_string:
                position = self._skip_string(piece, position)
                continue
            match = (_NESTED if self._depth else _BETWEEN).search(piece, position)
            if match is None:
                break
            position = match.end()
            mark = match[0]
            if mark == b'"':
                self._is_in_string = True
            elif mark in (b"{", b"["):
                self._depth += 1
            elif mark in (b"}", b"]") and self._depth:
                self._depth -= 1
            elif mark in (b",", b"]", b"}"):
                self._keep(piece[begin : match.start()])
                begin = position
                self._is_over = mark != b","
                yield self._taken()
        self._keep(piece[begin:])

    def _skip_string(self, piece: bytes, position: int) -> int:
        if self._is_escaped:
            self._is_escaped = False
            return position + 1
        match = _IN_STRING.search(piece, position)
        if match is None:
            return len(piece)
        self._is_in_string = match[0] != b'"'
        self._is_escaped = self._is_in_string
        return match.end()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._largest + _PIECE:  # white space around it is not the element's
            self._parts.append(part)

    def _taken(self) -> bytes | RowError | None:
        """The element that was gathered; None if there was only white space."""
        element, size = b"".join(self._parts).strip(), self._size
        self._parts, self._size = [], 0
        if size > self._largest + _PIECE or len(element) > self._largest:
            return too_large(self._largest)
        return element or None
