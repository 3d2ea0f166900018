"""What holds for every kind of question; a new kind is tested by being registered and having an example."""

import json
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.models import Feedback, QuestionVersion
from labeling.questions import (
    KINDS,
    Question,
    QuestionError,
    Stated,
    definition_of,
    parse_question,
    read_answer,
    rendered,
)
from labeling.questions.base import ErrorCode
from tests.unit.labeling.questions.examples import ANSWERS, ASKED, DEFINITIONS, REFUSED, question

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
WORDS = ["thumb", "rating", "choice", "choices", "text", "preferred", "answers", "is_right", "correction", "s1"]
FIELDS = ["text", "help", "comment", "options", "least", "most", "minimum", "maximum", "longest", "a", "tie", "steps"]

garbage = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("aB1 é字\x00", max_size=8)
    | st.sampled_from(["up", "a", "en"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*WORDS, "en"]), inner, max_size=4),
    max_leaves=10,
)

Result = TypeVar("Result")


def _outcome(call: Callable[[], Result]) -> Result | QuestionError:
    try:
        return call()
    except QuestionError as error:
        return error


@EVERY_KIND
def test_it_is_registered_under_its_own_name_and_has_examples(kind: str) -> None:
    assert KINDS[kind].kind == kind
    assert kind in DEFINITIONS
    assert ANSWERS[kind]
    assert REFUSED[kind]


def test_the_kinds_are_those_that_the_table_takes() -> None:
    assert set(KINDS) == set(QuestionVersion.Kind.values)


@EVERY_KIND
def test_the_definition_is_read_back_to_the_same_question(kind: str) -> None:
    made = question(kind)
    assert definition_of(made) == DEFINITIONS[kind]
    assert parse_question(kind, definition_of(made)) == made


@EVERY_KIND
def test_a_default_that_is_said_makes_no_difference(kind: str) -> None:
    defaults = {
        field.name: {} if field.name in ("help", "thanks", "low", "high", "blind_text") else field.default
        for field in msgspec.structs.fields(question(kind))
        if field.name not in DEFINITIONS[kind]
    }
    said = parse_question(kind, json.loads(json.dumps({**DEFINITIONS[kind], **defaults})))
    assert definition_of(said) == DEFINITIONS[kind]


@EVERY_KIND
@pytest.mark.parametrize(
    "changes",
    [
        {"text": {}},
        {"text": {"en": " "}},
        {"text": {"english language": "Hello?"}},
        {"text": "Hello?"},
        {"text": {"en": "x" * 2001}},
        {"help": {"en": "\x00"}},
        {"colour": "red"},
        {"comment": "yes"},
    ],
)
def test_a_question_that_cannot_be_is_refused(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(QuestionError) as refused:
        question(kind, **changes)
    assert refused.value.code == "invalid_question"


@EVERY_KIND
@settings(max_examples=40)
@given(data=st.data())
def test_any_json_is_a_question_or_an_error(kind: str, data: st.DataObject) -> None:
    changes = data.draw(st.dictionaries(st.sampled_from(FIELDS), garbage, max_size=3))
    made = _outcome(lambda: question(kind, **changes))
    if isinstance(made, QuestionError):
        assert made.code == "invalid_question"
    else:
        assert definition_of(parse_question(kind, definition_of(made))) == definition_of(made)


@EVERY_KIND
def test_answers_state_what_they_should(kind: str) -> None:
    for answer, stated in ANSWERS[kind]:
        assert read_answer(question(kind), answer, asked=ASKED) == stated
        assert not stated.kind or stated.kind in Feedback.Kind.values


@EVERY_KIND
def test_what_is_no_answer_is_refused(kind: str) -> None:
    for answer in [*REFUSED[kind], None, [], "up", {}, {**ANSWERS[kind][0][0], "extra": 1}]:
        with pytest.raises(QuestionError) as refused:
            read_answer(question(kind), answer, asked=ASKED)
        assert refused.value.code == "invalid_answer"


@EVERY_KIND
@settings(max_examples=40)
@given(answer=garbage)
def test_any_json_is_an_answer_or_an_error(kind: str, answer: Any) -> None:
    made = question(kind)
    outcome = _outcome(lambda: read_answer(made, answer, asked=ASKED))
    assert isinstance(outcome, Stated) or outcome.code in get_args(ErrorCode)


@EVERY_KIND
def test_it_is_rendered_as_json_with_its_own_fields(kind: str) -> None:
    made = question(kind)
    shown = _rendered(made)
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["key"], shown["version"], shown["kind"], shown["text"]) == ("q", 2, kind, made.text["en"])
    assert (shown["locale"], shown["direction"], shown["comment"]) == ("en", "ltr", made.comment)
    assert shown["prediction"] == {"answer": {"choice": "7"}, "text": "Seven"}
    assert shown["private"] is None


@EVERY_KIND
def test_alternatives_are_what_it_can_be_answered(kind: str) -> None:
    made = question(kind)
    word = {"thumbs": "thumb", "rating": "rating", "single_choice": "choice"}.get(kind)
    assert (word is not None) == bool(made.alternatives)
    for value in made.alternatives:
        assert read_answer(made, {str(word): value}, asked=ASKED).value == value


def _rendered(made: Question) -> dict[str, Any]:
    return rendered(made, key="q", version=2, locale="en", asked=ASKED)
