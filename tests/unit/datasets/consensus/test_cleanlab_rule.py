"""cleanlab's rule for wrong labels; run where the extra `label-errors` is installed."""

import numpy as np
import pytest

from datasets.consensus import cleanlab_rule
from datasets.consensus.label_errors import find_label_errors

needs_extra = pytest.mark.skipif(not cleanlab_rule.is_installed(), reason="the extra “label-errors” is not installed")


@needs_extra
def test_a_plain_error_is_a_suspect_with_our_score() -> None:
    truth = np.arange(60) % 3
    chances = np.full((60, 5), 0.05)
    chances[np.arange(60), truth] = 0.8
    labels = truth.copy()
    labels[7] = (labels[7] + 1) % 3
    found = cleanlab_rule.find_by_cleanlab(chances, labels)
    own = find_label_errors(chances, labels)
    assert found.ranked().tolist() == [7]
    np.testing.assert_array_equal(found.score, own.score)
    np.testing.assert_array_equal(found.suggested, own.suggested)


@needs_extra
def test_labels_of_one_class_are_no_suspects() -> None:
    found = cleanlab_rule.find_by_cleanlab(np.full((4, 2), 0.5), np.zeros(4, dtype=np.int64))
    assert not found.is_suspect.any()


def test_bad_input_is_refused_before_the_package_is_asked() -> None:
    with pytest.raises(ValueError, match="no distribution"):
        cleanlab_rule.find_by_cleanlab(np.array([[0.9, 0.9]]), np.array([0]))
