import itertools
import re
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labeling.probability import (
    RowProblem,
    find_problems,
    joint_confidence,
    normalise,
    pack,
    pack_many,
    unpack,
    unpack_many,
    validate,
)

nan, inf = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("row", "problem", "reason"),
    [
        ([0.5, nan, 0.5], RowProblem.NOT_A_NUMBER, "not a number"),
        ([nan, -1.0, 2.0], RowProblem.NOT_A_NUMBER, "not a number"),
        ([-0.1, 0.6, 0.5], RowProblem.NEGATIVE, "negative"),
        ([-inf, inf, 1.0], RowProblem.NEGATIVE, "negative"),
        ([inf, 0.0, 0.0], RowProblem.ABOVE_ONE, "above 1"),
        ([1.5, 0.0, 0.0], RowProblem.ABOVE_ONE, "above 1"),
        ([0.5, 0.5, 0.0011], RowProblem.BAD_SUM, "sum to 1"),
        ([0.5, 0.4989, 0.0], RowProblem.BAD_SUM, "sum to 1"),
        ([0.0, 0.0, 0.0], RowProblem.BAD_SUM, "sum to 1"),
    ],
)
def test_a_bad_row_is_found_between_good_ones_and_refused_by_number(
    row: list[float], problem: RowProblem, reason: str
) -> None:
    rows = np.array([[0.2, 0.3, 0.5], row, [1.0, 0.0, 0.0]])
    is_bad, codes = find_problems(rows)
    assert is_bad.tolist() == [False, True, False]
    assert codes.tolist() == [0, problem, 0]
    with pytest.raises(ValueError, match=f"row 1: .*{reason}"):
        validate(rows)


def test_the_first_of_several_bad_rows_is_named() -> None:
    with pytest.raises(ValueError, match="row 1: a probability is negative"):
        validate(np.array([[0.5, 0.5], [-1.0, 2.0], [nan, 0.5]]))


@pytest.mark.parametrize("row", [[0.5, 0.5009], [0.5, 0.4991], [1.0009, 0.0], [1.0, 0.0]])
def test_a_row_within_tolerance_is_renormalised(row: list[float]) -> None:
    (result,) = validate(np.array([row]))
    assert result.dtype == np.float32
    assert result.astype(np.float64).sum() == pytest.approx(1.0, abs=1e-7)
    assert result[0] * row[1] == pytest.approx(result[1] * row[0], rel=1e-6)


def test_the_tolerance_can_be_chosen() -> None:
    rows = np.array([[0.5, 0.49]])
    assert validate(rows, tolerance=0.02).shape == (1, 2)
    with pytest.raises(ValueError, match="sum to 1"):
        validate(rows)


def test_the_argument_is_not_changed() -> None:
    rows = np.array([[0.5, 0.5005]])
    validate(rows)
    assert rows.tolist() == [[0.5, 0.5005]]


def test_no_rows_are_no_problem() -> None:
    assert validate(np.empty((0, 3))).shape == (0, 3)
    is_bad, codes = find_problems(np.empty((0, 3)))
    assert is_bad.shape == codes.shape == (0,)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (2, 0), ()])
def test_anything_but_a_matrix_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape("shape (n, C)")):
        find_problems(np.zeros(shape))


def test_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="floating point"):
        find_problems(np.array([[1, 0]]))


def test_one_class_must_have_probability_one() -> None:
    assert validate(np.array([[1.0]])).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="row 0"):
        validate(np.array([[0.9]]))


def test_many_float32_classes_are_summed_without_drift() -> None:
    # Summed one after the other in float32, 1,000 x 0.001 is off by far more than its last digit.
    rows = np.full((2, 1000), 0.001, dtype=np.float32)
    assert not find_problems(rows, tolerance=1e-6)[0].any()


def test_packed_rows_are_little_endian_float32_of_fixed_width() -> None:
    assert pack(np.array([0.25, 0.5, 0.25])) == struct.pack("<3f", 0.25, 0.5, 0.25)
    assert pack(np.array([0.25, 0.75], dtype=">f8")) == struct.pack("<2f", 0.25, 0.75)


def test_unpack_reads_what_struct_wrote() -> None:
    assert unpack(struct.pack("<3f", 0.25, 0.5, 0.25), 3).tolist() == [0.25, 0.5, 0.25]


