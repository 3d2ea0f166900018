"""Every task type is labelled in a real browser by keyboard alone."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from labeling.models import Annotation
from tests.browser.conftest import log_in
from tests.factories import kinds

# For each kind: the keys for its first item, and the answer that is stored then.
FLOWS: list[tuple[str, list[str], dict[str, Any]]] = [
    ("single_choice", ["2", "Enter"], {"choice": "place"}),
    ("multi_label", ["2", "1", "Enter"], {"choices": ["person", "place"]}),
    ("rating", ["4", "Enter"], {"rating": 4}),
    (
        "text_correction",
        ["Control+a", "text:Good day, how are you?", "Control+Enter"],
        {"text": "Good day, how are you?"},
    ),
    ("preference", ["2", "Enter"], {"preference": "b"}),
    ("numeric", ["text:36", "Enter"], {"number": 36.0}),
]


def open_page(page: Page, kind: str) -> None:
    page.goto(f"/projects/{kind.replace('_', '-')}/annotate/")
    expect(page.locator("#work")).to_be_visible()


def press(page: Page, keys: list[str]) -> None:
    for key in keys:
        if key.startswith("text:"):
            page.keyboard.type(key.removeprefix("text:"))
        else:
            page.keyboard.press(key)


def answers() -> list[Any]:
    return list(Annotation.objects.filter(withdrawn_at__isnull=True).order_by("pk").values_list("answer", flat=True))


@pytest.fixture
def annotator() -> User:
    return User.objects.create_user("annotator", password="annotator-pass")


@pytest.mark.parametrize(("kind", "keys", "answer"), FLOWS, ids=[flow[0] for flow in FLOWS])
def test_a_type_is_labelled_by_keys(page: Page, annotator: User, kind: str, keys: list[str], answer: Any) -> None:
    kinds.project(kind, annotator=annotator)
    log_in(page, "annotator")
    open_page(page, kind)
    expect(page.locator("#item-key")).to_have_text("item-0")
    press(page, keys)
    expect(page.locator("#item-key")).to_have_text("item-1")
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert answers() == [answer]


def test_spans_are_marked_by_keys_and_counted_in_code_points(page: Page, annotator: User) -> None:
    kinds.project("spans", annotator=annotator)
    log_in(page, "annotator")
    open_page(page, "spans")
    # The emoji is one word, and two units of JavaScript's strings; Ada comes second.
    press(page, ["ArrowRight", "ArrowRight", "1", "Enter"])
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert answers() == [{"spans": [{"start": 2, "end": 5, "class": "person"}]}]


def test_boxes_are_drawn_moved_and_sized_by_keys(page: Page, annotator: User) -> None:
    kinds.project("boxes", annotator=annotator)
    log_in(page, "annotator")
    open_page(page, "boxes")
    press(page, ["n", "2", "ArrowLeft", "Shift+ArrowRight", "Enter"])
    expect(page.locator("#saved")).to_contain_text("Saved")
    ((box,),) = [answer["boxes"] for answer in answers()]
    assert box["class"] == "place"
    assert 0 <= box["x"] < 0.5
    assert 0 < box["width"] <= 1 - box["x"]
