"""Small pictures and texts of payloads, for lists. The labeling page draws them large by itself."""

import base64
import json
import struct
import zlib

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

_LARGEST_SIDE = 64
_SHOWN_CHARACTERS = 140
_SHOWN_FEATURES = 3


@register.simple_tag
def payload_preview(payload: object) -> SafeString:
    """What an item is, on one line: a thumbnail, the beginning of its text, or its first fields."""
    if not isinstance(payload, dict):
        return _words(payload)
    if "text" in payload:
        return _words(payload["text"])
    pixels = payload.get("pixels")
    if (source := _picture(pixels, payload.get("pixel_max"))) is not None:
        return format_html('<img class="thumbnail" src="{}" alt="" width="40" height="40">', source)
    features = payload.get("features")
    if isinstance(features, list):
        names = payload.get("feature_names")
        known = names if isinstance(names, list) else [f"feature {index}" for index in range(1, len(features) + 1)]
        parts = [f"{name} {_number(value)}" for name, value in zip(known, features, strict=False)]
        more = f", {len(features) - _SHOWN_FEATURES} more" if len(features) > _SHOWN_FEATURES else ""
        return _words(", ".join(parts[:_SHOWN_FEATURES]) + more)
    return _words(", ".join(f"{key}: {value}" for key, value in list(payload.items())[:_SHOWN_FEATURES]))


@register.filter
def as_json(value: object) -> str:
    """JSON as it was sent; short values on one line."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _SHOWN_CHARACTERS else json.dumps(value, ensure_ascii=False, indent=2)


@register.filter
def short_span(text: str) -> str:
    """The first part of Django's “2 hours, 5 minutes”."""
    first = text.split(",")[0]
    return "a moment" if first == "0\xa0minutes" else first


def _words(value: object) -> SafeString:
    text = str(value)
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS].rstrip() + "…"
    return format_html('<span class="preview" dir="auto">{}</span>', shown)


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _picture(pixels: object, most: object) -> str | None:
    """A grey PNG as a data address, one pixel a value, high values dark; None if it is no grid of numbers."""
    if not isinstance(pixels, list) or not pixels or len(pixels) > _LARGEST_SIDE:
        return None
    rows = [row for row in pixels if isinstance(row, list)]
    width = len(rows[0]) if rows else 0
    if len(rows) != len(pixels) or not 0 < width <= _LARGEST_SIDE or any(len(row) != width for row in rows):
        return None
    values = [value for row in rows for value in row]
    if not all(isinstance(value, int | float) for value in values):
        return None
    top = most if isinstance(most, int | float) and most > 0 else max(values) or 1
    shades = bytes(round(255 * (1 - min(max(value / top, 0), 1))) for value in values)
    return "data:image/png;base64," + base64.b64encode(_png(shades, width)).decode()


def _png(shades: bytes, width: int) -> bytes:
    """The smallest complete PNG file: 8-bit grey, no filter."""
    lines = b"".join(b"\0" + shades[start : start + width] for start in range(0, len(shades), width))
    header = struct.pack(">IIBBBBB", width, len(shades) // width, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)
