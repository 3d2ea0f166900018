"""Every export format keeps every value, however nasty; the canonical form is what the docs say."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.formats import csv_rfc4180, jsonl, registry
from datasets.formats.row import DatasetRow

NASTY_TEXTS = {
    "html": "<script>alert('x')</script> &amp; <b>bold</b>",
    "right to left": "שלום עולם \u202eevil\u202c مرحبا",
    "emoji": "👩🏽‍🚀 flag 🇩🇪 \U0010ffff",
    "line breaks": "one\ntwo\r\nthree\rfour\u2028five\u2029six\x0b\x0c\x85",
    "quotes and commas": 'he said "no, ""never""", twice, \\"',
    "formula": '=HYPERLINK("http://x","y")',
    "at": "@SUM(1+1)",
    "minus": "-2+3",
    "tab": "\t=1",
    "space": "  leading and trailing  ",
    "like json": '{"a": [1, "}"]}',
    "control": "\x01\x1f\x7f",
    "empty": "",
}

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
ROWS = st.builds(
    DatasetRow,
    key=TEXT.filter(bool),
    label=TEXT.filter(bool),
    probability=st.floats(min_value=1e-300, max_value=1.0),
    split=st.sampled_from(["train", "validation", "test"]),
    propensity=st.none() | st.floats(min_value=1e-300, max_value=1.0),
    is_audit=st.booleans(),
    payload=st.dictionaries(TEXT, JSON, max_size=3),
    segments=st.dictionaries(TEXT, JSON, max_size=2),
)


def row(**changes: Any) -> DatasetRow:
    values: dict[str, Any] = {
        "key": "k",
        "label": "cat",
        "probability": 1.0,
        "split": "train",
        "propensity": None,
        "is_audit": False,
        "payload": {"text": "meow"},
        "segments": {},
    }
    return DatasetRow(**{**values, **changes})


def from_jsonl(file: bytes) -> list[DatasetRow]:
    return [DatasetRow(**json.loads(line)) for line in file.split(b"\n")[:-1]]


def from_csv(file: bytes) -> list[DatasetRow]:
    lines = csv.DictReader(io.StringIO(file.decode(), newline=""), strict=True)
    return [
        row(
            key=cells["key"],
            label=cells["label"],
            probability=float(cells["probability"]),
            split=cells["split"],
            propensity=float(cells["propensity"]) if cells["propensity"] else None,
            is_audit=json.loads(cells["is_audit"]),
            payload=json.loads(cells["payload"]),
            segments=json.loads(cells["segments"]),
        )
        for cells in lines
    ]


READERS: dict[str, Callable[[bytes], list[DatasetRow]]] = {"jsonl": from_jsonl, "csv": from_csv}


def written(name: str, rows: list[DatasetRow]) -> bytes:
    return b"".join(registry.FORMATS[name].encode(rows))


def test_every_format_is_tested_here() -> None:
    assert READERS.keys() == registry.FORMATS.keys()
    assert registry.DEFAULT in registry.FORMATS


@pytest.mark.parametrize("name", registry.FORMATS)
@given(rows=st.lists(ROWS, max_size=4))
def test_what_is_written_reads_back_the_same(name: str, rows: list[DatasetRow]) -> None:
    assert READERS[name](written(name, rows)) == rows


@pytest.mark.parametrize("name", registry.FORMATS)
@pytest.mark.parametrize("text", NASTY_TEXTS.values(), ids=NASTY_TEXTS.keys())
def test_nasty_text_comes_through_unchanged(name: str, text: str) -> None:
    rows = [row(key=text or "k", label=text or "l", payload={"text": text, text: text}, segments={text: text}), row()]
    assert READERS[name](written(name, rows)) == rows


@pytest.mark.parametrize("name", registry.FORMATS)
def test_writing_is_lazy(name: str) -> None:
    def rows() -> Any:
        yield row()
        raise AssertionError("asked for more than was taken")

    chunks = registry.FORMATS[name].encode(rows())
    assert next(chunks)


@given(one=ROWS)
def test_a_jsonl_row_is_one_line_whatever_it_holds(one: DatasetRow) -> None:
    line = jsonl.line(one)
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")


def test_the_canonical_form_does_not_depend_on_the_order_of_keys() -> None:
    one = row(payload={"b": {"y": 1, "x": 2}, "a": 3}, segments={"n": "1", "m": "2"})
    other = row(payload={"a": 3, "b": {"x": 2, "y": 1}}, segments={"m": "2", "n": "1"})
    assert jsonl.line(one) == jsonl.line(other)


def test_the_canonical_form_of_numbers() -> None:
    line = jsonl.line(row(probability=1.0, propensity=0.1 + 0.2, payload={"n": [1, 1.0, -0.5, 1e16, 1e-5, 10**30]}))
    assert line == (
        b'{"is_audit":false,"key":"k","label":"cat","payload":{"n":[1,1.0,-0.5,1e+16,1e-05,'
        b'1000000000000000000000000000000]},"probability":1.0,"propensity":0.30000000000000004,"segments":{},'
        b'"split":"train"}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        jsonl.line(row(payload={"x": value}))
    with pytest.raises(ValueError, match="not JSON compliant"):
        written("csv", [row(payload={"x": value})])


def test_csv_is_as_rfc_4180_says() -> None:
    file = written("csv", [row(propensity=0.5, is_audit=True), row(key='a,"b"\n', payload={"x": 1})])
    assert file.decode() == (
        "key,label,probability,split,propensity,is_audit,text,segments,payload\r\n"
        'k,cat,1.0,train,0.5,true,meow,{},"{""text"":""meow""}"\r\n'
        '"a,""b""\n",cat,1.0,train,,false,,{},"{""x"":1}"\r\n'
    )


def test_csv_of_no_rows_still_names_its_columns() -> None:
    assert written("csv", []).decode().strip().split(",") == list(csv_rfc4180.COLUMNS)


@pytest.mark.parametrize("text", [None, 5, ["a"], {"a": "b"}])
def test_the_text_column_is_empty_when_the_payload_has_no_text(text: object) -> None:
    [cells] = csv.DictReader(io.StringIO(written("csv", [row(payload={"text": text})]).decode(), newline=""))
    assert cells["text"] == ""
    assert json.loads(cells["payload"]) == {"text": text}
