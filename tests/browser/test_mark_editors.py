"""The editors of spans and boxes by themselves: code points, geometry, the keyboard alone."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.editor_bench import Bench, classes, png


@pytest.fixture
def bench(page: Page) -> Bench:
    return Bench(page)


MANY = {"kind": "single_choice", "classes": [{"key": f"class {n:03d}", "title": f"Intent {n}"} for n in range(200)]}
EMOJI = "Mia 👩‍🔬 bought 🍎🍎 in São Paulo."
SPANS = {"kind": "spans", "classes": classes("PERSON", "ITEM", "PLACE")}


def _passages(bench: Bench, text: str) -> list[tuple[str, str]]:
    """As the service reads the offsets: by code points."""
    return [(text[span["start"] : span["end"]], span["class"]) for span in bench.value()["spans"]]


def test_spans_by_keyboard_count_code_points(bench: Bench) -> None:
    bench.open(SPANS, {"text": EMOJI})
    bench.press("ArrowRight", "1")
    bench.press("ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowRight", "2")
    bench.press("End", "ArrowLeft", "Shift+ArrowLeft", "3")
    assert _passages(bench, EMOJI) == [("Mia", "PERSON"), ("🍎🍎", "ITEM"), ("São Paulo", "PLACE")]
    expect(bench.page.locator(".span-tag")).to_have_text(["PERSON", "ITEM", "PLACE"])
    assert bench.label() == "Answer 3 spans"

    bench.press("Tab", "Tab")
    bench.said(re.compile("ITEM: “🍎🍎”, 2 of 3"))
    bench.press("3")
    bench.press("Tab", "Delete")
    assert _passages(bench, EMOJI) == [("Mia", "PERSON"), ("🍎🍎", "PLACE")]
    bench.press("Control+z", "Control+z")
    assert _passages(bench, EMOJI) == [("Mia", "PERSON"), ("🍎🍎", "ITEM"), ("São Paulo", "PLACE")]


def test_spans_by_mouse_count_code_points(bench: Bench) -> None:
    bench.open(SPANS, {"text": EMOJI}, answer={"spans": [{"start": 0, "end": 3, "class": "PERSON"}]})
    _select(bench.page, "🍎🍎 ")
    bench.page.get_by_role("option", name="ITEM").click()
    assert _passages(bench, EMOJI) == [("Mia", "PERSON"), ("🍎🍎", "ITEM")]
    bench.page.locator(".span-tag", has_text="PERSON").click()
    bench.press("Delete")
    assert _passages(bench, EMOJI) == [("🍎🍎", "ITEM")]


def _select(page: Page, passage: str) -> None:
    """Drag over a passage of the text."""
    start, end = page.evaluate(
        """(passage) => {
            const nodes = document.createTreeWalker(document.querySelector(".spans-surface"), NodeFilter.SHOW_TEXT);
            for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
                const at = node.data.indexOf(passage);
                if (at === -1) continue;
                const range = document.createRange();
                range.setStart(node, at);
                range.setEnd(node, at + passage.length);
                const box = range.getBoundingClientRect();
                return [[box.left + 1, box.y + box.height / 2], [box.right - 1, box.y + box.height / 2]];
            }
            throw new Error("not there");
        }""",
        passage,
    )
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()


def test_overlapping_spans_are_refused_unless_the_schema_allows_them(bench: Bench) -> None:
    text = "New York Times"
    bench.open(SPANS, {"text": text})
    bench.press("ArrowRight", "Shift+ArrowRight", "3", "Home", "Shift+End", "2")
    bench.said(re.compile("It would overlap with PLACE “New York”"))
    assert _passages(bench, text) == [("New York", "PLACE")]

    bench.open(SPANS | {"allows_overlap": True}, {"text": text})
    bench.press("ArrowRight", "Shift+ArrowRight", "3", "Home", "Shift+End", "2")
    assert _passages(bench, text) == [("New York", "PLACE"), ("New York Times", "ITEM")]


def test_spans_in_a_text_from_right_to_left(bench: Bench) -> None:
    text = "עדה גרה בחיפה"
    bench.open(SPANS, {"text": text})
    bench.press("Home", "ArrowLeft", "ArrowLeft", "3")  # the next word is to the left
    assert _passages(bench, text) == [("בחיפה", "PLACE")]


def test_a_span_is_resized_by_word_and_by_character(bench: Bench) -> None:
    text = "the analytical engine of 1837"
    bench.open(SPANS, {"text": text}, answer={"spans": [{"start": 4, "end": 14, "class": "ITEM"}]})
    bench.press("Tab", "Shift+ArrowRight")
    assert _passages(bench, text) == [("analytical engine", "ITEM")]
    bench.press("Control+Shift+ArrowLeft", "Control+ArrowRight")
    assert _passages(bench, text) == [("nalytical engin", "ITEM")]


def test_suggested_spans_are_ghosts_until_they_are_touched(bench: Bench) -> None:
    suggested = {"spans": [{"start": 0, "end": 3, "class": "PERSON"}]}
    bench.open(SPANS, {"text": EMOJI}, suggestion=suggested)
    expect(bench.page.locator(".spans-surface.ghost .span-part")).to_have_text("Mia")
    assert bench.value() == suggested
    assert bench.label() == "Accept 1 span"
    assert not bench.is_touched()
    bench.press("x")
    assert bench.value() == {"spans": []}
    assert bench.label() == "Answer “no spans”"
    bench.press("Control+z")
    assert bench.value() == suggested
    assert not bench.is_touched()


def test_a_span_takes_a_class_of_many_by_search(bench: Bench) -> None:
    bench.open(MANY | {"kind": "spans"}, {"text": EMOJI})
    bench.press("ArrowRight")
    bench.page.keyboard.type("intent 187")
    bench.press("Enter")
    assert _passages(bench, EMOJI) == [("Mia", "class 187")]
    expect(bench.page.locator(".spans-surface")).to_be_focused()


def test_tab_leaves_the_text_behind_the_last_span(bench: Bench) -> None:
    bench.open(SPANS, {"text": EMOJI}, answer={"spans": [{"start": 0, "end": 3, "class": "PERSON"}]})
    bench.press("Tab", "Tab")
    expect(bench.page.locator(".spans-surface")).not_to_be_focused()


BOXES = {"kind": "boxes", "classes": classes("car", "person")}


@pytest.fixture
def street(bench: Bench) -> Callable[..., Bench]:
    def opened(**given: object) -> Bench:
        bench.open(BOXES, {"image": {"url": png(600, 300), "alt": "A street"}}, **given)
        expect(bench.page.locator(".payload-image[data-state='shown']")).to_be_visible()
        return bench

    return opened


def _drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Between two places given as fractions of the shown image."""
    area = page.locator(".boxes-surface").bounding_box()
    assert area is not None
    points = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=4)
    page.mouse.up()


