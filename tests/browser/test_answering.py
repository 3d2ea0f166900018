"""Around the answer: drafts, no network, skips, undo, comments, the history. By keyboard only."""

import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import Annotation, AnnotationTask, Draft, Skip
from tests.browser.conftest import Complaints, log_in_directly
from tests.factories import kinds

TEXTS = [{"text": f"Text {number}. " * (1 + 7 * (number % 3))} for number in range(6)]


@pytest.fixture
def annotator() -> User:
    return User.objects.create_user("annotator", password="annotator-pass")


@pytest.fixture
def annotator_page(page: Page, context: BrowserContext, live_server: LiveServer, annotator: User) -> Page:
    log_in_directly(context, live_server, annotator)
    return page


def open_page(page: Page, slug: str) -> None:
    page.goto(f"/projects/{slug}/annotate/")
    expect(page.locator("#work")).to_be_visible()


def answer(page: Page, key: str) -> None:
    """Give the answer that this key stands for, and wait until it is saved."""
    page.keyboard.press(key)
    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("Enter")


def standing() -> dict[str, object]:
    found = Annotation.objects.filter(withdrawn_at__isnull=True).order_by("pk")
    return dict(found.values_list("item__key", "answer"))


def test_a_draft_survives_a_reload_and_another_machine(
    annotator_page: Page, context: BrowserContext, live_server: LiveServer, annotator: User
) -> None:
    page = annotator_page
    kinds.project("text_correction", annotator=annotator)
    open_page(page, "text-correction")
    page.keyboard.press("Control+a")
    with page.expect_response(re.compile("/draft$")):
        page.keyboard.type("Good day, how are you?")
    page.reload()
    expect(page.locator("#correction")).to_have_value("Good day, how are you?")

    assert context.browser is not None
    elsewhere = context.browser.new_context(base_url=live_server.url)
    log_in_directly(elsewhere, live_server, annotator)
    other = elsewhere.new_page()
    open_page(other, "text-correction")
    expect(other.locator("#correction")).to_have_value("Good day, how are you?")
    other.keyboard.press("Control+End")
    with other.expect_response(re.compile("/draft$")):
        other.keyboard.type(" Fine.")
    elsewhere.close()
    page.reload()
    expect(page.locator("#correction")).to_have_value("Good day, how are you? Fine.")

    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("Control+Enter")
    expect(page.locator("#item-key")).to_have_text("item-1")
    assert standing() == {"item-0": {"text": "Good day, how are you? Fine."}}
    assert not Draft.objects.exists()
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft:'))") == []


def test_answers_without_a_network_survive_a_closed_page_and_arrive(
    annotator_page: Page, context: BrowserContext, annotator: User, complaints: Complaints
) -> None:
    page = annotator_page
    complaints.expect("ERR_INTERNET_DISCONNECTED")
    kinds.project("single_choice", annotator=annotator, payloads=TEXTS[:3])
    open_page(page, "single-choice")
    context.set_offline(True)
    for number, key in enumerate("12"):
        page.keyboard.press(key)
        page.keyboard.press("Enter")
        expect(page.locator("#item-key")).to_have_text(f"item-{number + 1}")
    expect(page.locator("#unsent-title")).to_have_text("2 answers are not saved yet")
    expect(page.locator("#unsent-list")).to_contain_text("“Place” for item-1")
    page.close()
    assert standing() == {}

    context.set_offline(False)
    again = context.new_page()
    open_page(again, "single-choice")
    expect(again.locator("#done-today")).to_have_text("2")
    expect(again.locator("#unsent")).to_be_hidden()
    expect(again.locator("#item-key")).to_have_text("item-2")
    expect(again.locator("#saved")).to_have_text("Saved “Place”")
    assert again.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('outbox:'))") == []
    assert standing() == {"item-0": {"choice": "person"}, "item-1": {"choice": "place"}}


