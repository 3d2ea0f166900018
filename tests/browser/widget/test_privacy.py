"""Whom the widget leaves alone, and what it keeps from the service: objections, withdrawn consent, private questions."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_started
from playwright.sync_api import BrowserContext, Page, Request, expect

from labeling.models import ApiKey, Ask, Feedback, Item, Project
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
OBJECTIONS = {
    "gpc": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })",
    "dnt": "Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => '1' })",
}
DRAWS = 3_000


@pytest.fixture
def requests(context: BrowserContext) -> list[Request]:
    """What goes to the service's API."""
    sent: list[Request] = []
    context.on("request", lambda request: sent.append(request) if "/api/" in request.url else None)
    return sent


@pytest.fixture
def arrived() -> Iterator[dict[str, str | None]]:
    """The cookies by path of the API as they arrive: browsers do not tell of those of beacons."""
    cookies: dict[str, str | None] = {}

    def note(environ: dict[str, Any], **_: object) -> None:
        if environ["PATH_INFO"].startswith("/api/"):
            cookies[environ["PATH_INFO"]] = environ.get("HTTP_COOKIE")

    request_started.connect(note)
    yield cookies
    request_started.disconnect(note)


def leave(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('pagehide'))")


@pytest.mark.parametrize("objection", OBJECTIONS)
def test_where_the_browser_objects_nobody_is_asked_or_watched(
    objection: str, context: BrowserContext, requests: list[Request], asking: Project, item: Item, host: Host
) -> None:
    context.add_init_script(OBJECTIONS[objection])
    key = question(asking, "thumbs")
    host.content = f'<p class="card" data-feedback-ask data-feedback-click data-key="{item.key}">One</p>'
    page = context.new_page()
    page.goto(host.url)
    wait_for_widget(page)
    page.get_by_text("One").click()
    assert ask(page, item, question=key) == {"ask": False, "reason": "no_consent"}
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    leave(page)
    expect(page.locator("feedback-prompt")).to_have_count(0)
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert requests == []


def test_with_consent_an_objector_is_asked_but_not_watched(
    context: BrowserContext, asking: Project, item: Item, host: Host
) -> None:
    context.add_init_script(OBJECTIONS["gpc"])
    host.init["consent"] = True
    key = question(asking, "thumbs")
    page = context.new_page()
    page.goto(host.url)
    wait_for_widget(page)
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    leave(page)
    assert ask(page, item, question=key)["ask"] is True
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    assert [row.kind for row in Feedback.objects.all()] == ["thumb"]


def test_consent_that_is_withdrawn_ends_everything(
    visit: Visit, requests: list[Request], asking: Project, item: Item, host: Host
) -> None:
    host.init["respondent"] = True
    key = question(asking, "thumbs")
    page = visit()
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    ask(page, item, question=key)
    wait_until_sent(page, "shown")
    assert page.evaluate("localStorage['feedback:respondent']")
    page.evaluate("feedback('consent', false)")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("Object.keys(localStorage)") == []
    sent = len(requests)
    leave(page)
    assert ask(page, item, question=key)["reason"] == "no_consent"
    assert len(requests) == sent
    assert Ask.objects.get().state == Ask.State.SHOWN
    assert not Feedback.objects.exists()


def test_a_random_respondent_stays_the_same_in_one_browser(
    visit: Visit, asking: Project, item: Item, host: Host
) -> None:
    host.init["respondent"] = True
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    page.get_by_role("button", name="Close").click()
    wait_until_sent(page, "dismissed")
    page.reload()
    wait_for_widget(page)
    other = Item.objects.filter(project=asking).order_by("pk")[1]
    assert ask(page, other, question=key)["ask"] is True
    hashes = list(Ask.objects.values_list("respondent_hash", flat=True))
    assert len(hashes) == 2
    assert hashes[0] == hashes[1] != ""


def private(kind: str, epsilon: float, key: str = "p", **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "key": key, "private": {"epsilon": epsilon}, **fields}


@pytest.mark.parametrize(("k", "epsilon"), [(2, 1.0), (2, math.log(3)), (3, 1.0), (5, 2.0)])
def test_chance_is_that_of_k_ary_randomised_response(k: int, epsilon: float, visit: Visit) -> None:
    options = [{"key": f"o{index}", "text": "x"} for index in range(k)]
    page = visit()
    reported: list[str] = page.evaluate(
        """async ([question, draws]) => {
          const reported = [];
          for (let at = 0; at < draws; at++) {
            localStorage.clear();
            reported.push((await feedback("randomise", question, { choice: "o1" })).choice);
          }
          return reported;
        }""",
        [private("single_choice", epsilon, options=options), DRAWS],
    )
    truthful = math.exp(epsilon) / (math.exp(epsilon) + k - 1)
    expected = {f"o{index}": truthful if index == 1 else (1 - truthful) / (k - 1) for index in range(k)}
    for key, chance in expected.items():
        error = math.sqrt(chance * (1 - chance) / DRAWS)
        assert abs(reported.count(key) / DRAWS - chance) < 4.5 * error, key


