from datasets.charts import ReliabilityPoint, reliability_svg, trend_svg


def test_nothing_is_drawn_of_nothing() -> None:
    assert trend_svg([], title="") == trend_svg([None, None], title="") == ""


def test_gaps_break_the_line_and_the_last_point_is_marked() -> None:
    drawn = trend_svg([0.0, 1.0, None, 0.5, 0.5], title="by week")
    assert drawn.count("<polyline") == 2
    assert 'points="4.0,32.0 37.0,4.0"' in drawn
    assert '<circle cx="136.0" cy="18.0"' in drawn
    assert "<title>by week</title>" in drawn


def test_a_single_point_is_a_dot() -> None:
    drawn = trend_svg([0.25], title="by week")
    assert "<polyline" not in drawn
    assert "<circle" in drawn


def test_a_reliability_curve_has_a_point_and_an_interval_for_each_group_and_the_diagonal() -> None:
    drawn = reliability_svg(
        [ReliabilityPoint(0.25, 0.0, 0.0, 0.5, 10), ReliabilityPoint(0.75, 1.0, 0.5, 1.0, 40)], title="by group"
    )
    assert drawn.count("<circle") == drawn.count('class="range"') == 2
    assert 'cx="115.0" cy="240.0" r="4.5"' in drawn
    assert 'cx="225.0" cy="20.0" r="9.0"' in drawn
    assert 'class="diagonal" x1="60.0" y1="240.0" x2="280.0" y2="20.0"' in drawn
    assert "<title>by group</title>" in drawn
    assert "style=" not in drawn


def test_a_curve_without_points_is_not_drawn() -> None:
    assert reliability_svg([], title="") == ""
