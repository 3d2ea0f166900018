"""How pages write numbers and preview payloads."""

import base64
import struct
import zlib

import pytest

from feedbackproject.templatetags.figures import bar, grouped, interval, milliseconds, percent, probability
from feedbackproject.templatetags.payloads import payload_preview, short_span


def test_numbers_in_words() -> None:
    assert [grouped(12345), grouped(None), percent(0.8234), percent(None), percent(0.1, 0)] == [
        *("12,345", "–", "82.3%", "–", "10%")
    ]
    assert [probability(0.25), probability(0.0000012), probability(None)] == ["0.250", "1.2e-06", "–"]
    assert [milliseconds(12.4), milliseconds(12_345), milliseconds(None)] == ["12 ms", "12.3 s", "–"]
    assert [short_span("40\xa0minutes"), short_span("0\xa0minutes"), short_span("2\xa0hours, 5\xa0minutes")] == [
        *("40\xa0minutes", "a moment", "2\xa0hours")
    ]


@pytest.mark.parametrize(
    ("value", "most", "width"),
    [(1, 4, "25.00%"), (9, 4, "100.00%"), (-1, 4, "0.00%"), (1, 0, "0.00%"), (None, None, "0.00%")],
)
def test_a_bar_stays_in_its_frame(value: float | None, most: float | None, width: str) -> None:
    assert f'width="{width}"' in bar(value, most)


def test_an_interval_is_drawn_where_it_lies() -> None:
    drawn = interval(0.2, 0.5, 0.9)
    assert 'x="20.00%"' in drawn
    assert 'width="70.00%"' in drawn
    assert 'cx="50.00%"' in drawn


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "<script>"},
        {"<script>": 1},
        {"features": ["<script>"]},
        {"features": [1], "feature_names": ["<script>"]},
        {"pixels": "<script>"},
        "<script>",
    ],
)
def test_payloads_are_previewed_as_text(payload: object) -> None:
    shown = payload_preview(payload)
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_picture_becomes_the_png_of_its_pixels() -> None:
    shown = payload_preview({"pixels": [[0, 8], [16, 20]], "pixel_max": 16})
    png = base64.b64decode(shown.split("base64,")[1].split('"')[0])
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (2, 2)
    length = struct.unpack(">I", png[33:37])[0]
    assert zlib.decompress(png[41 : 41 + length]) == bytes([0, 255, 128, 0, 0, 0])


@pytest.mark.parametrize("pixels", [[], [[]], [[1], [1, 2]], [["a"]], [[None]], [[0] * 65], [[0]] * 65, "x"])
def test_what_is_no_small_grid_is_not_drawn(pixels: object) -> None:
    assert "<img" not in payload_preview({"pixels": pixels})
