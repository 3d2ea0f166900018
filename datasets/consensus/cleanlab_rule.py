"""Which labels look wrong, by the package cleanlab in place of our own rule. An extra, off by default."""

import importlib
import importlib.util
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from datasets.consensus.label_errors import LabelErrors, find_label_errors

PACKAGE: Final = "cleanlab"
_LEAST: Final = 1e-12


def is_installed() -> bool:
    return importlib.util.find_spec(PACKAGE) is not None


def find_by_cleanlab(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    *,
    label_probability: NDArray[np.float64] | None = None,
) -> LabelErrors:
    """`find_label_errors`, but cleanlab's default filter (prune by noise rate) says which labels are suspects.

    It estimates how many labels of each class really are of each other class, and calls so many of them suspects. Scores and
    suggestions are ours, so that cases of both rules can be compared. With fewer than two classes among the labels nothing is
    suspect. ModuleNotFoundError without the extra `label-errors`.

    References
    ----------
    Northcutt, Jiang, Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels. JAIR 2021.
    """
    found = find_label_errors(probabilities, labels, label_probability=label_probability)
    filtering: Any = importlib.import_module(f"{PACKAGE}.filter")
    is_suspect = np.zeros(len(labels), dtype=np.bool_)
    # It knows the classes that labels name, and no other.
    named, columns = np.unique(labels, return_inverse=True)
    if len(named) >= 2:
        among = np.maximum(np.asarray(probabilities, dtype=np.float64)[:, named], _LEAST)
        among /= among.sum(axis=1, keepdims=True)
        is_suspect = np.asarray(filtering.find_label_issues(columns, among, n_jobs=1), dtype=np.bool_)
    return LabelErrors(found.score, found.suggested, is_suspect)
