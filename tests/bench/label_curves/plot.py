"""Learning curves as SVG files."""

from collections.abc import Sequence
from typing import Final

import altair as alt
import vl_convert

from tests.bench.label_curves.curve import mean_curve, within
from tests.bench.label_curves.runs import About, Result

_MOST_POINTS: Final = 45
_SHOWN: Final = {
    "default policy": "#1f6fa3",
    "random": "#b06a12",
    "modAL margin": "#6b7280",
    "scikit-activeml Badge": "#4b8b6a",
    "scikit-activeml Falcun": "#8a5fa8",
}


def draw(results: Sequence[Result], about: About) -> str:
    """The mean curves up to the budget of the default policy, random and the best known peers; of others if none ran."""
    here = [result for result in results if result.case == about.case]
    chosen = [result for result in here if result.arm in _SHOWN] or here[: len(_SHOWN)]
    chosen.sort(key=lambda result: list(_SHOWN).index(result.arm) if result.arm in _SHOWN else 0)
    rows = []
    for result in chosen:
        points = within(mean_curve(result.curves), about.budget)
        step = -(-len(points) // _MOST_POINTS)
        rows += [{"arm": result.arm, "labels": labels, "score": round(score, 4)} for labels, score in points[::step]]
    colours = dict(zip((result.arm for result in chosen), _SHOWN.values(), strict=False)) | _SHOWN
    shown = [result.arm for result in chosen]
    chart = (
        alt.Chart(alt.InlineData(values=rows), width=640, height=280, background="#ffffff")
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("labels:Q", title="Labels", scale=alt.Scale(zero=False)),
            y=alt.Y("score:Q", title="Score", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "arm:N",
                scale=alt.Scale(domain=shown, range=[colours[arm] for arm in shown]),
                legend=alt.Legend(title=None, orient="top"),
            ),
        )
    )
    return str(vl_convert.vegalite_to_svg(chart.to_json()))
