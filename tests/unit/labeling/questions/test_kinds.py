"""What is special about some kinds of questions: corrections, surveys, private questions."""

from typing import Any

import pytest

from labeling.questions import (
    Asked,
    QuestionError,
    Stated,
    check_private,
    parse_question,
    read_answer,
    rendered,
)
from labeling.questions.private import truth_probability
from labeling.schema import parse_definition
from tests.unit.labeling.questions.examples import ASKED, BLIND, OPTIONS, SCHEMA, question

KRR: dict[str, Any] = {"mechanism": "krr", "epsilon": 1.0, "k": 2}


def show(kind: str, asked: Asked, locale: str = "en", **changes: Any) -> dict[str, Any]:
    return rendered(question(kind, **changes), key="q", version=1, locale=locale, asked=asked)


def test_a_blind_correction_asks_what_it_is_and_hides_what_the_model_said() -> None:
    shown = show("correction", BLIND)
    assert (shown["text"], shown["prediction"], shown["is_blind"]) == ("What is it?", None, True)
    assert shown["options"] == [{"key": "1", "text": "One"}, {"key": "7", "text": "Seven"}]
    shown = show("correction", BLIND, locale="ar-EG")
    assert (shown["text"], shown["direction"]) == ("ما هو؟", "rtl")
    assert show("correction", BLIND, blind_text={"en": "Which digit?"})["text"] == "Which digit?"


def test_a_blind_correction_is_answered_with_the_truth_alone() -> None:
    made = question("correction")
    assert read_answer(made, {"correction": {"choice": "7"}}, asked=BLIND) == Stated(correction={"choice": "7"})
    refused: list[Any] = [{"is_right": True}, {"is_right": False, "correction": {"choice": "1"}}, {}]
    for answer in refused:
        with pytest.raises(QuestionError, match="hides what the model said"):
            read_answer(made, answer, asked=BLIND)


def test_a_correction_of_what_no_model_said_anything_of_asks_what_it_is() -> None:
    unpredicted = Asked(SCHEMA, None)
    shown = show("correction", unpredicted)
    assert (shown["text"], shown["prediction"], shown["is_blind"]) == ("What is it?", None, False)
    made = question("correction")
    assert read_answer(made, {"correction": {"choice": "7"}}, asked=unpredicted) == Stated(correction={"choice": "7"})
    refused: list[Any] = [{"is_right": True}, {"is_right": False}, {"is_right": False, "correction": {"choice": "1"}}]
    for answer in refused:
        with pytest.raises(QuestionError, match="about nothing that a model said") as error:
            read_answer(made, answer, asked=unpredicted)
        assert error.value.code == "invalid_answer"


def test_what_the_model_said_and_the_label_schema_has_lost_is_answered_as_it_was_shown() -> None:
    """Before the schema changed it read "Is this right?", and since then "What is it?"."""
    outdated = Asked(SCHEMA, {"choice": "9"})
    made = question("correction")
    assert show("correction", outdated)["text"] == "What is it?"
    assert read_answer(made, {"is_right": True}, asked=outdated) == Stated("thumb", "up", 1.0)
    corrected: Any = {"is_right": False, "correction": {"choice": "1"}}
    assert read_answer(made, corrected, asked=outdated) == Stated("thumb", "down", 0.0, {"choice": "1"})
    assert read_answer(made, {"correction": {"choice": "1"}}, asked=outdated) == Stated(correction={"choice": "1"})


def test_a_class_that_is_not_in_the_schema_is_told() -> None:
    with pytest.raises(QuestionError) as refused:
        read_answer(question("correction"), {"is_right": False, "correction": {"choice": "9"}}, asked=ASKED)
    assert refused.value.code == "unknown_class"


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ({"kind": "rating", "maximum": 4}, {"minimum": 1, "maximum": 4, "style": "numbers"}),
        ({"kind": "numeric", "minimum": 0, "maximum": 9, "unit": "kg"}, {"minimum": 0, "maximum": 9, "unit": "kg"}),
        ({"kind": "text_correction"}, {"longest": 20_000}),
        ({"kind": "multi_label", "classes": [{"key": "a"}], "max_choices": 1}, {"least": 0, "most": 1}),
    ],
)
def test_a_correction_is_rendered_for_the_form_of_the_label_schema(
    schema: dict[str, Any], fields: dict[str, Any]
) -> None:
    parsed = parse_definition(schema)
    shown = show("correction", Asked(parsed))
    assert shown["answer_kind"] == schema["kind"]
    assert fields.items() <= shown.items()
    question("correction").check_fits(parsed)


@pytest.mark.parametrize("kind", ["spans", "boxes", "preference"])
def test_a_correction_does_not_fit_what_the_widget_cannot_edit(kind: str) -> None:
    schema = parse_definition({"kind": kind, **({} if kind == "preference" else {"classes": [{"key": "a"}]})})
    with pytest.raises(QuestionError, match="cannot be asked"):
        question("correction").check_fits(schema)
    question("thumbs").check_fits(schema)


