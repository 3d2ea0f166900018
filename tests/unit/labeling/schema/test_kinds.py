"""Worked values of each kind: what it accepts, what it refuses and with which words."""

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.schema import JSONValue, Numeric, SchemaError, definition_of, parse_definition
from labeling.schema.confidences import PartRule, combined
from sampling.strategies import sequence_confidence
from tests.unit.labeling.schema.examples import CLASSES, TEXT, schema_of

SPAN: dict[str, JSONValue] = {"start": 0, "end": 3, "class": "a"}
BOX: dict[str, JSONValue] = {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.25, "class": "b"}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"kind": "multi_label", "classes": []}, "1 to 1000 classes, not 0"),
        ({"kind": "multi_label", "classes": CLASSES, "min_choices": 4}, "must be in order"),
        ({"kind": "multi_label", "classes": CLASSES, "min_choices": -1}, "must be in order"),
        ({"kind": "multi_label", "classes": CLASSES, "min_choices": 2, "max_choices": 1}, "must be in order"),
        ({"kind": "multi_label", "classes": CLASSES, "max_choices": 0}, "must be in order"),
        ({"kind": "multi_label", "classes": CLASSES, "max_choices": 4}, "must be in order"),
        ({"kind": "rating", "minimum": 5}, "2 to 20 levels"),
        ({"kind": "rating", "minimum": 1, "maximum": 21}, "2 to 20 levels"),
        ({"kind": "rating", "minimum": 1.5}, "must be a whole number"),
        ({"kind": "rating", "minimum": 10**9, "maximum": 10**9 + 1}, "2 to 20 levels"),
        ({"kind": "rating", "minimum_title": "x" * 201}, "at most 200"),
        ({"kind": "text_correction", "source": " "}, "names a field"),
        ({"kind": "text_correction", "source": "a\x00"}, "control character"),
        ({"kind": "preference", "a": "x", "b": "x"}, "different fields"),
        ({"kind": "preference", "a": ""}, "names a field"),
        ({"kind": "spans", "classes": []}, "1 to 1000 classes, not 0"),
        ({"kind": "spans", "classes": CLASSES, "field": ""}, "names a field"),
        ({"kind": "numeric", "minimum": 0}, "maximum is missing"),
        ({"kind": "numeric", "minimum": 1, "maximum": 1}, "in order"),
        ({"kind": "numeric", "minimum": 0, "maximum": math.inf}, "finite"),
        ({"kind": "numeric", "minimum": math.nan, "maximum": 1}, "finite"),
        ({"kind": "numeric", "minimum": 0, "maximum": 1, "step": 0}, "step must be above 0"),
        ({"kind": "numeric", "minimum": 0, "maximum": 1, "step": 1.5}, "step must be above 0"),
        ({"kind": "numeric", "minimum": 0, "maximum": 1, "unit": "x" * 51}, "at most 50"),
        ({"kind": "boxes", "classes": []}, "1 to 1000 classes, not 0"),
        ({"kind": "boxes", "classes": CLASSES, "field": "x" * 101}, "names a field"),
    ],
)
def test_a_wrong_definition_is_refused(definition: dict[str, JSONValue], message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        parse_definition(definition)
    assert caught.value.code == "invalid_schema"


@pytest.mark.parametrize(
    ("kind", "changes", "answer", "code", "message"),
    [
        ("multi_label", {}, {"choices": ["a", "a"]}, "invalid_answer", "'a' is named twice"),
        ("multi_label", {}, {"choices": ["a", "z"]}, "unknown_class", "'z'"),
        ("multi_label", {"min_choices": 1}, {"choices": []}, "invalid_answer", "at least 1"),
        ("multi_label", {"max_choices": 1}, {"choices": ["a", "b"]}, "invalid_answer", "at most 1"),
        ("rating", {}, {"rating": 4}, "invalid_answer", "from -1 to 3"),
        ("rating", {}, {"rating": -2}, "invalid_answer", "from -1 to 3"),
        ("rating", {}, {"rating": 1.5}, "invalid_answer", "must be a whole number"),
        ("rating", {}, {"rating": True}, "invalid_answer", "must be a whole number"),
        ("rating", {}, {"rating": "1"}, "invalid_answer", "must be a whole number"),
        ("text_correction", {}, {"text": "x" * 100_001}, "invalid_answer", "at most 100000"),
        ("text_correction", {}, {"text": "a\x00"}, "invalid_answer", "NUL"),
        ("text_correction", {}, {"text": "a\ud800"}, "invalid_answer", "surrogate"),
        ("preference", {"allows_tie": False}, {"preference": "tie"}, "unknown_class", "'tie' is not offered"),
        ("preference", {"allows_both_bad": False}, {"preference": "both_bad"}, "unknown_class", "not offered"),
        ("preference", {}, {"preference": "left"}, "invalid_answer", "must be one of"),
        ("spans", {}, {"spans": [{**SPAN, "end": 0}]}, "invalid_answer", "holds no text"),
        ("spans", {}, {"spans": [{**SPAN, "start": -1}]}, "invalid_answer", "holds no text"),
        ("spans", {}, {"spans": [{**SPAN, "class": "z"}]}, "unknown_class", "'z'"),
        ("spans", {}, {"spans": [{**SPAN, "start": 1.5}]}, "invalid_answer", "must be a whole number"),
        ("spans", {}, {"spans": [{**SPAN, "label": "a"}]}, "invalid_answer", "is no field here"),
        ("spans", {}, {"spans": [SPAN, {**SPAN, "start": 2, "end": 5}]}, "invalid_answer", "0-3 and 2-5 overlap"),
        ("spans", {"allows_overlap": True}, {"spans": [SPAN, SPAN]}, "invalid_answer", "there twice"),
        ("spans", {}, {"spans": [SPAN] * 5001}, "invalid_answer", "at most 5000"),
        ("numeric", {}, {"number": 10.5}, "invalid_answer", "from -2.5 to 10"),
        ("numeric", {}, {"number": math.nan}, "invalid_answer", "from -2.5 to 10"),
        ("numeric", {}, {"number": "3"}, "invalid_answer", "must be a number"),
        ("numeric", {"step": 0.5}, {"number": 0.25}, "invalid_answer", "whole steps of 0.5"),
        ("boxes", {}, {"boxes": [{**BOX, "x": 0.51}]}, "invalid_answer", "inside the image"),
        ("boxes", {}, {"boxes": [{**BOX, "y": -0.01}]}, "invalid_answer", "inside the image"),
        ("boxes", {}, {"boxes": [{**BOX, "y": math.nan}]}, "invalid_answer", "inside the image"),
        ("boxes", {}, {"boxes": [{**BOX, "width": 0}]}, "invalid_answer", "above 0"),
        ("boxes", {}, {"boxes": [{**BOX, "height": math.nan}]}, "invalid_answer", "above 0"),
        ("boxes", {}, {"boxes": [{**BOX, "class": "z"}]}, "unknown_class", "'z'"),
        ("boxes", {}, {"boxes": [BOX] * 1001}, "invalid_answer", "at most 1000"),
    ],
)
def test_a_wrong_answer_is_refused(
    kind: str, changes: dict[str, JSONValue], answer: Any, code: str, message: str
) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        schema_of(kind, **changes).parse_answer(answer)
    assert caught.value.code == code


def test_choices_come_in_the_order_of_the_schema() -> None:
    schema = schema_of("multi_label")
    assert schema.value_of(schema.parse_answer({"choices": ["c", "a"]})) == ["a", "c"]


@pytest.mark.parametrize(
    ("changes", "scores", "answer"),
    [
        ({}, [0.5, 0.49, 0.9], {"choices": ["a", "c"]}),
        ({}, [0.1, 0.2, 0.3], {"choices": []}),
        ({"min_choices": 1}, [0.1, 0.2, 0.3], None),
        ({"max_choices": 1}, [0.9, 0.9, 0.3], None),
    ],
)
def test_the_classes_at_least_as_likely_as_not_are_the_models_answer(
    changes: dict[str, JSONValue], scores: list[float], answer: JSONValue
) -> None:
    assert schema_of("multi_label", **changes).answer_from(scores) == answer


def test_the_first_of_equally_likely_classes_is_the_models_answer() -> None:
    assert schema_of("single_choice").answer_from([0.2, 0.4, 0.4]) == {"choice": "b"}
    assert schema_of("rating").answer_from([0.3, 0.1, 0.3, 0.1, 0.2]) == {"rating": -1}
    assert schema_of("preference").answer_from([0.1, 0.2, 0.3, 0.4]) == {"preference": "both_bad"}


def test_a_preference_offers_what_it_allows() -> None:
    assert schema_of("preference").class_keys == ("a", "b", "tie", "both_bad")
    assert schema_of("preference", allows_tie=False).class_keys == ("a", "b", "both_bad")
    assert schema_of("preference", allows_tie=False, allows_both_bad=False).class_keys == ("a", "b")


def test_a_rating_has_a_column_for_each_level() -> None:
    assert schema_of("rating").class_keys == ("-1", "0", "1", "2", "3")
    assert parse_definition({"kind": "rating"}).class_keys == ("1", "2", "3", "4", "5")


def test_spans_count_code_points_and_are_sorted() -> None:
    schema = schema_of("spans")
    family = TEXT.index("👩")
    late: dict[str, JSONValue] = {"start": family, "end": family + 5, "class": "c"}
    assert TEXT[family : family + 5] == "👩‍👩‍👧"
    answer = schema.parse_answer({"spans": [late, SPAN]})
    assert schema.value_of(answer) == [SPAN, late]
    schema.check_against(answer, {"body": TEXT})
    with pytest.raises(SchemaError, match=f"ends at {family + 5}, the text at {family + 4}"):
        schema.check_against(answer, {"body": TEXT[: family + 4]})


def test_spans_may_touch_and_overlap_where_allowed() -> None:
    touching: list[JSONValue] = [SPAN, {"start": 3, "end": 5, "class": "a"}]
    overlapping: list[JSONValue] = [SPAN, {"start": 0, "end": 3, "class": "b"}]
    assert schema_of("spans").value_of(schema_of("spans").parse_answer({"spans": touching})) == touching
    schema = schema_of("spans", allows_overlap=True)
    assert schema.value_of(schema.parse_answer({"spans": overlapping})) == overlapping


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        ("spans", {}, "no field 'body'"),
        ("spans", {"body": 5}, "is no text"),
        ("spans", None, "no field"),
        ("boxes", {"photo": ""}, "is no image"),
        ("boxes", {"photo": {"alt": "x"}}, "is no image"),
        ("boxes", {"image": "https://a.org/1.png"}, "no field 'photo'"),
        ("preference", {"left": "A"}, "no field 'right'"),
        ("text_correction", {"draft": 5}, "is no text"),
    ],
)
def test_an_answer_about_what_the_item_lacks_is_refused(kind: str, payload: JSONValue, message: str) -> None:
    answers: dict[str, JSONValue] = {
        "spans": {"spans": []}, "boxes": {"boxes": []}, "preference": {"preference": "a"}, "text_correction": {"text": ""},
    }  # fmt: skip
    schema = schema_of(kind)
    with pytest.raises(SchemaError, match=message) as caught:
        schema.check_against(schema.parse_answer(answers[kind]), payload)
    assert caught.value.code == "invalid_answer"


