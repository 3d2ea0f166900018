"""Tokens that let whoever holds one answer one ask, and nothing else. No database is needed to check one.

A token is base64url(payload) "." base64url(first 16 bytes of HMAC-SHA256(key, payload)). That an ask has one outcome only
is held where the ask is stored, so a token may be issued again.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import msgspec

from labeling.errors import NotAllowed

LONGEST_TOKEN: Final = 300
NONCE_BYTES: Final = 6
_SIGNATURE_BYTES: Final = 16


class AskToken(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What a token says. `expires_at` is in seconds since 1970, `nonce` makes tokens of one ask differ."""

    project_id: int
    ask_id: int
    question_version_id: int
    expires_at: int
    is_blind: bool
    nonce: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(AskToken)


def signing_key(secret: str) -> bytes:
    """The key for tokens, derived from the installation's secret for this purpose alone."""
    return hashlib.sha256(b"ask-token:" + secret.encode()).digest()


def issue(token: AskToken, *, key: bytes) -> str:
    """Write a token, in fewer than 100 characters that fit into an address.

    >>> text = issue(AskToken(1, 12, 3, 1_800_000_000, False, b"abcdef"), key=signing_key("secret"))
    >>> read(text, keys=[signing_key("secret")], now=1_799_999_999.0).ask_id
    12
    """
    payload = _encode(token)
    return f"{_base64(payload)}.{_base64(_signature(payload, key))}"


def read(text: str, *, keys: Sequence[bytes], now: float) -> AskToken:
    """Read a token that one of `keys` signed; the first one is tried first.

    Raises NotAllowed `invalid_token`, or `expired_token` from its expiry on.
    """
    token = _verified(text, keys)
    if now >= token.expires_at:
        raise NotAllowed("The time to answer is over.", code="expired_token")
    return token


def _verified(text: str, keys: Sequence[bytes]) -> AskToken:
    head, dot, _ = text.partition(".")
    if dot and len(text) <= LONGEST_TOKEN and text.isascii():
        try:
            payload = base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True)
            for key in keys:
                # The whole text is compared, so that no other spelling of the same bytes is a token too.
                expected = f"{_base64(payload)}.{_base64(_signature(payload, key))}"
                if hmac.compare_digest(expected, text):
                    return _decoder.decode(payload)
        except (binascii.Error, msgspec.DecodeError):
            pass
    raise NotAllowed("This token was not issued here.", code="invalid_token")


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_SIGNATURE_BYTES]


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
