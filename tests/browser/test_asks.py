"""Asks in a browser: a question is made with its preview, asked for real by the widget's API, and seen in the funnel."""

import json
from collections.abc import Mapping

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import Ask, Feedback, Project, Question, QuestionVersion
from sampling.services import ask_policies
from tests.browser.conftest import Complaints, log_in_directly
from tests.factories import ask_log as log
from tests.factories import asking
from tests.factories.labeling import model_version

NEW = "/projects/pets/asks/new-question/"
PREVIEW = "[data-preview-target]"


@pytest.fixture
def asks_page(page: Page, context: BrowserContext, live_server: LiveServer, owner: User, project: Project) -> Page:
    log_in_directly(context, live_server, owner)
    return page


def post(page: Page, address: str, body: Mapping[str, object], key: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    response = page.request.post(address, data=json.dumps(body), headers=headers)
    assert response.ok, response.text()
    said: dict[str, object] = response.json()
    return said


def test_a_question_is_made_with_a_preview_asked_and_seen_in_the_funnel(
    asks_page: Page, project: Project, secret_key: str
) -> None:
    page = asks_page
    asking.forget_counters()
    model_version(project)
    asking.policy(project, **asking.ALWAYS)
    page.goto("/projects/pets/asks/")
    page.get_by_role("link", name="Make a question").click()
    preview = page.locator(PREVIEW)
    expect(page.get_by_text("Write the question to see it here.")).to_be_visible()
    page.get_by_label("Key", exact=True).fill("is_right")
    page.get_by_label("Question", exact=True).fill("Is this right?")
    expect(preview.get_by_text("Is this right?")).to_be_visible()
    expect(preview.get_by_text("cat", exact=True)).to_be_visible()
    page.get_by_label("Or: as exact as").fill("10")
    expect(page.get_by_text("Ends after 97 answers.")).to_be_visible()
    page.get_by_role("button", name="Save and ask it").click()
    expect(page.get_by_role("heading", name="Is this right?")).to_be_visible()
    expect(page.get_by_text("No answers yet.")).to_be_visible()
    for number in range(3):
        prediction = {"model_version": "m1", "probabilities": [0.5, 0.3, 0.2]}
        opportunity = {
            "opportunity_id": f"o-{number}", "key": f"item-{number}", "payload": {"text": "Miau"},
            "respondent": f"user-{number}", "prediction": prediction,
        }  # fmt: skip
        decision = post(page, "/api/v1/projects/pets/asks", opportunity, secret_key)
        assert decision["ask"], decision
        token = f"/api/v1/asks/{decision['token']}"
        post(page, token, {"event": "shown"})
        if number:
            post(page, token, {"event": "answered", "answer": {"is_right": number == 1}})
        else:
            post(page, token, {"event": "dismissed"})
    page.goto("/projects/pets/asks/")
    for stage, count in {"opportunities": 3, "selected": 3, "shown": 3, "answered": 2, "accepted": 0}.items():
        expect(page.locator(f'[data-stage="{stage}"]')).to_contain_text(str(count))
    expect(page.locator("#response-rate")).to_contain_text("66.7%")
    page.get_by_role("link", name="Questions").click()
    page.get_by_role("link", name="Is this right?").click()
    expect(page.locator("#answered")).to_have_text("2 of 97")
    expect(page.get_by_text("The model is right")).to_be_visible()


def test_the_preview_follows_what_is_typed_and_sends_nothing(asks_page: Page) -> None:
    page = asks_page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "/api/" in request.url else None)
    page.goto(f"{NEW}?kind=rating")
    preview = page.locator(PREVIEW)
    page.get_by_label("Question", exact=True).fill("How good is it?")
    expect(preview.get_by_role("radio")).to_have_count(5)
    page.get_by_role("spinbutton", name="Highest level").fill("3")
    expect(preview.get_by_role("radio")).to_have_count(3)
    page.get_by_label("Question", exact=True).fill("How good is it?\nar = ما مدى جودته؟")
    page.get_by_label("Language").select_option("ar")
    expect(preview.get_by_text("ما مدى جودته؟")).to_be_visible()
    assert preview.locator("feedback-prompt").get_attribute("dir") == "rtl"
    preview.get_by_role("radio").first.click()
    expect(preview.get_by_role("radio")).to_have_count(0)
    page.get_by_role("button", name="Show it again").click()
    expect(preview.get_by_role("radio")).to_have_count(3)
    page.get_by_role("spinbutton", name="Highest level").fill("30")
    expect(page.get_by_text("2 to 11 levels").last).to_be_visible()
    assert sent == []
    assert not Question.objects.exists()


