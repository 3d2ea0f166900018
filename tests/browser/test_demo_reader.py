"""The digit reader of `make run`: it draws asks by the API like any app, under the service's own content policy."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from feedbackproject import demo_reader
from labeling.models import Ask, Correction, Feedback, Project
from sampling.models import AskDecision
from tests.browser.test_accessibility import in_both_schemes
from tests.browser.widget.conftest import ALWAYS, wait_for_row
from tests.factories import digits


@pytest.fixture
def reader(transactional_db: None, owner: User, live_server: LiveServer, settings: Settings, tmp_path: Path) -> Project:
    settings.VAR_DIR = tmp_path
    project = digits.project(owner, items=20)
    demo_reader.ensure(project, url=live_server.url, by=owner)
    project.ask_policies.update(**ALWAYS)
    return project


def test_a_reader_is_asked_and_what_they_do_is_logged(page: Page, reader: Project) -> None:
    page.goto("/demo/")
    dialog = page.get_by_role("dialog", name="Did we read this digit right?")
    expect(dialog).to_be_visible()
    expect(page.locator("#log")).to_contain_text("asked")
    said = page.locator("#reading strong").text_content()
    expect(dialog.locator(".said")).to_have_text(said or "")
    dialog.get_by_role("radio", name="Yes").click()
    wait_for_row(lambda: Correction.objects.count() == 1)
    assert Correction.objects.get().answer == {"choice": said}
    expect(dialog).to_have_count(0)

    page.get_by_role("button", name="Read digit 3 of 6").click()
    page.get_by_role("button", name="Read it again").click()
    wait_for_row(lambda: AskDecision.objects.count() == 2)
    page.goto("about:blank")
    wait_for_row(lambda: {"click", "retry"} <= set(Feedback.objects.values_list("kind", flat=True)))
    click = Feedback.objects.get(kind="click")
    assert click.context["position"] == 3
    assert len(click.context["candidates"]) == 6
    assert Feedback.objects.get(kind="retry").item_id == click.item_id


def test_the_next_digit_takes_the_question_away(page: Page, reader: Project) -> None:
    page.goto("/demo/")
    expect(page.get_by_role("dialog")).to_be_visible()
    first = page.locator("#picture canvas").get_attribute("data-key")
    page.get_by_role("button", name="Next digit").click()
    expect(page.locator("#picture canvas")).not_to_have_attribute("data-key", first or "")
    expect(page.locator("#log")).to_contain_text("concurrent")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert Ask.objects.count() == 1


def test_a_blind_question_hides_the_reading_until_it_is_answered(page: Page, reader: Project) -> None:
    reader.ask_policies.update(blind_share=1.0)
    page.goto("/demo/")
    dialog = page.get_by_role("dialog", name="Which digit is this?")
    expect(dialog).to_be_visible()
    expect(page.locator("#reading")).to_have_text("What do you read?")
    dialog.get_by_role("radio", name="7", exact=True).click()
    expect(page.locator("#reading strong")).to_be_visible()
    wait_for_row(lambda: Correction.objects.count() == 1)
    assert Correction.objects.get().is_anchored is False


def test_it_is_accessible_and_fits_a_phone(page: Page, reader: Project) -> None:
    page.goto("/demo/")
    expect(page.get_by_role("dialog")).to_be_visible()
    found = list(in_both_schemes(page))
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not found, "\n".join(found)
