"""What the labeling page shows of an item."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints
from tests.browser.editor_bench import Bench, classes, png


@pytest.fixture
def bench(page: Page) -> Bench:
    return Bench(page)


BOXES = {"kind": "boxes", "classes": classes("car", "person")}


def test_an_image_that_cannot_be_loaded_says_so(bench: Bench, complaints: Complaints) -> None:
    complaints.expect("404")
    bench.open(BOXES, {"image": "/static/missing.png"})
    expect(bench.page.get_by_role("alert")).to_contain_text("This image could not be loaded.")
    bench.page.get_by_role("button", name="Try again").click()
    expect(bench.page.get_by_role("alert")).to_contain_text("/static/missing.png")


def test_the_room_of_an_image_does_not_depend_on_it(bench: Bench) -> None:
    schema = {"kind": "rating"}
    heights = set()
    for width, height in ((600, 300), (30, 400)):
        bench.open(schema, {"image": png(width, height)})
        before = bench.page.locator(".payload-image").bounding_box()
        expect(bench.page.locator(".payload-image[data-state='shown']")).to_be_visible()
        after = bench.page.locator(".payload-image").bounding_box()
        assert before == after
        assert after is not None
        heights.add(after["height"])
    assert len(heights) == 1


def test_nothing_of_a_payload_is_read_as_html(bench: Bench) -> None:
    evil = "<img src=x onerror='document.title=1'><b>bold</b>"
    payload = {
        "text": evil,
        "markdown": evil,
        "messages": [{"role": evil, "content": evil}],
        "table": [{evil: evil}],
        "columns": [{"title": evil, "text": evil}],
        evil: evil,
    }
    bench.open({"kind": "rating"}, payload)
    expect(bench.page.locator("#payload b, #payload img")).to_have_count(0)
    assert bench.page.locator("#payload").inner_text().count("<b>bold</b>") >= 8


def test_markdown_is_shown_as_the_service_rendered_it(bench: Bench) -> None:
    payload = {"markdown": "*so*", "columns": [{"title": "Left", "markdown": "**x**"}]}
    rendered = {"markdown": '<p><em>so</em> <a href="https://example.org">more</a></p>'}
    bench.open({"kind": "rating"}, payload, rendered=rendered)
    expect(bench.page.locator("#payload em")).to_have_text("so")
    expect(bench.page.locator("#payload a")).to_have_attribute("rel", "noopener noreferrer nofollow")
    expect(bench.page.locator(".payload-column .payload-text")).to_have_text("**x**")


def test_both_sides_of_a_comparison_may_be_markdown_or_a_conversation(bench: Bench) -> None:
    payload = {
        "a": {"markdown": "*so*"},
        "b": [{"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}],
        "history": [{"role": "user", "content": "Hi"}],
    }
    bench.open({"kind": "preference"}, payload, rendered={"a": "<p><em>so</em></p>"})
    expect(bench.page.get_by_role("region", name="A", exact=True).locator("em")).to_have_text("so")
    expect(bench.page.get_by_role("region", name="B", exact=True).locator(".chat-assistant")).to_contain_text("Hello")
    expect(bench.page.locator(".payload-titled .chat-user")).to_contain_text("Hi")


def test_tables_have_the_columns_of_all_rows_and_scroll_inside(bench: Bench) -> None:
    rows = [{"name": "A", "price": 3.5}, {"name": "B", "note": "x" * 60, **{f"more {n}": "words" for n in range(12)}}]
    bench.page.set_viewport_size({"width": 360, "height": 800})
    bench.open({"kind": "rating"}, {"table": rows})
    expect(bench.page.get_by_role("columnheader")).to_have_count(15)
    expect(bench.page.get_by_role("cell", name="3.5")).to_be_visible()
    assert bench.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    bench.show({"table": [["name", "price"], ["A", 3.5]]})
    expect(bench.page.get_by_role("columnheader")).to_have_text(["name", "price"])


def test_an_image_is_enlarged_by_key_and_button(bench: Bench) -> None:
    bench.open({"kind": "rating"}, {"image": {"url": png(600, 300), "alt": "A street"}})
    image = bench.page.get_by_role("img", name="A street")
    expect(image).to_be_visible()
    before = image.bounding_box()
    bench.page.locator(".image-viewport").focus()
    bench.press("+", "+")
    expect(bench.page.locator(".image-level")).to_have_text("200%")
    after = image.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] == pytest.approx(2 * before["width"], rel=0.01)
    bench.page.get_by_role("button", name="Fit the image").click()
    assert image.bounding_box() == before
