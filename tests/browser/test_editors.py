"""The answer editors by themselves: choices, ratings, corrections, preferences and numbers."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.editor_bench import Bench, classes


@pytest.fixture
def bench(page: Page) -> Bench:
    return Bench(page)


SPAM = {"kind": "single_choice", "classes": classes("spam", "news", "offer")}
MANY = {"kind": "single_choice", "classes": [{"key": f"class {n:03d}", "title": f"Intent {n}"} for n in range(200)]}


def test_single_choice_by_keyboard(bench: Bench) -> None:
    bench.open(SPAM, {"text": "Hello"})
    assert bench.value() is None
    assert bench.label() == "Choose a class"
    bench.press("2")
    assert bench.value() == {"choice": "news"}
    assert bench.is_touched()
    bench.press("ArrowDown")
    assert bench.value() == {"choice": "offer"}
    bench.press("Escape")
    assert bench.value() is None
    assert not bench.is_touched()


def test_an_untouched_suggestion_is_the_answer_and_no_suggestion_is_none(bench: Bench) -> None:
    bench.open(SPAM, {"text": "Hello"}, suggestion={"choice": "spam"})
    assert bench.value() == {"choice": "spam"}
    assert not bench.is_touched()
    assert bench.label() == "Accept “spam”"
    bench.show({"text": "Next"})
    assert bench.value() is None
    expect(bench.page.get_by_text("suggested")).to_have_count(0)


def test_an_answer_to_start_from_wins_over_the_suggestion(bench: Bench) -> None:
    bench.open(SPAM, {"text": "Hello"}, suggestion={"choice": "spam"}, answer={"choice": "offer"})
    assert bench.value() == {"choice": "offer"}
    assert not bench.is_touched()
    assert bench.label() == "Answer “offer”"


def test_keys_typed_into_a_field_of_the_page_mean_nothing(bench: Bench) -> None:
    bench.open(SPAM, {"text": "Hello"})
    bench.page.get_by_label("Comment").focus()
    bench.page.keyboard.type("12x")
    expect(bench.page.get_by_label("Comment")).to_have_value("12x")
    assert bench.value() is None


def test_one_of_two_hundred_classes_is_found_by_typing(bench: Bench) -> None:
    bench.open(MANY, {"text": "Where is my card?"})
    expect(bench.page.get_by_role("option")).to_have_count(200)
    bench.page.keyboard.type("187")
    expect(bench.page.get_by_role("option", selected=True)).to_have_text("Intent 187")
    bench.press("Enter")
    assert bench.submitted() == [{"choice": "class 187"}]
    bench.press("Escape", "Escape")
    bench.page.keyboard.type("zebra")  # outside the search field, a letter goes into it
    expect(bench.page.get_by_role("combobox")).to_have_value("zebra")
    assert bench.label() == "No class matches"
    assert bench.value() is None


def test_labels_are_switched_on_and_off(bench: Bench) -> None:
    schema = {"kind": "multi_label", "classes": classes("a", "b", "c", "d"), "max_choices": 2}
    bench.open(schema, {"text": "Hello"}, suggestion={"choices": ["d", "a"]})
    assert bench.value() == {"choices": ["d", "a"]}
    bench.press("1", "2")
    assert bench.value() == {"choices": ["b", "d"]}
    bench.press("3")
    bench.said(re.compile("No more than 2 classes"))
    assert bench.value() == {"choices": ["b", "d"]}
    bench.press("ArrowUp", "Space")
    assert bench.value() == {"choices": ["d"]}
    bench.press("x")
    assert bench.value() == {"choices": []}
    assert bench.label() == "Answer “None of these”"
    bench.press("Escape")
    assert not bench.is_touched()


def test_no_label_is_an_answer_only_when_it_was_said(bench: Bench) -> None:
    schema = {"kind": "multi_label", "classes": classes("a", "b")}
    bench.open(schema, {"text": "Hello"})
    assert bench.value() is None
    bench.page.get_by_role("button", name="None of these").click()
    assert bench.value() == {"choices": []}
    bench.open(schema | {"min_choices": 1}, {"text": "Hello"})
    bench.press("x", "1", "1")
    assert bench.value() is None
    assert bench.label() == "Choose a class"


def test_labels_among_many_are_found_by_typing(bench: Bench) -> None:
    bench.open(MANY | {"kind": "multi_label"}, {"text": "Hello"})
    for number in ("187", "12"):
        bench.page.keyboard.type(f"intent {number}")
        bench.press("Enter")
        expect(bench.page.get_by_role("combobox")).to_have_value("")
    assert bench.value() == {"choices": ["class 012", "class 187"]}
    bench.press("Enter")
    assert bench.submitted() == [{"choices": ["class 012", "class 187"]}]


def test_a_rating_by_digits_and_arrows(bench: Bench) -> None:
    bench.open({"kind": "rating", "minimum_title": "Useless"}, {"text": "Hello"}, suggestion={"rating": 4})
    assert bench.value() == {"rating": 4}
    bench.press("2")
    assert bench.value() == {"rating": 2}
    bench.press("ArrowRight", "ArrowRight")
    assert bench.value() == {"rating": 4}
    assert bench.is_touched()
    expect(bench.page.get_by_role("radio", checked=True)).to_be_focused()
    bench.press("Enter")
    assert bench.submitted() == [{"rating": 4}]
    bench.open({"kind": "rating", "maximum": 10}, {"text": "Hello"})
    bench.press("0")
    assert bench.value() == {"rating": 10}


def test_a_correction_starts_from_the_model_and_shows_what_changed(bench: Bench) -> None:
    payload = {"text": "A scan", "output": "Teh cat sat."}
    bench.open({"kind": "text_correction"}, payload)
    area = bench.page.get_by_label("Correct the text")
    expect(area).to_be_focused()
    assert bench.value() == {"text": "Teh cat sat."}
    assert bench.label() == "Right as it is"
    expect(bench.page.locator("#payload")).not_to_contain_text("Teh")
    bench.press("Delete", "Delete", "Delete")
    bench.page.keyboard.type("The")
    expect(bench.page.locator(".diff del")).to_have_text("Teh")
    expect(bench.page.locator(".diff ins")).to_have_text("The")
    bench.press("Control+Enter")
    assert bench.submitted() == [{"text": "The cat sat."}]
    bench.press("Escape", "s")
    expect(area).to_have_value("The cat sat.")
    expect(area).not_to_be_focused()


def test_a_correction_of_nothing_is_no_answer_until_something_is_written(bench: Bench) -> None:
    bench.open({"kind": "text_correction"}, {"text": "A scan"})
    assert bench.value() is None
    assert bench.label() == "Enter the text"
    bench.page.keyboard.type("Hello")
    assert bench.value() == {"text": "Hello"}


def test_a_preference_by_keys_and_by_clicking_a_side(bench: Bench) -> None:
    bench.open({"kind": "preference"}, {"text": "Explain", "a": "Short.", "b": [{"role": "user", "content": "Long."}]})
    for key, side in {"1": "a", "ArrowRight": "b", "t": "tie", "b": "both_bad", "ArrowLeft": "a"}.items():
        bench.press(key)
        assert bench.value() == {"preference": side}
    bench.page.get_by_role("region", name="B", exact=True).click()
    assert bench.value() == {"preference": "b"}
    expect(bench.page.locator(".is-chosen .column-title")).to_have_text("B")
    bench.open({"kind": "preference", "allows_tie": False, "allows_both_bad": False}, {"a": "x", "b": "y"})
    bench.press("t", "b")
    assert bench.value() is None


def test_a_number_is_checked_while_it_is_typed(bench: Bench) -> None:
    bench.open({"kind": "numeric", "minimum": 0, "maximum": 10, "unit": "kg", "step": 0.5}, {"text": "A crate"})
    field = bench.page.get_by_label("Number")
    bench.page.keyboard.type("3,5")
    assert bench.value() == {"number": 3.5}
    assert bench.label() == "Answer “3.5 kg”"
    bench.press("ArrowUp")
    assert bench.value() == {"number": 4}
    for typed, problem in {"12": "from 0 to 10", "1.2": "whole steps of 0.5", "1e": "not a number"}.items():
        field.fill(typed)
        bench.press("Enter")
        assert bench.value() is None
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(bench.page.locator("#number-error")).to_contain_text(problem)
    bench.press("Escape")
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_a_suggested_number_is_a_ghost_until_it_is_touched(bench: Bench) -> None:
    bench.open({"kind": "numeric", "minimum": 0, "maximum": 10}, {"text": "A crate"}, suggestion={"number": 3.2})
    expect(bench.page.get_by_label("Number")).to_have_value("")
    assert bench.value() == {"number": 3.2}
    assert not bench.is_touched()
    bench.press("ArrowUp")
    assert bench.value() == {"number": 3.3}
