"""JSON lines: one object a line. The number of a row is that of its line, blank ones counted, from 0."""

from collections.abc import Iterator
from typing import Final

import msgspec

from labeling.file_formats.lines import bounded_lines, without_bom
from labeling.file_formats.rows import RawRow, SingleFile
from labeling.wire import RowError

_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


class JsonLines(SingleFile):
    def rows(self, start: int = 0) -> Iterator[RawRow]:
        self._file.seek(0)
        largest = self._limits.row_bytes
        for number, line in enumerate(without_bom(bounded_lines(self._file, largest))):
            if number < start:
                continue
            if line is None:
                yield RawRow(number, too_large(largest))
            elif not line.isspace():
                yield RawRow(number, parse_object(line), raw=line)


def parse_object(text: bytes) -> dict[str, object] | RowError:
    """Read one JSON object, or say why it is none."""
    try:
        return _decode(text)
    except msgspec.ValidationError:
        return RowError("invalid_row", "A row is a JSON object.")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return RowError("invalid_json", f"This is not JSON: {error}.")
    except RecursionError:
        return RowError("too_deeply_nested", "The JSON is nested too deeply.")


def too_large(largest: int) -> RowError:
    return RowError("row_too_large", f"A row has at most {largest} bytes.")
