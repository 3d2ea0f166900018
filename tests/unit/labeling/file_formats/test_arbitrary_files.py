"""Whatever a file holds: rows, row errors or a FileError come of it, and nothing else."""

import contextlib
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling import schema as schemas
from labeling.file_formats import registry
from labeling.file_formats.options import Options
from labeling.file_formats.rows import FileError, Limits, RawRow
from labeling.wire import RowError
from tests.unit.labeling.file_formats.test_mapping import BY_KIND, schema_of
from tests.unit.labeling.file_formats.test_readers import ROWS, WRITERS

HEADS = st.sampled_from(
    [b"", b"[", b"{", b'[{"data": ', b"PK\x03\x04", b"PAR1", b"key,text\n", b'"', b"\xef\xbb\xbf", b"---\n"]
)
BYTES = st.builds(bytes.__add__, HEADS, st.binary(max_size=200))

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["data", "key", "choices", "spam", "1", "nan", "[", "{}", "2026-01-05", "😀"]
)
NAMES = st.sampled_from(
    [
        *(
            "id",
            "key",
            "data",
            "meta",
            "payload",
            "segments",
            "segment.a",
            "label",
            "text",
            "image",
            "a",
            "b",
            "output",
        ),
        *("prediction", "predictions", "probabilities", "prob.ham", "model_version", "confidence", "score", "context"),
        *(
            "annotations",
            "result",
            "type",
            "value",
            "from_name",
            "completed_by",
            "was_cancelled",
            "created_at",
            "lead_time",
        ),
        *("choices", "rating", "number", "selected", "labels", "rectanglelabels", "start", "end", "x", "y", "rotation"),
        *("bytes", "path", "spans", "boxes", "class", "choice", "unique_id", "respondent"),
    ]
)
TYPES = st.sampled_from(["choices", "rating", "textarea", "pairwise", "labels", "number", "rectanglelabels"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | TEXTS | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=15,
)
RESULTS = st.lists(st.fixed_dictionaries({"type": TYPES, "value": JSON}), max_size=2)
TASKS = st.fixed_dictionaries(
    {"data": st.dictionaries(NAMES, JSON, min_size=1, max_size=3)},
    optional={
        "id": JSON,
        "meta": JSON,
        "annotations": JSON
        | st.lists(st.fixed_dictionaries({"result": RESULTS, "created_at": JSON, "lead_time": JSON})),
        "predictions": JSON
        | st.lists(st.fixed_dictionaries({"result": RESULTS, "score": JSON, "model_version": JSON})),
    },
)


def read(file_format: str, content: bytes) -> None:
    with contextlib.suppress(FileError):
        reader = registry.open_reader(file_format, io.BytesIO(content), Limits(row_bytes=500), Options())
        for row in reader.rows():
            assert isinstance(row.value, dict | RowError)


@pytest.mark.parametrize("file_format", registry.FORMATS)
@settings(deadline=None)
@given(content=BYTES)
def test_arbitrary_bytes(file_format: str, content: bytes) -> None:
    read(file_format, content)
    with contextlib.suppress(FileError):
        assert registry.detect("a.csv", content) in registry.FORMATS


@pytest.mark.parametrize("file_format", registry.FORMATS)
@settings(deadline=None)
@given(data=st.data())
def test_files_with_a_few_bytes_changed(file_format: str, data: st.DataObject) -> None:
    content = bytearray(WRITERS[file_format](ROWS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    read(file_format, bytes(content[: data.draw(st.integers(1, len(content)))]))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["README.md", "dataset_infos.json", "a.jsonl", "b.csv", "c.parquet", "d.json"]), BYTES
    )
)
def test_archives_of_arbitrary_files(files: dict[str, bytes]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    read("hugging_face", out.getvalue())


def check(file_format: str, schema: schemas.AnySchema, fields: dict[str, Any]) -> None:
    reader = registry.open_reader("jsonl", io.BytesIO(b"{}"), Limits(), Options())
    mapper = registry.mapper_for(file_format, reader, schema, Options())
    with contextlib.suppress(RowError):
        row = mapper.map(RawRow(0, fields, json.dumps(fields).encode()))
        for answer in row.answers:
            assert answer.is_skip or schema.parse_answer(answer.answer)


@pytest.mark.parametrize("kind", BY_KIND)
@settings(deadline=None)
@given(fields=st.dictionaries(NAMES, JSON, max_size=6))
def test_arbitrary_columns(kind: str, fields: dict[str, Any]) -> None:
    check("jsonl", schema_of(kind), fields)


@pytest.mark.parametrize("kind", BY_KIND)
@settings(deadline=None)
@given(task=TASKS)
def test_arbitrary_tasks(kind: str, task: dict[str, Any]) -> None:
    check("label_studio", schema_of(kind), task)
