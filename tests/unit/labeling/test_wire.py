import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling import wire
from labeling.wire import RowError

LARGEST = 2**20

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_a_payload_comes_out_as_it_went_in(payload: dict[str, object]) -> None:
    raw = json.dumps({"key": "a", "payload": payload}).encode()
    if _has_nul(payload):
        with pytest.raises(RowError, match="NUL"):
            wire.parse_item(raw, largest_bytes=LARGEST)
    else:
        assert json.loads(wire.parse_item(raw, largest_bytes=LARGEST).payload) == payload


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_row_or_a_row_error(raw: bytes) -> None:
    for parse in (wire.parse_item, wire.parse_prediction):
        with pytest.raises(RowError):
            parse(raw, largest_bytes=LARGEST)


@pytest.mark.parametrize(("depth", "is_fine"), [(62, True), (63, True), (64, False), (900, False)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_bounded_exactly(depth: int, is_fine: bool, opening: str, closing: str) -> None:
    """The payload itself is the first level."""
    inner = "1" if opening != "[" else ""
    raw = f'{{"key":"a","payload":{{"x":{opening * depth}{inner}{closing * depth}}}}}'.encode()
    if is_fine:
        assert wire.parse_item(raw, largest_bytes=LARGEST).payload
    else:
        with pytest.raises(RowError) as caught:
            wire.parse_item(raw, largest_bytes=LARGEST)
        assert caught.value.code == "too_deeply_nested"


def test_the_key_of_a_bad_row_is_told_where_it_can_be_read() -> None:
    for raw, key in (
        (b'{"key":"a","payload":5}', "a"),
        (b'{"key":"a","payload":{},"segments":{"":"b"}}', "a"),
        (b'{"key":5,"payload":{}}', None),
        (b'{"key":"%s","payload":5}' % (b"x" * 201), None),
        (b"{", None),
    ):
        with pytest.raises(RowError) as caught:
            wire.parse_item(raw, largest_bytes=LARGEST)
        assert caught.value.key == key


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_has_nul, value))
