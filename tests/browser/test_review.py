"""Review in the browser: from a disagreement to its label, by keyboard; two reviewers at once; every step in the trail."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from datasets.models import AcceptedLabel, GoldItem, ReviewCase, ReviewDecision
from datasets.services import accept, disagreements, review
from labeling.models import AnnotationTask, Item, Membership, Project
from labeling.schema import JSONValue
from labeling.services import intake
from tests.browser.conftest import Complaints, log_in_directly
from tests.factories import kinds
from tests.factories import labeling as rows
from tests.factories.reviews import NOW, answered, case, disputed

ANSWERED_AT_ONCE = re.compile(r"/review/\d+/claim/$")


@pytest.fixture
def colleague(project: Project, transactional_db: None) -> User:
    user = User.objects.create_user("colleague", password="colleague-pass")
    Membership.objects.create(project=project, user=user, role=Membership.Role.REVIEWER)
    return user


@pytest.fixture
def items(transactional_db: None, project: Project, owner: User, annotator: User) -> list[Item]:
    """Two items about which annotators disagree, in review."""
    made = [disputed(project, key, {owner: "cat", annotator: "dog"}) for key in ("first", "second")]
    disagreements.open_cases(project, now=NOW)
    return made


@pytest.fixture
def reviewer_page(page: Page, context: BrowserContext, live_server: LiveServer, reviewer: User) -> Page:
    log_in_directly(context, live_server, reviewer)
    return page


def start(page: Page) -> None:
    page.goto("/projects/pets/review/")
    with page.expect_response(ANSWERED_AT_ONCE):
        page.get_by_role("button", name="Start reviewing").click()
    expect(page.locator("#claim")).to_contain_text("Yours")


def shown(page: Page) -> Item:
    return Item.objects.get(key=page.locator(".task-foot").inner_text())


def trail(item: Item) -> list[tuple[str, str, bool]]:
    decisions = ReviewDecision.objects.filter(item=item).order_by("pk")
    return [(each.action, each.reviewer.username, each.saw_suggestion) for each in decisions]


def test_a_disagreement_is_decided_by_keyboard_and_becomes_the_label(
    reviewer_page: Page, items: list[Item], project: Project, worker: None
) -> None:
    start(reviewer_page)
    decided = shown(reviewer_page)
    evidence = reviewer_page.locator(".evidence")
    for part in ("owner", "annotator", "cat", "dog"):
        expect(evidence).to_contain_text(part)
    reviewer_page.keyboard.press("3")
    expect(reviewer_page.locator("#confirm")).to_contain_text("Decide “bird”")
    with reviewer_page.expect_navigation():
        reviewer_page.keyboard.press("Enter")
    expect(reviewer_page.locator("#notices")).to_contain_text("Decided.")
    assert shown(reviewer_page) != decided  # the next case opened by itself
    assert trail(decided) == [("decide", "reviewer", False)]
    address = f"/projects/pets/review/{ReviewCase.objects.get(item=decided).pk}/"
    for _ in range(100):
        reviewer_page.goto(address)
        if "a reviewer decided" in reviewer_page.locator(".review-head").inner_text():
            break
    label = AcceptedLabel.objects.get(item=decided, superseded_at=None)
    assert (label.label, label.method) == ("bird", AcceptedLabel.Method.REVIEWED)


def test_a_class_has_to_be_chosen_and_a_reason_given_first(reviewer_page: Page, items: list[Item]) -> None:
    start(reviewer_page)
    item = shown(reviewer_page)
    reviewer_page.keyboard.press("Enter")
    expect(reviewer_page.locator("#said")).to_have_text("Choose a class first.")
    reviewer_page.keyboard.press("a")
    expect(reviewer_page.locator("#said")).to_have_text("Say why, in a comment first; then Alt+A.")
    expect(reviewer_page.get_by_label("Comment")).to_be_focused()
    assert trail(item) == []


def test_what_the_model_says_is_not_sent_before_it_is_asked_for_and_that_is_kept(
    reviewer_page: Page, items: list[Item], project: Project
) -> None:
    rows.model_version(project)
    intake.record_predictions(project, [rows.prediction_row(item.key, 0.05, 0.05, 0.9) for item in items])
    start(reviewer_page)
    item = shown(reviewer_page)
    assert "90" not in reviewer_page.locator("main").inner_text()
    reviewer_page.keyboard.press("m")
    expect(reviewer_page.locator("#suggestion")).to_contain_text("The model says bird 90% sure")
    reviewer_page.reload()
    expect(reviewer_page.locator("#suggestion")).to_contain_text("The model says bird")
    reviewer_page.get_by_role("button", name="Take it over").click()
    with reviewer_page.expect_navigation():
        reviewer_page.get_by_role("button", name="Decide “bird”").click()
    assert trail(item) == [("decide", "reviewer", True)]


def test_every_change_of_a_case_is_in_the_trail(reviewer_page: Page, items: list[Item]) -> None:
    item = items[0]
    address = f"/projects/pets/review/{ReviewCase.objects.get(item=item).pk}/"

    def open_again() -> None:
        reviewer_page.goto(address)
        with reviewer_page.expect_navigation():
            reviewer_page.get_by_role("button", name="Open again").click()
        expect(reviewer_page.locator("#claim")).to_contain_text("Yours")

    def press(button: str, comment: str) -> None:
        reviewer_page.get_by_label("Comment").fill(comment)
        with reviewer_page.expect_navigation():
            reviewer_page.get_by_role("button", name=button).click()

    reviewer_page.goto(f"/projects/pets/items/{item.pk}/")
    reviewer_page.get_by_role("button", name="Send to review").click()
    expect(reviewer_page.locator("#claim")).to_contain_text("Yours")
    press("Ambiguous", "Half hidden.")
    open_again()
    press("Send back", "Look at the ears.")
    assert AnnotationTask.objects.filter(item=item, state="open").exists()
    open_again()
    reviewer_page.keyboard.press("2")
    reviewer_page.keyboard.press("g")
    reviewer_page.get_by_label("Why it is so").fill("Floppy ears.")
    with reviewer_page.expect_navigation():
        reviewer_page.get_by_role("dialog").get_by_role("button", name="Make gold").click()
    gold = GoldItem.objects.get()
    assert (gold.item, gold.answer, gold.explanation) == (item, {"choice": "dog"}, "Floppy ears.")
    steps = [action for action, *_ in trail(item)]
    assert steps == ["open", "ambiguous", "reopen", "send_back", "reopen", "gold"]
    reviewer_page.goto(address)
    for said in ("Sent to review", "Marked ambiguous", "Half hidden.", "Look at the ears.", "Made gold", "“dog”"):
        expect(reviewer_page.locator(".history-list")).to_contain_text(said)


def test_two_reviewers_get_different_cases_and_the_second_decision_is_refused(
    reviewer_page: Page,
    browser: Browser,
    live_server: LiveServer,
    complaints: Complaints,
    items: list[Item],
    colleague: User,
) -> None:
    complaints.expect("409")
    other = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 800})
    other.on("page", complaints.watch)
    log_in_directly(other, live_server, colleague)
    second = other.new_page()
    start(reviewer_page)
    start(second)
    mine, theirs = shown(reviewer_page), shown(second)
    assert mine != theirs
    second.goto("/projects/pets/review/")
    for name in ("reviewer", "colleague"):
        expect(second.locator("tbody")).to_contain_text(name)
    with second.expect_response(ANSWERED_AT_ONCE):
        second.get_by_role("link", name=mine.key).click()
    expect(second.get_by_role("alert")).to_contain_text("reviewer is at this case.")
    second.keyboard.press("2")
    reviewer_page.keyboard.press("1")
    with reviewer_page.expect_navigation():
        reviewer_page.keyboard.press("Enter")
    with second.expect_navigation():
        second.keyboard.press("Enter")
    expect(second.locator("#notices")).to_contain_text("reviewer was here first. Decided: cat.")
    expect(second.get_by_role("heading", name="Decided", exact=True)).to_be_visible()
    assert trail(mine) == [("decide", "reviewer", False)]
    second.goto("about:blank")
    other.close()


@pytest.mark.parametrize("kind", ["spans", "text_correction", "numeric", "boxes"])
def test_a_given_answer_is_taken_over_whatever_the_task_type(
    page: Page, context: BrowserContext, live_server: LiveServer, owner: User, annotator_of: User, kind: str
) -> None:
    answers: dict[str, dict[str, JSONValue]] = {
        "spans": {"spans": [{"start": 3, "end": 6, "class": "person"}]},
        "text_correction": {"text": "Good day, how are you?"},
        "numeric": {"number": 36.0},
        "boxes": {"boxes": [{"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5, "class": "person"}]},
    }
    said = answers[kind]
    made = kinds.project(kind, annotator=annotator_of)
    Membership.objects.create(project=made, user=owner, role=Membership.Role.OWNER)
    item = Item.objects.filter(project=made).order_by("pk")[0]
    AnnotationTask.objects.filter(item=item).delete()
    answered(item, {annotator_of: said})
    accept.accept_pending(made.pk, now=NOW)
    wanted = case(item, kind=ReviewCase.Kind.MANUAL)
    log_in_directly(context, live_server, owner)
    page.goto(f"/projects/{made.slug}/review/{wanted.pk}/")
    page.get_by_role("button", name="Take over").click()
    with page.expect_navigation():
        page.locator("#confirm").click()
    expect(page.locator("#notices")).to_contain_text("Decided.")
    assert ReviewDecision.objects.get().answer == said
    assert review.find(made, wanted.pk).state == ReviewCase.State.DECIDED


@pytest.fixture
def annotator_of(transactional_db: None) -> User:
    return User.objects.create_user("ann", password="ann-pass")
