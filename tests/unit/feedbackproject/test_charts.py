"""The learning curve of the overview: averages, the two drawings, and what choosing labels has saved."""

import pytest

from feedbackproject import charts
from training.charts import Arm, CurvePoint, Source


def _point(arm: Arm, labels: int, accuracy: float, *, source: Source = "test_set", seed: int = 0) -> CurvePoint:
    return CurvePoint(arm, source, seed, labels, accuracy, accuracy - 0.1, accuracy + 0.1, 100)


def test_one_point_is_no_curve() -> None:
    assert charts.learning_curve([]) is None
    assert charts.learning_curve([_point("active", 10, 0.5), _point("random", 10, 0.5)]) is None


def test_seeds_are_averaged() -> None:
    points = [_point("active", labels, 0.5 + 0.1 * seed, seed=seed) for labels in (10, 20) for seed in (0, 1)]
    curve = charts.learning_curve(points)
    assert curve is not None
    assert [point.labels for point in curve.points] == [10, 20]
    assert [point.accuracy for point in curve.points] == pytest.approx([0.55, 0.55])


def test_the_saving_lies_on_the_line_between_the_points() -> None:
    active = [_point("active", 0, 0.5), _point("active", 100, 0.7), _point("active", 200, 0.9)]
    random = [_point("random", 0, 0.5), _point("random", 400, 0.8)]
    curve = charts.learning_curve(active + random)
    assert curve is not None
    assert curve.saving == "About 150 chosen labels do what 400 random ones do: 80.0% right."


def test_no_saving_is_claimed_that_was_not_seen() -> None:
    worse = [
        _point("active", 10, 0.5),
        _point("active", 100, 0.6),
        _point("random", 10, 0.5),
        _point("random", 100, 0.7),
    ]
    audit_only = [_point("active", 10, 0.5, source="audit"), _point("active", 20, 0.9, source="audit")]
    for points in (worse, audit_only):
        curve = charts.learning_curve(points)
        assert curve is not None
        assert curve.saving == ""


def test_the_drawings_stand_under_a_strict_content_policy() -> None:
    curve = charts.learning_curve([_point("active", 10, 0.5), _point("active", 20, 0.7)])
    assert curve is not None
    for drawing in (curve.wide, curve.narrow):
        assert drawing.startswith("<svg")
        assert "style=" not in drawing
        assert "<script" not in drawing
