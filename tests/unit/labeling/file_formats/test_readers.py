"""Readers: every row once, from any start, in bounded memory, and broken files told apart from broken rows."""

import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.file_formats import registry
from labeling.file_formats.options import Options
from labeling.file_formats.rows import FileError, Limits, RawRow
from labeling.wire import RowError

ROWS: list[dict[str, object]] = [{"key": f"k{n}", "text": f"text, “{n}”\nnext line", "note": "x" * n} for n in range(7)]
SMALL = Limits(row_bytes=200)


def jsonl(rows: Sequence[Mapping[str, object]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def csv_text(rows: Sequence[Mapping[str, object]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def parquet(rows: Sequence[Mapping[str, object]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), out, row_group_size=3)
    return out.getvalue()


def array(rows: Sequence[Mapping[str, object]]) -> bytes:
    return json.dumps(rows, indent=2).encode()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def folder(rows: Sequence[Mapping[str, object]]) -> bytes:
    half = len(rows) // 2
    return zipped({"data/a.jsonl": jsonl(rows[:half]), "data/b.parquet": parquet(rows[half:])})


WRITERS = {"jsonl": jsonl, "csv": csv_text, "parquet": parquet, "label_studio": array, "hugging_face": folder}


def read(
    file_format: str, content: bytes, start: int = 0, limits: Limits | None = None, options: Options | None = None
) -> list[RawRow]:
    reader = registry.open_reader(file_format, io.BytesIO(content), limits or Limits(), options or Options())
    return list(reader.rows(start))


def codes(rows: Sequence[RawRow]) -> list[str]:
    return [row.value.code if isinstance(row.value, RowError) else "" for row in rows]


@pytest.mark.parametrize("file_format", registry.FORMATS)
def test_all_rows_are_read_in_order_from_any_start(file_format: str) -> None:
    content = WRITERS[file_format](ROWS)
    for start in range(len(ROWS) + 1):
        rows = read(file_format, content, start)
        assert [row.number for row in rows] == list(range(start, len(ROWS)))
        assert [row.value for row in rows] == ROWS[start:]


@pytest.mark.parametrize("file_format", registry.FORMATS)
def test_the_file_tells_its_format(file_format: str) -> None:
    name = {"csv": "a.csv", "label_studio": "a.json"}.get(file_format, "a.bin")
    assert registry.detect(name, WRITERS[file_format](ROWS)[:1000]) == file_format


@pytest.mark.parametrize(
    ("name", "head", "code"),
    [
        ("a.jsonl", b"", "empty_file"),
        ("a.csv", b"\xef\xbb\xbf \n", "empty_file"),
        ("a.csv", "key,text".encode("utf-16"), "wrong_encoding"),
        ("a.csv", b"\x89PNG\r\n", "unknown_format"),
        ("a.csv", b"a\x00b", "unknown_format"),
        ("a.doc", b"hello", "unknown_format"),
    ],
)
def test_what_is_no_such_file_is_told(name: str, head: bytes, code: str) -> None:
    with pytest.raises(FileError) as refused:
        registry.detect(name, head)
    assert refused.value.code == code


@pytest.mark.parametrize("file_format", ["parquet", "hugging_face"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PAR1 and no more", b"PK\x03\x04 and no more"])
def test_binary_files_that_are_none_are_refused(file_format: str, content: bytes) -> None:
    with pytest.raises(FileError):
        read(file_format, content)


@pytest.mark.parametrize("file_format", ["parquet", "hugging_face"])
def test_truncated_binary_files_are_refused(file_format: str) -> None:
    content = WRITERS[file_format](ROWS)
    with pytest.raises(FileError):
        read(file_format, content[: len(content) // 2])


# -- JSON lines --------------------------------------------------------------------------------------------------


def test_bad_lines_are_told_and_the_others_kept() -> None:
    lines = [
        b'\xef\xbb\xbf{"a": 1}',
        b"",
        b"{broken",
        b"[1]",
        b'{"a": "' + b"x" * 300 + b'"}',
        b'{"a": "\xff"}',
        b'{"a": 2}',
    ]
    rows = read("jsonl", b"\n".join(lines), limits=SMALL)
    assert [row.number for row in rows] == [0, 2, 3, 4, 5, 6]
    assert codes(rows) == ["", "invalid_json", "invalid_row", "row_too_large", "invalid_json", ""]
    assert rows[-1].value == {"a": 2}


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "label_studio"])
def test_a_line_without_end_takes_no_memory(file_format: str) -> None:
    head = {"jsonl": b"", "csv": b"key,text\n", "label_studio": b"["}[file_format]
    file = io.BytesIO(head + b'"' + b"x" * 10_000_000)
    reader = registry.open_reader(file_format, file, Limits(row_bytes=100_000), Options())
    tracemalloc.start()
    try:
        found = codes(list(reader.rows()))
    except FileError as error:
        found = [error.code]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found in (["row_too_large"], ["truncated_file"], ["row_too_large", "truncated_file"])
    assert peak < 4_000_000


# -- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    content = csv_text(ROWS, delimiter)
    assert [row.value for row in read("csv", b"\xef\xbb\xbf" + content)] == ROWS


def test_a_single_column_needs_no_delimiter() -> None:
    assert [row.value for row in read("csv", b"text\none\ntwo\n")] == [{"text": "one"}, {"text": "two"}]


def test_bad_records_are_told_and_the_others_kept() -> None:
    content = b'key,text\na,one\nb\nc,three,more\n\nd,"' + b"x" * 300 + b'"\ne,caf\xe9\nf,six\n'
    rows = read("csv", content, limits=SMALL)
    assert codes(rows) == [
        *("", "wrong_number_of_columns", "wrong_number_of_columns"),
        *("row_too_large", "invalid_encoding", ""),
    ]
    assert rows[-1] == RawRow(5, {"key": "f", "text": "six"})
    latin = read("csv", content, limits=SMALL, options=Options(encoding="latin-1"))
    assert latin[4].value == {"key": "e", "text": "café"}


def test_a_quote_that_never_closes_is_one_bad_row() -> None:
    rows = read("csv", b'key,text\na,one\nb,"two\nc,three\n')
    assert codes(rows) == ["", "invalid_csv"]


@pytest.mark.parametrize("content", [b"\n", b"key,key\na,b\n", b'"key\n', b"k\xe9y,text\na,b\n"])
def test_a_header_that_says_nothing_is_refused(content: bytes) -> None:
    with pytest.raises(FileError):
        read("csv", content)


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.sampled_from([",", ";", "\t", "|"]))
def test_csv_gives_back_what_was_written(rows: list[tuple[str, str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["key", "text"])
    writer.writerows(rows)
    read_rows = read("csv", out.getvalue().encode(), options=Options(delimiter=delimiter))  # type: ignore[arg-type]
    assert [row.value for row in read_rows] == [{"key": key, "text": text} for key, text in rows]


# -- JSON arrays -----------------------------------------------------------------------------------------------------


JSON_OBJECTS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**50), 2**50) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(st.lists(JSON_OBJECTS, max_size=6), st.integers(0, 3), st.booleans(), st.integers(1, 40))
def test_an_array_is_cut_as_the_parser_would(rows: list[object], indent: int, is_ascii: bool, piece: int) -> None:
    content = json.dumps(rows, indent=indent or None, ensure_ascii=is_ascii).encode()

    class Slow(io.BytesIO):
        """Gives a few bytes at a time, as a network may."""

        def read(self, size: int | None = -1) -> bytes:
            return super().read(piece)

    reader = registry.open_reader("label_studio", Slow(content), Limits(), Options())
    assert [row.value for row in reader.rows()] == rows


def test_bad_elements_are_told_and_the_others_kept() -> None:
    content = b'[{"a": 1}, {"a": NaN}, 3, {"a": "' + b"]" * 300 + b'"}, {"a": "\\"]"} ]\n'
    rows = read("label_studio", content, limits=Limits(row_bytes=100))
    assert codes(rows)[:3] == ["", "invalid_json", "invalid_row"]
    assert codes(rows)[3:] == ["row_too_large", ""]
    assert rows[4].value == {"a": '"]'}


@pytest.mark.parametrize(
    ("content", "good", "code"),
    [
        (b"", 0, "empty_file"),
        (b"hello", 0, "not_an_array"),
        (b"[", 0, "truncated_file"),
        (b'[{"a": 1}, {"a', 1, "truncated_file"),
        (b'[{"a": 1},', 1, "truncated_file"),
        (b'[{"a": 1}] []', 1, "not_an_array"),
    ],
)
def test_arrays_that_end_wrongly_keep_what_came_before(content: bytes, good: int, code: str) -> None:
    rows: list[RawRow] = []
    reader = registry.open_reader("label_studio", io.BytesIO(content), Limits(), Options())
    with pytest.raises(FileError) as refused:
        rows.extend(row for row in reader.rows() if isinstance(row.value, dict))
        # Only a list would lose what was read before the error.
    assert refused.value.code == code
    kept = 0
    try:
        for row in registry.open_reader("label_studio", io.BytesIO(content), Limits(), Options()).rows():
            kept += isinstance(row.value, dict)
    except FileError:
        pass
    assert kept == good


# -- folders ---------------------------------------------------------------------------------------------------------


CARD = b"""---
license: mit
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': ham
          '1': spam
  - name: tags
    sequence:
      class_label:
        names: {'0': late, '1': refund}
---
# Data
"""
INFOS = json.dumps({"default": {"features": {"label": {"_type": "ClassLabel", "names": ["ham", "spam"]}}}}).encode()


@pytest.mark.parametrize("description", [{"README.md": CARD}, {"dataset_infos.json": INFOS}, {"a/README.md": CARD}])
def test_class_names_are_found_in_the_description(description: dict[str, bytes]) -> None:
    content = zipped({**description, "data/train-00000-of-00001.jsonl": jsonl([{"text": "a", "label": 1}])})
    reader = registry.open_reader("hugging_face", io.BytesIO(content), Limits(), Options())
    assert reader.class_names["label"] == ("ham", "spam")
    assert [dict(row.segments) for row in reader.rows()] == [{"split": "train"}]


def test_data_files_of_every_kind_are_read_in_the_order_of_their_names() -> None:
    content = zipped(
        {
            "d/4.tsv": csv_text(ROWS[6:7], "\t"),
            "d/1.csv": csv_text(ROWS[:2]),
            "d/2.json": array(ROWS[2:4]),
            "d/3.ndjson": jsonl(ROWS[4:6]),
            "d/image.png": b"not a data file",
        }
    )
    for start in (0, 3):
        assert [row.value for row in read("hugging_face", content, start)] == ROWS[start:]


def test_class_names_are_found_in_a_parquet_file() -> None:
    info = {"info": {"features": {"label": {"names": ["ham", "spam"], "_type": "ClassLabel"}}}}
    table = pa.Table.from_pylist([{"label": 1}]).replace_schema_metadata({"huggingface": json.dumps(info)})
    out = io.BytesIO()
    pq.write_table(table, out)
    assert registry.open_reader("parquet", out, Limits(), Options()).class_names == {"label": ("ham", "spam")}


def test_images_are_named_by_path_or_by_the_folder_of_their_class() -> None:
    named = zipped({"train/metadata.jsonl": jsonl([{"file_name": "1.png", "text": "one"}]), "train/1.png": b"image"})
    reader = registry.open_reader("hugging_face", io.BytesIO(named), Limits(), Options())
    (row,) = reader.rows()
    assert row.value == {"image": "train/1.png", "text": "one"}
    image = reader.open_image("train/1.png")
    assert image is not None
    assert image.read() == b"image"
    bare = zipped({"train/cat/1.png": b"image", "train/dog/2.png": b"image", ".DS_Store": b""})
    assert [row.value for row in read("hugging_face", bare)] == [
        {"key": "train/cat/1.png", "image": "train/cat/1.png", "label": "cat"},
        {"key": "train/dog/2.png", "image": "train/dog/2.png", "label": "dog"},
    ]


@pytest.mark.parametrize(
    "name", ["../evil.jsonl", "/etc/evil.jsonl", "a/../../evil.jsonl", "C:\\evil.jsonl", "..\\evil.jsonl"]
)
def test_paths_out_of_the_archive_are_refused(name: str) -> None:
    with pytest.raises(FileError) as refused:
        read("hugging_face", zipped({name: b"{}"}))
    assert refused.value.code == "unsafe_path"


def test_archives_that_unfold_beyond_measure_are_refused() -> None:
    bomb = zipped({"a.jsonl": b"x" * 1_000_000})
    with pytest.raises(FileError) as refused:
        read("hugging_face", bomb, limits=Limits(unpacked_bytes=100_000))
    assert refused.value.code == "zip_too_large"
    many = zipped({f"{n}.jsonl": b"{}" for n in range(20)})
    with pytest.raises(FileError):
        read("hugging_face", many, limits=Limits(entries=10))


def test_an_entry_never_yields_more_than_it_says() -> None:
    """The size in the directory is what was added up; a false one ends the reading."""
    content = bytearray(zipped({"a.jsonl": jsonl([{"text": "x" * 50}] * 1000)}))
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (60).to_bytes(4, "little")
    with pytest.raises(FileError):
        list(read("hugging_face", bytes(content)))


def test_a_damaged_member_is_told_with_its_name() -> None:
    content = bytearray(zipped({"data/a.jsonl": jsonl([{"text": str(n) * 20} for n in range(500)])}))
    content[200:260] = b"\x00" * 60
    with pytest.raises(FileError) as refused:
        read("hugging_face", bytes(content))
    assert "data/a.jsonl" in refused.value.message


def test_row_groups_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(FileError) as refused:
        read("parquet", parquet(ROWS), limits=Limits(row_group_bytes=10))
    assert refused.value.code == "row_group_too_large"
