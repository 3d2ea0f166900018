"""Products of vectors and weights that do not depend on what else is in the matrix.

A matrix product rounds a row differently when other rows stand beside it. Where parts of a pool are scored by several
workers, and again when a run is replayed, a row must come out the same to the last bit.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_EXACT_BITS: Final = 53
"""Integers of so many bits are exact in float64, and so are their sums."""


def product(rows: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Multiply every row by every weight vector, the same to the last bit whatever rows come together.

        z_ic = sum_j x_ij w_cj,

    with x and w rounded to multiples of 2^-b of a power of two above the largest number of their own row; b is 23 for d = 64,
    20 for d = 4,096.

    Parameters
    ----------
    rows
        Shape (n, d), finite.
    weights
        Shape (C, d), finite.

    Returns
    -------
    Shape (n, C), float64. The rounding moves it by less than 2^(2-b) d max|x_i| max|w_c|, and typically by the square root of
    d in place of d: about as much as float32 would. No row is changed by another, by threads, or by the order of the sum.

    Raises
    ------
    ValueError
        Shapes that do not fit.

    Notes
    -----
    The scaled numbers are integers of at most b bits with 2 b + log2 d <= 53, so sums of d of their products are integers
    that float64 holds: it adds them without rounding in whatever order a BLAS likes. One matrix product in float64 and a
    few passes over the rows.

    References
    ----------
    Ozaki, Ogita, Oishi, Rump: Error-free transformations of matrix multiplication by using fast routines of matrix
    multiplication and its applications. Numerical Algorithms 59, 2012.

    >>> product(np.array([[1.0, 0.5]]), np.array([[2.0, 4.0], [0.0, -1.0]])).tolist()
    [[4.0, -0.5]]
    """
    if rows.ndim != 2 or weights.ndim != 2 or rows.shape[1] != weights.shape[1]:
        raise ValueError(f"rows of shape {rows.shape} and weights of shape {weights.shape} do not fit")
    bits = (_EXACT_BITS - max(rows.shape[1] - 1, 0).bit_length()) // 2
    whole_rows, row_exponents = _integers(rows, bits)
    whole_weights, weight_exponents = _integers(weights, bits)
    sums: NDArray[np.float64] = whole_rows @ whole_weights.T
    np.ldexp(sums, row_exponents + weight_exponents.T, out=sums)
    return sums


def _integers(table: NDArray[np.floating], bits: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Each row as integers of so many bits, and the power of two (n, 1) by which they must be multiplied."""
    largest = np.maximum(table.max(axis=1, initial=0.0, keepdims=True), -table.min(axis=1, initial=0.0, keepdims=True))
    _, exponents = np.frexp(largest)
    exponents = exponents.astype(np.int32) - np.int32(bits)
    whole = table.astype(np.float64)
    np.ldexp(whole, -exponents, out=whole)
    return np.rint(whole, out=whole), exponents
