"""Drawings of asks as columns: SVG without scripts or styles, placed in percent, coloured by the page's CSS."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sampling.ask_funnel import Bin
from sampling.ask_reports import Spending

_GAP: Final = 0.2


@dataclass(frozen=True)
class Column:
    """One column; place and size in percent of the drawing. `title` says it in words, `inner` is a part from the ground up."""

    x: float
    width: float
    height: float
    title: str
    inner: float = 0.0
    is_future: bool = False

    @property
    def y(self) -> float:
        return round(100.0 - self.height, 2)

    @property
    def inner_y(self) -> float:
        return round(100.0 - self.inner, 2)


@dataclass(frozen=True)
class PacingChart:
    """Asks spent by the end of each step of the budget period; the paced target is the diagonal up to `target_y`."""

    columns: list[Column]
    target_y: float
    most: float


def propensity_columns(bins: Sequence[Bin]) -> list[Column]:
    """Decisions by their chance of being asked, and as the inner column those that were."""
    most = max((each.decisions for each in bins), default=0.0) or 1.0
    step = 100.0 / len(bins) if bins else 100.0
    return [
        Column(
            x=round(index * step + step * _GAP / 2, 2),
            width=round(step * (1 - _GAP), 2),
            height=round(100.0 * each.decisions / most, 2),
            inner=round(100.0 * each.asked / most, 2),
            title=f"{each.low:.0%} to {each.high:.0%}: {each.decisions:,.0f} decisions, {each.asked:,} asked, "
            f"{each.expected:,.1f} announced",
        )
        for index, each in enumerate(bins)
    ]


def pacing_chart(spending: Spending) -> PacingChart:
    """Columns up to now; the steps to come have none, and the target runs on above them."""
    top = max(float(spending.budget), float(spending.spent), 1.0)
    step = 100.0 / len(spending.by_step)
    length = dt.timedelta(seconds=spending.period_seconds / len(spending.by_step))
    columns, so_far = [], 0
    for index, count in enumerate(spending.by_step):
        so_far += count
        begins = spending.since + index * length
        is_future = begins > spending.now
        target = spending.budget * (index + 1) / len(spending.by_step)
        columns.append(
            Column(
                x=round(index * step + step * _GAP / 2, 2),
                width=round(step * (1 - _GAP), 2),
                height=0.0 if is_future else round(100.0 * so_far / top, 2),
                title=f"until {begins + length:%-d %b %H:%M}: {so_far:,} spent, {target:,.0f} paced",
                is_future=is_future,
            )
        )
    return PacingChart(columns, target_y=round(100.0 - 100.0 * spending.budget / top, 2), most=top)
