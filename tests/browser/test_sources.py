"""Quarantine and training in a real browser: reasons are read, a decision is made, the next reviewer sees it; learners learn."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from datasets.models import SourceStanding
from datasets.services import accept, examination, gold
from labeling.models import AnnotationTask, Membership, Project
from labeling.services import projects
from tests.browser.conftest import Complaints, log_in
from tests.factories import crowd
from tests.factories import sampling as factory

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def crowded(transactional_db: None, project: Project) -> SourceStanding:
    """Six honest people and one who guesses, examined: the standing of the guesser."""
    of, truth = crowd.items(project, 60, segment="country"), crowd.truths(60)
    people = [crowd.person(project, f"p{number}") for number in range(7)]
    said = [crowd.say(crowd.honest(0.85), truth, number) for number in range(6)]
    said.append(crowd.say(crowd.inverted, truth, 6))
    crowd.answer(project, people, said, of)
    accept.accept_pending(project.pk, now=crowd.NOW)
    examination.examine(project, now=timezone.now())
    return SourceStanding.objects.get(annotator=people[6])


def test_a_reviewer_reads_why_releases_and_the_next_one_is_told(
    page: Page, browser: Browser, live_server: LiveServer, crowded: SourceStanding, reviewer: User, manager: User,
    complaints: Complaints,
) -> None:  # fmt: skip
    log_in(page, "reviewer")
    page.goto("/projects/pets/")
    page.get_by_role("link", name="Quality", exact=True).click()
    page.get_by_role("link", name="Quarantine").click()
    expect(page.get_by_text("1 source", exact=True)).to_be_visible()
    expect(page.get_by_text("practically certain").first).to_be_visible()
    page.get_by_role("link", name="p6").click()
    expect(page.get_by_text("says the opposite of what all others say").first).to_be_visible()
    expect(page.get_by_role("cell", name="×").first).to_be_visible()

    other = browser.new_context(base_url=live_server.url)
    second = other.new_page()
    complaints.watch(second)
    log_in(second, "manager")
    second.goto(f"/projects/pets/quarantine/{crowded.pk}/")

    page.get_by_label("Comment").fill("Read the guidelines upside down; talked to her.")
    page.get_by_role("button", name="Trust", exact=True).click()
    expect(page.locator("#step")).to_have_text("Trusted")
    expect(page.get_by_text("Read the guidelines upside down")).to_be_visible()
    crowded.refresh_from_db()
    assert (crowded.step, crowded.decided_by) == ("none", reviewer)

    second.get_by_label("Comment").fill("A bot.")
    second.get_by_role("button", name="Block").click()
    expect(second.locator("#refusal")).to_contain_text("Meanwhile reviewer decided “Trusted”")
    expect(second.get_by_label("Comment")).to_have_value("A bot.")
    crowded.refresh_from_db()
    assert crowded.step == "none"
    second.goto("/projects/pets/quarantine/")
    expect(second.get_by_text("Nobody waits for a decision.")).to_be_visible()
    second.get_by_role("link", name="Decided").click()
    expect(second.get_by_text("decided by reviewer")).to_be_visible()
    other.close()


def wait_until_at_work(annotator: User) -> None:
    """The worker hears of the answer a moment later; the database does the waiting."""
    for _ in range(500):
        if Membership.objects.get(user=annotator).stage == Membership.Stage.WORKING:
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")
    pytest.fail("still in training")


@pytest.mark.usefixtures("worker")
def test_somebody_in_training_is_told_after_each_answer_and_then_gets_real_work(
    page: Page, project: Project, annotator: User, owner: User
) -> None:
    for item in factory.pool(project, 8, prefix="gold"):
        gold.make(project, item, answer={"choice": "cat"}, explanation="It meows.", by=owner)
    projects.set_stage(project, username="annotator", stage="training", by=owner, now=timezone.now())
    log_in(page, "annotator")
    page.goto("/projects/pets/annotate/")
    expect(page.get_by_text("You are in training.")).to_be_visible()
    expect(page.locator("#work")).to_be_visible()
    lesson = page.locator("#lesson")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(lesson.get_by_role("heading", name="Not right")).to_be_visible()
    expect(lesson).to_contain_text("It meows.")
    expect(lesson).to_contain_text("So far 0 right, 1 wrong.")
    page.keyboard.press("Enter")
    expect(lesson).to_be_hidden()
    for number in range(1, 8):
        expect(page.locator("#work")).to_be_visible()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        expect(lesson.get_by_role("heading", name="Right", exact=True)).to_be_visible()
        expect(lesson).to_contain_text(f"So far {number} right, 1 wrong.")
        is_over = "real work" in lesson.inner_text()
        if is_over:
            wait_until_at_work(annotator)
        page.get_by_role("button", name="Continue").click()
        if is_over:
            break
    else:
        pytest.fail("the training did not end")
    expect(page.get_by_text("You are in training.")).to_be_hidden()
    expect(page.get_by_role("heading", name="All done for now")).to_be_visible()
    assert not AnnotationTask.objects.filter(state="open").exists()