@pytest.mark.parametrize(
    ("locale", "text", "chosen"),
    [
        ("de", "War das hilfreich?", "de"),
        ("de-AT", "War das hilfreich?", "de"),
        ("DE_at", "War das hilfreich?", "de"),
        ("fr", "Was this helpful?", "en"),
        ("", "Was this helpful?", "en"),
    ],
)
def test_the_text_is_read_in_the_nearest_locale(locale: str, text: str, chosen: str) -> None:
    shown = show("thumbs", Asked(), locale)
    assert (shown["text"], shown["locale"]) == (text, chosen)


@pytest.mark.parametrize(
    ("kind", "changes", "what"),
    [
        ("rating", {"minimum": 1, "maximum": 1}, "2 to 11 levels"),
        ("rating", {"minimum": 1, "maximum": 12}, "2 to 11 levels"),
        ("single_choice", {"options": OPTIONS[:1]}, "2 to 20 options"),
        ("single_choice", {"options": [OPTIONS[0], OPTIONS[0]]}, "named twice"),
        ("multiple_choice", {"least": 3}, "in order"),
        ("multiple_choice", {"least": 0, "most": 0}, "in order"),
        ("text", {"longest": 0}, "between 1"),
        ("preference", {"a": {}}, "at least one locale"),
        ("survey", {"steps": []}, "1 to 5 steps"),
        ("survey", {"steps": [{"key": "s", "kind": "thumbs", "text": {"en": "?"}}] * 2}, "named twice"),
        ("survey", {"steps": [{"key": "s", "kind": "survey", "text": {"en": "?"}}]}, "must be one of"),
        ("survey", {"steps": [{"key": "s", "kind": "correction", "text": {"en": "?"}}]}, "must be one of"),
        ("survey", {"steps": [{"key": "s", "kind": "thumbs", "text": {"en": "?"}, "comment": True}]}, "comment box"),
        ("survey", {"steps": [{"kind": "thumbs", "text": {"en": "?"}}]}, "needs a key"),
    ],
)
def test_bounds_of_a_definition(kind: str, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(QuestionError, match=what):
        question(kind, **changes)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(QuestionError, match="kind must be one of"):
        parse_question("essay", {"text": {"en": "?"}})


def test_a_tie_is_refused_where_there_is_none() -> None:
    with pytest.raises(QuestionError, match="tie"):
        read_answer(question("preference", tie=False), {"preferred": "tie"}, asked=ASKED)


def test_a_private_answer_must_say_how_it_was_randomised() -> None:
    made = question("thumbs", comment=False)
    inside: dict[str, Any] = {"thumb": "up", "randomised": KRR}
    assert read_answer(made, inside, asked=ASKED, epsilon=1.0).value == "up"
    assert read_answer(made, {"thumb": "up"}, asked=ASKED, epsilon=1.0, randomised=dict(KRR)).value == "up"
    claims: list[Any] = [None, {**KRR, "epsilon": 2.0}, {**KRR, "k": 3}, {**KRR, "mechanism": "laplace"}, "yes", {}]
    for claim in claims:
        with pytest.raises(QuestionError) as refused:
            read_answer(made, {"thumb": "up"}, asked=ASKED, epsilon=1.0, randomised=claim)
        assert refused.value.code == "not_randomised"


def test_an_answer_that_is_not_private_must_not_be_randomised() -> None:
    with pytest.raises(QuestionError) as refused:
        read_answer(question("thumbs"), {"thumb": "up", "randomised": KRR}, asked=ASKED)
    assert refused.value.code == "not_randomised"


@pytest.mark.parametrize(
    ("kind", "changes", "epsilon"),
    [
        ("thumbs", {"comment": True}, 1.0),
        ("rating", {"minimum": 1, "maximum": 6}, 1.0),
        ("text", {}, 1.0),
        ("multiple_choice", {}, 1.0),
        ("correction", {}, 1.0),
        ("survey", {}, 1.0),
        ("rating", {}, 0.0),
        ("rating", {}, 8.5),
        ("rating", {}, float("nan")),
    ],
)
def test_what_cannot_be_asked_privately(kind: str, changes: dict[str, Any], epsilon: float) -> None:
    with pytest.raises(QuestionError) as refused:
        check_private(question(kind, **changes), epsilon)
    assert refused.value.code == "not_private"


def test_few_alternatives_can_be_asked_privately() -> None:
    for kind in ("rating", "single_choice"):
        check_private(question(kind), 1.0)
    check_private(question("thumbs", comment=False), 8.0)


@pytest.mark.parametrize(
    ("k", "epsilon", "p"),
    [(2, 0.5, 0.622459), (2, 1, 0.731059), (3, 1, 0.576117), (5, 2, 0.648786), (10, 1, 0.231969)],
)
def test_the_chance_of_the_truth_has_its_reference_value(k: int, epsilon: float, p: float) -> None:
    assert truth_probability(epsilon, k) == pytest.approx(p, abs=5e-7)
