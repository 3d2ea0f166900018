"""Parquet, read row group by row group in small batches."""

from collections.abc import Iterator
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from labeling.file_formats import features
from labeling.file_formats.rows import FileError, Limits, RawRow, SingleFile

_BATCH_ROWS: Final = 1_000


class ParquetFile(SingleFile):
    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        super().__init__(file, limits)
        file.seek(0)
        try:
            self._parquet = pq.ParquetFile(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileError("invalid_parquet", f"This is not a Parquet file: {_first_line(error)}.") from None
        metadata = self._parquet.schema_arrow.metadata or {}
        self.class_names = dict(features.from_json(metadata.get(b"huggingface", b"")))
        self.row_count: int = self._parquet.metadata.num_rows
        file.seek(0, 2)
        self._size = file.tell()
        self._read_rows = 0

    def rows(self, start: int = 0) -> Iterator[RawRow]:
        number = 0
        for group in range(self._parquet.num_row_groups):
            about = self._parquet.metadata.row_group(group)
            if number + about.num_rows <= start:
                number += about.num_rows
                continue
            if about.total_byte_size > self._limits.row_group_bytes:
                raise FileError(
                    "row_group_too_large",
                    f"A row group has {about.total_byte_size} bytes, at most {self._limits.row_group_bytes} are read. "
                    "Write the file with smaller row groups.",
                )
            for value in self._values(group):
                self._read_rows = number + 1
                if number >= start:
                    yield RawRow(number, value)
                number += 1

    def _values(self, group: int) -> Iterator[dict[str, object]]:
        try:
            for batch in self._parquet.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise FileError("invalid_parquet", f"The file is damaged: {_first_line(error)}.") from None

    @property
    def done_bytes(self) -> int:
        return self._size * self._read_rows // max(self.row_count, 1)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
