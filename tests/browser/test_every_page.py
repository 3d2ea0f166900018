"""Every page: answers the owner, fits a phone, is silent on the console, and shows payloads as text."""

from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import Project
from labeling.services import intake, projects
from sampling.models import RefillRun
from sampling.services import refill
from tests.browser.conftest import Complaints, log_in
from tests.factories.datasets import accepted

PAGES = [
    "/",
    "/projects/new/",
    "/account/",
    "/projects/{slug}/",
    "/projects/{slug}/annotate/",
    "/projects/{slug}/history/",
    "/projects/{slug}/queue/",
    "/projects/{slug}/asks/",
    "/projects/{slug}/asks/questions/",
    "/projects/{slug}/asks/answers/",
    "/projects/{slug}/asks/new-question/",
    "/projects/{slug}/asks/policy/",
    "/projects/{slug}/asks/retention/",
    "/projects/{slug}/asks/snippets/",
    "/projects/{slug}/annotators/",
    "/projects/{slug}/annotators/quality/",
    "/projects/{slug}/gold/",
    "/projects/{slug}/quarantine/",
    "/projects/{slug}/datasets/",
    "/projects/{slug}/models/",
    "/projects/{slug}/classes/",
    "/projects/{slug}/imports/",
    "/projects/{slug}/members/",
    "/projects/{slug}/keys/",
]
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script> & <b>bold</b>"
RIGHT_TO_LEFT = "مرحبا بالعالم، هذا نص English من اليمين"


@pytest.fixture
def hostile_project(transactional_db: None, owner: User) -> Project:
    """Everything a client may name or send holds markup, right-to-left text, or no place to break a line."""
    made = projects.create(
        slug="hostile",
        name=f"{HOSTILE[:60]} {RIGHT_TO_LEFT}",
        objective=HOSTILE + "x" * 200,
        definition={
            "classes": [
                {"key": "<b>yes</b>", "title": HOSTILE, "description": HOSTILE},
                {"key": "no", "title": RIGHT_TO_LEFT},
            ],
            "guidelines": HOSTILE,
        },
        by=owner,
    )
    payloads: list[dict[str, object]] = [
        {"text": HOSTILE},
        {"text": RIGHT_TO_LEFT},
        {"text": "x" * 500},
        {HOSTILE: HOSTILE, "nested": {"a": [1, HOSTILE]}},
        {"features": [1.5, 2], "feature_names": [HOSTILE, "b"]},
        {"pixels": [[0, 16], [16, 0]], "pixel_max": 16},
        {"pixels": "not a grid", "features": "none"},
    ]
    report = intake.record_items(made, ({"key": f"<i>{n}</i>", "payload": each} for n, each in enumerate(payloads)))
    assert report.created == len(payloads)
    version = intake.register_model_version(made, name="<u>m", classes=["no", "<b>yes</b>"])
    intake.record_predictions(
        made,
        (
            {"key": f"<i>{n}</i>", "model_version": version.name, "probabilities": [0.4, 0.6]}
            for n in range(len(payloads))
        ),
    )
    accepted(made, owner, {"<i>labelled</i>": "no"})
    run = refill.request(made, trigger=RefillRun.Trigger.MANUAL, by=owner)
    refill.execute(run.pk, now=timezone.now())
    return made


@pytest.mark.parametrize("slug", ["digits", "hostile", "empty"])
def test_every_page_answers_fits_a_phone_and_is_silent(
    browser: Browser,
    live_server: LiveServer,
    complaints: Complaints,
    request: pytest.FixtureRequest,
    owner: User,
    slug: str,
) -> None:
    if slug == "empty":
        projects.create(slug=slug, name="Empty", definition={"classes": [{"key": "a"}, {"key": "b"}]}, by=owner)
    else:
        request.getfixturevalue(f"{slug}_project")
    schemes: dict[int, Literal["dark", "light"]] = {360: "dark", 1280: "light"}
    for width, scheme in schemes.items():
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 740}, color_scheme=scheme
        )
        page = context.new_page()
        complaints.watch(page)
        log_in(page, owner.username)
        for path in PAGES:
            response = page.goto(path.format(slug=slug))
            assert response is not None
            assert response.status == 200, path
            if path.endswith("/annotate/"):
                expect(page.locator("#work:not([hidden]), #idle:has-text('All done for now')")).to_be_visible()
            assert page.title() != "hacked"
            assert "default-src 'none'" in response.headers["content-security-policy"]
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{path} is {overflow} pixels too wide at {width}"
        page.goto("about:blank")
        context.close()


def test_markup_in_payloads_is_shown_as_text(owner_page: Page, hostile_project: Project) -> None:
    page = owner_page
    page.goto("/projects/hostile/annotate/")
    expect(page.locator("#item-key")).not_to_be_empty()
    seen = {page.locator("#payload").inner_text()}
    for _ in range(6):
        key = page.locator("#item-key").inner_text()
        page.keyboard.press("s")
        page.keyboard.press("2")
        expect(page.locator("#item-key")).not_to_have_text(key)
        seen.add(page.locator("#payload").inner_text())
        assert page.locator("#payload b, #payload script, #payload img").count() == 0
    assert HOSTILE in seen
    assert RIGHT_TO_LEFT in seen
    assert page.title() != "hacked"


def test_right_to_left_text_runs_from_the_right(owner_page: Page, hostile_project: Project) -> None:
    page = owner_page
    page.goto("/projects/hostile/queue/?key=<i>1")
    preview = page.locator(".preview", has_text=RIGHT_TO_LEFT)
    assert preview.evaluate("node => getComputedStyle(node).direction") == "rtl"


def test_the_choice_of_colours_stays(owner_page: Page) -> None:
    page = owner_page
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto("/account/")
    assert page.evaluate(background) == dark
    page.locator(".menu summary").click()
    page.get_by_role("button", name="System").click()
    page.reload()
    assert page.evaluate(background) == light


def test_a_new_key_is_shown_once_and_can_be_revoked(owner_page: Page, project: Project) -> None:
    page = owner_page
    page.goto("/projects/pets/keys/")
    page.get_by_label("Name").fill("my app")
    page.get_by_role("button", name="Make key").click()
    key = page.locator("#new-key").inner_text()
    assert key.startswith("fb_sk_")
    page.goto("/projects/pets/keys/")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke my app").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()
    assert project.api_keys.get().revoked_at is not None


def test_a_project_is_made_in_the_browser(owner_page: Page, complaints: Complaints) -> None:
    page = owner_page
    complaints.expect("422")
    page.goto("/projects/new/")
    page.get_by_label("Name", exact=True).fill("Spam filter")
    page.get_by_label("Classes").fill("spam | Spam")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("at least").or_(page.get_by_text("2 to 1000"))).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Spam filter")
    page.get_by_label("Classes").fill("spam | Spam\nham | Not spam")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", name="Spam filter")).to_be_visible()
    assert Project.objects.get().slug == "spam-filter"
