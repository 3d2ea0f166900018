import re
from xml.etree import ElementTree

import pytest

from training.charts import IN_PAGE, STANDALONE, Arm, CurvePoint, Palette, Source, learning_curve_svg


def point(arm: Arm, source: Source, labels: int, accuracy: float, *, seed: int = 0) -> CurvePoint:
    return CurvePoint(arm, source, seed, labels, accuracy, accuracy - 0.05, accuracy + 0.05, 100)


BOTH = [
    *(point("active", "test_set", labels, 0.5 + labels / 2000) for labels in (100, 200, 300)),
    *(point("random", "test_set", labels, 0.4 + labels / 2000) for labels in (100, 200, 300)),
    *(point("active", "audit", labels, 0.6) for labels in (100, 300)),
]


@pytest.mark.parametrize("palette", [IN_PAGE, STANDALONE])
def test_the_chart_is_one_svg_without_scripts_or_style_attributes(palette: Palette) -> None:
    svg = learning_curve_svg(BOTH, palette=palette)
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|(?:href|src)=", svg)
    assert palette.test_active in svg
    assert palette.test_random in svg
    assert "#01010" not in svg


def test_the_chart_is_told_in_words() -> None:
    label = ElementTree.fromstring(learning_curve_svg(BOTH)).get("aria-label") or ""
    assert "Actively chosen labels, test set: 65.0% at 300 labels" in label
    assert "Deployed model, audit labels with 95% interval: 60.0% at 300 labels" in label


def test_seeds_are_averaged() -> None:
    svg = learning_curve_svg(
        [point("active", "test_set", 100, 0.2, seed=0), point("active", "test_set", 100, 0.4, seed=1)]
    )
    assert "30.0% at 100 labels" in svg


def test_only_what_is_there_is_in_the_legend() -> None:
    svg = learning_curve_svg([point("active", "audit", 100, 0.5)])
    assert "Uniformly" not in svg


def test_without_points_there_is_no_chart() -> None:
    assert learning_curve_svg([]) == ""
