"""A project whose policy asks at every opportunity, a publishable key, and an app on another origin that uses the widget."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from labeling.models import ApiKey, Item, Project, Question, QuestionVersion
from labeling.services import api_keys
from sampling.models import AskPolicy
from tests.browser.widget.host import Host, serving
from tests.factories import digits

_MOST_LOOKS = 500
ALWAYS: dict[str, Any] = {
    "holdout_share": 0.0,
    "cooldown_shown_seconds": 0,
    "cooldown_dismissed_seconds": 0,
    "cooldown_answered_seconds": 0,
    "question_cooldown_seconds": 0,
    "most_per_session": 100,
    "most_per_7_days": 100,
    "most_per_30_days": 100,
    "audit_share": 1.0,
    "most_propensity": 1.0,
    "blind_share": 0.0,
}


@pytest.fixture
def asking(transactional_db: None, owner: User) -> Project:
    """Twenty digits with a model; whoever comes is asked."""
    project = digits.project(owner, items=20)
    AskPolicy.objects.create(project=project, version=1, **ALWAYS)
    return project


@pytest.fixture
def item(asking: Project) -> Item:
    return Item.objects.filter(project=asking).order_by("pk")[0]


@pytest.fixture
def host(asking: Project, owner: User, live_server: LiveServer) -> Iterator[Host]:
    with serving(live_server.url) as host:
        key = api_keys.create(
            asking, name="app", kind=ApiKey.Kind.PUBLISHABLE, by=owner, origins=[host.url],
            implicit_kinds=["click", "dwell", "impression", "retry"],
        )  # fmt: skip
        host.init = {"project": asking.slug, "key": key.key, "respondent": "reader-1"}
        yield host


@pytest.fixture
def visit(context: BrowserContext, host: Host) -> Callable[[], Page]:
    """Opens the app's page and waits for the widget."""

    def visit() -> Page:
        page = context.new_page()
        page.goto(host.url)
        wait_for_widget(page)
        return page

    return visit


def wait_for_widget(page: Page) -> None:
    # Playwright's own waiting for functions evaluates text, which the page's policy forbids.
    expect(page.locator("html")).to_have_attribute("data-widget", "ready")


def question(project: Project, kind: str, *, epsilon: float | None = None, **definition: Any) -> str:
    """A live question; returns its key."""
    made = Question.objects.create(project=project, key=f"q-{kind}")
    QuestionVersion.objects.create(
        question=made,
        version=1,
        kind=kind,
        definition={"text": {"en": "What do you say?"}, **definition},
        epsilon=epsilon,
    )
    return made.key


def ask(page: Page, item: Item, **fields: Any) -> dict[str, Any]:
    """Ask by the page's script; returns the service's decision."""
    decision: dict[str, Any] = page.evaluate("fields => feedback('ask', fields)", {"key": item.key, **fields})
    return decision


def ask_as_server(page: Page, host: Host, item: Item, **fields: Any) -> dict[str, Any]:
    """Ask without the widget, as an app's own server does; returns the service's decision."""
    decision: dict[str, Any] = page.evaluate(
        """async ([fields, options]) => {
          const response = await fetch(`${options.service}/api/v1/projects/${options.project}/asks`, {
            method: "POST", body: JSON.stringify(fields),
            headers: { "Content-Type": "application/json", Authorization: `Bearer ${options.key}` },
          });
          return await response.json();
        }""",
        [{"key": item.key, **fields}, {**host.init, "service": host.service}],
    )
    return decision


def heard(page: Page, event: str) -> list[Any]:
    """What the page's script heard of the event."""
    found: list[Any] = page.evaluate(
        "name => heard.filter(([each]) => each === name).map(([, detail]) => detail)", event
    )
    return found


def wait_until_sent(page: Page, event: str, times: int = 1) -> None:
    expect(page.locator("html")).to_have_attribute(f"data-sent_{event}", str(times))


def wait_for_row(look: Callable[[], bool]) -> None:
    """What nobody hears about: until the database shows it, which does the waiting in between."""
    with connection.cursor() as cursor:
        for _ in range(_MOST_LOOKS):
            if look():
                return
            cursor.execute("SELECT pg_sleep(0.02)")
    raise AssertionError("the row never came")