def test_many_rows_are_unpacked_from_one_buffer_or_from_a_list() -> None:
    blobs = [struct.pack("<2f", 0.25, 0.75), struct.pack("<2f", 1.0, 0.0)]
    expected = [[0.25, 0.75], [1.0, 0.0]]
    assert unpack_many(b"".join(blobs), 2).tolist() == expected
    assert unpack_many(bytearray(b"".join(blobs)), 2).tolist() == expected
    assert unpack_many(memoryview(b"".join(blobs)), 2).tolist() == expected
    assert unpack_many(blobs, 2).tolist() == expected
    assert unpack_many(b"", 2).shape == (0, 2)


def test_a_blob_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="8 bytes, not 12"):
        unpack(bytes(12), 2)
    with pytest.raises(ValueError, match=r"row 1: .*8 bytes, not 12"):
        unpack_many([bytes(8), bytes(12)], 2)
    # Together these are three whole rows, which must not hide that neither is one.
    with pytest.raises(ValueError, match="row 0"):
        unpack_many([bytes(12), bytes(12)], 2)
    with pytest.raises(ValueError, match="20 bytes"):
        unpack_many(bytes(20), 2)
    with pytest.raises(ValueError, match="n_classes"):
        unpack_many(b"", 0)


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 20), st.integers(1, 12)), elements=st.floats(1e-3, 1.0)))
def test_packing_and_unpacking_returns_the_validated_rows(
    weights: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    rows = normalise(weights)
    blobs = pack_many(rows)
    assert [pack(row) for row in rows] == blobs
    np.testing.assert_array_equal(unpack_many(b"".join(blobs), rows.shape[1]), rows)


@example(np.full((1, 3), 6e307))  # the sum overflows
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 12), st.integers(1, 4)),
        elements=st.one_of(
            st.floats(allow_nan=True, allow_infinity=True), st.floats(-0.1, 1.1), st.just(1.0), st.just(0.0)
        ),
    )
)
def test_the_vectorised_check_says_what_a_loop_over_values_says(
    rows: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    expected = []
    for row in rows.tolist():
        if any(value != value for value in row):
            expected.append(RowProblem.NOT_A_NUMBER)
        elif any(value < 0 for value in row):
            expected.append(RowProblem.NEGATIVE)
        elif any(value > 1.001 for value in row):
            expected.append(RowProblem.ABOVE_ONE)
        elif abs(sum(row) - 1) > 1e-3:
            expected.append(RowProblem.BAD_SUM)
        else:
            expected.append(RowProblem.NONE)
    is_bad, codes = find_problems(rows)
    assert codes.tolist() == expected
    assert is_bad.tolist() == [code != RowProblem.NONE for code in expected]


# -- classes judged one by one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ([0.9, 0.9, 0.9], RowProblem.NONE),
        ([0.0, 0.0, 0.0], RowProblem.NONE),
        ([1.0, 1.0, 1.0], RowProblem.NONE),
        ([0.5, np.nan, 0.5], RowProblem.NOT_A_NUMBER),
        ([0.5, -1e-9, 0.5], RowProblem.NEGATIVE),
        ([0.5, 1.0 + 1e-9, 0.5], RowProblem.ABOVE_ONE),
        ([0.5, np.inf, 0.5], RowProblem.ABOVE_ONE),
        ([0.5, -np.inf, 0.5], RowProblem.NEGATIVE),
    ],
)
def test_independent_probabilities_are_judged_without_a_sum(row: list[float], problem: RowProblem) -> None:
    is_bad, problems = find_problems(np.array([row, [0.1, 0.2, 0.3]]), is_exclusive=False)
    assert is_bad.tolist() == [problem != RowProblem.NONE, False]
    assert problems.tolist() == [problem, RowProblem.NONE]


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), max_size=5))
def test_the_joint_confidence_is_the_chance_of_the_likeliest_set(rows: list[list[float]]) -> None:
    """Checked by going through all sets of classes."""
    joint = joint_confidence(np.array(rows, dtype=np.float64).reshape(-1, 3))
    expected = [
        max(
            np.prod([p if is_in else 1 - p for p, is_in in zip(row, chosen, strict=True)])
            for chosen in itertools.product([True, False], repeat=3)
        )
        for row in rows
    ]
    np.testing.assert_allclose(joint, expected, rtol=1e-12)
