"""No page has serious accessibility findings of axe-core: for those who manage and those who label, in light and in dark."""

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from datasets.models import ReviewCase, SourceDecision, SourceStanding
from datasets.services import acceptance_policies, beliefs, gold, review
from labeling.models import Annotation, Item, PoolEntry, Project
from labeling.services import annotation_queue, projects
from labeling.services.annotation_queue import NewTask
from sampling.services import ask_policies
from tests.browser.conftest import log_in_directly
from tests.factories import ask_log as log
from tests.factories import digits, kinds
from tests.factories import sampling as factory
from tests.factories.datasets import accepted

NO_PAGES: Final = {
    *("logout", "theme", "import_preview", "question_preview", "widget", "demo_reader", "demo_digits"),
    *("review_next", "review_send", "review_claim", "review_suggestion"),
}
"""Addresses that take a form, the widget's, and those of the demo app, which has a test of its own."""
FOR_ANNOTATORS: Final = {"projects", "new_project", "account", "annotate", "history"}
DIALOGS: Final = ["lesson", "guidelines", "comment-dialog", "skip-menu", "keys-help"]


def page_names() -> set[str]:
    """The names of all pages: whatever has a name outside the API's and the admin's namespaces."""
    found = set()
    waiting = list(get_resolver().url_patterns)
    while waiting:
        pattern = waiting.pop()
        if isinstance(pattern, URLPattern):
            found.add(pattern.name or "")
        elif not pattern.namespace:
            waiting.extend(pattern.url_patterns)
    return found - NO_PAGES


def address(name: str, project: Project, item: Item) -> str:
    if name == "item_page":
        return reverse(name, args=[project.slug, item.pk])
    if name == "source":
        return reverse(name, args=[project.slug, SourceStanding.objects.filter(project=project).latest("pk").pk])
    if name == "review_case":
        return reverse(name, args=[project.slug, ReviewCase.objects.get(item=item).pk])
    if name == "question":
        return reverse(name, args=[project.slug, "is_right"])
    without_project = {"login", "account", "projects", "new_project"}
    return reverse(name, args=[] if name in without_project else [project.slug])


def shown(node: dict[str, Any]) -> str:
    reasons = [each["message"] for each in node["any"] + node["all"] + node["none"]]
    return f"{node['html'][:150]} ({' '.join(reasons)[:200]})"


def findings(page: Page, *, colours_only: bool = False) -> Iterator[str]:
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if colours_only:
        options["runOnly"] = ["color-contrast"]
    for each in Axe().run(page, options=options).response["violations"]:
        if each["impact"] in {"serious", "critical"}:
            yield f"{page.url} {each['id']}: " + "; ".join(map(shown, each["nodes"][:5]))


