"""Tokens of asks: what was signed is read back, everything else is refused."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.ask_tokens import LONGEST_TOKEN, AskToken, issue, read, signing_key
from labeling.errors import NotAllowed

KEY, OLD_KEY = signing_key("secret"), signing_key("old secret")
NOW = 1_800_000_000.0
TOKEN = AskToken(3, 12, 5, int(NOW) + 60, True, b"abcdef")

tokens = st.builds(
    AskToken,
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    st.integers(int(NOW) + 1, 2**40),
    st.booleans(),
    st.binary(min_size=6, max_size=6),
)


def refusal(text: str, **changes: Any) -> str:
    with pytest.raises(NotAllowed) as refused:
        read(text, **{"keys": [KEY], "now": NOW, **changes})
    return refused.value.code


@given(token=tokens)
def test_a_token_is_read_back_and_fits_into_an_address(token: AskToken) -> None:
    text = issue(token, key=KEY)
    assert read(text, keys=[KEY], now=NOW) == token
    assert len(text) < 100
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_every_character_counts() -> None:
    """Also the last ones of each half, whose lowest bits say nothing."""
    text = issue(TOKEN, key=KEY)
    for place, character in enumerate(text):
        for other in "AB-_9.":
            if other != character:
                assert refusal(text[:place] + other + text[place + 1 :]) == "invalid_token"


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.b", "é.é", "=.=", "a" * 400, issue(TOKEN, key=KEY) + "=", " " + issue(TOKEN, key=KEY), "\x00.\x00"],
)
def test_what_was_not_issued_is_refused(text: str) -> None:
    assert refusal(text) == "invalid_token"


@given(text=st.text(max_size=LONGEST_TOKEN + 10))
def test_any_text_is_refused(text: str) -> None:
    assert refusal(text) == "invalid_token"


def test_a_token_ends_at_its_expiry() -> None:
    text = issue(TOKEN, key=KEY)
    assert read(text, keys=[KEY], now=NOW + 59.9) == TOKEN
    assert refusal(text, now=NOW + 60) == "expired_token"


def test_a_forged_token_is_not_told_that_it_is_expired() -> None:
    assert refusal(issue(TOKEN, key=OLD_KEY), now=NOW + 60) == "invalid_token"


def test_tokens_of_an_earlier_key_are_good_while_it_is_named() -> None:
    text = issue(TOKEN, key=OLD_KEY)
    assert refusal(text) == "invalid_token"
    assert read(text, keys=[KEY, OLD_KEY], now=NOW) == TOKEN


def test_keys_of_other_purposes_sign_no_tokens() -> None:
    assert refusal(issue(TOKEN, key=b"secret")) == "invalid_token"


def test_a_signed_payload_of_another_form_is_refused() -> None:
    payload = msgspec.msgpack.encode({"project_id": 3})
    head = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    genuine = issue(TOKEN, key=KEY)
    assert refusal(f"{head}.{genuine.partition('.')[2]}") == "invalid_token"
