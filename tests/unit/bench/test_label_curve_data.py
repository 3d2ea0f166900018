"""Data sets of the label-efficiency benchmark: what is read, how it is split, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.bench.label_curves import data


def _write(path: Path, rows: list[tuple[str, ...]], *, header: str = "text,label", encoding: str = "utf-8") -> None:
    with gzip.open(path, "wt", encoding=encoding, newline="") as file:
        file.write("\n".join([header, *(",".join(row) for row in rows)]) + "\n")


ROWS: list[tuple[str, ...]] = [
    (f"{'good' if n % 2 else 'bad'} film number {n}", "pos" if n % 2 else "neg") for n in range(40)
]


def test_a_pair_of_files_is_one_data_set_and_a_single_file_is_split(tmp_path: Path) -> None:
    _write(tmp_path / "a_train.csv.gz", ROWS)
    _write(tmp_path / "a_test.csv.gz", ROWS[:6])
    _write(tmp_path / "b.csv.gz", ROWS)
    assert data.names(tmp_path)[:2] == ["a", "b"]
    pair, single = data.read("a", tmp_path), data.read("b", tmp_path)
    assert (len(pair.y), len(pair.test_y), pair.classes) == (40, 6, 2)
    assert (len(single.y), len(single.test_y)) == (30, 10)
    assert np.linalg.norm(pair.geometry, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    assert data.read("b", tmp_path).digest == single.digest != pair.digest


def test_an_imbalanced_set_is_scored_by_macro_f1(tmp_path: Path) -> None:
    _write(tmp_path / "rare.csv.gz", [(text, "yes" if n == 3 or n == 17 else "no") for n, (text, _) in enumerate(ROWS)])
    assert data.read("rare", tmp_path).uses_macro_f1
    assert not data.read("digits", None).uses_macro_f1


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    rows = [*ROWS, ("", "pos"), ("no label", ""), ("short row",), ("  ", "neg"), ("long " * 100_000, "pos")]
    _write(tmp_path / "a.csv.gz", rows, header=" Text,LABEL,note")
    _write(tmp_path / "b.csv.gz", rows, encoding="utf-8-sig")
    one, other = data.read("a", tmp_path), data.read("b", tmp_path)
    assert (len(one.y) + len(one.test_y), one.skipped) == (41, 4)
    assert (other.digest, other.skipped) == (one.digest, 4)


def test_a_pair_is_one_set_only_where_nothing_else_has_its_name(tmp_path: Path) -> None:
    for name in ("a", "a_train", "a_test", "b_train", "c_test", "digits"):
        _write(tmp_path / f"{name}.csv.gz", ROWS)
    assert data.names(tmp_path) == ["a", "a_test", "a_train", "b_train", "c_test", "digits", "breast_cancer"]
    assert all(len(data.read(name, tmp_path).y) == 30 for name in data.names(tmp_path)[:-1])


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS, "body,label", r"bad.csv.gz: line 1: the columns text and label are needed; there are: body, label"),
        ([], "", r"bad.csv.gz: line 1: .* there are: none"),
        ([], "text,label", r"bad: 0 rows to choose from and 0 to test on are too few"),
        (ROWS[:12], "text,label", r"bad: 9 rows to choose from and 3 to test on are too few"),
        (ROWS[::2], "text,label", r"bad: at least two classes"),
        (
            [(text, f"id {n}") for n, (text, _) in enumerate(ROWS)],
            "text,label",
            r"bad: 40 classes of 30 rows are too many",
        ),
        ([("!", label) for _, label in ROWS], "text,label", r"bad: no text holds a word"),
    ],
)
def test_a_set_that_no_curve_can_be_drawn_of_is_refused_by_name(
    tmp_path: Path, rows: list[tuple[str, ...]], header: str, message: str
) -> None:
    _write(tmp_path / "bad.csv.gz", rows, header=header)
    with pytest.raises(data.DataError, match=message):
        data.read("bad", tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    _write(tmp_path / "bad.csv.gz", [(f"é {text}", label) for text, label in ROWS], encoding=encoding)
    with pytest.raises(data.DataError, match=r"bad\.csv\.gz: the text is not UTF-8"):
        data.read("bad", tmp_path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "bad.csv.gz", ROWS)
    whole = (tmp_path / "bad.csv.gz").read_bytes()
    (tmp_path / "bad.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(data.DataError, match=r"bad\.csv\.gz: Compressed file ended"):
        data.read("bad", tmp_path)


def test_a_directory_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match="holds no"):
        data.names(tmp_path)
    with pytest.raises(data.DataError, match="is no directory"):
        data.names(tmp_path / "nowhere")


# scikit-learn divides the variance it explains by the variance there is: 0 here.
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
@pytest.mark.parametrize("text", ["word", "one two"])
def test_texts_that_are_all_alike_have_a_geometry(tmp_path: Path, text: str) -> None:
    _write(tmp_path / "same.csv.gz", [(text, label) for _, label in ROWS])
    found = data.read("same", tmp_path)
    assert found.geometry.shape[0] == 30
    assert np.isfinite(found.geometry).all()


def test_a_file_that_is_no_gzip_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.csv.gz").write_bytes(b"text,label")
    with pytest.raises(data.DataError, match=r"bad\.csv\.gz"):
        data.read("bad", tmp_path)
    with pytest.raises(data.DataError, match="no data set 'nowhere'; there are: bad, digits, breast_cancer"):
        data.read("nowhere", tmp_path)