def test_an_image_may_be_an_address_or_an_object_with_one() -> None:
    schema = schema_of("boxes")
    answer = schema.parse_answer({"boxes": [BOX]})
    schema.check_against(answer, {"photo": "/media/x.png"})
    schema.check_against(answer, {"photo": {"url": "https://a.org/1.png", "alt": "x"}})


def test_a_box_may_fill_the_image_in_spite_of_rounding() -> None:
    full: dict[str, JSONValue] = {"x": 0.1 + 0.2, "y": 0, "width": 0.7, "height": 1, "class": "a"}
    schema_of("boxes").parse_answer({"boxes": [full]})


@pytest.mark.parametrize("number", [0.1, 0.3, 0.7, 1.0])
def test_steps_are_reached_in_spite_of_rounding(number: float) -> None:
    schema = parse_definition({"kind": "numeric", "minimum": 0, "maximum": 1, "step": 0.1})
    assert schema.value_of(schema.parse_answer({"number": number})) == number


# -- confidence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "prediction", "confidence"),
    [
        ("spans", {"spans": [{**SPAN, "confidence": 0.9}, {"start": 4, "end": 8, "class": "b", "confidence": 0.3}]}, 0.3),
        ("spans", {"spans": [{**SPAN, "confidence": 1}, {"start": 4, "end": 8, "class": "b"}]}, 1.0),
        ("spans", {"spans": [SPAN]}, None),
        ("spans", {"spans": []}, None),
        ("boxes", {"boxes": [{**BOX, "confidence": 0.0}]}, 0.0),
        ("text_correction", {"text": "x"}, None),
        ("numeric", {"number": 1}, None),
    ],
)  # fmt: skip
def test_the_weakest_part_counts(kind: str, prediction: JSONValue, confidence: float | None) -> None:
    assert schema_of(kind).parse_prediction(prediction)[1] == confidence


