"""What was said gets to the service: over lost connections, later visits and pages that are left; and only from where it may."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from labeling.models import ApiKey, Ask, Feedback, Item, Project
from sampling.models import AskDecision
from tests.browser.conftest import Complaints
from tests.browser.widget.conftest import (
    ask,
    ask_as_server,
    heard,
    question,
    wait_for_row,
    wait_for_widget,
    wait_until_sent,
)
from tests.browser.widget.host import Host

Visit = Callable[[], Page]
TOKENS = "**/api/v1/asks/*"
LIST = """
<div data-feedback-list>
  <p class="card" data-feedback-click data-key="{0}">One</p>
  <p class="card" data-feedback-click data-feedback-impression data-feedback-dwell data-key="{1}">Two</p>
</div>"""


def waiting(page: Page) -> list[str]:
    """Events that are kept until the service has them."""
    kept: list[str] = page.evaluate(
        "Object.keys(localStorage).filter((name) => name.startsWith('feedback:out:')).map((name) => JSON.parse(localStorage[name]).body.event)"
    )
    return sorted(kept)


def test_an_answer_given_offline_arrives_when_the_network_is_back(
    visit: Visit, context: BrowserContext, asking: Project, item: Item, complaints: Complaints
) -> None:
    complaints.expect("ERR_INTERNET_DISCONNECTED")
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    wait_until_sent(page, "shown")
    context.set_offline(True)
    page.get_by_role("radio", name="Good", exact=True).click()
    expect(page.get_by_text("Thank you.").last).to_be_visible()
    assert waiting(page) == ["answered"]
    assert not Feedback.objects.exists()
    context.set_offline(False)
    wait_until_sent(page, "answered")
    assert Feedback.objects.get().value == "up"
    assert waiting(page) == []


def test_an_answer_that_one_page_could_not_send_is_sent_by_the_next(
    visit: Visit, asking: Project, item: Item, host: Host
) -> None:
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    wait_until_sent(page, "shown")
    # Requests that outlive their page are out of reach for Playwright's routes.
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('Failed to fetch')); }")
    page.get_by_role("radio", name="Good", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto(f"{host.url}/elsewhere")
    assert waiting(page) == ["answered"]
    assert not Feedback.objects.exists()
    page.goto(host.url)
    wait_until_sent(page, "answered")
    assert Feedback.objects.count() == 1
    assert waiting(page) == []
    page.reload()
    wait_for_widget(page)
    assert Feedback.objects.count() == 1


def test_a_service_in_trouble_is_asked_again_and_counts_once(
    context: BrowserContext, visit: Visit, asking: Project, item: Item, complaints: Complaints
) -> None:
    complaints.expect("503")
    context.add_init_script("Math.random = () => -0.5")  # the jitter that leaves no pause
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    wait_until_sent(page, "shown")
    refused: list[Any] = []

    def lose_the_answer(route: Route) -> None:
        # The service has stored it, but the page never learns so.
        assert route.fetch().ok
        refused.append(route.request.post_data_json)
        route.fulfill(status=503, headers={"Access-Control-Allow-Origin": "*"}, body="{}")

    context.route(TOKENS, lose_the_answer, times=2)
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    assert [each["id"] for each in refused] == [refused[0]["id"]] * 2
    assert Feedback.objects.count() == 1


def test_implicit_events_go_out_when_the_page_is_left(
    context: BrowserContext, asking: Project, item: Item, host: Host
) -> None:
    other = Item.objects.filter(project=asking).order_by("pk")[1]
    host.content = LIST.format(item.key, other.key)
    page = context.new_page()
    page.clock.install()
    page.goto(host.url)
    wait_for_widget(page)
    page.get_by_text("Two").click()
    page.evaluate(
        "new Promise((seen) => new IntersectionObserver(() => seen()).observe(document.querySelector('.card')))"
    )
    page.clock.run_for(1_500)
    assert not Feedback.objects.exists(), "they wait for company"
    page.goto(f"{host.url}/elsewhere")
    wait_for_row(lambda: Feedback.objects.count() == 3)
    rows = {row.kind: row for row in Feedback.objects.all()}
    assert set(rows) == {"click", "impression", "dwell"}
    assert {row.item_id for row in rows.values()} == {other.pk}
    assert {row.channel for row in rows.values()} == {Feedback.Channel.BROWSER}
    assert rows["click"].context["position"] == 2
    assert rows["click"].context["candidates"] == [item.key, other.key]
    assert rows["dwell"].score is not None
    assert rows["dwell"].score >= 1
    assert rows["click"].respondent_hash != ""


WAYS = {
    "a browser of today": ("", ""),
    "pages that tell nobody where one came from": ("", '<meta name="referrer" content="no-referrer">'),
    "a browser whose requests end with the page": ("delete Request.prototype.keepalive", ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_people_did_last_arrives_though_the_page_is_gone(
    way: str, context: BrowserContext, visit: Visit, asking: Project, item: Item, host: Host
) -> None:
    script, host.content = WAYS[way]
    context.add_init_script(script)
    page = visit()
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    page.goto(f"{host.url}/elsewhere")
    wait_for_row(lambda: Feedback.objects.filter(item=item, kind="click").count() == 1)


def test_an_answer_on_its_way_survives_the_end_of_the_page(
    visit: Visit, asking: Project, item: Item, host: Host
) -> None:
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    wait_until_sent(page, "shown")
    page.get_by_role("radio", name="Good", exact=True).click(no_wait_after=True)
    page.goto(f"{host.url}/elsewhere")
    wait_for_row(lambda: Feedback.objects.count() == 1)


def test_a_page_of_another_origin_gets_nothing(
    visit: Visit, asking: Project, item: Item, complaints: Complaints
) -> None:
    complaints.expect("has been blocked by CORS policy")
    complaints.expect("ERR_FAILED")
    complaints.expect("403")
    ApiKey.objects.filter(kind=ApiKey.Kind.PUBLISHABLE).update(origins=["https://app.example.org"])
    key = question(asking, "thumbs")
    page = visit()
    decision = ask(page, item, question=key)
    assert decision["ask"] is False
    assert decision["reason"] in {"unreachable", "refused"}
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    with page.expect_request("**/feedback?key=*") as sent:
        page.evaluate("dispatchEvent(new Event('pagehide'))")
    response = sent.value.response()
    assert response is None or response.status == 403
    assert not Ask.objects.exists()
    assert not AskDecision.objects.exists()
    assert not Feedback.objects.exists()


def test_an_ask_that_the_server_got_is_shown_by_its_token(
    visit: Visit, asking: Project, item: Item, host: Host
) -> None:
    key = question(asking, "thumbs")
    page = visit()
    token = ask_as_server(page, host, item, question=key)["token"]
    shown = page.evaluate("token => feedback('show', { token })", token)
    assert shown["ask"] is True
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    assert page.evaluate("token => feedback('show', { token })", token) == {"ask": False, "reason": "answered"}
    assert Feedback.objects.count() == 1


def test_a_question_may_appear_inside_an_element(visit: Visit, asking: Project, item: Item, host: Host) -> None:
    key = question(asking, "thumbs")
    host.content = f'<div class="card" id="place" data-feedback-ask data-key="{item.key}" data-question="{key}"></div>'
    page = visit()
    region = page.locator("#place").get_by_role("region", name="What do you say?")
    expect(region).to_be_visible()
    assert heard(page, "decided")[0]["key"] == item.key
    region.get_by_role("radio", name="Not good").click()
    wait_until_sent(page, "answered")
    expect(page.locator("#place feedback-prompt")).to_have_count(0)
    assert Feedback.objects.get().item == item
