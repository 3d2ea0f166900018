"""The labeling page when things go otherwise: many classes, trouble on the way, leases, two people."""

import datetime as dt
import re

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, expect

from labeling.models import Annotation, AnnotationTask, Project
from labeling.services import intake, projects
from sampling.models import RefillRun
from sampling.services import refill
from tests.browser.conftest import Complaints, log_in
from tests.factories import digits

CLASSES = ["refund not showing up", "card arrival", "card linking", "lost or stolen card", "top up failed"]


@pytest.fixture
def ready_digits(digits_project: Project) -> Project:
    _fill(digits_project)
    return digits_project


@pytest.fixture
def many_classes(transactional_db: None, owner: User) -> Project:
    names = CLASSES + [f"other {letter}" for letter in "abcdefghij"]
    made = projects.create(
        slug="many", name="Many", definition={"classes": [{"key": name} for name in names]}, by=owner
    )
    intake.record_items(made, ({"key": f"text-{n}", "payload": {"text": f"Where is my card {n}?"}} for n in range(20)))
    _fill(made)
    return made


def _fill(project: Project) -> None:
    run = refill.request(project, trigger=RefillRun.Trigger.MANUAL)
    refill.execute(run.pk, now=timezone.now())


def _open(page: Page, slug: str) -> str:
    page.goto(f"/projects/{slug}/annotate/")
    expect(page.locator("#item-key")).not_to_be_empty()
    return page.locator("#item-key").inner_text()


def _confirm(page: Page) -> None:
    with page.expect_response(re.compile("/submit$")):
        page.keyboard.press("Enter")


def test_enter_accepts_the_suggestion_when_nothing_is_chosen(owner_page: Page, ready_digits: Project) -> None:
    AnnotationTask.objects.filter(is_audit=True).update(priority=-1)
    _open(owner_page, "digits")
    suggested = owner_page.locator("#suggested").inner_text()
    expect(owner_page.locator("#confirm")).to_contain_text(f"Accept “{suggested}”")
    _confirm(owner_page)
    annotation = Annotation.objects.get()
    assert annotation.answer == {"choice": suggested}
    assert annotation.suggested_answer == {"choice": suggested}
    assert annotation.duration_ms is not None


def test_an_audit_item_shows_no_suggestion_and_wants_an_answer(owner_page: Page, ready_digits: Project) -> None:
    AnnotationTask.objects.filter(is_audit=True).update(priority=1)
    key = _open(owner_page, "digits")
    expect(owner_page.locator("#suggestion")).to_be_hidden()
    expect(owner_page.locator("#why")).to_contain_text("Drawn at random")
    owner_page.keyboard.press("Enter")
    expect(owner_page.locator("#announcer")).to_have_text("Choose a class first.")
    expect(owner_page.locator("#item-key")).to_have_text(key)
    assert not Annotation.objects.exists()


def test_a_key_held_down_answers_one_item_only(owner_page: Page, ready_digits: Project) -> None:
    _open(owner_page, "digits")
    owner_page.keyboard.press("3")
    with owner_page.expect_response(re.compile("/submit$")):
        owner_page.keyboard.down("Enter")
    owner_page.keyboard.down("Enter")  # the keyboard repeats
    owner_page.keyboard.down("Enter")
    owner_page.keyboard.up("Enter")
    expect(owner_page.locator("#done-today")).to_have_text("1")
    assert Annotation.objects.count() == 1


def test_the_next_item_is_there_before_the_answer_arrived(owner_page: Page, ready_digits: Project) -> None:
    held: list[Route] = []
    owner_page.route(re.compile("/submit$"), lambda route: route.continue_() if held else held.append(route))
    first = _open(owner_page, "digits")
    owner_page.keyboard.press(digits.truth(first))
    owner_page.keyboard.press("Enter")
    expect(owner_page.locator("#item-key")).not_to_have_text(first)
    second = owner_page.locator("#item-key").inner_text()
    owner_page.keyboard.press(digits.truth(second))
    owner_page.keyboard.press("Enter")
    expect(owner_page.locator("#item-key")).not_to_have_text(second)
    expect(owner_page.locator("#saved")).to_contain_text("Saving")
    assert not Annotation.objects.exists()
    with owner_page.expect_response(re.compile("/submit$")):
        held[0].continue_()
    expect(owner_page.locator("#saved")).to_contain_text("Saved")
    expect(owner_page.locator("#done-today")).to_have_text("2")


