"""Small charts of the pages about annotators: drawn on the server, without scripts and style attributes."""

from collections.abc import Sequence
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