@pytest.mark.parametrize(("rule", "confidence"), [("least", 0.25), ("mean", 0.625), ("geometric_mean", 0.5)])
@pytest.mark.parametrize(("kind", "part"), [("spans", SPAN), ("boxes", BOX)])
def test_a_schema_says_how_the_confidences_of_parts_make_one(
    kind: str, part: dict[str, JSONValue], rule: str, confidence: float
) -> None:
    schema = schema_of(kind, confidence_rule=rule)
    assert parse_definition(definition_of(schema)) == schema
    assert ("confidence_rule" in definition_of(schema)) is (rule != "least")
    other: dict[str, JSONValue] = {**part, "class": "b"} if kind == "boxes" else {"start": 4, "end": 8, "class": "b"}
    prediction: JSONValue = {kind: [{**part, "confidence": 1}, {**other, "confidence": 0.25}]}
    assert schema.parse_prediction(prediction)[1] == confidence


def test_an_unknown_way_to_make_one_of_them_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"confidence_rule") as caught:
        schema_of("spans", confidence_rule="product")
    assert caught.value.code == "invalid_schema"


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1)), min_size=1, max_size=30))
def test_what_is_made_of_parts_is_what_the_score_over_many_answers_says(parts: list[float]) -> None:
    for rule in get_args(PartRule):
        said = combined(parts, rule)
        assert 0 <= said <= 1
        score = sequence_confidence.informativeness([np.array(parts)], rule)
        assert 1 - said == pytest.approx(float(score[0]), abs=1e-6)
    assert combined(parts, "least") <= combined(parts, "geometric_mean") + 1e-12
    assert combined(parts, "geometric_mean") <= combined(parts, "mean") + 1e-12


