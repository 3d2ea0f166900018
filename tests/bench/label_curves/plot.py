"""Learning curves as SVG files."""

from typing import Any, Final

import altair as alt
import vl_convert

from tests.bench.label_curves.curve import mean_curve, within

_MOST_POINTS: Final = 45
_SHOWN: Final = {
    "default policy": "#1f6fa3",
    "random": "#b06a12",
    "modAL margin": "#6b7280",
    "scikit-activeml Badge": "#4b8b6a",
    "scikit-activeml Falcun": "#8a5fa8",
}


def draw(results: list[dict[str, Any]], name: str) -> str:
    """The mean curves of the default policy, random and the best known peers on one data set, up to the budget."""
    rows, shown = [], []
    for result in results:
        if result["name"] == name and result["arm"] in _SHOWN:
            shown.append(result["arm"])
            points = within(mean_curve(result["curves"]), result["budget"])
            step = -(-len(points) // _MOST_POINTS)
            rows += [
                {"arm": result["arm"], "labels": labels, "score": round(score, 4)} for labels, score in points[::step]
            ]
    shown.sort(key=list(_SHOWN).index)
    chart = (
        alt.Chart(alt.InlineData(values=rows), width=640, height=280, background="#ffffff")
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("labels:Q", title="Labels", scale=alt.Scale(zero=False)),
            y=alt.Y("score:Q", title="Score", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "arm:N",
                scale=alt.Scale(domain=shown, range=[_SHOWN[arm] for arm in shown]),
                legend=alt.Legend(title=None, orient="top"),
            ),
        )
    )
    return str(vl_convert.vegalite_to_svg(chart.to_json()))
