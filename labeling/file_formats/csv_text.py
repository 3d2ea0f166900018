"""CSV with a header line: any usual delimiter, quoted line breaks, UTF-8 with or without a byte order mark."""

import csv
import io
from collections.abc import Iterator
from typing import IO, Final

from labeling.file_formats.jsonl import too_large
from labeling.file_formats.lines import bounded_lines, without_bom
from labeling.file_formats.rows import FileError, Limits, RawRow, SingleFile
from labeling.wire import RowError

DELIMITERS: Final = (",", ";", "\t", "|")
MOST_COLUMNS: Final = 5_000
_SAMPLE_BYTES: Final = 64 * 1024
_SAMPLE_RECORDS: Final = 50


class _TooLong(Exception):
    """A line is longer than a row may be."""


class CsvFile(SingleFile):
    """The number of a row is that of its record after the header, from 0."""

    def __init__(self, file: IO[bytes], limits: Limits, *, delimiter: str = "", encoding: str = "utf-8") -> None:
        super().__init__(file, limits)
        self._delimiter = delimiter
        self._encoding = encoding
        # One setting of the whole process, made only larger: a field is as long as a row may be.
        csv.field_size_limit(max(csv.field_size_limit(), limits.row_bytes))

    def rows(self, start: int = 0) -> Iterator[RawRow]:
        self._file.seek(0)
        delimiter = self._delimiter or sniff_delimiter(self._file.read(_SAMPLE_BYTES), self._encoding)
        self._file.seek(0)
        records = csv.reader(self._text_lines(), delimiter=delimiter, strict=True)
        header = self._header(records)
        number = 0
        while True:
            value = self._next(records, header)
            if value is None:
                return
            if value == {}:
                continue  # a blank line
            if number >= start:
                yield RawRow(number, value)
            number += 1

    def _header(self, records: "Iterator[list[str]]") -> list[str]:
        try:
            header = [name.strip() for name in next(records, [])]
        except (csv.Error, _TooLong) as error:
            raise FileError("invalid_header", f"The header line cannot be read: {error}.") from None
        if not any(header):
            raise FileError("empty_file", "The file has no header line with the names of its columns.")
        if len(header) > MOST_COLUMNS:
            raise FileError("invalid_header", f"A file has at most {MOST_COLUMNS} columns.")
        if len(set(header)) != len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise FileError("invalid_header", f"Two columns have the name “{twice[:100]}”.")
        if any(_is_undecodable(name) for name in header):
            raise FileError("wrong_encoding", f"The header is not {self._encoding}. Say which encoding it is.")
        return header

    def _next(self, records: "Iterator[list[str]]", header: list[str]) -> dict[str, object] | RowError | None:
        """The next record; None at the end, an empty one for a blank line."""
        try:
            record = next(records, None)
        except _TooLong:
            return too_large(self._limits.row_bytes)
        except csv.Error as error:
            return RowError("invalid_csv", f"This is not CSV: {error}.")
        if not record:
            return None if record is None else {}
        if len(record) != len(header):
            return RowError(
                "wrong_number_of_columns", f"The header has {len(header)} columns, this row has {len(record)}."
            )
        if any(map(_is_undecodable, record)):
            return RowError("invalid_encoding", f"This row is not {self._encoding}. Say which encoding the file has.")
        # A cell of a column without a name (a trailing delimiter, say) has no place to go.
        return {name: value for name, value in zip(header, record, strict=True) if name}

    def _text_lines(self) -> Iterator[str]:
        lines = bounded_lines(self._file, self._limits.row_bytes)
        # An iterator class of its own: after an exception a generator is over, but the file goes on.
        return _Decoded(without_bom(lines), self._encoding)


class _Decoded(Iterator[str]):
    def __init__(self, lines: Iterator[bytes | None], encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding

    def __next__(self) -> str:
        line = next(self._lines)
        if line is None:
            raise _TooLong("a line is too long")
        return line.decode(self._encoding, errors="surrogateescape")


def sniff_delimiter(sample: bytes, encoding: str = "utf-8") -> str:
    """The delimiter that cuts the header and the first records into the same, largest number of columns; else a comma.

    >>> sniff_delimiter(b"key;text\\na;one, two\\nb;three\\n")
    ';'
    """
    is_cut = len(sample) >= _SAMPLE_BYTES
    text = sample.decode(encoding, errors="replace").removeprefix("\ufeff")
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = _widths(text, delimiter)
        if is_cut and len(widths) > 1:
            widths.pop()  # the sample may end within it
        if not widths or widths[0] < 2:
            continue
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _widths(text: str, delimiter: str) -> list[int]:
    widths: list[int] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if record:
                widths.append(len(record))
            if len(widths) > _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass  # what was read until there is what there is to go by
    return widths


def _is_undecodable(text: str) -> bool:
    """Whether bytes were no text in the file's encoding: they came through as halves of surrogate pairs."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)
