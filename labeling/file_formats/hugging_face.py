"""A folder in the manner of Hugging Face data sets, as a zip: data files of any kind, a card with class names, images.

Rows are numbered through all data files in the order of their names. Nothing is ever unpacked by the name it has in the
archive.
"""

import io
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Final

from labeling.file_formats import features
from labeling.file_formats.csv_text import CsvFile
from labeling.file_formats.json_array import JsonArray
from labeling.file_formats.jsonl import JsonLines
from labeling.file_formats.parquet import ParquetFile
from labeling.file_formats.rows import FileError, Limits, RawRow, SingleFile
from labeling.wire import RowError

_DATA_ENDINGS: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
_IMAGE_ENDINGS: Final = (".jpg", ".jpeg", ".png", ".gif", ".webp")
_DESCRIPTIONS: Final = ("dataset_infos.json", "dataset_info.json", "features.json", "state.json")
_SPLIT: Final = re.compile(r"(?:^|[/_.-])(train|validation|valid|dev|test)(?:[/_.-]|$)")
_SPLIT_NAMES: Final = {"valid": "validation", "dev": "validation"}
_IN_MEMORY: Final = 16 * 1024 * 1024
_PIECE: Final = 1024 * 1024


class HuggingFaceFolder:
    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._zip = _opened(file)
        self._entries = _checked_entries(self._zip, limits)
        self._data = sorted(name for name in self._entries if _is_data(name))
        self.class_names: dict[str, tuple[str, ...]] = self._described()
        self._done_bytes = 0

    @property
    def done_bytes(self) -> int:
        return self._done_bytes

    def rows(self, start: int = 0) -> Iterator[RawRow]:
        number = 0
        self._done_bytes = 0
        for row in self._all_rows():
            if number >= start:
                yield RawRow(number, row.value, row.raw, row.place, row.segments)
            number += 1
        if number == 0:
            raise FileError("no_data_files", "The archive has no data files (.jsonl, .csv, .parquet) and no images.")

    def has_image(self, path: str) -> bool:
        return path in self._entries

    def open_image(self, path: str) -> IO[bytes] | None:
        """By its path in the archive; `rows` has made it one."""
        info = self._entries.get(path)
        if info is None:
            return None
        with self._read(info) as packed:
            return _unpacked(packed, info.file_size)

    def _all_rows(self) -> Iterator[RawRow]:
        if not self._data:
            yield from self._image_rows()
            return
        for name in self._data:
            info = self._entries[name]
            split = _split_of(name)
            segments = {"split": split} if split else {}
            folder = PurePosixPath(name).parent
            with self._read(info) as packed:
                reader = self._reader(name, packed, info)
                # A Parquet file may tell class names that the card leaves out.
                for column, names in reader.class_names.items():
                    self.class_names.setdefault(column, names)
                for row in _guarded(reader, name):
                    place = f"{name}, row {row.number}"
                    if isinstance(row.value, RowError):
                        row.value.message = f"{row.value.message} ({place})"
                        yield RawRow(0, row.value, place=place)
                    else:
                        yield RawRow(0, self._with_paths(row.value, folder), row.raw, place, segments)
            self._done_bytes += info.compress_size

    def _image_rows(self) -> Iterator[RawRow]:
        """Images in folders that are named for their class, below folders that may be named for their split."""
        for name in sorted(self._entries):
            if not name.lower().endswith(_IMAGE_ENDINGS):
                continue
            folders = PurePosixPath(name).parts[:-1]
            value: dict[str, object] = {"key": name, "image": name}
            if folders and not _split_of(folders[-1]) and folders[-1] not in ("data", "images"):
                value["label"] = folders[-1]
            split = _split_of(name)
            yield RawRow(0, value, place=name, segments={"split": split} if split else {})
            self._done_bytes += self._entries[name].compress_size

    def _with_paths(self, value: dict[str, object], folder: PurePosixPath) -> dict[str, object]:
        """Paths of images as the archive has them, relative to the file that names them or to the top."""
        if "file_name" in value and "image" not in value:
            value = {"image": value["file_name"], **{name: each for name, each in value.items() if name != "file_name"}}
        for name, each in value.items():
            if isinstance(each, str) and each.lower().endswith(_IMAGE_ENDINGS) and "://" not in each:
                beside = str(folder / each)
                value[name] = beside if beside in self._entries else each.removeprefix("./")
        return value

    def _reader(self, name: str, packed: IO[bytes], info: zipfile.ZipInfo) -> SingleFile:
        ending = PurePosixPath(name).suffix.lower()
        try:
            if ending == ".parquet":
                return ParquetFile(_unpacked(packed, info.file_size), self._limits)
            if ending in (".csv", ".tsv"):
                return CsvFile(packed, self._limits, delimiter="\t" if ending == ".tsv" else "")
            if ending == ".json" and _first_character(self._zip, info) == b"[":
                return JsonArray(packed, self._limits)
            return JsonLines(packed, self._limits)
        except FileError as error:
            raise FileError(error.code, f"{name}: {error.message}") from None

    def _described(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, info in self._entries.items():
            path = PurePosixPath(name)
            if path.name.lower() != "readme.md" and path.name not in _DESCRIPTIONS:
                continue
            with self._read(info) as packed:
                text = packed.read(features.LARGEST_DESCRIPTION)
            said = features.from_card(text) if path.suffix.lower() == ".md" else features.from_json(text)
            found = {**said, **found}
        return found

    def _read(self, info: zipfile.ZipInfo) -> IO[bytes]:
        try:
            return self._zip.open(info)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
            raise FileError("invalid_zip", f"{info.filename[:200]} cannot be unpacked: {error}.") from None


def _guarded(reader: SingleFile, name: str) -> Iterator[RawRow]:
    """Its rows; what goes wrong with the file as a whole is told with its name."""
    try:
        yield from reader.rows()
    except FileError as error:
        raise FileError(error.code, f"{name}: {error.message}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FileError("invalid_zip", f"{name} is damaged: {error}.") from None


def _opened(file: IO[bytes]) -> zipfile.ZipFile:
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise FileError("invalid_zip", f"This is not a zip file: {error}.") from None


def _checked_entries(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    """The files by path. Raises FileError for what only an attack or a mistake puts into an archive."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > limits.entries:
        raise FileError("zip_too_large", f"The archive has more than {limits.entries} files.")
    # A file never unpacks to more than it says here: reading stops there.
    if sum(info.file_size for info in infos) > limits.unpacked_bytes:
        raise FileError("zip_too_large", f"The archive unpacks to more than {limits.unpacked_bytes} bytes.")
    for info in infos:
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name[:3]:
            raise FileError("unsafe_path", f"The archive has a file with the path “{name[:200]}”.")
        if info.flag_bits & 0x1:
            raise FileError("encrypted_zip", "The archive is encrypted.")
    return {info.filename: info for info in infos if not _is_hidden(info.filename)}


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _is_data(name: str) -> bool:
    return name.lower().endswith(_DATA_ENDINGS) and PurePosixPath(name).name not in _DESCRIPTIONS


def _split_of(name: str) -> str:
    found = _SPLIT.search(name.lower())
    return _SPLIT_NAMES.get(found[1], found[1]) if found else ""


def _first_character(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as packed:
        return packed.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _unpacked(packed: IO[bytes], size: int) -> IO[bytes]:
    """A copy that can be read in any order, on disk if it is large."""
    copy: IO[bytes] = io.BytesIO() if size <= _IN_MEMORY else tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        while piece := packed.read(_PIECE):
            copy.write(piece)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        copy.close()
        raise FileError("invalid_zip", f"The archive is damaged: {error}.") from None
    copy.seek(0)
    return copy
