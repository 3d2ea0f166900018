"""A real Chromium in front of a live server, and a real Celery worker behind it, all on the test database."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

# Playwright's synchronous API runs an event loop in this thread, which Django takes for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from labeling.models import Project
from tests.factories import digits

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_MS = 20_000
_QUIET_LOOKS = 10
_WORKER_READY_SECONDS = 60
_QUEUES = ("ingest", "score", "train", "monitor")
_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure() -> None:
    expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium from the PATH, else the one that Playwright brought."""
    path = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


class Complaints:
    """What the browser complains about: script errors, console errors (the content policy's among them)."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.expected: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.lines.append(f"{page.url}: {error}"))

    def expect(self, part: str) -> None:
        """A complaint that the test itself provokes."""
        self.expected.append(part)

    def unexpected(self) -> list[str]:
        return [line for line in self.lines if not any(part in line for part in self.expected)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.lines.append(f"{message.location.get('url')}: {message.text}")


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Fails the test when the browser complained about anything the test did not provoke."""
    heard = Complaints()
    yield heard
    assert heard.unexpected() == []


@pytest.fixture
def context(browser: Browser, live_server: LiveServer, complaints: Complaints) -> Iterator[BrowserContext]:
    """A fresh profile at 1280 pixels, with the live server's address as base."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    context.on("page", complaints.watch)
    on_their_way: set[Request] = set()
    context.on("request", lambda request: on_their_way.add(request))
    context.on("requestfinished", lambda request: on_their_way.discard(request))
    context.on("requestfailed", lambda request: on_their_way.discard(request))
    yield context
    for page in context.pages:
        # A labeling page gives its tasks back when it is left; while it is still there, it can be told when that is done.
        page.evaluate("() => { window.dispatchEvent(new PageTransitionEvent('pagehide')); }")
        for _ in range(3_000):
            if not on_their_way:
                break
            page.evaluate("0")  # lets events of the browser in
        page.goto("about:blank")
    context.close()
    _wait_until_the_database_is_idle()


def _wait_until_the_database_is_idle() -> None:
    """Requests of a page that was left may still be served; emptying the tables must not meet them."""
    busy = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    quiet = 0
    with connection.cursor() as cursor:
        for _ in range(10_000):
            # What the browser sent last may not have reached the database yet; hence several looks, with the database
            # doing the waiting in between.
            cursor.execute(busy)
            quiet = quiet + 1 if cursor.fetchone() == (0,) else 0
            if quiet == _QUIET_LOOKS:
                return
            cursor.execute("SELECT pg_sleep(0.02)")


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def digits_project(transactional_db: None, owner: User) -> Project:
    return digits.project(owner)


def log_in(page: Page, username: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(f"{username}-pass")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def log_in_directly(context: BrowserContext, live_server: LiveServer, user: User) -> None:
    """The session of a login without its page: for tests that are about something else."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])


@pytest.fixture
def owner_page(page: Page, owner: User) -> Page:
    log_in(page, owner.username)
    return page


@pytest.fixture
def worker(live_server: LiveServer) -> Iterator[None]:
    """A Celery worker on the test database, which takes every queue; ends before the database is emptied."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        # Messages of earlier tests name rows that are gone.
        client.delete(*_QUEUES, *client.scan_iter("wakeup:*"))
    database = connection.settings_dict
    host = quote(str(database["HOST"]), safe="")
    address = f"{host}:{database['PORT']}" if database["PORT"] else host
    user = ":".join(quote(str(part), safe="") for part in (database["USER"], database["PASSWORD"]) if part)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "-A", "feedbackproject", "worker", "--pool", "solo"),
            *("-Q", ",".join(_QUEUES), "--loglevel", "info", "--without-gossip", "--without-mingle"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "feedbackproject.settings.test",
            "DATABASE_URL": f"postgresql://{user}@{address}/{database['NAME']}",
            "REDIS_URL": settings.REDIS_URL,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log: list[str] = []
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(process, log, ready), daemon=True)
    reader.start()
    try:
        assert ready.wait(_WORKER_READY_SECONDS), "the worker did not start:\n" + "".join(log)
        yield
    finally:
        process.terminate()
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
    assert not [line for line in log if "ERROR" in line or "Traceback" in line], "".join(log)


def _read(process: "subprocess.Popen[str]", log: list[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log.append(line)
        if " ready." in line:
            ready.set()
