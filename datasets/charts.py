"""Small charts of the pages about quality: drawn on the server, without scripts and style attributes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 140.0
HEIGHT: Final = 36.0
_MARGIN: Final = 4.0


def trend_svg(shares: Sequence[float | None], *, title: str) -> str:
    """A line of shares in [0, 1], oldest first; None leaves a gap, a single point is a dot. Empty without any point.

    Scaled to the whole range, so that lines of several people can be compared. `title` goes into the drawing unescaped: it
    must be made of plain words and figures.
    """
    if not any(share is not None for share in shares):
        return ""
    step = (WIDTH - 2 * _MARGIN) / max(1, len(shares) - 1)
    points = [
        None if share is None else (_MARGIN + place * step, _MARGIN + (1.0 - share) * (HEIGHT - 2 * _MARGIN))
        for place, share in enumerate(shares)
    ]
    lines, line = [], list[tuple[float, float]]()
    for point in [*points, None]:
        if point is not None:
            line.append(point)
        elif line:
            lines.append(line)
            line = []
    drawn = "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in each)}"></polyline>'
        for each in lines
        if len(each) > 1
    )
    x, y = lines[-1][-1]
    return (
        f'<svg class="trend" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" focusable="false"><title>{title}</title>'
        f'<line class="grid" x1="0" x2="{WIDTH:.0f}" y1="{HEIGHT / 2:.0f}" y2="{HEIGHT / 2:.0f}"></line>'
        f'{drawn}<circle cx="{x:.1f}" cy="{y:.1f}" r="3"></circle></svg>'
    )


SQUARE: Final = 300.0
_LEFT, _BELOW, _AROUND = 60.0, 34.0, 20.0
_SMALLEST, _LARGEST = 3.0, 9.0


@dataclass(frozen=True)
class ReliabilityPoint:
    """What was foretold and what came true, both in [0, 1], with the interval of the latter and how many it rests on."""

    foretold: float
    observed: float
    low: float
    high: float
    n: int


def reliability_svg(points: Sequence[ReliabilityPoint], *, title: str) -> str:
    """Points beside the diagonal on which they would lie if all that is foretold came true. Empty without any point.

    The area of a point is by its count, the line through it is its interval. `title` goes into the drawing unescaped: it
    must be made of plain words and figures.
    """
    if not points:
        return ""
    side = SQUARE - _LEFT - _AROUND
    most = max(point.n for point in points)

    def x(share: float) -> str:
        return f"{_LEFT + share * side:.1f}"

    def y(share: float) -> str:
        return f"{_AROUND + (1.0 - share) * side:.1f}"

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            f'<line class="grid" x1="{x(0)}" x2="{x(1)}" y1="{y(share)}" y2="{y(share)}"></line>',
            f'<line class="grid" x1="{x(share)}" x2="{x(share)}" y1="{y(0)}" y2="{y(1)}"></line>',
        ]
        if share in (0.0, 0.5, 1.0):
            parts += [
                f'<text class="tick end" x="{_LEFT - 6:.0f}" y="{y(share)}" dy="0.32em">{share:.0%}</text>',
                f'<text class="tick middle" x="{x(share)}" y="{_AROUND + side + 15:.0f}">{share:.0%}</text>',
            ]
    parts.append(f'<line class="diagonal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"></line>')
    for point in points:
        radius = max(_SMALLEST, _LARGEST * math.sqrt(point.n / most))
        across, up = x(point.foretold), y(point.observed)
        parts += [
            f'<line class="range" x1="{across}" x2="{across}" y1="{y(point.low)}" y2="{y(point.high)}"></line>',
            f'<circle cx="{across}" cy="{up}" r="{radius:.1f}"></circle>',
        ]
    height = _AROUND + side + _BELOW
    return (
        f'<svg class="reliability" viewBox="0 0 {SQUARE:.0f} {height:.0f}" role="img" focusable="false"><title>{title}</title>'
        f'{"".join(parts)}<text class="axis middle" x="{x(0.5)}" y="{height - 4:.0f}">Foretold</text>'
        f'<text class="axis middle" transform="translate(11 {y(0.5)}) rotate(-90)">Right</text></svg>'
    )
