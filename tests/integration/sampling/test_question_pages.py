"""Making and wording questions in the pages, and whether they are asked."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from labeling.models import Membership, Project, Question, QuestionVersion
from labeling.services import projects, questions
from labeling.services.questions import Wording
from tests.factories import kinds

LIST = "/projects/pets/asks/questions/"
NEW = "/projects/pets/asks/new-question/"
PREVIEW = "/projects/pets/asks/preview/"
STEPS = {"steps-TOTAL_FORMS": "5", "steps-INITIAL_FORMS": "0", "steps-MIN_NUM_FORMS": "5", "steps-MAX_NUM_FORMS": "5"}
FILLED_IN: dict[str, dict[str, str]] = {
    "correction": {"blind_text": "What is it?\nde = Was ist es?"},
    "thumbs": {},
    "rating": {"minimum": "1", "maximum": "3", "style": "numbers", "low": "Bad", "high": "Good"},
    "single_choice": {"options": "wrong = It is wrong | de = Es ist falsch\nslow = It took too long"},
    "multiple_choice": {"options": "a\nb\nc", "least": "1", "most": "2"},
    "text": {"longest": "300"},
    "preference": {"a": "The left one", "b": "The right one", "tie": "on"},
    "survey": {
        **STEPS, "steps-0-text": "How was it?", "steps-0-kind": "rating", "steps-0-minimum": "1", "steps-0-maximum": "4",
        "steps-1-text": "Why?", "steps-1-kind": "single_choice", "steps-1-key": "why", "steps-1-options": "x = X\ny = Y",
        "steps-3-text": "Anything else?", "steps-3-kind": "text",
        **{f"steps-{place}-kind": "thumbs" for place in (2, 4)},
    },
}  # fmt: skip
STORED: dict[str, dict[str, Any]] = {
    "correction": {"blind_text": {"en": "What is it?", "de": "Was ist es?"}},
    "thumbs": {},
    "rating": {"maximum": 3, "style": "numbers", "low": {"en": "Bad"}, "high": {"en": "Good"}},
    "single_choice": {
        "options": [
            {"key": "wrong", "text": {"en": "It is wrong", "de": "Es ist falsch"}},
            {"key": "slow", "text": {"en": "It took too long"}},
        ]
    },
    "multiple_choice": {"options": [{"key": key, "text": {"en": key}} for key in "abc"], "least": 1, "most": 2},
    "text": {"longest": 300},
    "preference": {"a": {"en": "The left one"}, "b": {"en": "The right one"}},
    "survey": {
        "steps": [
            {"key": "s1", "kind": "rating", "text": {"en": "How was it?"}, "minimum": 1, "maximum": 4},
            {
                "key": "why", "kind": "single_choice", "text": {"en": "Why?"},
                "options": [{"key": "x", "text": {"en": "X"}}, {"key": "y", "text": {"en": "Y"}}],
            },
            {"key": "s4", "kind": "text", "text": {"en": "Anything else?"}},
        ]
    },
}  # fmt: skip


@pytest.fixture
def page(client: Client, owner: User, project: Project) -> Client:
    client.force_login(owner)
    return client


def form_of(response: Any) -> dict[str, str]:
    """What a browser would send of the editor as it came."""
    said: dict[str, str] = {}
    forms = [response.context["form"], *(response.context["steps"] or ())]
    if response.context["steps"]:
        forms.append(response.context["steps"].management_form)
    for field in (field for form in forms for field in form):
        value = field.value()
        if field.widget_type == "checkbox":
            said |= {field.html_name: "on"} if value else {}
        elif field.widget_type == "select" and value is None:
            said[field.html_name] = field.field.choices[0][0]
        else:
            said[field.html_name] = "" if value is None else str(value)
    return said


@pytest.mark.parametrize("kind", FILLED_IN)
def test_a_question_of_each_kind_is_made_and_comes_back_into_its_form(
    page: Client, project: Project, kind: str
) -> None:
    said = {"key": "the_key", "text": "Well?\nde = Nun?", "thanks": "Thanks!", "target_points": "5", **FILLED_IN[kind]}
    response = page.post(f"{NEW}?kind={kind}", said)
    assert response.status_code == 302, response.context["form"].errors
    assert response.headers["Location"] == f"{LIST}the_key/"
    version = QuestionVersion.objects.get(question__project=project)
    assert (version.question.key, version.version, version.kind, version.question.state) == ("the_key", 1, kind, "live")
    assert version.definition == {"text": {"en": "Well?", "de": "Nun?"}, "thanks": {"en": "Thanks!"}, **STORED[kind]}
    assert version.target_half_width == 0.05
    shown = page.get(f"{LIST}the_key/")
    again = page.post(f"{LIST}the_key/", {**form_of(shown), "action": "save"}, follow=True)
    assert "Nothing changed." in again.content.decode()
    assert QuestionVersion.objects.get(question__project=project) == version


@pytest.mark.parametrize("kind", FILLED_IN)
def test_the_preview_is_what_the_widget_gets(page: Client, project: Project, kind: str) -> None:
    said = {"kind_of_question": kind, "text": "Well?\nde = Nun?", "preview_locale": "de", **FILLED_IN[kind]}
    response = page.post(PREVIEW, said)
    assert response.status_code == 200
    shown = json.loads(response.context["question_json"])
    assert (shown["kind"], shown["text"], shown["locale"]) == (kind, "Nun?", "de")
    if kind == "correction":
        assert shown["prediction"] == {"answer": {"choice": "cat"}, "text": "cat"}
        blind = json.loads(page.post(PREVIEW, {**said, "preview_blind": "on"}).context["question_json"])
        assert (blind["prediction"], blind["text"]) == (None, "Was ist es?")
    assert not Question.objects.exists()


@pytest.mark.parametrize("kind", ["multi_label", "rating", "text_correction", "numeric"])
def test_the_preview_of_a_correction_shows_an_answer_of_the_project_s_kind(
    client: Client, owner: User, kind: str
) -> None:
    made = kinds.project(kind, annotator=owner)
    Membership.objects.filter(project=made, user=owner).update(role="owner")
    client.force_login(owner)
    said = {"kind_of_question": "correction", "text": "Is this right?"}
    response = client.post(f"/projects/{made.slug}/asks/preview/", said)
    shown = json.loads(response.context["question_json"])
    assert shown["answer_kind"] == kind
    assert shown["prediction"]["text"]


def test_a_preview_says_what_is_missing(page: Client) -> None:
    empty = page.post(PREVIEW, {"kind_of_question": "thumbs", "text": " "})
    assert "Write the question to see it here." in empty.content.decode()
    one = page.post(PREVIEW, {"kind_of_question": "single_choice", "text": "Which?", "options": "a"})
    assert "2 to 20 options" in one.content.decode()
    private = page.post(
        PREVIEW, {**FILLED_IN["rating"], "kind_of_question": "rating", "text": "How?", "maximum": "9", "epsilon": "1"}
    )
    assert "at most 5 alternatives" in private.content.decode()
    assert page.post(PREVIEW, {"kind_of_question": "song"}).status_code == 400
    assert page.get(PREVIEW).status_code == 400


def test_a_private_question_says_how_many_answers_it_takes(page: Client, project: Project) -> None:
    said = {"key": "trust", "text": "Do you trust it?", "epsilon": "1", "target_points": "5"}
    response = page.post(PREVIEW, {**said, "kind_of_question": "thumbs"})
    assert json.loads(response.context["question_json"])["private"] == {"epsilon": 1.0}
    assert "Ends after 1,7" in response.content.decode()
    page.post(f"{NEW}?kind=thumbs", said)
    assert QuestionVersion.objects.get().epsilon == 1.0
    assert "private" in page.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"key": "not a key"}, "key", "valid"),
        ({"key": ""}, "key", "required"),
        ({"text": ""}, "text", "required"),
        ({"text": "de = a\nde = b"}, "text", "comes twice"),
        ({"target_answers": "0"}, "target_answers", "greater than or equal to 1"),
        ({"target_points": "60"}, "target_points", "less than or equal to 49.9"),
        ({"epsilon": "9"}, "epsilon", "less than or equal to 8"),
        ({"epsilon": "1", "comment": "on"}, "epsilon", "comment"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_at_its_field(
    page: Client, project: Project, changes: dict[str, str], field: str, said: str
) -> None:
    response = page.post(f"{NEW}?kind=thumbs", {"key": "mood", "text": "Well?", **changes})
    assert response.status_code == 422
    assert said in " ".join(response.context["form"].errors[field])
    assert not Question.objects.exists()


def test_a_key_that_is_taken_is_refused(page: Client, project: Project) -> None:
    questions.create(project, key="mood", kind="thumbs", wording=Wording({"text": {"en": "?"}}), by=None)
    response = page.post(f"{NEW}?kind=thumbs", {"key": "mood", "text": "Well?"})
    assert response.status_code == 422
    assert "key" in response.context["form"].errors
    assert QuestionVersion.objects.count() == 1


def test_a_new_wording_is_a_new_version_and_keeps_what_the_form_does_not_show(page: Client, project: Project) -> None:
    steps: list[Any] = [
        {"key": "s1", "kind": "rating", "text": {"en": "How?"}, "low": {"en": "Bad"}, "style": "numbers"},
        {"key": "s2", "kind": "multiple_choice", "text": {"en": "What?"}, "help": {"en": "Any"}, "least": 1,
         "options": [{"key": "a", "text": {"en": "A"}}, {"key": "b", "text": {"en": "B"}}]},
    ]  # fmt: skip
    wording = Wording({"text": {"en": "Two things"}, "steps": steps}, objective="Which one?")
    questions.create(project, key="both", kind="survey", wording=wording, by=None)
    address = f"{LIST}both/"
    said = {**form_of(page.get(address)), "text": "Three things", "steps-0-maximum": "7", "action": "save"}
    response = page.post(address, said, follow=True)
    assert "Version 2 is asked from now on." in response.content.decode()
    after = QuestionVersion.objects.get(version=2).definition
    assert after["text"] == {"en": "Three things"}
    assert after["steps"][0] == {**steps[0], "minimum": 1, "maximum": 7}
    assert after["steps"][1] == steps[1]


def test_a_question_is_paused_ended_and_asked_again(page: Client, project: Project, owner: User) -> None:
    questions.create(project, key="mood", kind="thumbs", wording=Wording({"text": {"en": "Well?"}}), by=None)
    address = f"{LIST}mood/"
    asked = Question.objects.get()
    for action, state, reason in (
        ("pause", "paused", ""), ("end", "ended", "Ended by owner."), ("resume", "live", ""),
    ):  # fmt: skip
        assert page.post(address, {"action": action}).status_code == 302
        asked.refresh_from_db()
        assert (asked.state, asked.ended_reason) == (state, reason)
    assert page.post(address, {"action": "dance"}).status_code == 400


def test_the_list_shows_how_far_each_question_is(page: Client, project: Project) -> None:
    assert "No question yet" in page.get(LIST).content.decode()
    questions.create(
        project, key="mood", kind="thumbs", wording=Wording({"text": {"de": "Gut?"}}, target_half_width=0.1), by=None
    )
    (row,) = page.get(LIST).context["rows"]
    assert (row.text, row.answered, row.wanted) == ("Gut?", 0, 97)


def test_kinds_that_do_not_fit_the_project_are_not_offered(client: Client, owner: User, project: Project) -> None:
    boxes = kinds.project("boxes", annotator=owner)
    projects.set_member(boxes, username="owner", role="owner", by=owner)
    client.force_login(owner)
    response = client.get(f"/projects/{boxes.slug}/asks/new-question/?kind=correction")
    assert response.context["kind"] == "thumbs"
    assert "correction" not in [kind for kind, _, _ in response.context["kinds"]]


def test_reviewers_see_and_change_nothing_and_strangers_see_nothing(
    client: Client, project: Project, reviewer: User, annotator: User, stranger: User
) -> None:
    questions.create(project, key="mood", kind="thumbs", wording=Wording({"text": {"en": "Well?"}}), by=None)
    address = f"{LIST}mood/"
    client.force_login(reviewer)
    shown = client.get(address)
    assert shown.status_code == 200
    assert "Word it anew" not in shown.content.decode()
    assert "/widget.js" not in shown.content.decode()
    assert client.get(NEW).status_code == 403
    assert client.post(PREVIEW, {"kind_of_question": "thumbs", "text": "?"}).status_code == 403
    assert client.post(address, {"action": "end"}).status_code == 403
    for person, status in ((annotator, 403), (stranger, 404)):
        client.force_login(person)
        for path in (LIST, address, NEW):
            assert client.get(path).status_code == status
        assert client.post(address, {"action": "end"}).status_code == status
    assert Question.objects.get().state == "live"
    assert QuestionVersion.objects.count() == 1


def test_a_question_that_does_not_exist_is_not_found(page: Client) -> None:
    assert page.get(f"{LIST}none/").status_code == 404
