"""The formats a snapshot can be exported in, by name. A new one is one file and one line here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from datasets.formats import csv_rfc4180, jsonl
from datasets.formats.row import DatasetRow


@dataclass(frozen=True)
class ExportFormat:
    """`encode` yields the file's bytes in small chunks, for rows in the canonical order."""

    name: str
    content_type: str
    file_extension: str
    encode: Callable[[Iterable[DatasetRow]], Iterator[bytes]]


_ALL = (
    ExportFormat("jsonl", "application/x-ndjson", "jsonl", jsonl.encode),
    ExportFormat("csv", "text/csv; charset=utf-8", "csv", csv_rfc4180.encode),
)

FORMATS: Final[Mapping[str, ExportFormat]] = MappingProxyType({export.name: export for export in _ALL})
DEFAULT: Final = "jsonl"