def _close(box: dict[str, float], x: float, y: float, width: float, height: float) -> None:
    assert [box["x"], box["y"], box["width"], box["height"]] == pytest.approx([x, y, width, height], abs=0.01)


def test_boxes_keep_their_place_when_the_image_changes_its_size(street: Callable[..., Bench]) -> None:
    bench = street()
    _drag(bench.page, (0.1, 0.2), (0.4, 0.6))
    assert bench.value() is None
    assert bench.label() == "Give each box a class"
    bench.press("1")
    _close(bench.value()["boxes"][0], 0.1, 0.2, 0.3, 0.4)

    bench.page.set_viewport_size({"width": 500, "height": 900})
    # The page is laid out anew a moment later.
    expect(bench.page.locator(".boxes-surface")).to_be_in_viewport(ratio=1)
    _drag(bench.page, (0.6, 0.5), (0.8, 0.9))
    bench.press("2")
    first, second = bench.value()["boxes"]
    _close(first, 0.1, 0.2, 0.3, 0.4)
    _close(second, 0.6, 0.5, 0.2, 0.4)
    _same_place(bench, first)

    bench.page.get_by_role("button", name="Larger").click()
    _same_place(bench, first)
    assert bench.value()["boxes"] == [first, second]


def _same_place(bench: Bench, box: dict[str, float]) -> None:
    """The box is drawn where its fractions say, at whatever size."""
    area = bench.page.locator(".image-canvas img").bounding_box()
    drawn = bench.page.locator(".box").first.bounding_box()
    assert area is not None
    assert drawn is not None
    expected = [area["x"] + box["x"] * area["width"], area["y"] + box["y"] * area["height"]]
    expected += [box["width"] * area["width"], box["height"] * area["height"]]
    assert [drawn["x"], drawn["y"], drawn["width"], drawn["height"]] == pytest.approx(expected, abs=1.5)


def test_boxes_are_moved_and_resized_with_the_mouse(street: Callable[..., Bench]) -> None:
    given = {"x": 0.2, "y": 0.2, "width": 0.4, "height": 0.4, "class": "car"}
    bench = street(answer={"boxes": [given]})
    _drag(bench.page, (0.4, 0.4), (0.4, 0.4))  # a click
    _drag(bench.page, (0.4, 0.4), (0.9, 0.5))
    _close(bench.value()["boxes"][0], 0.6, 0.3, 0.4, 0.4)  # it stays inside the image
    _drag(bench.page, (0.6, 0.3), (0.5, 0.1))
    _close(bench.value()["boxes"][0], 0.5, 0.1, 0.5, 0.6)


def test_boxes_by_keyboard(street: Callable[..., Bench]) -> None:
    bench = street()
    bench.press("n", "2")
    _close(bench.value()["boxes"][0], 0.375, 0.375, 0.25, 0.25)
    for _ in range(100):
        bench.press("ArrowLeft")
    box = bench.value()["boxes"][0]
    assert box["x"] == 0
    assert box["class"] == "person"
    bench.press("Shift+ArrowRight", "Shift+ArrowDown", "n", "1")
    first, second = bench.value()["boxes"]
    assert first["width"] > 0.25
    assert first["height"] > 0.25
    assert second["class"] == "car"
    bench.press("Tab")  # beyond the last: on through the page
    expect(bench.page.locator(".boxes-surface")).not_to_be_focused()
    bench.press("Shift+Tab", "Tab", "Delete")
    assert bench.value() == {"boxes": [second]}
    bench.press("Control+z")
    assert bench.value() == {"boxes": [first, second]}


def test_no_box_is_an_answer_only_when_it_was_said(street: Callable[..., Bench]) -> None:
    bench = street()
    assert bench.value() is None
    bench.press("x")
    assert bench.value() == {"boxes": []}
