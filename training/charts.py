"""The learning curve as an SVG: accuracy by number of labels, actively chosen beside uniformly drawn ones.

Drawn on the server, without scripts and without style attributes, so that it stands under a strict content security
policy. See `Palette` for how it takes the colours of the page around it.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import altair as alt
import vl_convert

Arm = Literal["active", "random"]
Source = Literal["audit", "test_set", "control_arm"]


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy after so many labels, with its 95% interval."""

    arm: Arm
    source: Source
    seed: int
    label_count: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    evaluated_on: int


@dataclass(frozen=True)
class Palette:
    """Colours as SVG takes them. In a page they are CSS variables of that page, so that dark mode is the page's affair."""

    text: str
    grid: str
    test_active: str
    test_random: str
    audit: str
    background: str = "transparent"


IN_PAGE: Final = Palette(
    text="currentColor",
    grid="var(--chart-grid, #e6e6e0)",
    test_active="var(--chart-1, #1f6fa3)",
    test_random="var(--chart-2, #b06a12)",
    audit="var(--chart-3, #4b8b6a)",
)
STANDALONE: Final = Palette("#5b616b", "#dcdcd5", "#1f6fa3", "#b06a12", "#4b8b6a", background="#ffffff")

# Vega checks its colours and knows no CSS, so it draws with these and they are exchanged in its output.
_DRAWN_WITH: Final = Palette("#010101", "#010102", "#010103", "#010104", "#010105")
_SERIES: Final[dict[tuple[Arm, Source], tuple[str, str]]] = {
    ("active", "test_set"): ("Actively chosen labels, test set", _DRAWN_WITH.test_active),
    ("random", "test_set"): ("Uniformly drawn labels, test set", _DRAWN_WITH.test_random),
    ("active", "audit"): ("Deployed model, audit labels with 95% interval", _DRAWN_WITH.audit),
    ("active", "control_arm"): ("Chosen labels, with 95% interval", _DRAWN_WITH.test_active),
    ("random", "control_arm"): ("Random labels, with 95% interval", _DRAWN_WITH.test_random),
}


def learning_curve_svg(
    points: Sequence[CurvePoint], *, palette: Palette = IN_PAGE, width: int = 640, height: int = 280
) -> str:
    """Draw the points as an SVG element; the empty string when there are none.

    Points of one arm, source and number of labels but different seeds are averaged. The interval of a test set is
    about as wide as the line, so it is not drawn. About 25 ms, the first time a second.
    """
    rows = _rows(points)
    if not rows:
        return ""
    shown = [series for series in _SERIES.values() if any(row["series"] == series[0] for row in rows)]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("labels:Q", title="Labels", scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=8)),
        color=alt.Color(
            "series:N",
            scale=alt.Scale(domain=[name for name, _ in shown], range=[colour for _, colour in shown]),
            legend=alt.Legend(
                orient="top",
                title=None,
                columns=1,
                labelLimit=0,
                symbolType="stroke",
                symbolOpacity=1,
                symbolStrokeWidth=3,
            ),
        ),
    )
    y = alt.Y("accuracy:Q", title="Accuracy", scale=alt.Scale(zero=False), axis=alt.Axis(format=".0%", tickCount=6))
    band = base.mark_area(opacity=0.16).encode(y="low:Q", y2="high:Q")
    line = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=28, filled=True)).encode(y=y)
    chart = (
        (band.transform_filter("isValid(datum.low)") + line)
        .properties(width=width, height=height, background=palette.background)
        .configure(aria=False, font="sans-serif")
        .configure_view(strokeOpacity=0)
        .configure_axis(
            gridColor=_DRAWN_WITH.grid,
            domainColor=_DRAWN_WITH.grid,
            tickColor=_DRAWN_WITH.grid,
            labelColor=_DRAWN_WITH.text,
            titleColor=_DRAWN_WITH.text,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
        )
        .configure_legend(labelColor=_DRAWN_WITH.text, labelFontSize=12)
    )
    return _finished(vl_convert.vegalite_to_svg(chart.to_json()), palette, rows)


def _rows(points: Sequence[CurvePoint]) -> list[dict[str, str | float | None]]:
    groups: dict[tuple[Arm, Source, int], list[CurvePoint]] = defaultdict(list)
    for point in points:
        if (point.arm, point.source) in _SERIES:
            groups[point.arm, point.source, point.label_count].append(point)
    return [
        {
            "series": _SERIES[arm, source][0],
            "labels": label_count,
            "accuracy": _mean([point.accuracy for point in group]),
            "low": _mean([point.accuracy_low for point in group]) if source != "test_set" else None,
            "high": _mean([point.accuracy_high for point in group]) if source != "test_set" else None,
        }
        for (arm, source, label_count), group in sorted(groups.items())
    ]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _finished(svg: str, palette: Palette, rows: Sequence[dict[str, str | float | None]]) -> str:
    """Exchange the colours, and tell in words what is to be seen."""
    for field in ("text", "grid", "test_active", "test_random", "audit"):
        svg = svg.replace(f'"{getattr(_DRAWN_WITH, field)}"', f'"{getattr(palette, field)}"')
    last = {str(row["series"]): row for row in rows}
    told = "; ".join(f"{name}: {row['accuracy']:.1%} at {row['labels']} labels" for name, row in last.items())
    return svg.replace("<svg ", f'<svg role="img" aria-label="Accuracy by number of labels. {told}." ', 1)
