"""Data sets of the label-efficiency benchmark: what is read, how it is split, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.bench.label_curves import data


def _write(path: Path, rows: list[tuple[str, str]], *, header: str = "text,label") -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n")


ROWS = [(f"{'good' if n % 2 else 'bad'} film number {n}", "pos" if n % 2 else "neg") for n in range(40)]


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


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (ROWS, "body,label", r"bad.csv.gz: line 1: the columns"),
        ([*ROWS[:3], ("", "pos")], "text,label", r"bad.csv.gz: line 5: text or label"),
        (ROWS[::2], "text,label", r"bad.csv.gz: at least two classes"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(
    tmp_path: Path, rows: list[tuple[str, str]], header: str, message: str
) -> None:
    _write(tmp_path / "bad.csv.gz", rows, header=header)
    with pytest.raises(data.DataError, match=message):
        data.read("bad", tmp_path)


def test_a_file_that_is_no_gzip_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.csv.gz").write_bytes(b"text,label")
    with pytest.raises(data.DataError, match=r"bad\.csv\.gz"):
        data.read("bad", tmp_path)
    with pytest.raises(data.DataError, match="no data set 'nowhere'"):
        data.read("nowhere", tmp_path)
