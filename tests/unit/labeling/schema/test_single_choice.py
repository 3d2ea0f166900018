from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.schema import (
    KINDS,
    Choice,
    JSONValue,
    LabelClass,
    SchemaError,
    SingleChoice,
    definition_of,
    parse_definition,
)


def _single_choice(*classes: dict[str, Any], **fields: Any) -> dict[str, JSONValue]:
    return {"kind": "single_choice", "classes": list(classes), **fields}


SPAM_OR_HAM = _single_choice(
    {"key": "spam", "title": "Spam", "hotkey": "s"}, {"key": "ham"}, guidelines="Read it *all*."
)


def test_a_single_choice_is_read_with_everything_it_may_have() -> None:
    schema = parse_definition(
        _single_choice(
            {"key": "a", "title": "Alpha", "description": "The first\nof two", "hotkey": "1"},
            {"key": "b", "hotkey": "2"},
            guidelines="Choose.\n\nبعناية",
        )
    )
    assert schema == SingleChoice(
        classes=(LabelClass("a", "Alpha", "The first\nof two", "1"), LabelClass("b", "", "", "2")),
        guidelines="Choose.\n\nبعناية",
    )
    assert schema.kind == "single_choice"
    assert schema.class_keys == ("a", "b")
    assert [label_class.label for label_class in schema.classes] == ["Alpha", "b"]


def test_classes_keep_their_order_and_are_found_by_key() -> None:
    schema = parse_definition(_single_choice(*({"key": str(digit)} for digit in (7, 3, 9))))
    assert isinstance(schema, SingleChoice)
    assert [schema.class_index(key) for key in ("7", "3", "9")] == [0, 1, 2]


def test_the_stored_form_is_read_back_to_the_same_schema() -> None:
    schema = parse_definition(SPAM_OR_HAM)
    assert definition_of(schema) == SPAM_OR_HAM
    assert parse_definition(definition_of(schema)) == schema


def test_fields_at_their_defaults_make_no_difference() -> None:
    explicit = _single_choice({"key": "a", "title": "", "description": "", "hotkey": ""}, {"key": "b"}, guidelines="")
    assert parse_definition(explicit) == parse_definition(_single_choice({"key": "a"}, {"key": "b"}))
    assert definition_of(parse_definition(explicit)) == _single_choice({"key": "a"}, {"key": "b"})


def test_reading_does_not_change_the_argument() -> None:
    value = _single_choice({"key": "a"}, {"key": "b"})
    parse_definition(value)
    assert value == _single_choice({"key": "a"}, {"key": "b"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "an object"),
        ([], "an object"),
        ("single_choice", "an object"),
        ({}, "kind must be one of: "),
        ({"kind": "telepathy", "classes": []}, "kind must be one of"),
        ({"kind": ["single_choice"]}, "kind must be one of"),
        ({"kind": "single_choice"}, "classes is missing"),
        (_single_choice(), "2 to 1000 classes, not 0"),
        (_single_choice({"key": "a"}), "2 to 1000 classes, not 1"),
        (_single_choice(*({"key": str(n)} for n in range(1001))), "2 to 1000 classes, not 1001"),
        (_single_choice({"key": "a"}, {"key": "a"}), "key 'a' is used twice"),
        (_single_choice({"key": "a", "hotkey": "1"}, {"key": "b", "hotkey": "1"}), "hotkey '1' is used twice"),
        (_single_choice({"key": ""}, {"key": "b"}), r"classes\[0\]: .* must not be empty"),
        (_single_choice({"key": "  "}, {"key": "b"}), "must not be empty"),
        (_single_choice({"key": " a"}, {"key": "b"}), "begin or end with space"),
        (_single_choice({"key": "a\tb"}, {"key": "b"}), "one line"),
        (_single_choice({"key": "a\x00"}, {"key": "b"}), "control character"),
        (_single_choice({"key": "a\ud800"}, {"key": "b"}), "control character"),
        (_single_choice({"key": "a" * 101}, {"key": "b"}), "101 characters, at most 100"),
        (_single_choice({"key": 1}, {"key": "b"}), "must be a text"),
        (_single_choice({"key": "a", "hotkey": "F1"}, {"key": "b"}), "one visible character"),
        (_single_choice({"key": "a", "hotkey": " "}, {"key": "b"}), "one visible character"),
        (_single_choice({"key": "a", "colour": "red"}, {"key": "b"}), "colour is no field here"),
        (_single_choice({"key": "a"}, {"key": "b"}, classs=[]), "classs is no field here"),
        (_single_choice({"key": "a"}, {"key": "b"}, guidelines="a\x00"), "control character"),
        (_single_choice({"key": "a", "title": "t" * 201}, {"key": "b"}), "at most 200"),
    ],
)
def test_a_wrong_schema_is_refused_with_what_is_wrong(value: JSONValue, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        parse_definition(value)
    assert caught.value.code == "invalid_schema"


def test_an_answer_names_a_class() -> None:
    assert parse_definition(SPAM_OR_HAM).parse_answer({"choice": "ham"}) == Choice(choice="ham")


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ({"choice": "eggs"}, "unknown_class", "unknown class 'eggs'"),
        ({"choice": "Spam"}, "unknown_class", "unknown class 'Spam'"),
        ({"choice": ""}, "unknown_class", "unknown class ''"),
        ({"choice": "x" * 5000}, "unknown_class", r"unknown class 'x{100}\.\.\.'"),
        ({"choice": 1}, "invalid_answer", "must be a text"),
        ({"choice": None}, "invalid_answer", "must be a text"),
        ({"choice": ["ham"]}, "invalid_answer", "must be a text"),
        ({}, "invalid_answer", "choice is missing"),
        ({"choice": "ham", "sure": True}, "invalid_answer", "sure is no field here"),
        ("ham", "invalid_answer", "must be an object"),
        (None, "invalid_answer", "must be an object"),
        ([], "invalid_answer", "must be an object"),
    ],
)
def test_a_wrong_answer_is_refused_with_code_and_reason(value: JSONValue, code: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        parse_definition(SPAM_OR_HAM).parse_answer(value)
    assert caught.value.code == code


def test_a_class_index_of_an_unknown_class_is_refused() -> None:
    schema = parse_definition(SPAM_OR_HAM)
    assert isinstance(schema, SingleChoice)
    with pytest.raises(SchemaError) as caught:
        schema.class_index("eggs")
    assert caught.value.code == "unknown_class"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_registered_under_its_own_name(kind: str) -> None:
    assert KINDS[kind].kind == kind


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["kind", "classes", "key", "hotkey", "choice", "guidelines"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(_json, st.booleans())
def test_any_json_gives_a_schema_or_a_schema_error(value: Any, claims_a_kind: bool) -> None:
    if claims_a_kind and isinstance(value, dict):
        value = {**value, "kind": "single_choice"}
    try:
        schema = parse_definition(value)
    except SchemaError:
        pass
    else:
        assert parse_definition(definition_of(schema)) == schema


@given(_json)
def test_any_json_gives_an_answer_or_a_schema_error(value: Any) -> None:
    try:
        answer = parse_definition(SPAM_OR_HAM).parse_answer(value)
    except SchemaError:
        pass
    else:
        assert answer.label in {"spam", "ham"}
