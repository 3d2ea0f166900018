"""The main loop as people see it: label, snapshot, train, promote, and the queue follows the new model."""

import re

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from datasets.models import Snapshot
from labeling.models import Annotation, AnnotationTask, ModelVersion, Project, Skip
from sampling.models import RefillRun
from tests.browser.conftest import WAIT_MS
from tests.factories import digits
from training.models import Promotion, TrainingRun


def test_label_snapshot_train_promote_and_see_the_queue_follow_the_new_model(
    owner_page: Page, owner: User, digits_project: Project, worker: None
) -> None:
    page, project = owner_page, digits_project
    _decide_promotions_by_hand(page)
    _fill_the_queue(page)

    page.goto("/projects/digits/annotate/")
    for count in range(1, 11):
        _answer_by_keyboard(page)
        expect(page.locator("#done-today")).to_have_text(str(count))
    expect(page.locator("#saved")).to_have_class(re.compile("outcome saved"))
    expect(page.locator("#open-count")).to_have_text("90")

    last = _item(page)
    with page.expect_response(re.compile("/undo$")):
        page.keyboard.press("u")
    expect(page.locator("#done-today")).to_have_text("9")
    expect(page.locator("#open-count")).to_have_text("91")
    assert _item(page) != last
    _answer_by_keyboard(page)
    expect(page.locator("#done-today")).to_have_text("10")
    expect(page.locator("#item-key")).to_have_text(last)

    page.keyboard.press("s")
    page.keyboard.press("2")
    expect(page.locator("#item-key")).not_to_have_text(last)
    expect(page.locator("#saved")).to_contain_text("Left to somebody else")
    assert Skip.objects.get().task.item.key == last
    assert Annotation.objects.filter(withdrawn_at__isnull=True, annotator=owner).count() == 10
    assert Annotation.objects.filter(withdrawn_at__isnull=False).count() == 1

    _take_a_snapshot(page)
    assert Snapshot.objects.get(project=project).row_count == 10

    _train(page)
    run = TrainingRun.objects.get(project=project)
    assert run.state == TrainingRun.State.SUCCEEDED
    assert run.model_version is not None

    _promote_even_if_the_gate_says_no(page, run.model_version.name)
    promoted = Promotion.objects.get(project=project, outcome=Promotion.Outcome.PROMOTED)
    assert (promoted.model_version, promoted.created_by) == (run.model_version, owner)
    assert ModelVersion.objects.get(project=project, stage="champion") == run.model_version

    _see_the_queue_drawn_anew(page, run.model_version.name)
    refill = RefillRun.objects.filter(project=project, trigger=RefillRun.Trigger.PROMOTION).latest("pk")
    assert refill.model_version == run.model_version
    drawn = AnnotationTask.objects.filter(batch=refill.batch)
    assert drawn.filter(model_version=run.model_version).count() == refill.selected_count > 0


def _decide_promotions_by_hand(page: Page) -> None:
    page.goto("/projects/digits/models/")
    page.get_by_text("Change the policy").click()
    page.get_by_label("Promote a model that passes the gate by itself").uncheck()
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("Version 2 of the retraining policy is in force.")).to_be_visible()


def _fill_the_queue(page: Page) -> None:
    page.goto("/projects/digits/queue/")
    page.get_by_role("button", name="Fill the queue").click()
    expect(page.get_by_text("The queue is being filled.")).to_be_visible()
    expect(page.locator("#open-tasks")).to_have_text("100 of 100")
    expect(page.get_by_text("scored by digits-first")).to_be_visible()


def _item(page: Page) -> str:
    return page.locator("#item-key").inner_text()


def _answer_by_keyboard(page: Page) -> None:
    """Press the key of the right digit, see it chosen, confirm, and wait for the next item."""
    expect(page.locator("#item-key")).not_to_be_empty()
    key = _item(page)
    label = digits.truth(key)
    page.keyboard.press(label)
    expect(page.get_by_role("option", selected=True)).to_contain_text(label)
    expect(page.locator("#confirm")).to_contain_text(f"Answer “{label}”")
    with page.expect_response(re.compile("/submit$")) as response:
        page.keyboard.press("Enter")
    assert response.value.status == 201
    expect(page.locator("#item-key")).not_to_have_text(key)


def _take_a_snapshot(page: Page) -> None:
    page.goto("/projects/digits/datasets/")
    expect(page.locator("#label-figures")).to_contain_text("10")  # by itself, once the worker has accepted them
    page.get_by_label("Note").fill("the first ten")
    page.get_by_role("button", name="Take a snapshot").click()
    expect(page.get_by_text("Snapshot 1 is taken: 10 labels, frozen for good.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSONL of snapshot 1").click()
    assert len(download.value.path().read_text().splitlines()) == 10


def _train(page: Page) -> None:
    page.goto("/projects/digits/models/")
    page.get_by_role("button", name="Train now").click()
    expect(page.get_by_text("Training on 10 labels has been asked for.")).to_be_visible()
    runs = page.get_by_role("region", name="Training runs")
    expect(runs.get_by_text("Succeeded")).to_be_visible(timeout=3 * WAIT_MS)


def _promote_even_if_the_gate_says_no(page: Page, name: str) -> None:
    page.get_by_role("button", name=f"Promote {name}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Promote even if the gate says no").check()
    dialog.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_text(f"“{name}” is the champion now.")).to_be_visible()
    expect(page.locator("#champion-name")).to_have_text(name)


def _see_the_queue_drawn_anew(page: Page, name: str) -> None:
    """The worker refills after the promotion; the page shows it when it is asked for again."""
    refills = page.get_by_role("region", name="Last refills").get_by_role("row", name=re.compile("A new champion"))
    page.goto("/projects/digits/queue/")
    for _ in range(500):  # the worker is asked only after the promotion was committed
        if refills.is_visible():
            break
        page.reload()
    expect(refills).to_contain_text("Succeeded")
    expect(refills).to_contain_text(name)