def test_answers_given_while_logged_out_arrive_after_the_login(
    annotator_page: Page, context: BrowserContext, annotator: User, complaints: Complaints
) -> None:
    page = annotator_page
    complaints.expect("401")
    complaints.expect("403")
    kinds.project("single_choice", annotator=annotator)
    open_page(page, "single-choice")
    context.clear_cookies()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator("#unsent-login")).to_be_visible()
    assert standing() == {}

    login = context.new_page()
    login.goto("/login/")
    login.get_by_label("Username").focus()
    login.keyboard.type("annotator")
    login.keyboard.press("Tab")
    login.keyboard.type("annotator-pass")
    login.keyboard.press("Enter")
    expect(login.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    page.get_by_role("button", name="Try again now").press("Enter")
    expect(page.locator("#unsent")).to_be_hidden()
    assert standing() == {"item-0": {"choice": "place"}}


def test_an_answer_that_came_too_late_is_kept_to_be_read(
    annotator_page: Page, annotator: User, complaints: Complaints
) -> None:
    page = annotator_page
    complaints.expect("409")
    kinds.project("single_choice", annotator=annotator)
    open_page(page, "single-choice")
    AnnotationTask.objects.filter(item__key="item-0").update(
        state=AnnotationTask.State.WITHDRAWN, closed_at=timezone.now(), leased_to=None, lease_expires_at=None
    )
    answer(page, "2")
    expect(page.locator("#lost")).to_contain_text("“Place” for item-0")
    page.reload()
    expect(page.locator("#lost")).to_contain_text("“Place” for item-0")
    page.get_by_role("button", name="Dismiss the answer for item-0").press("Enter")
    expect(page.locator("#lost")).to_be_hidden()
    assert standing() == {}


def test_three_kinds_of_skip(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    kinds.project("single_choice", annotator=annotator, payloads=TEXTS[:4])
    open_page(page, "single-choice")
    for number, key in enumerate("12"):
        page.keyboard.press("s")
        expect(page.get_by_role("dialog", name="Skip this item")).to_be_visible()
        with page.expect_response(re.compile("/skip$")):
            page.keyboard.press(key)
        expect(page.locator("#item-key")).to_have_text(f"item-{number + 1}")
    page.keyboard.press("s")
    page.keyboard.press("3")  # says that a reason is missing, and asks for it
    expect(page.locator("#skip-error")).to_contain_text("Say why")
    page.keyboard.type("blank page")
    with page.expect_response(re.compile("/skip$")):
        page.keyboard.press("Enter")
    expect(page.locator("#item-key")).to_have_text("item-3")
    skips = Skip.objects.order_by("task__item__key").values_list("task__item__key", "kind", "reason")
    assert list(skips) == [
        ("item-0", "later", ""),
        ("item-1", "someone_else", ""),
        ("item-2", "unusable", "blank page"),
    ]
    assert AnnotationTask.objects.get(item__key="item-2").state == AnnotationTask.State.UNUSABLE

    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    expect(page.locator("#idle-title")).to_have_text("Only what you put off is left")
    expect(page.locator("#idle-text")).to_contain_text(re.compile(r"\d:\d\d"))


def test_comment_and_flag_go_with_the_answer_and_come_back_with_undo(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    kinds.project("single_choice", annotator=annotator, payloads=TEXTS[:3])
    open_page(page, "single-choice")
    answer(page, "1")
    page.keyboard.press("c")
    page.keyboard.type("Is it a town?")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    answer(page, "2")
    expect(page.locator("#saved")).to_contain_text("Saved “Place”")
    second = Annotation.objects.get(item__key="item-1")
    assert (second.comment, second.is_flagged) == ("Is it a town?", True)
    expect(page.locator("#flag")).to_have_attribute("aria-pressed", "false")

    for key, chosen in (("item-1", "Place"), ("item-0", "Person")):
        with page.expect_response(re.compile("/undo$")):
            page.keyboard.press("u")
        expect(page.locator("#item-key")).to_have_text(key)
        expect(page.get_by_role("option", selected=True)).to_contain_text(chosen)
        expect(page.locator("#flag")).to_have_attribute("aria-pressed", str(key == "item-1").lower())
    assert standing() == {}
    assert Annotation.objects.count() == 2


def test_an_answer_of_the_history_is_changed(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    kinds.project("single_choice", annotator=annotator, payloads=TEXTS[:3])
    open_page(page, "single-choice")
    answer(page, "1")
    answer(page, "1")
    page.keyboard.press("h")
    expect(page.get_by_role("heading", name="Your answers")).to_be_visible()
    page.get_by_label("Item key").focus()
    page.keyboard.type("item-0")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Change the answer for item-0").press("Enter")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Person")
    expect(page.locator("#no-suggestion")).to_contain_text("You are changing an answer")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your answers")).to_be_visible()
    expect(page.locator("tbody tr")).to_contain_text(["Counts", "Counts", "Replaced"])
    assert standing() == {"item-0": {"choice": "place"}, "item-1": {"choice": "person"}}
    old = Annotation.objects.get(withdrawn_at__isnull=False)
    assert Annotation.objects.get(supersedes=old).answer == {"choice": "place"}


def test_one_of_two_hundred_classes_is_found_by_typing(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    classes = [{"key": f"city-{number}", "title": f"City of {number}"} for number in range(199)]
    kinds.project("single_choice", annotator=annotator, classes=[*classes, {"key": "zagreb", "title": "Zágreb"}])
    open_page(page, "single-choice")
    page.keyboard.type("zag")
    expect(page.locator("#confirm")).to_contain_text("Zágreb")
    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("Enter")
    expect(page.locator("#item-key")).to_have_text("item-1")
    page.keyboard.type("city 17")
    page.keyboard.press("ArrowDown")
    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("Enter")
    assert standing() == {"item-0": {"choice": "zagreb"}, "item-1": {"choice": "city-170"}}


def test_right_to_left_text_is_shown_and_corrected_from_the_right(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    payload = {"input": "عدا تعيش في لندن", "output": "עדה גרה בחיפה"}
    kinds.project("text_correction", annotator=annotator, payloads=[payload, payload])
    open_page(page, "text-correction")
    for shown in (page.locator("#correction"), page.locator(".payload-text")):
        assert shown.evaluate("node => getComputedStyle(node).direction") == "rtl"
    page.keyboard.press("Control+End")
    page.keyboard.type(" היום")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#item-key")).to_have_text("item-1")
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert standing() == {"item-0": {"text": "עדה גרה בחיפה היום"}}


def test_nothing_moves_when_the_next_item_comes(annotator_page: Page, annotator: User) -> None:
    page = annotator_page
    kinds.project("single_choice", annotator=annotator, payloads=TEXTS)
    open_page(page, "single-choice")
    page.evaluate(
        """() => {
            window.shifts = 0;
            window.moved = [];
            new PerformanceObserver((list) => {
                for (const { value, sources } of list.getEntries()) {
                    window.shifts += value;
                    window.moved.push(...sources.map(({ node, previousRect: was, currentRect: is }) => (
                        `${node?.id || node?.className || node?.nodeName}: ${was.x},${was.y} ${was.width}x${was.height} -> ${is.x},${is.y} ${is.width}x${is.height}`)));
                }
            }).observe({ type: "layout-shift" });
        }"""
    )
    for key in "12121":
        answer(page, key)
    expect(page.locator("#item-key")).to_have_text("item-5")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shifts") == 0, page.evaluate("window.moved")
