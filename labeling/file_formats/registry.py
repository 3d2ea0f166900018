"""The file formats by name, and how a file tells which one it is. A new format is a reader and a line here."""

from collections.abc import Callable, Mapping
from typing import IO, Final, Protocol

from labeling.file_formats.columns import ColumnsMapper
from labeling.file_formats.csv_text import CsvFile
from labeling.file_formats.hugging_face import HuggingFaceFolder
from labeling.file_formats.json_array import JsonArray
from labeling.file_formats.jsonl import JsonLines
from labeling.file_formats.label_studio import LabelStudioMapper
from labeling.file_formats.options import Options
from labeling.file_formats.parquet import ParquetFile
from labeling.file_formats.rows import FileError, Limits, MappedRow, RawRow, Reader
from labeling.schema import AnySchema

SAMPLE_BYTES: Final = 64 * 1024


class Mapper(Protocol):
    def map(self, row: RawRow) -> MappedRow: ...


_READERS: Final[Mapping[str, Callable[[IO[bytes], Limits, Options], Reader]]] = {
    "jsonl": lambda file, limits, options: JsonLines(file, limits),
    "csv": lambda file, limits, options: CsvFile(file, limits, delimiter=options.delimiter, encoding=options.encoding),
    "parquet": lambda file, limits, options: ParquetFile(file, limits),
    "label_studio": lambda file, limits, options: JsonArray(file, limits),
    "hugging_face": lambda file, limits, options: HuggingFaceFolder(file, limits),
}
FORMATS: Final = tuple(_READERS)


def open_reader(file_format: str, file: IO[bytes], limits: Limits, options: Options) -> Reader:
    """Raises FileError if the file cannot be of that format."""
    return _READERS[file_format](file, limits, options)


def mapper_for(file_format: str, reader: Reader, schema: AnySchema, options: Options) -> Mapper:
    if file_format == "label_studio":
        return LabelStudioMapper(schema, options)
    return ColumnsMapper(
        schema,
        options,
        class_names=reader.class_names,
        has_image=reader.has_image if file_format == "hugging_face" else None,
    )


def detect(name: str, head: bytes) -> str:
    """The format of a file, by its first bytes, else by its name. Raises FileError `unknown_format`, `empty_file`.

    >>> detect("rows.txt", b'{"key": "a"}')
    'jsonl'
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    ending = name.lower().rpartition(".")[2]
    if not text:
        raise FileError("empty_file", "The file is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "hugging_face"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileError("wrong_encoding", "The file is UTF-16. Save it as UTF-8 and try again.")
    if text.startswith(b"["):
        return "label_studio"
    if text.startswith(b"{"):
        is_task = ending == "json" and b"\n{" not in text.rstrip()
        return "label_studio" if is_task else "jsonl"
    if b"\x00" in head or head.startswith((b"\x1f\x8b", b"%PDF", b"\x89PNG")):
        raise FileError("unknown_format", f"“{name[-100:]}” is none of: {', '.join(FORMATS)}.")
    if ending in ("jsonl", "ndjson"):
        return "jsonl"
    if ending in ("csv", "tsv", "txt"):
        return "csv"
    raise FileError("unknown_format", f"“{name[-100:]}” is none of: {', '.join(FORMATS)}. Say which one it is.")
