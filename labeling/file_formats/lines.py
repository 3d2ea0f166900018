"""Lines of a file of any size: a line without end costs time, not memory."""

from collections.abc import Iterator
from typing import IO

from labeling.file_formats.rows import FileError

UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def bounded_lines(file: IO[bytes], largest: int) -> Iterator[bytes | None]:
    """Yield the lines with their ends; None stands for a line of more than `largest` bytes, which is read past.

    >>> import io
    >>> list(bounded_lines(io.BytesIO(b"one\\ntoo long\\nend"), 5))
    [b'one\\n', None, b'end']
    """
    while line := file.readline(largest + 1):
        if len(line) <= largest or line.endswith(b"\n"):
            yield line
            continue
        while (piece := file.readline(largest + 1)) and not piece.endswith(b"\n"):
            pass
        yield None


def without_bom(lines: Iterator[bytes | None]) -> Iterator[bytes | None]:
    """Drop the byte order mark of UTF-8. Raises FileError `wrong_encoding` where the file says that it is UTF-16."""
    for number, line in enumerate(lines):
        if number == 0 and line is not None:
            if line.startswith(_UTF16_BOMS):
                raise FileError("wrong_encoding", "The file is UTF-16. Save it as UTF-8 and try again.")
            yield line.removeprefix(UTF8_BOM)
        else:
            yield line