def in_both_schemes(page: Page) -> Iterator[str]:
    # Without motion: in the middle of a change of colours there is no contrast to measure.
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    yield from findings(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    yield from (f"dark: {each}" for each in findings(page, colours_only=True))
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


def settle(page: Page) -> None:
    """The labeling page shows an item, or says why there is none."""
    if "question" in page.url and page.locator("#question-preview").count():
        expect(page.locator("#question-preview > *, [data-preview-target] > *").first).to_be_visible()
    if "/review/" in page.url and page.locator("#claim").count():
        expect(page.locator("#claim > *")).to_be_visible()
    if "/annotate/" in page.url:
        expect(page.locator("#work:not([hidden]), #idle-title:not(:text('Fetching'))")).to_be_visible()


@pytest.fixture
def lived_in(transactional_db: None, owner: User) -> tuple[Project, Item]:
    """A project with a queue, answers of each state, accepted labels and a model."""
    project = digits.project(owner, items=20)
    items = list(Item.objects.filter(project=project).order_by("pk"))
    tasks: list[NewTask] = [factory.new_task(item, rank, is_audit=rank % 5 == 0) for rank, item in enumerate(items)]
    annotation_queue.enqueue(project, tasks, batch=uuid.uuid4(), pool_size=20, now=factory.NOW)
    labelled = accepted(project, owner, {"first": "1", "second": "2"})
    Annotation.objects.filter(item=labelled[1]).update(is_flagged=True, comment="Is it a seven?")
    asked_of(project)
    review.send_to_review(project, labelled[0], by=owner, now=timezone.now())
    acceptance_policies.new_version(project, by=owner, method="label_model")
    beliefs.fit(project, now=timezone.now())
    doubted(project, owner)
    return project, labelled[0]


def doubted(project: Project, owner: User) -> None:
    """A source in quarantine, and a known answer."""
    found = SourceStanding.objects.create(
        project=project, annotator=owner, step=SourceStanding.Step.QUARANTINE, weight=0.0, suspicion_nats=12.0, answers=20,
        hits=4.0, misses=9.0, gold_hits=1, gold_misses=3,
        reasons=[{"family": "agreement", "nats": 12.0, "text": "Agrees no more than chance would with what others say."}],
    )  # fmt: skip
    SourceDecision.objects.create(standing=found, step_before="none", step_after="quarantine", weight_after=0.0)
    Item.objects.filter(project=project, pool_entry__state=PoolEntry.State.ANSWERED).update(segments={"country": "de"})
    gold.make(
        project,
        Item.objects.filter(project=project).latest("pk"),
        answer={"choice": "1"},
        explanation="A stroke.",
        by=owner,
    )


def asked_of(project: Project) -> None:
    """Questions, and asks of each fate, so that every part of the pages of asks is drawn."""
    now = timezone.now()
    version = log.question(project, target_half_width=0.1)
    ask_policies.new_version(project, by=None, budget_asks=100, segment="country")
    for number in range(80):
        fate = ("answered", "dismissed", "shown", "answered")[number % 4]
        made = log.decision(
            project, "selected", who=f"r{number}", asked=version, at=now, fate=fate, segment="de" if number % 3 else "fr",
            is_blind=number % 3 == 0, predicted={"choice": "1"}, propensity=0.2 + (number % 7) / 10,
        )  # fmt: skip
        if fate == "answered":
            log.answered(made, thumb="" if made.is_blind else "up", truth={"choice": "1"})
    for number in range(5):
        log.decision(project, "holdout", who=f"h{number}", at=now)


def test_no_page_of_a_manager_has_serious_findings(
    page: Page, context: BrowserContext, live_server: LiveServer, owner: User, lived_in: tuple[Project, Item]
) -> None:
    page.goto("/login/")
    found = list(in_both_schemes(page))
    log_in_directly(context, live_server, owner)
    for name in sorted(page_names() - {"login"}):
        response = page.goto(address(name, *lived_in))
        assert response is not None
        assert response.ok, name
        settle(page)
        found += in_both_schemes(page)
    assert not found, "\n".join(found)


def test_no_page_of_an_annotator_has_serious_findings(
    page: Page, context: BrowserContext, live_server: LiveServer, owner: User, lived_in: tuple[Project, Item]
) -> None:
    annotator = User.objects.create_user("annotator", password="annotator-pass")
    projects.set_member(lived_in[0], username="annotator", role="annotator", by=owner)
    Annotation.objects.update(annotator=annotator)
    log_in_directly(context, live_server, annotator)
    found: list[str] = []
    for name in sorted(FOR_ANNOTATORS):
        page.goto(address(name, *lived_in))
        settle(page)
        found += in_both_schemes(page)
    annotation = Annotation.objects.get(item=lived_in[1])
    page.goto(address("annotate", *lived_in) + f"?edit={annotation.pk}")
    settle(page)
    found += in_both_schemes(page)
    assert not found, "\n".join(found)


def test_no_task_type_has_serious_findings(
    page: Page, context: BrowserContext, live_server: LiveServer, owner: User
) -> None:
    annotator = User.objects.create_user("annotator", password="annotator-pass")
    log_in_directly(context, live_server, annotator)
    found: list[str] = []
    for kind in kinds.DEFINITIONS:
        project = kinds.project(kind, annotator=annotator)
        page.goto(f"/projects/{project.slug}/annotate/")
        expect(page.locator("#work")).to_be_visible()
        found += in_both_schemes(page)
        page.set_viewport_size({"width": 360, "height": 740})
        found += findings(page)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{kind} is {overflow} pixels too wide"
        page.set_viewport_size({"width": 1280, "height": 800})
    for dialog in DIALOGS:
        page.evaluate("id => document.getElementById(id).showModal()", dialog)
        found += in_both_schemes(page)
        page.keyboard.press("Escape")
    assert not found, "\n".join(found)
