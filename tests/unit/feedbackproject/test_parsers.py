"""JSON bodies are read strictly: nothing is lost in silence."""

import io
import json

import pytest
from rest_framework.exceptions import ParseError

from feedbackproject.parsers import BoundedJSONParser
from labeling.errors import InvalidInput, TooLarge


def parse(body: bytes) -> object:
    return BoundedJSONParser().parse(io.BytesIO(body))


@pytest.mark.parametrize(
    "value", [{}, [], {"a": {"a": [{"a": 1}, {"a": 2}]}}, "a", 1.5, None, {"n": 10**30}, {"e": "é\u2028\\"}]
)
def test_what_says_each_name_once_is_read(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"a": 1, "a": 1}', "a"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "a.b"),
        ('{"a": [{}, {"b": [{"c": 1, "c": 2}]}]}', "a[1].b[0].c"),
        ('[{"a": 1}, {"a": 1, "\\u0061": 2}]', "[1].a"),
        ('{"n": 123456789012345678901234567890, "n": 1}', "n"),
    ],
)
def test_a_name_that_an_object_says_twice_is_refused_with_its_path(body: str, field: str) -> None:
    with pytest.raises(InvalidInput, match="given more than once") as refused:
        parse(body.encode())
    assert (refused.value.code, set(refused.value.fields)) == ("repeated_field", {field})


@pytest.mark.parametrize("depth", range(900, 1100, 7))
def test_json_that_is_nested_deeply_is_read_or_refused(depth: int) -> None:
    code: object = "read"
    try:
        parse(b"[" * depth + b"]" * depth)
    except ParseError as refused:
        code = refused.get_codes()
    assert code in {"read", "invalid_json"}


@pytest.mark.parametrize("body", [b"", b'{"a": NaN}', b"{'a': 1}", b'"\\ud800"', b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError) as refused:
        parse(body)
    assert refused.value.get_codes() == "invalid_json"


def test_a_body_is_bounded(settings: object) -> None:
    settings.API_MAX_BODY_BYTES = 10  # type: ignore[attr-defined]  # pytest-django's own
    with pytest.raises(TooLarge):
        parse(b'"123456789"')
