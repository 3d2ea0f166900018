from datasets.charts import trend_svg


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
