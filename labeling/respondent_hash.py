"""Respondents are known by keyed hashes only: what is stored tells nobody who they are who does not have the key."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

LONGEST_RESPONDENT: Final = 500


def respondent_key(project_id: int, secret: str) -> bytes:
    """The key of a project's respondents. The same person has another hash in another project."""
    return hashlib.sha256(f"respondent:{project_id}:{secret}".encode()).digest()


def session_key(project_id: int, secret: str) -> bytes:
    """The key of a project's sessions: whoever sends the same text for both is not found out by it."""
    return hashlib.sha256(f"session:{project_id}:{secret}".encode()).digest()


class RespondentKeys(NamedTuple):
    """The keys of a project under one secret."""

    respondent: bytes
    session: bytes

    def hash_of(self, respondent: str, session: str) -> str:
        """Of the respondent, or of the session that stands for them; the two cannot meet, for the keys differ."""
        return keyed_hash(self.respondent, respondent) or keyed_hash(self.session, session)


def keys_of(project_id: int, secret: str) -> RespondentKeys:
    return RespondentKeys(respondent_key(project_id, secret), session_key(project_id, secret))


def earlier_keys(project_id: int, secret: str, fallbacks: Sequence[str]) -> tuple[RespondentKeys, ...]:
    """Those of the secrets before this one, in their order, which is the newest first."""
    return tuple(keys_of(project_id, each) for each in fallbacks if each != secret)


def keyed_hash(key: bytes, name: str) -> str:
    """HMAC-SHA256 of the app's own id, 64 hexadecimal digits; empty for nobody.

    >>> keyed_hash(respondent_key(1, "secret"), "user-17")[:16]
    '2658f93f1a3e05b2'
    >>> keyed_hash(b"key", "")
    ''
    """
    return hmac.digest(key, name.encode(), "sha256").hex() if name else ""
