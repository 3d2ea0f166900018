"""Rows as arrays: every kind of column comes through, in order; what has no value or another width is refused."""

import numpy as np
import pytest

from datasets.services import binary_rows
from datasets.services.binary_rows import Columns, read

COLUMNS: Columns = {"number": ">i8", "share": ">f8", "is_odd": "?", "name": "S64"}
ROWS = "SELECT n::bigint, n / 4.0::float8, n %% 2 = 1, rpad('n' || n, 64) FROM generate_series(1, %(count)s) n ORDER BY n DESC"


@pytest.mark.django_db
def test_every_kind_of_column_comes_through_in_order() -> None:
    found = read(ROWS, {"count": 20_000}, COLUMNS)
    numbers = np.arange(20_000, 0, -1)
    np.testing.assert_array_equal(found["number"], numbers)
    np.testing.assert_array_equal(found["share"], numbers / 4)
    np.testing.assert_array_equal(found["is_odd"], numbers % 2 == 1)
    assert found["name"][0] == b"n20000".ljust(64)


@pytest.mark.django_db
def test_rows_of_several_blocks_come_through_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary_rows, "MOST_BYTES", 9_000)
    found = read(ROWS, {"count": 20_000}, COLUMNS)
    np.testing.assert_array_equal(found["number"], np.arange(20_000, 0, -1))
    assert found["name"][-1] == b"n1".ljust(64)


@pytest.mark.django_db
def test_no_rows_are_an_empty_array_with_the_columns() -> None:
    found = read(ROWS, {"count": 0}, COLUMNS)
    assert (len(found), found.dtype.names) == (0, tuple(COLUMNS))


@pytest.mark.django_db
@pytest.mark.parametrize("row", ["1::bigint, NULL::text", "1::bigint, 'short'", "NULL::bigint, rpad('a', 64)"])
def test_what_has_no_value_or_another_width_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="is NULL, or has another width"):
        read(f"SELECT {row} UNION ALL SELECT 2::bigint, rpad('b', 64)", {}, {"number": ">i8", "name": "S64"})