@pytest.mark.parametrize(
    ("kind", "fields", "answer", "values"),
    [
        ("thumbs", {}, {"thumb": "up"}, {"up", "down"}),
        ("rating", {"minimum": 1, "maximum": 3}, {"rating": 2}, {1, 2, 3}),
        ("single_choice", {"options": [{"key": "a"}, {"key": "b"}]}, {"choice": "a"}, {"a", "b"}),
    ],
)
def test_noise_is_drawn_once_and_kept_for_all_answers(
    kind: str, fields: dict[str, Any], answer: dict[str, Any], values: set[Any], visit: Visit
) -> None:
    page = visit()
    asked = private(kind, 0.5, **fields)
    call = "([question, answer]) => feedback('randomise', question, answer)"
    first = page.evaluate(call, [asked, answer])
    (name,) = answer
    assert first[name] in values
    assert first["randomised"] == {"mechanism": "krr", "epsilon": 0.5, "k": len(values)}
    kept = page.evaluate("Object.entries(localStorage).filter(([name]) => name.includes('noise'))")
    assert len(kept) == 1
    page.reload()
    wait_for_widget(page)
    assert [page.evaluate(call, [asked, answer]) for _ in range(20)] == [first] * 20
    for value in values:
        page.evaluate(call, [asked, {name: value}])
    assert page.evaluate("Object.entries(localStorage).filter(([name]) => name.includes('noise'))") == kept


def test_a_private_answer_tells_nothing_but_itself(
    visit: Visit, requests: list[Request], asking: Project, item: Item
) -> None:
    key = question(asking, "thumbs", epsilon=1.0)
    page = visit()
    ask(page, item, question=key)
    expect(page.get_by_text("mixed with chance")).to_be_visible()
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    leave(page)
    sent: Any
    (sent,) = [request.post_data_json for request in requests if '"answered"' in (request.post_data or "")]
    assert set(sent) == {"event", "id", "answer", "occurred_at", "sent_at"}
    assert set(sent["answer"]) == {"thumb", "randomised"}
    table = page.evaluate("JSON.parse(Object.entries(localStorage).find(([name]) => name.includes('noise'))[1])")
    assert sent["answer"]["thumb"] == ["up", "down"][table[0]]
    assert heard(page, "started") == []
    assert not [request for request in requests if "/feedback" in request.url]
    feedback = Feedback.objects.get()
    assert feedback.epsilon == 1.0


def test_a_private_question_is_not_shown_where_its_noise_cannot_be_kept(
    context: BrowserContext, visit: Visit, asking: Project, item: Item
) -> None:
    context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    key = question(asking, "thumbs", epsilon=1.0)
    page = visit()
    ask(page, item, question=key)
    expect(page.locator("html")).to_have_attribute("data-error", "no_storage")
    expect(page.get_by_role("dialog")).to_have_count(0)
    wait_until_sent(page, "dismissed")
    assert Ask.objects.get().state == Ask.State.DISMISSED, "nobody will answer it, so it is not left open"
    assert heard(page, "shown") == heard(page, "dismissed") == []


@pytest.mark.parametrize("given", [("token",), ("token", "key"), ("token", "question"), ("token", "key", "question")])
def test_the_item_of_a_private_ask_that_the_server_got_is_left_alone_and_nothing_else(
    given: tuple[str, ...], visit: Visit, requests: list[Request], asking: Project, item: Item, host: Host
) -> None:
    key = question(asking, "thumbs", epsilon=1.0)
    page = visit()
    decision = ask_as_server(page, host, item, question=key, respondent="reader-1")
    page.evaluate("asked => feedback('show', asked)", {name: decision[name] for name in given})
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    expect(page.get_by_role("dialog")).to_have_count(0)
    other = Item.objects.filter(project=asking).order_by("pk")[1]
    for target in ({"key": item.key}, {"key": other.key}, {"request_id": "r-1"}):
        page.evaluate("target => feedback('track', { kind: 'click', ...target })", target)
    leave(page)
    sent: Any
    (sent,) = [request.post_data_json for request in requests if "/feedback" in request.url]
    assert [row.get("key") or row["request_id"] for row in sent] == [other.key, "r-1"]


def test_what_names_no_item_is_not_taken_for_that_of_a_private_ask(
    visit: Visit, requests: list[Request], asking: Project, item: Item, host: Host
) -> None:
    key = question(asking, "thumbs", epsilon=1.0)
    page = visit()
    token = ask_as_server(page, host, item, question=key, respondent="reader-1")["token"]
    page.evaluate("token => feedback('show', { token })", token)
    page.get_by_role("button", name="Close").click()
    wait_until_sent(page, "dismissed")
    page.evaluate("feedback('track', { kind: 'click', request_id: 'r-1' })")
    leave(page)
    sent: Any
    (sent,) = [request.post_data_json for request in requests if "/feedback" in request.url]
    assert [row["request_id"] for row in sent] == ["r-1"]


def test_nothing_that_is_sent_carries_a_cookie(
    context: BrowserContext, visit: Visit, arrived: dict[str, str | None], asking: Project, item: Item, host: Host
) -> None:
    # On the service's own site the browser would send them.
    host.url = host.url.replace("127.0.0.1", "localhost")
    ApiKey.objects.filter(kind=ApiKey.Kind.PUBLISHABLE).update(origins=[host.url])
    context.add_cookies([{"name": "a_cookie", "value": "of-the-service", "url": host.service}])
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    page.evaluate("key => feedback('track', { kind: 'click', key })", item.key)
    leave(page)
    wait_for_row(lambda: Feedback.objects.filter(kind="click").exists())
    base = f"/api/v1/projects/{asking.slug}"
    assert set(arrived) > {f"{base}/asks", f"{base}/feedback"}
    assert set(arrived.values()) == {None}


def test_everything_else_works_without_storage(
    context: BrowserContext, visit: Visit, asking: Project, item: Item
) -> None:
    context.add_init_script(
        "for (const name of ['localStorage', 'sessionStorage'])"
        " Object.defineProperty(window, name, { get: () => { throw new DOMException('no', 'SecurityError'); } })"
    )
    key = question(asking, "thumbs")
    page = visit()
    ask(page, item, question=key)
    page.get_by_role("radio", name="Good", exact=True).click()
    wait_until_sent(page, "answered")
    wait_for_row(lambda: Feedback.objects.count() == 1)
