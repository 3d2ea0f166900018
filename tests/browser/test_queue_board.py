"""The queue board in a browser: choosing many tasks, changing them, and a list that follows without a reload."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import AnnotationTask, Project
from labeling.services import annotation_queue, queue_management
from tests.browser.conftest import Complaints, log_in
from tests.factories import sampling as factory

BOARD = "/projects/pets/queue/"


@pytest.fixture
def tasks(transactional_db: None, project: Project) -> list[AnnotationTask]:
    return factory.queue(project, 5, now=timezone.now() - dt.timedelta(hours=1))


def _box(page: Page, task: AnnotationTask) -> str:
    return f"#pick-{task.pk}"


def test_chosen_rows_are_changed_by_keyboard(owner_page: Page, tasks: list[AnnotationTask]) -> None:
    page = owner_page
    page.goto(BOARD)
    expect(page.locator("[data-bulk-apply]")).to_be_disabled()
    for task in tasks[1:3]:
        page.locator(_box(page, task)).focus()
        page.keyboard.press("Space")
    expect(page.locator("[data-picked]")).to_have_text("2 chosen")
    page.get_by_label("With the chosen").select_option("boost")
    expect(page.get_by_label("Boost by")).to_be_visible()
    expect(page.get_by_label("Due (UTC)")).to_be_hidden()
    page.get_by_label("Boost by").fill("3")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 items boosted.")).to_be_visible()
    expect(page.locator("tbody tr").first).to_have_id(f"row-{tasks[1].pk}")
    assert AnnotationTask.objects.filter(boost=3).count() == 2


def test_a_page_and_a_range_are_chosen_at_once(owner_page: Page, tasks: list[AnnotationTask]) -> None:
    page = owner_page
    page.goto(BOARD)
    page.get_by_label("This page").check()
    expect(page.locator("[data-picked]")).to_have_text("5 chosen")
    page.get_by_label("This page").uncheck()
    page.locator(_box(page, tasks[0])).click()
    page.locator(_box(page, tasks[3])).click(modifiers=["Shift"])
    expect(page.locator("[data-picked]")).to_have_text("4 chosen")
    page.get_by_label("With the chosen").select_option("withdraw")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("4 items withdrawn.")).to_be_visible()
    expect(page.locator("#open-tasks")).to_contain_text("1 of")


def test_the_list_follows_without_losing_choice_and_focus(
    owner_page: Page, tasks: list[AnnotationTask], project: Project, owner: User
) -> None:
    page = owner_page
    page.goto(BOARD)
    page.evaluate("window.isTheSamePage = true")
    page.locator(_box(page, tasks[1])).check()
    page.locator(_box(page, tasks[2])).check()
    page.locator(_box(page, tasks[2])).focus()
    page.get_by_label("Item key").fill("half typed")
    page.locator(_box(page, tasks[2])).focus()
    queue_management.pin(project, [tasks[4].pk], by=owner, now=timezone.now())
    (leased,) = annotation_queue.claim(project, annotator=owner, now=timezone.now(), limit=1)
    assert leased.pk == tasks[4].pk
    first = page.locator("tbody tr").first
    expect(first).to_have_id(f"row-{tasks[4].pk}")
    expect(first).to_contain_text("owner")
    expect(page.locator('[data-view-count="leased"]')).to_have_text("1")
    expect(page.locator(_box(page, tasks[1]))).to_be_checked()
    expect(page.locator(_box(page, tasks[2]))).to_be_focused()
    expect(page.locator("[data-picked]")).to_have_text("2 chosen")
    expect(page.get_by_label("Item key")).to_have_value("half typed")
    assert page.evaluate("window.isTheSamePage")


def test_a_chosen_row_that_goes_away_is_chosen_no_more(
    owner_page: Page, tasks: list[AnnotationTask], project: Project, owner: User
) -> None:
    page = owner_page
    page.goto(BOARD)
    page.locator(_box(page, tasks[0])).check()
    page.locator(_box(page, tasks[1])).check()
    page.locator(_box(page, tasks[0])).focus()
    queue_management.withdraw(project, [tasks[0].pk], by=owner, now=timezone.now())
    expect(page.locator(f"#row-{tasks[0].pk}")).to_have_count(0)
    expect(page.locator("[data-picked]")).to_have_text("1 chosen")
    expect(page.get_by_label("This page")).to_be_focused()


def test_the_board_says_when_it_is_out_of_date(
    owner_page: Page, tasks: list[AnnotationTask], complaints: Complaints
) -> None:
    page = owner_page
    complaints.expect("")
    page.goto(BOARD)
    page.route("**/queue/**", lambda route: route.abort())
    expect(page.locator("[data-live-state]")).to_contain_text("No connection")
    page.unroute("**/queue/**")
    expect(page.locator("[data-live-state]")).to_be_empty()


def test_the_form_works_without_scripts(
    browser: Browser, live_server: LiveServer, owner: User, tasks: list[AnnotationTask]
) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    log_in(page, owner.username)
    page.goto(BOARD)
    page.locator(_box(page, tasks[2])).check()
    page.get_by_label("With the chosen").select_option("skill")
    page.get_by_label("Skill", exact=True).fill("birds")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("1 item reserved for a skill.")).to_be_visible()
    context.close()
    assert list(AnnotationTask.objects.filter(required_skill="birds")) == [tasks[2]]


@pytest.mark.parametrize("width", [360, 1280])
def test_board_annotators_and_item_fit(width: int, owner_page: Page, tasks: list[AnnotationTask]) -> None:
    page = owner_page
    page.set_viewport_size({"width": width, "height": 740})
    AnnotationTask.objects.update(
        is_pinned=True, due_at=timezone.now(), boost=1.5, required_skill="a-very-long-skill-name", answers_wanted=3
    )
    for path in (BOARD, "/projects/pets/annotators/", f"/projects/pets/items/{tasks[0].item_id}/"):
        page.goto(path)
        if path == BOARD:
            page.get_by_text("More filters and order").click()
            page.locator(_box(page, tasks[0])).check()
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path


def test_a_policy_is_previewed_where_it_is_edited(owner_page: Page, transactional_db: None, project: Project) -> None:
    factory.scored_pool(project, 60)
    page = owner_page
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(BOARD)
    page.get_by_text("Change the policy").click()
    page.get_by_label("Queue size").fill("7")
    page.get_by_label("Refill below").fill("3")
    page.get_by_role("button", name="Preview the next batch").click()
    expect(page.get_by_role("heading", name="The next batch would be")).to_be_visible()
    expect(page.locator("#policy-preview")).to_contain_text("7 of 60")
    assert page.get_by_label("Queue size").input_value() == "7"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not AnnotationTask.objects.exists()
    page.get_by_label("Sharpness (beta)").fill("99")
    page.get_by_role("button", name="Preview the next batch").click()
    expect(page.locator("#policy-preview [role=alert]")).to_contain_text("less than or equal to 50")
