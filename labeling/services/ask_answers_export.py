"""Single answers to asks as a file: one a line, with constant memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

import msgspec

from labeling import ask_answers
from labeling.ask_answers import GivenAnswer, Wanted
from labeling.models import Project

COLUMNS: Final = (
    "id", "question", "question_version", "kind", "key", "model_version", "predicted_answer", "is_blind", "is_audit",
    "propensity", "segment", "respondent_hash", "opinion", "value", "score", "correction", "comment", "is_randomised",
    "epsilon", "duration_ms", "shown_at", "answered_at",
)  # fmt: skip
_JSON: Final = frozenset({"predicted_answer", "value", "correction"})
_BYTES_PER_CHUNK: Final = 64 * 1024
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Format:
    file_extension: str
    content_type: str
    encode: Callable[[Iterable[GivenAnswer]], Iterator[bytes]]


def fields_of(answer: GivenAnswer) -> dict[str, Any]:
    """An answer as it goes over the wire, by column."""
    fields = {**asdict(answer), "is_randomised": answer.is_randomised}
    return {name: fields[name] for name in COLUMNS}


def lines(project: Project, wanted: Wanted, *, format_name: str) -> Iterator[bytes]:
    """The file in chunks, ordered by the id of the ask. Raises InvalidInput at once, as `ask_answers.answered_asks` does."""
    asks = ask_answers.answered_asks(project, wanted)
    return _in_chunks(FORMATS[format_name].encode(ask_answers.in_order(asks)))


def _jsonl(answers: Iterable[GivenAnswer]) -> Iterator[bytes]:
    for each in answers:
        yield _encode(fields_of(each)) + b"\n"


def _csv(answers: Iterable[GivenAnswer]) -> Iterator[bytes]:
    """RFC 4180, cells as the data is; see datasets.formats.csv_rfc4180 about formulas. What may be an object is JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield _taken(buffer)
    for each in answers:
        writer.writerow(_cell(name, value) for name, value in fields_of(each).items())
        yield _taken(buffer)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and name not in _JSON:
        return value
    if isinstance(value, float):
        return repr(value)
    text = _encode(value).decode()
    return text if name in _JSON else text.strip('"')


def _taken(buffer: io.StringIO) -> bytes:
    written = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return written


def _in_chunks(parts: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _BYTES_PER_CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "jsonl": Format("jsonl", "application/x-ndjson", _jsonl),
        "csv": Format("csv", "text/csv; charset=utf-8", _csv),
    }
)
