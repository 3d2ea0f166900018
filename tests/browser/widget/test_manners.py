"""How the widget behaves on a page that is not its own: it takes no focus, moves nothing, can be sent away, and looks right."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import Ask, Feedback, Item, Project, Respondent
from sampling import widget_file
from tests.browser.conftest import log_in_directly
from tests.browser.test_accessibility import findings
from tests.browser.widget.conftest import ask, heard, question, wait_until_sent
from tests.browser.widget.host import Host

Visit = Callable[[], Page]
RIGHT_TO_LEFT = {"ar": "ما مدى جودة القراءة؟"}


def test_it_takes_no_focus_and_is_announced(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "thumbs")
    page = visit()
    region = page.locator("feedback-prompt [aria-live=polite]")
    expect(region).to_be_attached()
    expect(region).to_have_text("")
    page.locator("#last").focus()
    ask(page, item, question=key)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "last"
    expect(region).to_have_text("Feedback: What do you say?")
    assert page.get_by_role("dialog").get_attribute("aria-modal") is None


def test_escape_inside_dismisses_and_outside_does_not(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "rating")
    page = visit()
    page.evaluate("addEventListener('keydown', (event) => heard.push(['key', event.key]))")
    ask(page, item, question=key)
    page.locator("#last").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "last"
    assert heard(page, "key") == ["Escape", "Tab"], "keys pressed inside are not the page's"
    wait_until_sent(page, "dismissed")
    assert Ask.objects.get().state == Ask.State.DISMISSED
    assert not Feedback.objects.exists()


def test_who_was_asked_is_left_in_peace(visit: Visit, asking: Project, item: Item) -> None:
    asking.ask_policies.update(cooldown_shown_seconds=3_600)
    key = question(asking, "thumbs")
    page = visit()
    assert ask(page, item, question=key)["ask"] is True
    wait_until_sent(page, "shown")
    page.get_by_role("button", name="Close").click()
    wait_until_sent(page, "dismissed")
    second = ask(page, item, question=key)
    assert (second["ask"], second["reason"]) == (False, "cooldown_shown")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert Ask.objects.count() == 1


def test_who_wants_no_questions_gets_none(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    page.get_by_role("button", name="Don’t ask again").click()
    wait_until_sent(page, "opted_out")
    assert Respondent.objects.get().opted_out_until is not None
    assert ask(page, item, question=key)["reason"] == "opted_out"


def test_nothing_is_drawn_and_nothing_moves_while_nobody_is_asked(visit: Visit, asking: Project, item: Item) -> None:
    asking.ask_policies.update(is_asking=False)
    key = question(asking, "thumbs")
    page = visit()
    before = page.screenshot()
    assert ask(page, item, question=key)["ask"] is False
    assert page.screenshot() == before
    host = page.locator("feedback-prompt")
    assert host.evaluate("node => [node.getBoundingClientRect().width, node.getBoundingClientRect().height]") == [0, 0]
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("shifts") == 0


def test_asking_in_the_corner_moves_nothing_either(visit: Visit, asking: Project, item: Item) -> None:
    key = question(asking, "survey", steps=[{"key": "a", "kind": "rating", "text": {"en": "How?"}}])
    page = visit()
    boxes = "['#words', '#last'].map((each) => JSON.stringify(document.querySelector(each).getBoundingClientRect()))"
    before = page.evaluate(boxes)
    ask(page, item, question=key)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate(boxes) == before
    assert page.evaluate("shifts") == 0


def test_every_kind_passes_the_accessibility_scan_and_fits_a_phone(visit: Visit, host: Host) -> None:
    options = [{"key": key, "text": f"Answer {key}"} for key in "abc"]
    common = {"key": "q", "text": "What do you say?", "help": "It helps.", "locale": "en", "direction": "ltr"}
    prediction = {"answer": {"choice": "7"}, "text": "7"}
    previews: list[dict[str, Any]] = [
        {"kind": "thumbs", "private": {"epsilon": 1.0}},
        {"kind": "rating", "minimum": 1, "maximum": 5, "style": "stars", "low": "Bad", "high": "Good"},
        {"kind": "rating", "minimum": 0, "maximum": 10, "style": "numbers", "low": "Bad", "high": "Good"},
        {"kind": "single_choice", "options": options},
        {"kind": "single_choice", "options": [{"key": str(n), "text": f"Class {n}"} for n in range(15)]},
        {"kind": "multiple_choice", "options": options, "least": 1, "most": 2},
        {"kind": "text", "longest": 100},
        {"kind": "preference", "a": "This", "b": "That", "tie": True},
        {"kind": "correction", "answer_kind": "single_choice", "options": options, "prediction": prediction},
        {"kind": "correction", "answer_kind": "numeric", "options": [], "minimum": 0, "maximum": 9, "is_blind": True},
        {"kind": "survey", "steps": [{"key": "s", "kind": "thumbs", "text": "Again?", "help": ""}]},
    ]
    page = visit()
    found: list[str] = []
    for preview in previews:
        page.evaluate("question => feedback('show', { question })", {**common, **preview})
        expect(page.get_by_role("dialog")).to_be_visible()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{preview['kind']} {scheme}: {each}" for each in findings(page)]
        page.set_viewport_size({"width": 360, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        panel = page.get_by_role("dialog")
        assert panel.evaluate("node => node.scrollWidth <= node.clientWidth"), preview["kind"]
        small = panel.evaluate(
            "node => [...node.querySelectorAll('button, input, select, textarea')].map((each) => (each.closest('label') ?? each)"
            ".getBoundingClientRect()).filter(({ width, height }) => width < 24 || height < 24).length"
        )
        assert small == 0, f"{preview['kind']} has targets below 24 pixels"
        page.set_viewport_size({"width": 1280, "height": 800})
    assert not found, "\n".join(found)
    assert not Ask.objects.exists(), "a preview sends nothing"


def test_right_to_left_in_the_dark(visit: Visit, asking: Project, item: Item, host: Host, tmp_path: Path) -> None:
    host.lang = "ar"
    key = question(asking, "rating", text=RIGHT_TO_LEFT, low={"ar": "سيئ"}, high={"ar": "ممتاز"})
    page = visit()
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    ask(page, item, question=key)
    dialog = page.get_by_role("dialog", name=RIGHT_TO_LEFT["ar"])
    expect(dialog).to_be_visible()
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] == 16, "the end of the line is on the left"
    stars = dialog.get_by_role("radio")
    stars.first.focus()
    page.keyboard.press("ArrowLeft")
    expect(stars.nth(1)).to_be_focused()
    picture = Image.open(io.BytesIO(page.screenshot(path=tmp_path / "rtl_dark.png"))).convert("L")
    corner = picture.getpixel((int(box["x"]) + 8, int(box["y"]) + 8))
    assert isinstance(corner, int | float)
    assert corner < 60, "a dark ground"


def test_the_look_is_the_hosts_to_choose(visit: Visit, asking: Project, item: Item, host: Host) -> None:
    host.init["theme"] = {"accent": "rgb(120, 30, 160)", "scheme": "light", "side": "start"}
    key = question(asking, "text")
    page = visit()
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    ask(page, item, question=key)
    send = page.get_by_role("button", name="Send")
    expect(send).to_have_css("background-color", "rgb(120, 30, 160)")
    expect(send).to_have_css("letter-spacing", "normal")  # the page's rules stay outside
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] == 16


def test_an_old_browser_gets_its_styles_by_nonce(context: BrowserContext, host: Host, visit: Visit) -> None:
    context.add_init_script("delete CSSStyleSheet.prototype.replaceSync")
    host.init["nonce"] = "bm9uY2U"
    host.policy = ["style-src-elem 'self' 'nonce-bm9uY2U'"]
    page = visit()
    page.evaluate("feedback('show', { question: { kind: 'thumbs', key: 'q', text: 'Good?', direction: 'ltr' } })")
    expect(page.get_by_role("dialog")).to_have_css("border-radius", "12px")


def test_a_page_may_pin_the_widget_by_its_hash(visit: Visit, host: Host) -> None:
    host.script_attributes = f' integrity="{widget_file.current().integrity}"'
    expect(visit().locator("feedback-prompt")).to_be_attached()


def test_the_script_snippet_asks_from_a_page_that_holds_nothing_else(
    browser: Browser, context: BrowserContext, host: Host, asking: Project, owner: User, live_server: LiveServer
) -> None:
    question(asking, "thumbs")
    log_in_directly(context, live_server, owner)
    page = context.new_page()
    page.goto(f"/projects/{asking.slug}/asks/snippets/")
    key = host.init["key"]
    snippet = page.locator("#snippet-script").inner_text().replace(f"{key[:10]}...", key)
    bare = browser.new_context(bypass_csp=True).new_page()
    bare.goto(f"{host.url}/elsewhere")
    bare.set_content(f'<!doctype html><title>App</title><p id="answer">3</p>{snippet}')
    expect(bare.get_by_role("region")).to_contain_text("What do you say?")
    bare.context.close()
