"""Answers by the hour as columns of a small drawing: SVG without scripts or styles, coloured by the page's CSS."""

from dataclasses import dataclass
from typing import Final

from sampling.queue_health import Pace

_WIDTH_PERCENT: Final = 100.0
_GAP: Final = 0.25


@dataclass(frozen=True)
class Column:
    """One hour; place and size in percent of the drawing. `title` says it in words."""

    count: int
    hours_ago: int
    x: float
    y: float
    width: float
    height: float
    title: str


def columns(pace: Pace) -> list[Column]:
    """The oldest hour first; the highest column fills the drawing, hours without answers have none."""
    step = _WIDTH_PERCENT / len(pace.by_hour)
    most = max(pace.most, 1)
    found = []
    for index, count in enumerate(pace.by_hour):
        hours_ago = len(pace.by_hour) - index - 1
        height = 100.0 * count / most
        when = "in the last hour" if not hours_ago else f"{hours_ago} to {hours_ago + 1} hours ago"
        found.append(
            Column(
                count=count,
                hours_ago=hours_ago,
                x=round(index * step + step * _GAP / 2, 2),
                y=round(100.0 - height, 2),
                width=round(step * (1 - _GAP), 2),
                height=round(height, 2),
                title=f"{count:,} {when}",
            )
        )
    return found
