"""The page of single answers: in words, filtered, page by page, with the way to the same as a file."""

import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from labeling.models import Ask, Project
from sampling.pages import answers
from tests.factories import asks
from tests.factories.asks import KRR, tell

pytestmark = pytest.mark.django_db

PAGE = "/projects/pets/asks/answers/"
STEPS = [
    {"key": "s1", "kind": "rating", "text": {"en": "How was it?"}},
    {"key": "s2", "kind": "text", "text": {"en": "Why?"}},
]


@pytest.fixture(autouse=True)
def no_earlier_requests() -> None:
    asks.forget_rates()


@pytest.fixture
def page(client: Client, owner: User, project: Project) -> Client:
    client.force_login(owner)
    return client


def read(page: Client, query: str = "") -> str:
    response = page.get(PAGE + query)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def answered(project: Project, kind: str, answer: dict[str, Any], **others: Any) -> Ask:
    fields = {name: others.pop(name) for name in ("comment", "context", "randomised") if name in others}
    made = asks.ask(project, kind, **others)
    assert tell(APIClient(), made, "answered", answer=answer, **fields).status_code == 200
    return made


def test_without_answers_it_says_what_to_do(page: Client) -> None:
    assert "Nobody has answered anything yet" in read(page)
    assert "No answer is like that" in read(page, "?arm=blind")


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("thumbs", {"thumb": "down"}, "Not good"),
        ("rating", {"rating": 4}, "4"),
        ("single_choice", {"choice": "b"}, "B"),
        ("multiple_choice", {"choices": ["a", "b"]}, "A, B"),
        ("multiple_choice", {"choices": []}, "none of them"),
        ("correction", {"is_right": True}, "Right"),
        ("correction", {"is_right": False}, "Wrong"),
        ("text", {"text": "<script>alert(1)</script>"}, "<script>alert(1)</script>"),
        ("preference", {"preferred": "a"}, "Left"),
        ("preference", {"preferred": "tie"}, "No difference"),
    ],
)
def test_every_kind_is_said_in_words(
    page: Client, project: Project, kind: str, answer: dict[str, Any], words: str
) -> None:
    answered(project, kind, answer)
    (row,) = page.get(PAGE).context["rows"]
    assert (row.said, row.predicted) == (words, "Dog" if "Dog" in row.predicted else row.predicted)
    assert "<script>alert" not in page.get(PAGE).content.decode()


def test_a_survey_is_said_step_by_step(page: Client, project: Project) -> None:
    made = asks.question(project, "survey", steps=STEPS)
    answered(project, "survey", {"answers": {"s1": {"rating": 4}, "s2": {"text": "fast"}}}, version=made)
    (row,) = page.get(PAGE).context["rows"]
    assert row.said == "How was it?: 4; Why?: fast"


def test_a_correction_comes_with_prediction_comment_and_chance(page: Client, project: Project) -> None:
    answered(
        project, "correction", {"is_right": False, "correction": {"choice": "cat"}}, comment="Look at the <ears>",
        is_audit=True,
    )  # fmt: skip
    content = read(page)
    (row,) = page.get(PAGE).context["rows"]
    assert (row.said, row.predicted.lower(), row.correction.lower()) == ("Wrong", "dog", "cat")
    assert "Look at the <ears>" in content
    assert "Look at the <ears>" not in page.get(PAGE).content.decode()
    assert re.search(r"0\.500\s*<span class=\"badge\">at random", content)
    assert f"?respondent_hash={asks.hash_of(project, 'user-1')}" in content


def test_private_answers_are_marked_and_explained(page: Client, project: Project) -> None:
    answered(project, "thumbs", {"thumb": "up"})
    assert "mixed with chance" not in read(page)
    answered(
        project, "thumbs", {"thumb": "up"}, randomised=KRR, version=asks.question(project, key="mood", epsilon=1.0)
    )
    content = read(page)
    assert "One of them means nothing" in content
    assert content.count('<span class="badge accent">randomised</span>') == 1


def test_it_shows_page_after_page_and_keeps_the_filters(
    page: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_PER_PAGE", 2)
    made = [answered(project, "thumbs", {"thumb": "up"}, respondent=f"u-{number}").pk for number in range(5)]
    seen: list[int] = []
    address: str = "?question=thumbs"
    while address:
        context = page.get(PAGE + address).context
        seen += [row.answer.id for row in context["rows"]]
        address = context["older"]
        assert not address or "question=thumbs" in address
    assert seen == made[::-1]
    assert page.get(f"{PAGE}?before=x").context["rows"][0].answer.id == made[-1]


def test_filters_go_into_the_file_and_nonsense_is_passed_over(page: Client, project: Project) -> None:
    answered(project, "thumbs", {"thumb": "up"})
    answered(project, "correction", {"is_right": True})
    response = page.get(f"{PAGE}?question=thumbs&since=2020-01-01&arm=left")
    assert [row.answer.question for row in response.context["rows"]] == ["thumbs"]
    exports = dict(response.context["exports"])
    content = page.get(f"/api/v1/projects/pets/answers/export?{exports['JSONL']}")
    assert len(b"".join(content.streaming_content).splitlines()) == 1  # type: ignore[attr-defined]
    assert len(page.get(f"{PAGE}?question=none&version=x&until=never").context["rows"]) == 2
    assert len(page.get(f"{PAGE}?until=9999-12-31").context["rows"]) == 2


def test_a_duration_that_cannot_be_one_is_left_out(page: Client, project: Project) -> None:
    answered(project, "thumbs", {"thumb": "up"}, context={"duration_ms": 10**400})
    (row,) = page.get(PAGE).context["rows"]
    assert row.answer.duration_ms is None


def test_the_day_of_the_end_is_within(page: Client, project: Project) -> None:
    made = answered(project, "thumbs", {"thumb": "up"})
    made.refresh_from_db()
    assert made.answered_at is not None
    day = made.answered_at.date().isoformat()
    assert len(page.get(f"{PAGE}?since={day}&until={day}").context["rows"]) == 1


def test_the_questions_lead_there(page: Client, project: Project) -> None:
    asks.question(project, "rating")
    answered(project, "thumbs", {"thumb": "up"})
    link = f'href="{PAGE}?question=thumbs"'
    assert link in page.get("/projects/pets/asks/questions/").content.decode()
    assert link in page.get("/projects/pets/asks/questions/thumbs/").content.decode()
    assert "Read single answers" not in page.get("/projects/pets/asks/questions/rating/").content.decode()


def test_answers_under_an_older_label_schema_are_still_read(page: Client, project: Project) -> None:
    answered(project, "correction", {"is_right": False, "correction": {"choice": "cat"}})
    Ask.objects.update(predicted_answer={"choice": "unicorn"})
    (row,) = page.get(PAGE).context["rows"]
    assert "unicorn" in row.predicted


def test_a_correction_is_listed_by_its_own_words(page: Client, project: Project) -> None:
    """Not by those that stand in for them where there is no prediction: of the question itself there is none."""
    asks.question(project, "correction")
    for address in ("/projects/pets/asks/questions/", "/projects/pets/asks/questions/correction/"):
        assert "Is this right?</" in page.get(address).content.decode()