def test_a_survey_shows_the_fields_of_the_kind_of_each_step(asks_page: Page) -> None:
    page = asks_page
    page.goto(f"{NEW}?kind=survey")
    step = page.get_by_role("group", name="Step 1")
    expect(step.get_by_label("Highest level")).to_be_hidden()
    step.get_by_label("Kind").select_option("rating")
    expect(step.get_by_label("Highest level")).to_be_visible()
    step.get_by_label("Kind").select_option("single_choice")
    expect(step.get_by_label("Highest level")).to_be_hidden()
    step.get_by_label("Question").fill("Which?")
    step.get_by_label("Options").fill("a = The first\nb = The second")
    page.get_by_label("Question", exact=True).first.fill("One thing")
    expect(page.locator(PREVIEW).get_by_role("radio", name="The second")).to_be_visible()
    page.get_by_label("Key", exact=True).first.fill("one")
    page.get_by_role("button", name="Save and ask it").click()
    expect(page.get_by_role("heading", name="One thing")).to_be_visible()
    assert [each["key"] for each in QuestionVersion.objects.get().definition["steps"]] == ["s1"]


def test_the_editor_works_without_scripts(
    browser: Browser, live_server: LiveServer, owner: User, project: Project
) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    log_in_directly(context, live_server, owner)
    page = context.new_page()
    page.goto(f"{NEW}?kind=thumbs")
    page.get_by_label("Key", exact=True).fill("mood")
    page.get_by_label("Question", exact=True).fill("Well?")
    page.get_by_role("button", name="Save and ask it").click()
    expect(page.get_by_role("heading", name="Well?")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    context.close()


def test_a_policy_is_previewed_beside_its_form(asks_page: Page, project: Project) -> None:
    page = asks_page
    page.goto("/projects/pets/asks/policy/")
    page.get_by_label("Never asked, %").fill("10")
    page.get_by_role("button", name="Preview it on the log").click()
    expect(page.get_by_text("there is nothing to replay")).to_be_visible()
    expect(page.get_by_label("Never asked, %")).to_have_value("10")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("Version 2 of the ask policy is in force from now on.")).to_be_visible()
    assert ask_policies.current_policy(project).holdout_share == 0.1


def test_a_publishable_key_gets_its_origins(asks_page: Page, project: Project, complaints: Complaints) -> None:
    page = asks_page
    complaints.expect("422")
    page.goto("/projects/pets/keys/?kind=publishable")
    page.get_by_label("Name").fill("shop")
    page.get_by_label("Origins").fill("shop.example.org")
    page.get_by_label("Click").check()
    page.get_by_role("button", name="Make key").click()
    expect(page.get_by_text("An origin is scheme and host")).to_be_visible()
    page.get_by_label("Origins").last.fill("https://shop.example.org")
    page.get_by_role("button", name="Make key").click()
    expect(page.locator("#new-key")).to_contain_text("fb_pk_")
    page.goto("/projects/pets/keys/")
    page.get_by_role("button", name="Change shop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Click")).to_be_checked()
    dialog.get_by_label("Origins").fill("https://shop.example.org\nhttps://m.example.org")
    dialog.get_by_label("Click").uncheck()
    dialog.get_by_label("Copy").check()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“shop” is changed.")).to_be_visible()
    key = project.api_keys.get()
    assert (key.origins, key.implicit_kinds) == (["https://shop.example.org", "https://m.example.org"], ["copy"])


@pytest.mark.parametrize("width", [360, 1280])
def test_a_full_funnel_fits_and_is_silent(asks_page: Page, project: Project, width: int) -> None:
    page, now = asks_page, timezone.now()
    version = log.question(project)
    ask_policies.new_version(project, by=None, budget_asks=100)
    for number in range(40):
        fate = ("answered", "dismissed", "shown", "offered")[number % 4]
        made = log.decision(
            project, "audit" if number % 8 == 0 else "selected", who=f"r{number}", asked=version, at=now, fate=fate,
            segment="x" * 60 if number % 2 else "<b>fr</b>", is_blind=number % 5 == 0, predicted={"choice": "cat"},
            propensity=0.1 + (number % 9) / 10,
        )  # fmt: skip
        if fate == "answered":
            log.answered(made, thumb="" if made.is_blind else "up", truth={"choice": "cat"})
    for number in range(6):
        log.decision(project, "holdout", who=f"h{number}", at=now)
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("", "questions/", "questions/is_right/", "policy/", "snippets/"):
        page.goto(f"/projects/pets/asks/{path}")
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{path} is {overflow} pixels too wide"
    assert (Ask.objects.count(), Feedback.objects.count()) == (40, 8)
