"""Numbers as pages write and draw them. Bars are SVG, because the content policy forbids style attributes."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

_DASH = "–"


@register.filter
def grouped(value: float | None) -> str:
    """12345 as 12,345; nothing as a dash."""
    return _DASH if value is None else f"{value:,.0f}"


@register.filter
def at_most(value: int, limit: int) -> str:
    """A count that stopped at the limit, as 1,000+."""
    return f"{limit:,}+" if value > limit else f"{value:,}"


@register.filter
def percent(value: float | None, decimals: int = 1) -> str:
    """0.8234 as 82.3%; nothing as a dash."""
    return _DASH if value is None else f"{100 * value:.{decimals}f}%"


@register.filter
def points(value: float | None, is_signed: bool = False) -> str:
    """0.0234 as 2.3 percentage points; the size alone unless it is to be signed."""
    if value is None:
        return _DASH
    return f"{100 * value:+.1f}" if is_signed else f"{100 * abs(value):.1f}"


@register.filter
def probability(value: float | None) -> str:
    """Three significant digits, however small: propensities of one in a million are not zero."""
    if value is None:
        return _DASH
    return f"{value:.3f}" if value >= 0.01 else f"{value:.2g}"


@register.filter
def milliseconds(value: float | None) -> str:
    if value is None:
        return _DASH
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


@register.filter
def duration(value: float | None) -> str:
    """Milliseconds as people say them: 850 ms, 3.2 s, 4 min."""
    if value is None:
        return _DASH
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:.1f} s" if value < 60_000 else f"{value / 60_000:.0f} min"


@register.simple_tag
def bar(value: float | None, most: float | None, kind: str = "") -> SafeString:
    """A horizontal bar, `value` of `most` long. For the eye only: the number stands beside it."""
    share = min(max((value or 0) / most, 0.0), 1.0) if most else 0.0
    return format_html(
        '<svg class="bar {}" aria-hidden="true" focusable="false"><rect width="{}%" height="100%"></rect></svg>',
        kind,
        f"{100 * share:.2f}",
    )


@register.simple_tag
def interval(low: float, point: float, high: float) -> SafeString:
    """A confidence interval on the scale from 0 to 1. For the eye only: the numbers stand beside it."""
    return format_html(
        '<svg class="interval" aria-hidden="true" focusable="false">'
        '<rect class="track" y="8" width="100%" height="4" rx="2"></rect>'
        '<rect class="range" x="{}%" y="5" width="{}%" height="10" rx="3"></rect>'
        '<circle class="point" cx="{}%" cy="10" r="6"></circle></svg>',
        f"{100 * low:.2f}",
        f"{100 * (high - low):.2f}",
        f"{100 * point:.2f}",
    )