def test_letters_find_a_class_among_many(owner_page: Page, many_classes: Project) -> None:
    page = owner_page
    key = _open(page, "many")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("lin")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("card linking"))
    page.keyboard.press("Escape")
    page.keyboard.type("card")
    expect(page.locator(".option:visible")).to_have_count(3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("lost or stolen card"))
    _confirm(page)
    assert Annotation.objects.get().answer == {"choice": "lost or stolen card"}
    expect(page.locator("#item-key")).not_to_have_text(key)
    expect(page.locator("#search")).to_be_empty()
    expect(page.locator("#search")).to_be_focused()

    page.keyboard.type("zebra")
    expect(page.locator("#confirm")).to_contain_text("No class matches")
    page.keyboard.press("Enter")
    assert Annotation.objects.count() == 1
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("card arrival"))


def test_commands_beside_the_search_field(owner_page: Page, many_classes: Project) -> None:
    page = owner_page
    first = _open(page, "many")
    page.keyboard.press("Alt+s")
    page.keyboard.press("2")
    expect(page.locator("#item-key")).not_to_have_text(first)
    second = page.locator("#item-key").inner_text()
    page.keyboard.press("1")
    _confirm(page)
    with page.expect_response(re.compile("/undo$")):
        page.keyboard.press("Control+z")
    expect(page.locator("#item-key")).to_have_text(second)
    expect(page.get_by_role("option", selected=True)).to_have_text(re.compile("refund not showing up"))
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.keyboard.press("2")
    expect(page.locator("#item-key")).not_to_have_text(second)
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("s")  # typed into the dialog, so it means nothing
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    expect(page.locator("#search")).to_be_focused()


def test_an_answer_that_cannot_be_sent_stays_and_is_sent_later(
    owner_page: Page, ready_digits: Project, complaints: Complaints
) -> None:
    page = owner_page
    complaints.expect("ERR_FAILED")
    first = _open(page, "digits")
    page.route(re.compile("/submit$"), lambda route: route.abort())
    page.keyboard.press(digits.truth(first))
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_be_visible()
    expect(page.locator("#unsent")).to_contain_text(f"“{digits.truth(first)}” for {first}")
    expect(page.locator("#item-key")).not_to_have_text(first)  # work goes on meanwhile
    assert not Annotation.objects.exists()

    page.unroute(re.compile("/submit$"))
    with page.expect_response(re.compile("/submit$")):
        page.get_by_role("button", name="Try again now").click()
    expect(page.locator("#unsent")).to_be_hidden()
    assert Annotation.objects.get().item.key == first


