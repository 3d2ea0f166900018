"""What readers and mappers hand on: a row as the file has it, and the same row in the words of this service."""

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Final, Protocol

from labeling.schema import JSONValue
from labeling.wire import RowError

DEFAULT_LARGEST_ROW: Final = 1024 * 1024


class FileError(Exception):
    """Why a file as a whole cannot be read, or not any further: `code` for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a file may make us hold in memory or unpack."""

    row_bytes: int = DEFAULT_LARGEST_ROW
    unpacked_bytes: int = 20 * 1024**3
    entries: int = 1_000_000
    row_group_bytes: int = 1024**3


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row of a file: its place from 0, and either its fields or why it cannot be read.

    `raw` are the bytes it was read from, where a row is a JSON text of its own; `place` says where in an archive it
    stood; `segments` are the groups that its file puts it in.
    """

    number: int
    value: dict[str, object] | RowError
    raw: bytes = b""
    place: str = ""
    segments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """An annotation that came with the file, or a skip (without an answer); `email` names who gave it, if known."""

    import_key: str
    answer: JSONValue
    email: str = ""
    is_skip: bool = False
    is_ground_truth: bool = False
    created_at: dt.datetime | None = None
    duration_ms: int | None = None


@dataclass(slots=True)
class MappedRow:
    """A row in the form of the intake. Without an `item`, only predictions of an item that exists.

    `images` are payload fields whose image stands in the archive (a path) or in the row itself (bytes).
    """

    number: int
    key: str
    has_own_key: bool = True
    item: bytes | dict[str, object] | None = None
    predictions: list[dict[str, object]] = field(default_factory=list)
    answers: list[ImportedAnswer] = field(default_factory=list)
    images: dict[str, str | bytes] = field(default_factory=dict)
    model_versions: set[str] = field(default_factory=set)

    def note_version(self, prediction: object) -> None:
        """Remember whose prediction the row holds."""
        name = prediction.get("model_version") if isinstance(prediction, dict) else None
        if isinstance(name, str):
            self.model_versions.add(name)


class Reader(Protocol):
    """Reads one file of one format. Raises FileError where it cannot go on; memory does not grow with the file."""

    class_names: dict[str, tuple[str, ...]]
    """By column: the class names behind integer labels, as far as the file has told them by now."""

    def rows(self, start: int = 0) -> Iterator[RawRow]:
        """The rows from number `start` on, in the order of the file."""
        ...

    @property
    def done_bytes(self) -> int:
        """How far into the file reading has come."""
        ...

    def has_image(self, path: str) -> bool:
        """Whether an image of that path lies in the same archive."""
        ...

    def open_image(self, path: str) -> IO[bytes] | None:
        """An image that lies in the same archive; None if there is none of that path."""
        ...


class SingleFile(ABC):
    """What readers of a single file without images in it share."""

    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self.class_names: dict[str, tuple[str, ...]] = {}

    @abstractmethod
    def rows(self, start: int = 0) -> Iterator[RawRow]: ...

    @property
    def done_bytes(self) -> int:
        return self._file.tell()

    def has_image(self, path: str) -> bool:
        return False

    def open_image(self, path: str) -> IO[bytes] | None:
        return None