@pytest.mark.parametrize("confidence", [1.01, -0.1, "1", None, True, math.nan, [0.5]])
def test_the_confidence_of_a_part_is_a_probability(confidence: Any) -> None:
    with pytest.raises(SchemaError, match="number from 0 to 1") as caught:
        schema_of("boxes").parse_prediction({"boxes": [{**BOX, "confidence": confidence}]})
    assert caught.value.code == "invalid_answer"


def test_a_person_does_not_give_confidences() -> None:
    with pytest.raises(SchemaError, match="confidence is no field here"):
        schema_of("boxes").parse_answer({"boxes": [{**BOX, "confidence": 0.5}]})


def _numeric() -> Numeric:
    schema = schema_of("numeric")
    assert isinstance(schema, Numeric)
    return schema


@pytest.mark.parametrize(("std", "confidence"), [(0, 1.0), (6.25, 0.0), (3.125, 0.5), (1.25, 0.8), (100, 0.0)])
def test_a_spread_means_a_confidence(std: float, confidence: float) -> None:
    assert _numeric().confidence_from_std(std) == pytest.approx(confidence)


@pytest.mark.parametrize("std", [-1, math.nan, math.inf])
def test_what_is_no_spread_is_refused(std: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        _numeric().confidence_from_std(std)


@given(st.lists(st.floats(-2.5, 10), min_size=1, max_size=20))
def test_no_sample_within_the_bounds_has_a_confidence_below_zero(sample: list[float]) -> None:
    """Popoviciu: its standard deviation is at most half the range, so nothing is cut off."""
    assert 1 - 2 * float(np.std(sample)) / 12.5 >= -1e-9
    assert 0 <= _numeric().confidence_from_std(float(np.std(sample))) <= 1