def test_an_answer_whose_confirmation_was_lost_counts_once(
    owner_page: Page, ready_digits: Project, complaints: Complaints
) -> None:
    page = owner_page
    complaints.expect("ERR_FAILED")
    complaints.expect("409")
    first = _open(page, "digits")

    def lose_the_confirmation(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(re.compile("/submit$"), lose_the_confirmation)
    page.keyboard.press(digits.truth(first))
    page.keyboard.press("Enter")
    expect(page.locator("#unsent")).to_be_visible()
    page.unroute(re.compile("/submit$"))
    page.get_by_role("button", name="Try again now").click()
    expect(page.locator("#unsent")).to_be_hidden()
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert Annotation.objects.count() == 1


def test_an_expired_lease_is_told_and_the_item_comes_again(
    owner_page: Page, ready_digits: Project, complaints: Complaints
) -> None:
    page = owner_page
    complaints.expect("409")
    first = _open(page, "digits")
    AnnotationTask.objects.filter(item__key=first).update(lease_expires_at=timezone.now() - dt.timedelta(seconds=1))
    page.keyboard.press(digits.truth(first))
    _confirm(page)
    expect(page.locator("#saved")).to_contain_text("was not saved. It was held too long")
    assert not Annotation.objects.exists()
    for _ in range(2):  # the two that the page held already
        key = page.locator("#item-key").inner_text()
        page.keyboard.press(digits.truth(key))
        _confirm(page)
        expect(page.locator("#item-key")).not_to_have_text(key)
    expect(page.locator("#item-key")).to_have_text(first)


def test_answers_given_just_before_leaving_are_saved(
    owner_page: Page, ready_digits: Project, complaints: Complaints
) -> None:
    complaints.expect("409")  # the answer on its way is sent once more on leaving; whichever comes second is told so
    held: list[Route] = []
    owner_page.route(re.compile("/submit$"), lambda route: route.continue_() if held else held.append(route))
    for _ in range(2):  # the second one waits for the first, which is on its way
        key = _open(owner_page, "digits") if not held else owner_page.locator("#item-key").inner_text()
        owner_page.keyboard.press(digits.truth(key))
        owner_page.keyboard.press("Enter")
        expect(owner_page.locator("#item-key")).not_to_have_text(key)
    with owner_page.expect_request(re.compile("/release$")):
        owner_page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide'))")
    held[0].continue_()
    owner_page.goto("/projects/digits/")
    for _ in range(500):
        if Annotation.objects.count() == 2:
            break
        owner_page.reload()
    assert Annotation.objects.count() == 2


def test_leaving_the_page_gives_the_items_back(owner_page: Page, ready_digits: Project) -> None:
    _open(owner_page, "digits")
    assert AnnotationTask.objects.filter(leased_to__isnull=False).count() == 3
    owner_page.goto("/projects/digits/")
    for _ in range(500):
        if not AnnotationTask.objects.filter(leased_to__isnull=False).exists():
            break
        owner_page.reload()
    assert not AnnotationTask.objects.filter(leased_to__isnull=False).exists()


def test_two_annotators_never_see_the_same_item(
    owner_page: Page, context: BrowserContext, ready_digits: Project, owner: User, complaints: Complaints
) -> None:
    other = User.objects.create_user("other", password="other-pass")
    projects.set_member(ready_digits, username=other.username, role="annotator", by=owner)
    assert context.browser is not None
    second_context = context.browser.new_context(base_url=owner_page.url.rstrip("/"))
    second = second_context.new_page()
    complaints.watch(second)
    log_in(second, "other")
    seen: list[str] = []
    _open(owner_page, "digits")
    _open(second, "digits")
    for page in [owner_page, second] * 3:
        key = page.locator("#item-key").inner_text()
        seen.append(key)
        page.keyboard.press(digits.truth(key))
        _confirm(page)
        expect(page.locator("#item-key")).not_to_have_text(key)
    assert len(set(seen)) == len(seen)
    assert Annotation.objects.count() == len(seen)
    second.goto("about:blank")
    second_context.close()


def test_a_paused_queue_says_so_and_goes_on_by_itself(owner_page: Page, ready_digits: Project) -> None:
    projects.pause_queue(ready_digits, now=timezone.now())
    owner_page.goto("/projects/digits/annotate/")
    expect(owner_page.locator("#idle-title")).to_have_text("The queue is paused")
    projects.resume_queue(ready_digits)
    expect(owner_page.locator("#item-key")).not_to_be_empty()
    expect(owner_page.locator("#idle")).to_be_hidden()


def test_new_classes_reach_a_page_that_is_open(owner_page: Page, ready_digits: Project, owner: User) -> None:
    first = _open(owner_page, "digits")
    definition = {"classes": [{"key": str(digit)} for digit in range(10)] + [{"key": "unreadable"}]}
    projects.new_schema_version(ready_digits, definition=definition, by=owner)
    owner_page.keyboard.press(digits.truth(first))
    owner_page.keyboard.press("Enter")
    expect(owner_page.get_by_role("option", name="unreadable")).to_be_attached()
    assert Annotation.objects.count() == 1
