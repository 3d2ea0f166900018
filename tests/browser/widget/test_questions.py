"""Each kind of question is asked on another origin's page and answered by keyboard alone; the answer is stored."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from labeling.models import Ask, Correction, Feedback, Item, PoolEntry, Project
from tests.browser.widget.conftest import ask, heard, question, wait_until_sent

Visit = Callable[[], Page]

OPTIONS: Final = [
    {"key": key, "text": {"en": text}} for key, text in (("fast", "Fast"), ("right", "Right"), ("kind", "Kind"))
]
MANY: Final = [{"key": f"k{number}", "text": {"en": f"Option {number}"}} for number in range(15)]
STEPS: Final = [
    {"key": "how", "kind": "rating", "text": {"en": "How was it?"}},
    {"key": "why", "kind": "text", "text": {"en": "Why?"}},
    {"key": "again", "kind": "thumbs", "text": {"en": "Again?"}},
]
# kind, definition, keys pressed after Tab has brought the focus into the prompt, what is stored
ANSWERS: Final = [
    ("thumbs", {}, ["ArrowRight", "Space"], "thumb", "down"),
    ("rating", {}, ["ArrowRight", "ArrowRight", "ArrowRight", "Enter"], "rating", 4),
    ("rating", {"minimum": 0, "maximum": 10, "style": "numbers"}, ["ArrowLeft", "Enter"], "rating", 10),
    ("single_choice", {"options": OPTIONS}, ["ArrowDown", "Enter"], "choice", "right"),
    ("single_choice", {"options": MANY}, ["o", "Tab", "Enter"], "choice", "k0"),
    ("multiple_choice", {"options": OPTIONS}, ["Space", "Tab", "Tab", "Space", "Tab", "Enter"], "choice", ["fast", "kind"]),
    ("text", {}, ["F", "i", "n", "e", "Tab", "Enter"], "text", "Fine"),
    ("preference", {"a": {"en": "The first"}, "b": {"en": "The second"}}, ["ArrowUp", "Space"], "preference", "tie"),
    ("correction", {}, ["Enter"], "thumb", "up"),
]  # fmt: skip


def reach(page: Page) -> None:
    """With the keyboard: behind the last element of the page."""
    page.locator("#last").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.localName") == "feedback-prompt"


def press(page: Page, keys: list[str]) -> None:
    for key in keys:
        page.keyboard.press(key)


@pytest.mark.parametrize(("kind", "definition", "keys", "stored_as", "value"), ANSWERS)
def test_a_question_is_answered_by_keyboard(
    kind: str, definition: dict[str, Any], keys: list[str], stored_as: str, value: object,
    visit: Visit, asking: Project, item: Item,
) -> None:  # fmt: skip
    key = question(asking, kind, **definition)
    page = visit()
    assert ask(page, item, question=key)["ask"] is True
    expect(page.get_by_role("dialog", name="What do you say?")).to_be_visible()
    reach(page)
    press(page, keys)
    wait_until_sent(page, "answered")
    feedback = Feedback.objects.get()
    assert (feedback.kind, feedback.value) == (stored_as, value)
    assert (feedback.item, feedback.channel) == (item, Feedback.Channel.TOKEN)
    expect(page.get_by_text("Thank you.").last).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "last", "the focus went back to where it came from"
    stored = Ask.objects.get()
    assert stored.state == Ask.State.ANSWERED
    assert stored.shown_at is not None
    assert [each["question"] for each in heard(page, "closed")] == [key]


def test_what_is_right_and_what_is_wrong_become_truth(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "correction")
    page = visit()
    ask(page, item, question=key)
    said = Ask.objects.get().predicted_answer
    assert said is not None
    reach(page)
    press(page, ["ArrowRight", "Enter"])  # No
    options = page.get_by_role("radio")
    expect(options).to_have_count(9)  # what the model said is no correction of it
    expect(options.first).to_be_focused()
    wanted = options.nth(2).text_content()
    press(page, ["ArrowRight", "ArrowRight", "Space"])
    wait_until_sent(page, "answered", times=2)
    assert Correction.objects.get(superseded_at=None).answer == {"choice": wanted} != said
    assert Feedback.objects.filter(superseded_at=None).count() == 1


def test_a_blind_question_asks_what_it_is(visit: Visit, asking: Project, item: Item) -> None:
    asking.ask_policies.update(blind_share=1.0)
    key = question(asking, "correction")
    page = visit()
    decision = ask(page, item, question=key)
    assert decision["is_blind"] is True
    expect(page.get_by_role("dialog", name="What is it?")).to_be_visible()
    expect(page.get_by_role("radio")).to_have_count(10)
    reach(page)
    press(page, ["ArrowRight", "Enter"])
    wait_until_sent(page, "answered")
    correction = Correction.objects.get()
    assert (correction.answer, correction.is_anchored) == ({"choice": "1"}, False)
    assert not Feedback.objects.exists()


def test_a_question_about_what_no_model_said_anything_of_asks_what_it_is(
    visit: Visit, asking: Project, item: Item
) -> None:
    unpredicted = Item.objects.create(project=asking, key="new", payload={"text": "new"}, bucket=0)
    PoolEntry.objects.create(item=unpredicted, project=asking, bucket=0)
    key = question(asking, "correction")
    page = visit()
    assert ask(page, unpredicted, question=key)["is_blind"] is False
    dialog = page.get_by_role("dialog", name="What is it?")
    expect(dialog.get_by_role("radio")).to_have_count(10)
    expect(dialog.get_by_text("What is it?")).to_have_count(1)
    reach(page)
    press(page, ["ArrowRight", "Enter"])
    wait_until_sent(page, "answered")
    correction = Correction.objects.get()
    assert (correction.answer, correction.is_anchored) == ({"choice": "1"}, False)
    assert not Feedback.objects.exists()


def test_characters_that_cannot_be_stored_do_not_lose_the_answer(visit: Visit, asking: Project, item: Item) -> None:
    """A pasted NUL, and half of an emoji, as a limit on the length may leave it."""
    key = question(asking, "text")
    page = visit()
    ask(page, item, question=key)
    box = page.get_by_role("textbox")
    box.evaluate("""box => { box.value = "a\\0b\\ud83d"; box.dispatchEvent(new Event("input", { bubbles: true })); }""")
    page.get_by_role("button", name="Send").click()
    wait_until_sent(page, "answered")
    assert Feedback.objects.get().value == "ab\ufffd"


def test_only_a_correction_starts_with_the_models_text(visit: Visit) -> None:
    page = visit()
    said = {
        "key": "q", "text": "What went wrong?", "help": "", "locale": "en", "direction": "ltr", "longest": 100,
        "prediction": {"answer": {"text": "What the model wrote"}, "text": "What the model wrote"},
    }  # fmt: skip
    page.evaluate("question => feedback('show', { question })", {**said, "kind": "text"})
    expect(page.get_by_role("textbox")).to_have_value("")
    correction = {**said, "kind": "correction", "answer_kind": "text_correction", "options": []}
    page.evaluate("question => feedback('show', { question })", correction)
    page.get_by_role("radio", name="No").click()
    expect(page.get_by_role("textbox")).to_have_value("What the model wrote")


def test_a_survey_is_answered_step_by_step(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "survey", steps=STEPS)
    page = visit()
    ask(page, item, question=key)
    expect(page.get_by_role("radiogroup", name="What do you say? How was it?")).to_be_visible()
    reach(page)
    press(page, ["ArrowRight", "Enter"])
    expect(page.get_by_role("textbox", name="What do you say? Why?")).to_be_focused()
    press(page, ["Tab", "Enter"])  # Send is disabled, so this is Skip
    expect(page.get_by_role("radio", name="Good", exact=True)).to_be_focused()
    press(page, ["Enter"])
    wait_until_sent(page, "answered")
    feedback = Feedback.objects.get()
    assert (feedback.kind, feedback.value) == ("survey", {"how": {"rating": 2}, "again": {"thumb": "up"}})


def test_a_survey_of_which_every_step_is_skipped_is_dismissed(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "survey", steps=STEPS)
    page = visit()
    ask(page, item, question=key)
    for _ in STEPS:
        page.get_by_role("button", name="Skip").click()
    wait_until_sent(page, "dismissed")
    assert not Feedback.objects.exists()
    assert Ask.objects.get().state == Ask.State.DISMISSED


def test_a_comment_follows_the_answer_which_counts_without_it(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "thumbs", comment=True)
    page = visit()
    ask(page, item, question=key)
    reach(page)
    press(page, ["Enter"])
    wait_until_sent(page, "answered")
    assert [row.comment for row in Feedback.objects.all()] == [""]
    expect(page.get_by_role("textbox")).to_be_focused()
    press(page, [*"why", "Tab", "Enter"])
    wait_until_sent(page, "answered", times=2)
    assert Feedback.objects.get(superseded_at=None).comment == "why"
    assert Feedback.objects.count() == 2


def test_words_follow_the_locale(visit: Visit, asking: Project, item: Item, host: Any) -> None:
    host.lang = "de"
    key = question(asking, "thumbs", text={"en": "Good?", "de": "Gut so?"})
    page = visit()
    ask(page, item, question=key)
    dialog = page.get_by_role("dialog", name="Gut so?")
    expect(dialog).to_be_visible()
    assert dialog.get_attribute("lang") == "de"
    expect(dialog.get_by_role("button", name="Nicht mehr fragen")).to_be_visible()


def test_nobody_is_asked_two_things_at_once(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "thumbs")
    page = visit()
    decisions = page.evaluate(
        "fields => Promise.all([feedback('ask', fields), feedback('ask', fields)])", {"key": item.key, "question": key}
    )
    assert [each["reason"] for each in decisions] == ["audit", "busy"]
    assert ask(page, item, question=key)["reason"] == "busy"
    assert Ask.objects.count() == 1
    expect(page.get_by_role("dialog")).to_have_count(1)
