"""Tokens of asks with this installation's keys."""

import datetime as dt
import secrets
from functools import lru_cache

from django.conf import settings

from labeling import ask_tokens
from labeling.ask_tokens import AskToken
from labeling.models import Ask


def token_for(ask: Ask) -> str:
    """A token that lets its holder answer the ask until the ask expires. May be issued again and again: it is the ask
    that has one outcome only."""
    token = AskToken(
        ask.project_id,
        ask.pk,
        ask.question_version_id,
        int(ask.expires_at.timestamp()),
        ask.is_blind,
        secrets.token_bytes(ask_tokens.NONCE_BYTES),
    )
    return ask_tokens.issue(token, key=_keys((settings.SECRET_KEY,))[0])


def read(text: str, *, now: dt.datetime) -> AskToken:
    """Raises NotAllowed `invalid_token` or `expired_token`. Tokens signed by SECRET_KEY_FALLBACKS are good, too."""
    keys = _keys((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    return ask_tokens.read(text, keys=keys, now=now.timestamp())


def project_of(text: str) -> int:
    """The project of a token that was issued here, expired or not: to tell its page so. Raises NotAllowed `invalid_token`."""
    keys = _keys((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    return ask_tokens.read(text, keys=keys, now=0.0).project_id


@lru_cache(maxsize=4)
def _keys(secret_keys: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(ask_tokens.signing_key(secret) for secret in secret_keys)
