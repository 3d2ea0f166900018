import pytest

from sampling import hand_over


@pytest.mark.parametrize(
    ("counts", "classes", "per_class", "has_scores", "is_done", "reason"),
    [
        ({}, 2, 15, False, False, "no model has scored"),
        ({"a": 50, "b": 50}, 2, 15, False, False, "no model has scored"),
        ({}, 2, 15, True, False, "no label yet"),
        ({"a": 29}, 2, 15, True, False, "all 29 labels are of one class"),
        ({"a": 300}, 2, 15, True, False, "all 300 labels are of one class"),
        ({"a": 28, "b": 1}, 2, 15, True, False, "29 of 30 labels"),
        ({"a": 29, "b": 1}, 2, 15, True, True, "30 labels"),
        ({"a": 29, "b": 1, "c": 0}, 3, 10, True, True, "30 labels"),
        ({"only": 15}, 1, 15, True, True, "15 labels"),
        ({}, 77, 0, True, True, "no cold start"),
    ],
)
def test_hand_over_needs_scores_two_classes_and_labels_in_all(
    counts: dict[str, int], classes: int, per_class: int, has_scores: bool, is_done: bool, reason: str
) -> None:
    said = hand_over.decide(counts, classes=classes, labels_per_class=per_class, has_scores=has_scores)
    assert said.is_done is is_done
    assert reason in said.reason


def test_a_rare_class_does_not_keep_cold_start_going() -> None:
    assert hand_over.decide({"ham": 9, "spam": 1}, classes=2, has_scores=True).is_done


@pytest.mark.parametrize(("counts", "classes", "per_class"), [({"a": -1}, 2, 15), ({}, 0, 15), ({}, 2, -1)])
def test_nonsense_is_refused(counts: dict[str, int], classes: int, per_class: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        hand_over.decide(counts, classes=classes, labels_per_class=per_class, has_scores=True)
