"""What holds for every kind of label schema; a new kind is tested by being registered and having an example."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.schema import KINDS, JSONValue, SchemaError, definition_of, parse_definition
from tests.unit.labeling.schema.examples import ANSWERS, DEFINITIONS, NATURAL, PAYLOAD, schema_of

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
FEW = settings(max_examples=40)  # for each of the kinds
WORDS = ["choice", "choices", "rating", "text", "preference", "spans", "number", "boxes"]
PARTS = ["start", "end", "class", "x", "y", "width", "height", "confidence"]

garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a", "b", "tie"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*WORDS, *PARTS]), inner, max_size=5),
    max_leaves=12,
)
fields = st.sampled_from(
    ["classes", "min_choices", "max_choices", "minimum", "maximum", "source", "a", "b", "allows_tie", "field", "unit", "step"]
)  # fmt: skip

Result = TypeVar("Result")


def _outcome(call: Callable[[], Result]) -> Result | SchemaError:
    try:
        return call()
    except SchemaError as error:
        return error


@EVERY_KIND
def test_it_is_registered_under_its_own_name_and_has_an_example(kind: str) -> None:
    assert KINDS[kind].kind == kind
    assert kind in DEFINITIONS


@EVERY_KIND
def test_the_definition_is_read_back_to_the_same_schema(kind: str) -> None:
    schema = schema_of(kind)
    assert definition_of(schema) == DEFINITIONS[kind]
    assert json.loads(json.dumps(definition_of(schema))) == definition_of(schema)
    assert parse_definition(definition_of(schema)) == schema


@EVERY_KIND
def test_a_default_that_is_said_makes_no_difference(kind: str) -> None:
    schema = schema_of(kind)
    defaults = {
        field.name: field.default for field in msgspec.structs.fields(schema) if field.name not in DEFINITIONS[kind]
    }
    # Through JSON, so that a text is equal to the default and not the very object.
    said = parse_definition(json.loads(json.dumps({**DEFINITIONS[kind], **defaults})))
    assert said == schema
    assert definition_of(said) == DEFINITIONS[kind]


@EVERY_KIND
@FEW
@given(data=st.data())
def test_any_json_is_a_definition_or_a_schema_error(kind: str, data: st.DataObject) -> None:
    changes = data.draw(st.dictionaries(fields, garbage, max_size=3))
    outcome = _outcome(lambda: parse_definition({**DEFINITIONS[kind], **changes}))
    if isinstance(outcome, SchemaError):
        assert outcome.code == "invalid_schema"
    else:
        assert parse_definition(definition_of(outcome)) == outcome


@EVERY_KIND
def test_unknown_fields_are_refused(kind: str) -> None:
    with pytest.raises(SchemaError, match="colour is no field here"):
        schema_of(kind, colour="red")


@EVERY_KIND
def test_predictions_have_columns_in_the_form_of_the_kind(kind: str) -> None:
    schema = schema_of(kind)
    assert len(set(schema.class_keys)) == len(schema.class_keys)
    assert (schema.class_keys == ("correct",)) == (schema.prediction_form == "confidence")
    assert all(schema.class_keys)


@EVERY_KIND
@FEW
@given(data=st.data())
def test_an_answer_is_read_and_written_back(kind: str, data: st.DataObject) -> None:
    schema, given_answer = schema_of(kind), data.draw(ANSWERS[kind])
    answer = schema.parse_answer(given_answer)
    written = msgspec.to_builtins(answer)
    assert schema.parse_answer(written) == answer
    assert json.loads(msgspec.json.encode(answer)) == json.loads(json.dumps(written))
    schema.check_against(answer, PAYLOAD)


@EVERY_KIND
@FEW
@given(data=st.data())
def test_the_value_of_an_answer_is_its_natural_form(kind: str, data: st.DataObject) -> None:
    schema, given_answer = schema_of(kind), data.draw(ANSWERS[kind])
    value = schema.value_of(schema.parse_answer(given_answer))
    assert value == NATURAL[kind](given_answer)
    assert json.loads(json.dumps(value)) == value


@EVERY_KIND
@FEW
@given(data=st.data())
def test_the_label_of_an_answer_is_a_class_or_nothing(kind: str, data: st.DataObject) -> None:
    schema = schema_of(kind)
    label = schema.label_of(schema.parse_answer(data.draw(ANSWERS[kind])))
    assert label in schema.class_keys if schema.prediction_form == "distribution" else label == ""


@EVERY_KIND
@FEW
@given(value=garbage)
def test_any_json_is_an_answer_or_a_schema_error(kind: str, value: Any) -> None:
    schema = schema_of(kind)
    for parse in (schema.parse_answer, lambda given_value: schema.parse_prediction(given_value)[0]):
        outcome = _outcome(partial(parse, value))
        if isinstance(outcome, SchemaError):
            assert outcome.code in {"invalid_answer", "unknown_class"}
        else:
            assert schema.parse_answer(msgspec.to_builtins(outcome)) == outcome


@EVERY_KIND
@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [], [{}], {}, {"nonsense": 1}])
def test_what_is_no_answer_is_refused(kind: str, value: JSONValue) -> None:
    schema = schema_of(kind)
    with pytest.raises(SchemaError) as caught:
        schema.parse_answer(value)
    assert caught.value.code == "invalid_answer"


@EVERY_KIND
@FEW
@given(data=st.data())
def test_a_surplus_field_of_an_answer_is_refused(kind: str, data: st.DataObject) -> None:
    with pytest.raises(SchemaError, match="is no field here"):
        schema_of(kind).parse_answer({**data.draw(ANSWERS[kind]), "sure": True})


@EVERY_KIND
@FEW
@given(data=st.data())
def test_reading_an_answer_does_not_change_it(kind: str, data: st.DataObject) -> None:
    given_answer = data.draw(ANSWERS[kind])
    before = json.dumps(given_answer)
    schema_of(kind).parse_prediction(given_answer)
    assert json.dumps(given_answer) == before


@EVERY_KIND
@FEW
@given(data=st.data(), payload=garbage)
def test_an_answer_and_any_payload_fit_or_are_a_schema_error(kind: str, data: st.DataObject, payload: Any) -> None:
    schema = schema_of(kind)
    answer = schema.parse_answer(data.draw(ANSWERS[kind]))
    outcome = _outcome(lambda: schema.check_against(answer, payload))
    assert outcome is None or outcome.code == "invalid_answer"


@EVERY_KIND
@FEW
@given(data=st.data())
def test_scores_amount_to_a_valid_answer_or_none(kind: str, data: st.DataObject) -> None:
    schema = schema_of(kind)
    width = len(schema.class_keys)
    scores = data.draw(st.lists(st.floats(0, 1), min_size=width, max_size=width))
    answer = schema.answer_from(scores)
    if schema.prediction_form == "confidence":
        assert answer is None
        return
    parsed = schema.parse_answer(answer)
    if schema.prediction_form == "distribution":
        assert scores[schema.class_keys.index(schema.label_of(parsed))] == max(scores)


@EVERY_KIND
def test_answers_of_another_kind_are_a_programming_error_where_they_are_looked_into(kind: str) -> None:
    other = schema_of("rating" if kind != "rating" else "numeric")
    answer = other.parse_answer({"rating": 1} if kind != "rating" else {"number": 1})
    if kind == "spans":
        with pytest.raises(TypeError, match="no answer of this schema"):
            schema_of(kind).check_against(answer, PAYLOAD)
